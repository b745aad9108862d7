"""Links between our own pages lead somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.repository.files import ROOT, repository_files

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
PAGES = [path for path in repository_files() if path.suffix == ".md"]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_exist(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [unquote(link) for link in LINK.findall(text) if "://" not in link]
    broken = [link for link in links if not (ROOT / page.parent / link).exists()]
    assert not broken
