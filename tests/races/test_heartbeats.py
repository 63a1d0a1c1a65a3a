"""Who keeps a lease while others write: a heartbeat waits for nobody, and a body that was overtaken has its time again."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from django_timelines import store
from django_timelines.engine import execute, leases
from django_timelines.models import Lease
from django_timelines.testing import drain
from django_timelines.workflows import Retry, Workflow, step
from tests.races.at_once import Started, meanwhile, somebody_waits, until
from tests.races.workers import claimed
from tests.races.workflows import Till
from tests.shop.here import HERE
from tests.shop.workflows import body, plan, ran
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def end_of_lease(till: Till) -> datetime:
    return Lease.objects.using(HERE).get(run__timeline=till.pk).expires


def test_a_callers_transaction_that_holds_one_lease_keeps_no_other_from_being_lengthened(row_locks: None) -> None:
    moved, other = Till.start(owner="Ada"), Till.start(owner="Grace")
    for till in (moved, other):
        claimed(till, "tell", till.pk.hex)
    holders = [*Lease.objects.using(HERE).values_list("holder", flat=True)]
    before = end_of_lease(other)

    with transaction.atomic(using=HERE):
        Till.get(moved.pk).tell.retry(force=True)
        beat = Started(lambda: store.heartbeat(HERE, holders, 600))
        until(lambda: beat.ended or somebody_waits())
        ended = beat.ended

    assert (ended, beat.answer()) == (True, 1)
    assert (end_of_lease(other) - before).total_seconds() > 300


def test_leases_that_nobody_else_holds_are_all_lengthened() -> None:
    for owner in ("Ada", "Grace"):
        claimed(Till.start(owner=owner), "tell", owner)
    holders = [*Lease.objects.using(HERE).values_list("holder", flat=True)]

    assert store.heartbeat(HERE, holders, 600) == 2
    assert store.heartbeat(HERE, ["nobody"], 600) == 0


class Tally(Workflow):
    """Adds up, in time and once."""

    total: int = 0

    @step
    def begin(self) -> None: ...

    @step(after=begin, timeout=timedelta(minutes=60), retry=Retry(1))
    def add(self) -> None:
        total = self.total
        body(self, "add")
        self.total = total + 1


class Watch:
    """Shows what time it is for the heartbeats, and lets as much pass as a test says."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.sleep = time.sleep

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Have heartbeats that go by a watch."""
    watch, keeper = Watch(), leases.Keeper()
    monkeypatch.setattr(leases, "time", watch)
    monkeypatch.setattr(execute, "keeper", keeper)
    return watch


def test_a_body_that_runs_again_keeps_its_lease_for_its_whole_timeout_each_time(
    row_locks: None, settings: Any, watch: Watch
) -> None:
    settings.TIMELINES = {**settings.TIMELINES, "LEASE": 0.6, "PLACEMENT": {"*": "embedded"}}
    tally = Tally.start()

    def take_nearly_too_long(workflow: Any) -> None:
        if ran["add"] == 1:
            meanwhile(lambda: tally.timeline.amend(reason="miscounted", total=40))
        watch.passed += timedelta(minutes=50).total_seconds()  # the rest is for this machine
        before = meanwhile(lambda: end_of_lease(tally))
        eventually(lambda: meanwhile(lambda: end_of_lease(tally)) > before)

    plan["add"] = take_nearly_too_long
    drain()

    tally = Tally.get(tally.pk)
    assert (ran["add"], tally.total, tally.timeline.status) == (2, 41, "completed")
