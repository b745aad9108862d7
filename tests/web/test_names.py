"""All that the API can name has a name for people in the elements' sources."""

import re

import pytest

from models.catalog import PARAMETERS, SAMPLERS
from service.worker.pipeline import STAGES
from tests.web.visitor import ROOT

FIELDS, WORDS = "web/src/upload/fields.ts", "web/src/shared/words.ts"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (FIELDS, [item.name for item in PARAMETERS]),
        (FIELDS, SAMPLERS),
        (WORDS, ["queued", *STAGES]),
    ],
)
def test_every_one_has_a_name(source, names):
    text = (ROOT / source).read_text("utf-8")
    assert [name for name in names if not re.search(rf'\b{name}: "', text)] == []
