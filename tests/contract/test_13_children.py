"""Clause 13: a step that was begun as a subworkflow and is an ordinary one since, and the other way round."""

from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext

from django_timelines.exceptions import Refused
from django_timelines.testing import drain, travel
from tests.shop.here import HERE
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")

SOURCE = """
class Hint(Workflow):
    @step
    def give(self): ...

    @step(after=give, manual=True)
    def take(self): ...

    @take.undo
    def give_back(self):
        ran["given back"] += 1

class Note(Hint):
    text: str = ""

class Parcel(Workflow):
    said: str = ""

    @step
    def post(self): ...

    SIGN

    @step(after=sign, manual=True)
    def file(self): ...
"""
A_CHILD = "sign = subworkflow(Hint, after=post)"
ANOTHER_CHILD = "sign = subworkflow(Note, after=post)"
GIVES_SOMETHING = "sign = subworkflow(Note, after=post, results={'said': 'text'})"
CALLED = "@step(after=post)\n    def sign(self, name: str):\n        ran[name] += 1"
BY_ITSELF = "@step(after=post)\n    def sign(self):\n        ran['sign'] += 1"


def put(deploy: Any, sign: str) -> Any:
    return deploy(SOURCE.replace("SIGN", sign))


def check() -> str:
    said = StringIO()
    with suppress(CommandError):
        call_command("timelines", "check", stdout=said)
    return said.getvalue()


def begun(deploy: Any) -> Any:
    """Return a parcel whose child is under way."""
    workflow = put(deploy, A_CHILD)
    parcel = workflow.start()
    drain()
    return workflow.get(parcel.pk)


def end_child(parcel: Any) -> None:
    parcel.timeline.children.get().subject.take()
    with travel(timedelta(minutes=11)):  # for so long it is left to processes of the release before
        drain()


@pytest.mark.parametrize("sign", [CALLED, BY_ITSELF])
def test_a_step_whose_child_is_under_way_is_found_if_it_begins_none_any_more(deploy: Any, sign: str) -> None:
    begun(deploy)
    assert "shop.Parcel.sign is under way" not in check()

    put(deploy, sign)

    assert "shop.Parcel.sign is under way as a timeline of its own, and is no subworkflow any more." in check()


def test_a_step_whose_child_is_of_a_class_without_what_it_takes_of_it_now_is_found(deploy: Any) -> None:
    parcel = begun(deploy)
    put(deploy, ANOTHER_CHILD)
    assert "shop.Parcel.sign is under way" not in check()

    workflow = put(deploy, GIVES_SOMETHING)
    after = workflow.start()
    drain()

    assert (
        "shop.Parcel.sign is under way as a timeline of its own, and results= takes 'text' now, which shop.Hint does not "
        f"have.\n  1 timeline: {parcel.pk}\n"
    ) in check()
    for one in (parcel, after):
        end_child(one)
    assert [workflow.get(one.pk).sign.status for one in (parcel, after)] == ["blocked", "completed"]


def test_a_child_that_is_undone_gives_nothing(deploy: Any) -> None:
    parcel = begun(deploy)
    end_child(parcel)
    parcel.timeline.cancel(reason="nobody wants it", compensate=True)

    workflow = put(deploy, GIVES_SOMETHING)

    assert workflow.get(parcel.pk).timeline.status == "cancelling"
    assert "shop.Parcel.sign is under way" not in check()
    drain()
    assert (workflow.get(parcel.pk).timeline.status, ran) == ("cancelled", {"given back": 1})


def test_however_many_children_are_under_way_they_are_looked_for_at_once(
    deploy: Any, django_assert_num_queries: Any
) -> None:
    begun(deploy)
    with CaptureQueriesContext(connections[HERE]) as one:
        check()
    begun(deploy)
    begun(deploy)

    with django_assert_num_queries(len(one), using=HERE):
        check()


def test_a_call_of_such_a_step_is_refused_and_not_swallowed(deploy: Any) -> None:
    parcel = begun(deploy)
    assert parcel.sign.status == "waiting"
    workflow = put(deploy, CALLED)

    with pytest.raises(Refused, match="goes on as a timeline of its own") as refused:
        workflow.get(parcel.pk).sign(name="Ada")

    assert refused.value.reason == "taken"


@pytest.mark.parametrize("sign", [CALLED, BY_ITSELF])
def test_the_end_of_its_child_does_not_complete_a_body_that_has_not_run(deploy: Any, sign: str) -> None:
    parcel = begun(deploy)
    workflow = put(deploy, sign)

    end_child(parcel)

    now = workflow.get(parcel.pk)
    assert (now.sign.status, ran) == ("blocked", {})
    assert "has completed, and the code has no subworkflow sign that takes its results." in str(now.timeline.explain())
    assert now.sign.skip(reason="signed there") == "completed"
    assert workflow.get(parcel.pk).file.status == "waiting"


def test_its_body_runs_after_a_rewind(deploy: Any) -> None:
    parcel = begun(deploy)
    workflow = put(deploy, BY_ITSELF)
    end_child(parcel)

    workflow.get(parcel.pk).timeline.rewind(to="sign", reason="it has a body now")
    drain()

    assert (ran, workflow.get(parcel.pk).file.status) == ({"sign": 1}, "waiting")


def test_it_goes_on_when_the_subworkflow_is_back(deploy: Any) -> None:
    parcel = begun(deploy)
    put(deploy, BY_ITSELF)
    end_child(parcel)
    workflow = put(deploy, A_CHILD)

    workflow.get(parcel.pk).sign.retry(reason="it is back")
    drain()

    assert workflow.get(parcel.pk).file.status == "waiting"


def test_a_child_is_undone_at_once_though_its_step_is_an_ordinary_one_by_now(deploy: Any) -> None:
    parcel = begun(deploy)
    parcel.timeline.children.get().subject.take()
    drain()
    workflow = put(deploy, CALLED)

    workflow.get(parcel.pk).timeline.cancel(reason="nobody wants it", compensate=True)
    drain()

    assert (workflow.get(parcel.pk).timeline.status, ran) == ("cancelled", {"given back": 1})
