"""The pictures in docs/pictures: small, and each shown on a page with a text alternative."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = sorted((DOCS / "pictures").iterdir())
_MAX_BYTES = 150_000
_SHOWN = re.compile(r"!\[([^]]{20,})\]\(pictures/([^)]+)\)")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda each: each.name)
def test_each_picture_is_a_small_png_and_shown_once(picture: Path) -> None:
    shown = [name for page in DOCS.glob("*.md") for _, name in _SHOWN.findall(page.read_text())]

    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < _MAX_BYTES
    assert shown.count(picture.name) == 1
