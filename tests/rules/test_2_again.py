"""Rule 2: ``again=review`` sends the work back: ``review`` and all that comes after it begin a new round."""

from typing import Any

import pytest

from django_timelines.exceptions import DeclarationError, PermanentFailure
from django_timelines.models import Event, Run
from django_timelines.testing import assert_holds, drain, recorded_errors
from django_timelines.workflows import Workflow, step
from tests.shop.models import Entry
from tests.shop.workflows import Draft, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")


def judged(draft: Any, *verdicts: str) -> Any:
    for verdict in verdicts:
        Draft.get(draft.pk).review(verdict=verdict)
        drain()
    return Draft.get(draft.pk)


def test_the_work_goes_round_until_it_is_good() -> None:
    draft = judged(Draft.start(text="x"), "poor", "fair")
    assert (draft.review.status, draft.send_back.status, draft.text) == ("waiting", "upcoming", "x!!")
    assert draft.timeline.state["rounds"] == {"review": 3, "send_back": 3, "publish": 3, "archive": 3}

    draft = judged(draft, "good")

    assert (draft.publish.status, draft.send_back.status, draft.archive.status) == ("completed", "not taken", "waiting")
    assert (ran["review"], ran["send_back"], ran["publish"], draft.text) == (3, 2, 1, "x!!")
    rounds = Event.objects.filter(timeline=draft.pk, type="RoundBegun")
    assert [(event.step, event.data["to"]) for event in rounds] == [("send_back", "review")] * 2
    draft.archive()
    assert Draft.get(draft.pk).timeline.status == "completed"
    assert_holds(draft)


def test_what_the_old_round_had_begun_is_withdrawn_with_its_row() -> None:
    draft = judged(Draft.start(text="x"), "poor")

    assert list(Run.objects.filter(timeline=draft.pk).values_list("step", flat=True)) == ["review"]


def test_a_skipped_step_sends_the_work_back_too() -> None:
    draft = Draft.start(text="x")
    draft.review(verdict="poor")
    assert Draft.get(draft.pk).send_back.skip(reason="said in person") == "completed"
    drain()

    draft = Draft.get(draft.pk)
    assert (draft.review.status, draft.text) == ("waiting", "x")


def test_who_saw_an_earlier_round_is_answered_of_the_one_that_the_step_is_in() -> None:
    seen = judged(Draft.start(text="x"))
    judged(seen, "poor")

    def fail(draft: Any) -> None:
        raise PermanentFailure("no")

    plan["send_back"] = fail
    with recorded_errors():
        judged(seen, "fair")

    assert seen.send_back.retry(reason="once more") == "due"


def test_compensation_undoes_each_round_with_a_key_of_its_own() -> None:
    draft = judged(Draft.start(text="x"), "poor", "fair", "good")
    draft.timeline.cancel(reason="withdrawn", compensate=True)
    drain()

    texts = Entry.objects.filter(text__startswith="took back").order_by("id").values_list("text", flat=True)
    assert list(texts) == ["took back good 3", "took back fair 2", "took back poor "]
    assert_holds(Draft.get(draft.pk))


def test_it_must_lead_back() -> None:
    with pytest.raises(DeclarationError, match="does not lead back"):

        class Sideways(Workflow):
            @step
            def begin(self) -> None: ...

            @step(after=begin)
            def one(self) -> None: ...

            @step(after=begin, again=one)
            def other(self) -> None: ...

    with pytest.raises(DeclarationError, match="is no step"):

        class Named(Workflow):
            @step
            def begin(self) -> None: ...

            @step(after=begin, again="begin")  # type: ignore[call-overload, untyped-decorator]
            def other(self) -> None: ...
