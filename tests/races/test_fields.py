"""Clause 12: two steps change one field at the same time, and neither change is lost."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier
from typing import Any

import pytest

from django_timelines.engine.answer import answer
from django_timelines.models import Event
from django_timelines.testing import drain
from tests.races.at_once import at_once, meanwhile
from tests.races.workers import bell_of
from tests.races.workflows import Album, Till
from tests.shop.models import Entry
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_an_exactly_once_body_that_was_overtaken_runs_again_on_what_is_true_now(row_locks: None) -> None:
    till = Till.start(owner="Ada")

    def pay_once(workflow: Any) -> None:
        if ran["count"] == 1:
            meanwhile(lambda: Till.get(till.pk).pay(amount=5))

    plan["count"] = pay_once
    answer(**bell_of(till, "count"))

    assert (Till.get(till.pk).total, ran["count"], Entry.objects.filter(text="count").count()) == (15, 2, 1)
    attempts = Event.objects.filter(timeline=till.pk, step="count", type="AttemptStarted")
    assert list(attempts.values_list("attempt", flat=True)) == [1]


@pytest.mark.parametrize("placement", ["inline", "embedded"])
def test_a_body_that_runs_again_is_given_what_was_asked_for_and_not_what_it_made_of_it(
    place: Callable[..., None], placement: str, row_locks: None
) -> None:
    place(Album._declaration.label, write=placement)
    page = Entry.objects.create(text="page")
    album = Album.start(pages=[])

    def overtake_once(workflow: Any) -> None:
        if ran["write"] == 1:
            meanwhile(lambda: Album.get(album.pk).look())

    plan["write"] = overtake_once
    album.write(page=page, words=[" one"], code=[" two"])
    drain()

    page.refresh_from_db()
    assert (ran["write"], page.text, Album.get(album.pk).count) == (2, "page one two", 2)


@pytest.mark.parametrize("placement", ["inline", "embedded"])
def test_a_body_that_runs_again_is_given_its_item_as_it_is(
    place: Callable[..., None], placement: str, row_locks: None
) -> None:
    place(Album._declaration.label, turn=placement)
    page = Entry.objects.create(text="page")
    album = Album.start(pages=[page])

    def overtake_once(workflow: Any) -> None:
        if ran["turn"] == 1:
            meanwhile(lambda: Album.get(album.pk).look())

    plan["turn"] = overtake_once
    album.turn[str(page.pk)](corner=" one")
    drain()

    page.refresh_from_db()
    assert (ran["turn"], page.text, Album.get(album.pk).count) == (2, "page one", 2)


def test_two_exactly_once_bodies_at_once_both_have_their_effect(row_locks: None) -> None:
    till, both_have_read = Till.start(owner="Ada"), Barrier(2)

    def wait_for_the_other(workflow: Any) -> None:
        if ran["pay"] < 2 and ran["count"] < 2:
            both_have_read.wait(60)

    plan["pay"] = plan["count"] = wait_for_the_other
    bell = bell_of(till, "count")
    answers = at_once(lambda: str(Till.get(till.pk).pay(amount=5)), lambda: answer(**bell))

    assert answers == ["completed", None]
    assert Till.get(till.pk).total == 15
    assert ran["pay"] + ran["count"] >= 3  # a call is overtaken by a claim, too
    assert Entry.objects.filter(text__in=("pay", "count")).count() == 2


def test_an_outside_body_that_was_overtaken_blocks_with_both_values() -> None:
    till = Till.start(owner="Ada")
    plan["tell"] = lambda workflow: meanwhile(lambda: Till.get(till.pk).pay(amount=5))

    answer(**bell_of(till, "tell"))

    now = Till.get(till.pk)
    assert (now.total, now.tell.status, ran["tell"]) == (5, "blocked", 1)
    blocked = Event.objects.get(timeline=till.pk, type="StepBlocked")
    both = {"changes_kept_back": {"total": 100}, "theirs": {"total": 5}}
    assert blocked.data == {"reason": "conflict", **both, "done": True}


def test_an_outside_body_that_was_overtaken_blocks_also_if_both_came_to_the_same_value() -> None:
    """Both may have counted up from the one that was there before."""
    till = Till.start(owner="Ada")
    plan["tell"] = lambda workflow: meanwhile(lambda: Till.get(till.pk).pay(amount=100))

    answer(**bell_of(till, "tell"))

    now = Till.get(till.pk)
    assert (now.total, now.tell.status, ran["tell"]) == (100, "blocked", 1)
    blocked = Event.objects.get(timeline=till.pk, type="StepBlocked")
    assert (blocked.data["changes_kept_back"], blocked.data["theirs"]) == ({"total": 100}, {"total": 100})


def test_what_a_body_read_and_did_not_change_may_change_meanwhile() -> None:
    till = Till.start(owner="Ada")

    def mail(workflow: Any) -> None:
        assert workflow.total == 0
        meanwhile(lambda: Till.get(till.pk).pay(amount=5))

    plan["mail"] = mail
    assert till.mail(amount=1) == "completed"

    drain()
    assert (ran["mail"], Till.get(till.pk).total) == (1, 115)
