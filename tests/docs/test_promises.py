"""Each promise of the page says what tests it, and that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()
PROMISES = re.findall(r"^(\d+)\. \*\*.*?(?=^\d+\. \*\*|^## )", PAGE, re.DOTALL | re.MULTILINE)


def test_each_clause_of_the_contract_is_there() -> None:
    assert [str(number) for number in range(1, 16)] == PROMISES
    assert PAGE.count("*Tested by*") == 15


def test_what_tests_a_promise_is_there() -> None:
    named = re.findall(r"`((?:tests/)?[\w/]+(?:\.py|/))`", PAGE)
    folders = ("", "tests/contract/", "tests/hardening/", "tests/races/")

    assert len(named) > 20
    assert [name for name in named if not any((ROOT / folder / name).exists() for folder in folders)] == []
