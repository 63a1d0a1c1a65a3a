"""The reference names all that there is, and nothing that there is not."""

from __future__ import annotations

import re

import pytest

from django_timelines import conf, projections, testing, workflows
from django_timelines.events import EventType
from django_timelines.state import StepStatus, TimelineStatus

from .snippets import ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text()


def section(heading: str) -> str:
    """Return the text between this heading and the next."""
    return REFERENCE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Return what the first cells of its tables put between backticks."""
    return [name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", row)]


def test_each_setting_is_there_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", section("Settings"), re.MULTILINE)

    assert {name: eval(default) for name, default in rows} == conf.DEFAULTS  # noqa: S307 (the page is ours)


def test_each_public_name_is_there() -> None:
    assert sorted(first_cells(section("Public names"))) == sorted(
        [*workflows.__all__, *projections.__all__, *testing.__all__]
    )


def test_each_name_that_is_ours_on_a_workflow_is_there() -> None:
    from django_timelines.declarations import RESERVED

    assert set(first_cells(section("On a workflow").partition("On a step")[0])) == RESERVED


def test_each_option_of_a_step_is_there() -> None:
    from django_timelines.steps import Step

    options = set(Step.__init__.__annotations__) - {"body", "return"}
    assert set(re.findall(r"^\| `(\w+)=` \|", section("Options of a step"), re.MULTILINE)) == options


def test_each_check_is_there() -> None:
    declared = re.findall(r'id="(timelines\.\w+)"', (ROOT / "django_timelines" / "checks.py").read_text())

    assert first_cells(section("Checks")) == sorted(declared, key=lambda id: id[-3:])


def test_each_event_type_is_there() -> None:
    assert set(re.findall(r"`(\w+)`", section("Events"))) == set(EventType)


def test_each_status_is_there() -> None:
    of_timelines, of_steps = (re.sub(r"\s+", " ", part) for part in section("Statuses").strip().split("\n\n")[:2])

    assert of_timelines.partition(".")[0] == "Of a timeline: " + " · ".join(TimelineStatus)
    assert of_steps.partition(".")[0] == "Of a step: " + " · ".join(StepStatus)


@pytest.mark.parametrize(
    "reason",
    ["not_yet", "taken", "settled", "overdue", "key_reused", "not_unique", "stale", "not_applicable", "forged"],
)
def test_a_reason_that_programs_act_on_is_there(reason: str) -> None:
    assert f"`{reason}`" in section("Reasons of refusals")
