"""All pages: their links lead somewhere, and they use our words."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .snippets import ROOT

LINKS = ROOT / ".ci" / "links.py"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GLOSSARY = ROOT / "docs" / "glossary.md"
WORDS_OF_OTHERS = re.compile(
    r"\b(saga|pipeline|ticket|background (?:job|task)s?|human task|enqueue\w*|executor|runner|dispatcher|sweeper|reaper)\b",
    re.IGNORECASE,
)


@pytest.mark.skipif(not LINKS.exists(), reason="an unpacked sdist has no .ci")
def test_every_link_between_pages_leads_somewhere() -> None:
    checked = subprocess.run([sys.executable, LINKS], cwd=ROOT, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: page.name)
def test_a_page_uses_our_words(page: Path) -> None:
    assert WORDS_OF_OTHERS.findall(page.read_text()) == []


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]} - {"index.md"}

    assert {page for page in pages if f"({page})" not in index} == set()
