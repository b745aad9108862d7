"""What a caller is told of models, and which of them take jobs."""

import json
from dataclasses import replace

import pytest

from models.card import CAMERA, CANDIDATES, LABEL, STEPS
from models.catalog import CATALOG, DEFAULT_MODEL, DRAFT
from service.gateway import describe
from tests.service.gateway.kit import picture, problem

RESTRICTED = replace(DRAFT, id="restricted", accept="their-licence")
EMPTY = replace(DRAFT, id="empty", weights=())
UNFIT = replace(DRAFT, id="unfit", unfit="it takes clouds")
POSED = replace(
    DRAFT,
    id="posed",
    parameters=(*DRAFT.parameters, CAMERA, replace(LABEL, maximum=2), replace(STEPS, maximum=1000)),
)
ORBIT = json.dumps({"elevation": 20, "distance": 2.5})


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    for card in (RESTRICTED, EMPTY, UNFIT, POSED):
        monkeypatch.setitem(CATALOG, card.id, card)


async def submit(client, model, **fields):
    part = {"image": ("picture.png", picture(), "image/png")}
    return await client.post("/reconstruct", files=part, data={"model": model, **fields})


async def test_the_cards_say_why_they_are_not_ready(gateway):
    gateway.beat(models=(DEFAULT_MODEL, "restricted"))
    data = (await gateway.http.get("/models")).json()["data"]
    cards = {card["id"]: card for card in data}
    assert list(cards) == list(CATALOG)
    assert (cards[DEFAULT_MODEL]["ready"], cards[DEFAULT_MODEL]["reason"]) == (True, None)
    assert cards[DEFAULT_MODEL]["licence"]["accept"] is None
    assert not cards["restricted"]["ready"]
    assert "their-licence" in cards["restricted"]["reason"]
    assert cards["restricted"]["licence"]["accept"] == "their-licence"
    assert "no weights" in cards["empty"]["reason"]
    assert (cards["posed"]["ready"], cards["posed"]["reason"]) == (False, None)
    assert (await gateway.http.get("/models/empty")).json() == cards["empty"]


async def test_a_restricted_model_takes_no_jobs_until_it_is_accepted(gateway, make_gateway):
    body = problem(await submit(gateway.http, "restricted"), 403, "licence_not_accepted")
    assert "their-licence" in body["detail"]
    assert "BOZZETTO_MODELS__ACCEPTED_LICENCES" in body["hint"]
    assert gateway.files() == []

    open_minded = await make_gateway(models={"accepted_licences": ("their-licence",)})
    assert (await submit(open_minded.http, "restricted")).status_code == 202
    card = (await open_minded.http.get("/models/restricted")).json()
    assert card["reason"] is None


async def test_a_model_without_weights_takes_no_jobs(client):
    body = problem(await submit(client, "empty"), 422, "unknown_model")
    assert body["field"] == "model"
    assert "no weights" in body["detail"]
    assert "ready" in body["hint"]


async def test_a_model_that_takes_no_pictures_takes_no_jobs(gateway):
    body = problem(await submit(gateway.http, "unfit"), 422, "invalid_field")
    assert body["field"] == "model"
    assert body["detail"] == "unfit: it takes clouds"
    assert "why the others are not" in body["hint"]
    card = (await gateway.http.get("/models/unfit")).json()
    assert (card["ready"], card["reason"]) == (False, "it takes clouds")


async def test_label_camera_and_many_steps(client):
    job = (await submit(client, "posed", label="2", camera=ORBIT, steps="1000")).json()
    assert job["params"]["label"] == 2
    assert job["params"]["camera"] == ORBIT
    assert job["params"]["steps"] == 1000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "3"),
        ("label", "-1"),
        ("label", "chair"),
        ("camera", "behind"),
        ("camera", '{"elevation": 20}'),
        ("camera", '{"elevation": 20, "distance": 0.1}'),
        ("steps", "1001"),
    ],
)
async def test_bad_ones_are_refused_by_name(client, field, value):
    body = problem(await submit(client, "posed", **{field: value}), 422, "invalid_field")
    assert body["field"] == field


@pytest.mark.parametrize("field", ["label", "camera"])
async def test_a_model_that_lacks_them_says_so(client, field):
    problem(await submit(client, "draft", **{field: "0"}), 422, "unknown_field")


def test_the_form_is_as_wide_as_the_widest_model():
    schemas = describe._field_schemas()
    assert schemas["steps"]["maximum"] == 1000
    assert schemas["steps"]["minimum"] == 1
    assert schemas["steps"]["default"] == CATALOG[DEFAULT_MODEL].resolve({})["steps"]
    assert schemas["camera"]["type"] == "string"
    assert schemas["candidates"]["maximum"] == CANDIDATES.maximum
