"""What the environment may say, and what is said of what it may not."""

import pytest

from service.commands import CANNOT_START, CommandError, settings_from
from service.settings import get_settings


@pytest.fixture(autouse=True)
def fresh():
    """Settings are read once for a process; these are for no other test."""
    yield
    get_settings.cache_clear()


def read(monkeypatch, name, value):
    get_settings.cache_clear()
    monkeypatch.setenv(f"BOZZETTO_{name}", value)
    return settings_from(None, None, None)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("draft", ("draft",)),
        ("draft, pc2-mini", ("draft", "pc2-mini")),
        ('["draft", "pc2-mini"]', ("draft", "pc2-mini")),
        ("[]", ()),
    ],
)
def test_a_list_is_commas_or_json(text, items, monkeypatch):
    assert read(monkeypatch, "WORKER__MODELS", text).worker.models == items
    assert read(monkeypatch, "MODELS__ACCEPTED_LICENCES", text).models.accepted_licences == items
    assert read(monkeypatch, "GATEWAY__CORS_ORIGINS", text).gateway.cors_origins == items
    keys = read(monkeypatch, "GATEWAY__API_KEYS", text).gateway.api_keys
    assert tuple(key.get_secret_value() for key in keys) == items


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("WORKER__MODELS", '["draft"', "BOZZETTO_WORKER__MODELS: "),
        ("GATEWAY__API_KEYS", "[hidden]", "BOZZETTO_GATEWAY__API_KEYS: "),
        ("GATEWAY__API_KEYS", "", "BOZZETTO_GATEWAY__API_KEYS: "),
        ("GATEWAY__API_KEYS", "hidden,", "BOZZETTO_GATEWAY__API_KEYS: "),
        ("GATEWAY__API_KEYS", '["hidden", " "]', "BOZZETTO_GATEWAY__API_KEYS: "),
        ("GATEWAY", '{"api_keys": [""]}', "BOZZETTO_GATEWAY__API_KEYS: "),
        ("WORKER__MODELS", "[1]", "BOZZETTO_WORKER__MODELS__0: "),
        ("MODELS", "PC2-no-licence", '"models"'),
        ("GATEWAY__PORT", "many", "BOZZETTO_GATEWAY__PORT: "),
        ("GATEWEY", "1", "BOZZETTO_GATEWEY names no setting"),
    ],
)
def test_what_cannot_be_read_is_one_line(name, value, told, monkeypatch):
    with pytest.raises(CommandError) as error:
        read(monkeypatch, name, value)
    assert error.value.code == CANNOT_START
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert "hidden" not in str(error.value)
