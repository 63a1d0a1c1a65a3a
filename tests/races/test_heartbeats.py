"""A heartbeat waits for nobody who holds the lease of another attempt."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import transaction

from django_timelines import store
from django_timelines.models import Lease
from tests.races.at_once import Started, somebody_waits, until
from tests.races.workers import claimed
from tests.races.workflows import Till
from tests.shop.here import HERE

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
