"""What the Compose files promise beyond their schema, which `make check` looks at."""

import re

from service.settings import PREFIX, Settings
from tests.repository.files import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
# Read by Compose alone, not by the product.
COMPOSE_ONLY = {f"{PREFIX}REDIS_PASSWORD", f"{PREFIX}PUBLISH"}


def _known_settings() -> set[str]:
    known = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        keys = [f"{name}__{key}" for key in inner] if inner else [name]
        known |= {PREFIX + key.upper() for key in keys}
    return known


def _service(name: str) -> str:
    """One service's block of the Compose file."""
    found = re.search(rf"^  {name}:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    assert found
    return found.group(1)


def test_every_variable_is_a_setting() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    used = set(re.findall(rf"\b{PREFIX}[A-Z_]+", COMPOSE + EXAMPLE + dockerfile))
    assert used
    assert used - COMPOSE_ONLY <= _known_settings()


def test_every_variable_to_fill_in_is_in_the_example() -> None:
    asked = set(re.findall(rf"\$\{{({PREFIX}[A-Z_]+)", COMPOSE))
    offered = set(re.findall(rf"^(?:# )?({PREFIX}[A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert asked == offered


def test_a_missing_password_stops_the_start() -> None:
    uses = re.findall(rf"\$\{{{PREFIX}REDIS_PASSWORD(.*?)\}}", COMPOSE)
    assert len(uses) == 3
    assert all(use.startswith(":?") for use in uses)


def test_keys_that_failed_to_arrive_do_not_open_the_gateway() -> None:
    """`:-` would: it makes the default, no keys, of an empty variable too."""
    assert re.findall(rf"\$\{{{PREFIX}GATEWAY__API_KEYS(.*?)\}}", COMPOSE) == ["-[]"]


def test_the_queue_is_durable_and_private() -> None:
    redis = _service("redis")
    assert "--appendonly yes" in redis
    assert "--maxmemory-policy noeviction" in redis
    assert "--requirepass" in redis
    assert "ports:" not in redis


def test_services_wait_for_the_queue() -> None:
    for name in ("gateway", "worker"):
        assert "condition: service_healthy" in _service(name)


def test_images_run_without_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for target in ("gateway", "worker"):
        stage = dockerfile.split(f" AS {target}\n")[1].split("\nFROM ")[0]
        assert re.search(r"^USER 10001$", stage, re.MULTILINE)


def test_worker_stop_outlasts_its_drain() -> None:
    grace = re.search(r"stop_grace_period: (\d+)s", _service("worker"))
    assert grace
    assert int(grace.group(1)) > Settings().worker.drain_s
