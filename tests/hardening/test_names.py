"""Names are compared as they are, also where a database would take one for another."""

import pytest

from django_timelines.exceptions import Unknown
from django_timelines.models import Run, Timeline
from django_timelines.testing import drain
from django_timelines.workflows import Workflow, step
from tests.shop.models import Entry

pytestmark = pytest.mark.django_db(databases="__all__")


class Cafe(Workflow):
    """Its steps differ by case and accent alone."""

    @step
    def ask(self, guest: str) -> None:
        pass

    @step(after=ask)
    def cafe(self) -> None:
        Entry.objects.create(text="cafe")

    @step(after=ask)
    def Cafe(self) -> None:  # noqa: N802
        Entry.objects.create(text="Cafe")

    @step(after=ask, manual=True)
    def café(self) -> None:
        Entry.objects.create(text="café")


def test_steps_whose_names_differ_by_case_or_accent_are_different_steps() -> None:
    visit = Cafe.start(guest="Ada")
    drain()

    assert {run.step for run in Run.objects.all()} == {"café"}
    assert sorted(row.text for row in Entry.objects.all()) == ["Cafe", "cafe"]
    Cafe.get(visit.pk).café()
    assert Cafe.get(visit.pk).timeline.status == "completed"


def test_a_workflow_is_found_by_its_own_label_only() -> None:
    Cafe.start(guest="Ada")
    label = Cafe._declaration.label

    assert Timeline.objects.filter(workflow=label).count() == 1
    assert Timeline.objects.filter(workflow=label.lower()).count() == 0
    assert Timeline.objects.filter(workflow=f"{label} ").count() == 0


@pytest.mark.parametrize("name", ["\ud800", "a\x00b"])
def test_a_step_of_a_name_that_no_database_holds_is_unknown(name: str) -> None:
    for asked in (Cafe.timelines.waiting_for, Cafe.timelines.blocked_at, Timeline.objects.blocked_at):
        with pytest.raises(Unknown):
            asked(name)
