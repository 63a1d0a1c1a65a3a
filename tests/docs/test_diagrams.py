"""The drawings of the examples are those that the command makes of the code."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from .snippets import ROOT

DIAGRAMS = sorted((ROOT / "docs" / "diagrams").glob("*.svg"))


def test_each_example_is_drawn() -> None:
    drawn = {file.stem for file in DIAGRAMS}

    assert drawn == {"signup.Signup", "coffee.Order", "donation.Donation", "contacts.ImportContacts"}


@pytest.mark.parametrize("file", DIAGRAMS, ids=lambda file: file.stem)
def test_a_drawing_is_up_to_date(file: Path) -> None:
    out = StringIO()

    call_command("timelines", "graph", file.stem, "--format", "svg", stdout=out)

    assert file.read_text() == out.getvalue(), (
        f"manage.py timelines graph {file.stem} --format svg > docs/diagrams/{file.name}"
    )
