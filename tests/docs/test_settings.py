"""docs/settings.md is what the settings class says today."""

from pydantic import BaseModel

from service.settings import Settings
from service.settings_docs import render
from tests.repository.files import ROOT


def test_the_page_is_current() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert page == render(), "run `make docs`"


def test_every_setting_is_described() -> None:
    bare = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        fields = {"": field}
        if isinstance(section, type) and issubclass(section, BaseModel):
            fields = section.model_fields
        bare += [f"{name}__{key}" for key, inner in fields.items() if not inner.description]
    assert bare == []
