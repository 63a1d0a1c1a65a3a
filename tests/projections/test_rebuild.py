"""A rebuild makes the rows anew from the events, and leaves the places as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_timelines import following, moments
from django_timelines.engine import follow as following_engine
from django_timelines.engine import rebuild as rebuilding
from django_timelines.engine.follow import follow_all
from django_timelines.engine.projecting import begin_new
from django_timelines.engine.prune import prune
from django_timelines.engine.rebuild import ask, rebuild, was_asked
from django_timelines.exceptions import Unknown
from django_timelines.models import Event, News, Place, Projection, Timeline
from django_timelines.testing import drain, travel
from tests.counting import work_done
from tests.shop.here import HERE

from .conftest import follow_to_the_end
from .models import Account
from .test_following import sell, totals
from .workflows import Letter

pytestmark = pytest.mark.django_db(databases="__all__")
ACCOUNTS = following.get("ledger.Accounts")


def test_a_rebuild_makes_the_rows_anew() -> None:
    sell("Ada", 5, 6)
    sell("Grace", 7)
    follow_to_the_end()
    Account.objects.update(total=0)
    Account.objects.create(customer="nobody", total=99)

    assert rebuild(ACCOUNTS, HERE) == 3

    assert totals() == {"Ada": 11, "Grace": 7}
    assert Projection.objects.get(pk=ACCOUNTS.label).rebuilt_at is not None


def test_a_rebuild_reads_in_parts_and_takes_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "MOST_TIMELINES", 2)
    monkeypatch.setattr(rebuilding, "MOST_EVENTS", 3)
    for number in range(5):
        sell(f"customer {number}", 1, 2)
    follow_to_the_end()
    counted: list[int] = []

    assert rebuild(ACCOUNTS, HERE, counted.append) == 10

    assert totals() == {f"customer {number}": 3 for number in range(5)}
    assert counted[-1] == 10


def test_who_follows_does_the_rebuild_that_was_asked_for() -> None:
    sell("Ada", 5)
    follow_to_the_end()
    Account.objects.update(total=0)

    ask(ACCOUNTS.label)
    while follow_all(HERE):
        pass

    assert totals() == {"Ada": 5}
    assert not News.objects.filter(timeline=None).exists()


def test_whether_a_rebuild_is_asked_for_takes_no_look_at_all_news() -> None:
    news = {"projection": ACCOUNTS.label, "timeline": sell("Ada", 5).timeline, "at": moments.now()}
    News.objects.bulk_create(News(**news) for _ in range(5_000))

    with work_done(HERE) as work:
        assert not was_asked(ACCOUNTS, HERE)
        ask(ACCOUNTS.label)
        assert was_asked(ACCOUNTS, HERE)

    assert work["steps"] == 0


def test_a_rebuild_of_what_is_no_projection_is_refused() -> None:
    with pytest.raises(Unknown, match=r"no projection 'ledger.Turnover'.*Known: ledger.Accounts, ledger.History"):
        ask("ledger.Turnover")


def test_a_rebuild_that_fails_leaves_the_rows_as_they_were(cause: Any) -> None:
    sell("Ada", 5, 6)
    follow_to_the_end()
    cause(lambda event: 1 / (event.data.amount - 6))

    ask(ACCOUNTS.label)
    follow_to_the_end()

    assert totals() == {"Ada": 11}
    stopped = Projection.objects.get(pk=ACCOUNTS.label)
    assert "ZeroDivisionError" in stopped.error
    assert stopped.rebuilt_at is None


def test_a_rebuild_mends_a_projection_that_has_stopped(cause: Any) -> None:
    from .projections import trouble

    sell("Ada", 5)
    cause(lambda event: 1 / 0)
    follow_to_the_end()
    trouble.clear()

    rebuild(ACCOUNTS, HERE)
    follow_to_the_end()

    assert totals() == {"Ada": 5}
    assert Projection.objects.get(pk=ACCOUNTS.label).error == ""


def test_of_an_erased_timeline_nothing_but_the_erasure_is_followed() -> None:
    sale, other = sell("Eve", 5, 6), sell("Ada", 7)
    follow_to_the_end()
    sale.timeline.erase(reason="asked for it")

    follow_to_the_end()
    assert totals() == {"Ada": 7}
    rebuild(ACCOUNTS, HERE)

    assert totals() == {"Ada": 7}
    assert other.timeline.status == "waiting"
    assert Projection.objects.get(pk=ACCOUNTS.label).error == ""


def test_what_is_erased_before_it_was_followed_is_not_followed() -> None:
    sale = sell("Eve", 5, 6)
    sale.timeline.erase(reason="asked for it")

    follow_to_the_end()

    assert totals() == {}
    assert Projection.objects.get(pk=ACCOUNTS.label).error == ""


@pytest.mark.parametrize("are_revoked", [False, True])
def test_no_part_of_what_is_erased_is_followed(are_revoked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_engine, "MOST_EVENTS", 1)
    monkeypatch.setattr(rebuilding, "MOST_EVENTS", 1)
    followed, other = sell("Eve", 5, 6), sell("Mallory", 8, 9)
    follow_to_the_end()
    followed.timeline.erase(reason="asked for it")
    unfollowed = sell("Trudy", 1, 2)
    unfollowed.timeline.erase(reason="asked for it")
    if are_revoked:
        for sale in (followed, unfollowed):
            sale.timeline.revoke_links(reason="asked for it")

    rebuild(ACCOUNTS, HERE)
    assert totals() == {"Mallory": 17}
    follow_to_the_end()

    assert totals() == {"Mallory": 17}
    assert other.timeline.status == "completed"
    assert Projection.objects.get(pk=ACCOUNTS.label).error == ""


def test_prune_leaves_what_is_yet_to_be_followed_and_takes_the_places_with_the_rest() -> None:
    sell("Ada", 5, 6)
    follow_to_the_end("ledger.History")
    with travel(timedelta(days=91)):
        assert sum(prune(timedelta(days=90))) == 0
        follow_to_the_end()
        assert sum(prune(timedelta(days=90))) == 1

    assert [model.objects.filter(timeline__isnull=False).count() for model in (Place, News, Event)] == [0, 0, 0]
    assert Timeline.objects.filter(workflow="ledger.Sale").count() == 0
    assert totals() == {"Ada": 11}


@pytest.mark.parametrize("begun", [False, True])
def test_prune_leaves_what_a_new_projection_has_not_come_to(begun: bool) -> None:
    sell("Ada", 5, 6)
    Letter.start(to="Grace")
    drain()
    Account.objects.all().delete()
    for model in (Place, News):  # as of a projection that this release brings
        model.objects.filter(projection=ACCOUNTS.label).delete()
    Projection.objects.filter(pk=ACCOUNTS.label).delete()
    if begun:
        begin_new(HERE)

    with travel(timedelta(days=91)):
        sum(prune(timedelta(days=90)))
        assert {*Timeline.objects.values_list("workflow", flat=True)} == {"ledger.Sale"}  # all that it follows
        follow_to_the_end()
        assert sum(prune(timedelta(days=90))) == 1

    assert totals() == {"Ada": 11}


def test_prune_takes_what_the_first_walk_of_a_projection_has_gone_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_engine, "SPAN", 2)
    sales = [sell("Ada", 1, 2), sell("Grace", 3, 4), sell("Eve", 5, 6)]
    follow_to_the_end("ledger.History")
    News.objects.all().delete()
    begin_new(HERE)
    following_engine.follow(ACCOUNTS, HERE)

    with travel(timedelta(days=91)):
        assert sum(prune(timedelta(days=90))) == 2
        assert Timeline.objects.get(workflow="ledger.Sale").pk == sales[2].pk
        follow_to_the_end()

    assert totals() == {"Ada": 3, "Grace": 7, "Eve": 11}


def test_what_was_pruned_is_not_there_after_a_rebuild() -> None:
    sell("Ada", 5, 6)
    follow_to_the_end("ledger.History")
    follow_to_the_end()
    with travel(timedelta(days=91)):
        sum(prune(timedelta(days=90)))

    rebuild(ACCOUNTS, HERE)

    assert totals() == {}
