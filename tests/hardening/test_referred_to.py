"""Pruning timelines to which rows of the project's own refer: each says by its ``on_delete`` what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, models
from django.test.utils import CaptureQueriesContext

from django_timelines.engine import prune as pruning
from django_timelines.engine.keeping import BESIDE
from django_timelines.engine.prune import kept_for, prune
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain, travel
from tests.referring.models import Claim, Comment, Note, Purchase
from tests.shop.here import HERE
from tests.shop.workflows import Letter, Supper

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
LONG_AGO = timedelta(days=90)
type_refer = Callable[[Timeline], models.Model]


def claim(timeline: Timeline) -> models.Model:
    return Claim.objects.create(timeline=timeline)


def comment(timeline: Timeline) -> models.Model:
    return Comment.objects.create(note=Note.objects.create(timeline=timeline))


@pytest.fixture
def letters() -> list[Timeline]:
    """Five letters that were posted long ago; a batch is two of them."""
    posted = [Letter.start(to="Ada").timeline for _ in range(5)]
    drain()
    travel(timedelta(days=91))
    return posted


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)


def left() -> set[Any]:
    """Return the timelines that are left, of which each has its events and no other has any."""
    found = set(Timeline.objects.values_list("pk", flat=True))
    assert set(Event.objects.values_list("timeline", flat=True)) == found
    return found


def test_a_row_that_cascades_goes_with_its_timeline_and_one_that_is_set_to_null_forgets_it(
    letters: list[Timeline],
) -> None:
    Note.objects.create(timeline=letters[1])
    Purchase.objects.create(timeline=letters[2])
    Purchase.objects.create(timeline=None)

    assert list(prune(LONG_AGO)) == [2, 2, 1]

    assert left() == set()
    assert not Note.objects.exists()
    assert list(Purchase.objects.values_list("timeline", flat=True)) == [None, None]
    assert kept_for(LONG_AGO) == {}


@pytest.mark.parametrize(("refer", "label"), [(claim, "referring.Claim"), (comment, "referring.Comment")])
def test_a_timeline_that_a_row_protects_stays_and_the_others_go(
    letters: list[Timeline], refer: type_refer, label: str
) -> None:
    protecting = refer(letters[1])

    assert sum(prune(LONG_AGO, dry_run=True)) == 4
    assert sum(prune(LONG_AGO)) == 4
    assert left() == {letters[1].pk}
    assert kept_for(LONG_AGO) == {label: 1}
    assert kept_for(LONG_AGO, "shop.Supper") == {}

    protecting.delete()
    assert sum(prune(LONG_AGO)) == 1
    assert left() == set()


def test_the_whole_family_stays_of_which_a_row_protects_one() -> None:
    supper = Supper.start(guest="Ada", dishes=["soup"])
    other = Supper.start(guest="Grace", dishes=["soup"])
    drain()
    for one in (supper, other):
        one.timeline.cancel(reason="no more")
    drain()
    travel(timedelta(days=91))
    family = set(Timeline.objects.filter(correlation=supper.timeline.correlation).values_list("pk", flat=True))
    claim(supper.timeline.children[0])

    assert sum(prune(LONG_AGO)) == 3

    assert left() == family
    assert kept_for(LONG_AGO) == {"referring.Claim": 3}


def test_where_no_row_can_refer_to_a_timeline_nothing_more_is_asked(letters: list[Timeline], settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.referring.routers.Nowhere", *settings.DATABASE_ROUTERS]

    with CaptureQueriesContext(connections[HERE]) as asked:
        assert sum(prune(LONG_AGO)) == 5
        assert kept_for(LONG_AGO) == {}

    assert left() == set()
    said = [query["sql"] for query in asked.captured_queries]
    assert not [sql for sql in said if "referring_" in sql]
    assert len([sql for sql in said if sql.startswith("DELETE")]) == 3 * len([*BESIDE, Event, Timeline])
