"""Clauses 2, 4 and 12: what a rollback took back, no object that saw it builds on."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from django_timelines.exceptions import Unknown
from django_timelines.links import CallLink, read_call
from django_timelines.models import Timeline
from django_timelines.workflows import Workflow, step
from tests.shop.here import HERE

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Leave(Workflow):
    """Somebody asks for leave; it is approved and, beside that, commented."""

    by: str = ""
    note: str = ""

    @step
    def ask(self, days: int) -> None: ...

    @step(after=ask)
    def approve(self, by: str) -> None:
        self.by = by

    @step(after=ask)
    def comment(self, note: str) -> None:
        self.note = note

    @step(after=approve)
    def book(self, how: str) -> None: ...


class Undone(Exception):
    """What rolls a block back."""


def rolled_back(*deeds: Callable[[], Any]) -> None:
    """Do this in a block that rolls back."""
    try:
        with transaction.atomic(using=HERE):
            for deed in deeds:
                deed()
            raise Undone
    except Undone:
        pass


def meant(link: str) -> CallLink:
    """Return what a link says, whenever it was made."""
    return read_call(link.rstrip("/").rpartition("/")[2])


def test_a_call_after_a_rollback_builds_on_what_others_did_since() -> None:
    leave = Leave.start(days=5)
    rolled_back(lambda: leave.approve(by="Ada"))
    Leave.get(leave.pk).approve(by="Bob")

    leave.comment(note="as agreed")

    assert (leave.by, leave.note) == ("Bob", "as agreed")
    assert Leave.get(leave.pk).by == "Bob"


def test_nor_does_it_after_the_rollback_of_a_savepoint() -> None:
    leave = Leave.start(days=5)
    with transaction.atomic(using=HERE):
        rolled_back(lambda: leave.approve(by="Ada"))
        Leave.get(leave.pk).approve(by="Bob")
        leave.comment(note="as agreed")

    assert (leave.by, Leave.get(leave.pk).by) == ("Bob", "Bob")


def test_an_object_that_was_only_read_there_does_not_build_on_it_either() -> None:
    leave, read = Leave.start(days=5), []
    rolled_back(lambda: leave.approve(by="Ada"), lambda: read.append(Leave.get(leave.pk)))
    Leave.get(leave.pk).approve(by="Bob")

    read[0].comment(note="as agreed")

    assert Leave.get(leave.pk).by == "Bob"


def test_nor_does_one_of_a_row_that_was_read_there() -> None:
    leave, rows = Leave.start(days=5), [Timeline.objects.get()]
    rolled_back(
        lambda: leave.approve(by="Ada"),
        lambda: rows.append(Timeline.objects.get()),
        lambda: rows[0].amend(reason="mistyped", note="no"),
    )
    Leave.get(leave.pk).approve(by="Bob")
    Leave.get(leave.pk).timeline.amend(reason="mistyped", note="yes")

    for row in rows:
        assert row.subject.comment.wait(0) == "unsettled"
    rows[1].subject.comment(note="as agreed")

    assert (Leave.get(leave.pk).by, Leave.get(leave.pk).note) == ("Bob", "as agreed")


def test_what_a_step_is_asked_after_a_rollback_is_told_as_it_is() -> None:
    leave = Leave.start(days=5)
    rolled_back(lambda: leave.approve(by="Ada"))

    assert leave.approve.wait(0) == "unsettled"
    assert (leave.by, leave.timeline.head) == ("", Timeline.objects.get().head)


def test_so_it_is_in_async_code() -> None:
    leave = Leave.start(days=5)
    rolled_back(lambda: leave.approve(by="Ada"))

    assert async_to_sync(leave.approve.await_outcome)(0) == "unsettled"


def test_a_link_after_a_rollback_is_one_that_nobody_has_revoked() -> None:
    leave = Leave.start(days=5)
    before = meant(leave.approve.link())
    rolled_back(lambda: leave.approve.revoke_links(reason="forwarded"))

    assert meant(leave.approve.link()) == before


def test_the_row_that_an_object_had_is_read_again_after_a_rollback() -> None:
    leave = Leave.start(days=5)
    head = leave.timeline.head
    rolled_back(lambda: leave.approve(by="Ada"), lambda: leave.timeline)

    assert (leave.timeline.head, leave.by) == (head, "")

    rolled_back(lambda: leave.timeline.amend(reason="mistyped", by="Ada"))
    assert (leave.timeline.head, leave.by) == (head, "")


def test_a_timeline_that_was_begun_there_is_unknown() -> None:
    begun: list[Leave] = []
    rolled_back(lambda: begun.append(Leave.start(days=5)))

    with pytest.raises(Unknown):
        begun[0].approve(by="Ada")
    assert begun[0].pk not in Timeline.objects.values_list("pk", flat=True)


@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
def test_what_was_not_rolled_back_is_not_read_again(committed: bool) -> None:
    begun: list[Leave] = []

    def wait() -> None:
        with CaptureQueriesContext(connections[HERE]) as asked:
            begun[0].approve.link()
            assert begun[0].approve.wait(0) == "completed"
        assert list(asked) == []

    with transaction.atomic(using=HERE):
        with transaction.atomic(using=HERE):
            begun.append(Leave.start(days=5))
            begun[0].approve(by="Ada")
        rolled_back(lambda: Leave.get(begun[0].pk).comment(note="no"))
        if not committed:
            wait()
    wait()


def test_of_many_rows_that_are_read_in_a_transaction_one_hook_tells() -> None:
    for _ in range(3):
        Leave.start(days=5)

    with transaction.atomic(using=HERE):
        before = len(connections[HERE].run_on_commit)
        read = list(Timeline.objects.all())
        assert (len(read), len(connections[HERE].run_on_commit)) == (3, before + 1)
        with transaction.atomic(using=HERE):
            assert len(Timeline.objects.all()) == 3
            assert len(connections[HERE].run_on_commit) == before + 2  # the savepoint may be rolled back by itself


def test_an_object_that_was_copied_within_a_transaction_looks_again() -> None:
    with transaction.atomic(using=HERE):
        leave = Leave.start(days=5)
        copy = pickle.loads(pickle.dumps(leave))  # noqa: S301 (our own)
    leave.approve(by="Ada")

    assert copy.approve.wait(0) == "completed"


def test_async_code_sees_a_rollback_of_another_thread() -> None:
    async def go() -> Any:
        leave = await Leave.astart(days=5)
        await sync_to_async(rolled_back)(lambda: leave.approve(by="Ada"))
        await leave.comment.acall(note="as agreed")
        return leave

    leave = async_to_sync(go)()

    assert (leave.by, leave.note, Leave.get(leave.pk).by) == ("", "as agreed", "")
