"""Scenarios of projections, those of ``tests.projections``: who follows dies in the middle, or while all is made anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django_timelines import following as known
from django_timelines import moments
from django_timelines.engine import rebuild
from django_timelines.engine.follow import follow_all
from django_timelines.engine.projecting import begin_new
from django_timelines.models import Event, News, Place, Projection, Timeline
from tests.projections import projections
from tests.projections.models import Account, Seen, Thanks
from tests.projections.projections import Accounts, History
from tests.projections.workflows import Received, Sale

from . import outside, worker
from .scenario import KEY, Scenario
from .world import USING

EVER = datetime(1970, 1, 1, tzinfo=UTC)
SEEN = ("TimelineStarted", Received.__name__)  # of all workflows; and that Sale.pay is completed


def begin_to_follow() -> None:
    begin_new(USING, since=EVER)


def sell() -> None:
    """Two customers, one of whom pays twice."""
    for customer, amounts in {"Ada": (5, 7), "Eve": (3,)}.items():
        sale = Sale.using(key=f"{KEY} of {customer}").start(customer=customer)
        for name, amount in zip(("pay", "pay_again"), amounts, strict=False):
            getattr(Sale.get(sale.pk), name)(amount=amount)


def follow() -> None:
    """Follow until there is nothing new; letters that were begun are posted, and followed, too."""
    while follow_all(USING):
        pass
    worker.settle()
    while follow_all(USING):
        pass


def follow_again_later() -> None:
    """A handler failed: it is tried again a while later."""
    follow()
    moments.offset += timedelta(seconds=10)
    follow()


def lose_the_news() -> None:
    News.objects.all().delete()


def make_anew() -> None:
    for projection in (Accounts, History):
        rebuild.ask(projection.label, USING)
    follow()


def fail_the_handler_at_first() -> None:
    """Let the first event that anybody hands over fail, once."""

    def fail(event: Any) -> None:
        if not outside.noted("handled"):
            outside.note("handled", str(event.sequence))
            raise OSError("The books are locked.")

    projections.trouble.append(fail)


def all_is_followed() -> None:
    """See that no event that a projection follows is beyond its place."""
    for label, following in known.everything().items():
        places = dict(Place.objects.filter(projection=label).values_list("timeline", "sequence"))
        for event in Event.objects.select_related("timeline"):
            is_followed = following.follows(event.timeline.workflow, [event.type])
            assert not is_followed or event.sequence <= places.get(event.timeline_id, 0), (
                f"{label}: {event} of {places}"
            )
    assert not News.objects.exists()


_WHERE = ("here",)
_SOLD = (begin_to_follow, sell)
SCENARIOS = {
    "record for projections": Scenario(sell, (begin_to_follow,), (follow, all_is_followed), placed=("here", "mixed")),
    "follow": Scenario(follow, _SOLD, (all_is_followed,), placed=_WHERE),
    "begin to follow": Scenario(follow, (sell,), (all_is_followed,), placed=_WHERE),
    "follow without news": Scenario(follow, (*_SOLD, lose_the_news), (all_is_followed,), placed=_WHERE),
    "follow in spite of an error": Scenario(
        follow_again_later, _SOLD, (all_is_followed,), placed=_WHERE, deploy=fail_the_handler_at_first
    ),
    "rebuild": Scenario(make_anew, (*_SOLD, follow), (all_is_followed,), placed=_WHERE),
}


def holds(_scenario: Scenario) -> Iterator[str]:
    """Say where rows and reactions are not those of exactly the events up to the places."""
    followed: dict[str, list[Event]] = {History.label: [], Accounts.label: []}
    for projection, timeline, sequence in Place.objects.values_list("projection", "timeline_id", "sequence"):
        followed[projection] += Event.objects.filter(timeline=timeline, sequence__lte=sequence)
    sales = {one.pk for one in Timeline.objects.filter(workflow="ledger.Sale")}
    paid = [one for one in followed[Accounts.label] if one.type == Received.__name__ and one.timeline_id in sales]
    totals: Counter[str] = Counter()
    for event in paid:
        totals[event.data["customer"]] += event.data["amount"]
    yield from _differ("accounts", dict(Account.objects.values_list("customer", "total")), dict(totals))
    wanted = [(event.data["customer"], event.data["amount"]) for event in paid]
    letters = [f"{event.timeline_id.hex}-{event.sequence}" for event in paid]
    seen = [
        (one.timeline_id, one.sequence)
        for one in followed[History.label]
        if one.type in SEEN or (one.type == "StepCompleted" and one.step == "pay" and one.timeline_id in sales)
    ]
    if not Projection.objects.filter(label=Accounts.label, since=EVER).exists():
        wanted, letters = [], []  # who began to follow later reacts to nothing older
    yield from _differ("thanks", sorted(Thanks.objects.values_list("customer", "amount")), sorted(wanted))
    found = Timeline.objects.filter(workflow="ledger.Letter").values_list("key", flat=True)
    yield from _differ("letters", sorted(found), sorted(letters))
    yield from _differ("events seen", sorted(Seen.objects.values_list("timeline", "sequence")), sorted(seen))


def _differ(what: str, found: object, wanted: object) -> Iterator[str]:
    if found != wanted:
        yield f"By the places there are the {what} {wanted}, and these were found: {found}."
