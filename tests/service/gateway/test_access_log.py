import logging

from models.catalog import DEFAULT_MODEL
from tests.service.gateway.kit import picture


async def test_one_line_per_request(gateway, caplog):
    caplog.set_level(logging.INFO, "bozzetto.access")
    job = await gateway.submit()
    await gateway.http.get("/livez")
    await gateway.http.get("/metrics")
    await gateway.http.post("/reconstruct?seed=x", files={"image": ("a.png", picture())})
    accepted, refused = [r for r in caplog.records if r.name == "bozzetto.access"]
    assert accepted.getMessage() == "POST /reconstruct 202"
    assert (accepted.status, accepted.route) == (202, "/reconstruct")
    assert (accepted.job_id, accepted.model) == (job["id"], DEFAULT_MODEL)
    assert accepted.owner == "anonymous"
    assert accepted.seconds > 0
    assert (refused.status, refused.code) == (422, "invalid_field")
    assert len(refused.request_id) == 32


async def test_keys_are_not_logged(make_gateway, caplog):
    caplog.set_level(logging.DEBUG)
    gateway = await make_gateway(gateway={"api_keys": ["very-secret"]})
    for token in ("very-secret", "almost-secret"):
        await gateway.http.get("/jobs", headers={"Authorization": f"Bearer {token}"})
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert "GET /jobs 200" in logged
    assert "GET /jobs 401" in logged
    assert "secret" not in logged.replace("SecretStr", "")
