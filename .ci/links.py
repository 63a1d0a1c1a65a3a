"""Check that every relative link in README and docs leads to a file, and to a heading where it names one."""

import re
import sys
from pathlib import Path

LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def main() -> None:
    pages = [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]
    broken = [f"{page}: {link}" for page in pages for link in broken_links(page)]
    sys.exit("\n".join(broken) or 0)


def broken_links(page: Path) -> list[str]:
    links = LINK.findall(prose(page))
    return [f"{path}#{anchor}" for path, anchor in links if not leads_somewhere(page, path, anchor)]


def leads_somewhere(page: Path, path: str, anchor: str) -> bool:
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """The headings' anchors, as code hosts make them."""
    headings = HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


main()
