"""A reaction is to what happens from now on, and happens once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_timelines import following
from django_timelines.engine.projecting import begin_new
from django_timelines.engine.rebuild import rebuild
from django_timelines.models import News, Projection
from django_timelines.testing import travel
from tests.shop.here import HERE

from .conftest import follow_to_the_end
from .models import Account, Thanks
from .test_following import sell, totals
from .workflows import Letter

pytestmark = pytest.mark.django_db(databases="__all__")


def thanked() -> list[str]:
    return [str(thanks) for thanks in Thanks.objects.order_by("amount")]


def test_what_happened_before_the_projection_was_there_is_not_reacted_to() -> None:
    sell("Ada", 5)

    follow_to_the_end()
    sell("Ada", 6)
    follow_to_the_end()

    assert totals() == {"Ada": 11}
    assert thanked() == ["Ada 6"]


def test_a_rebuild_reacts_to_nothing_again() -> None:
    begin_new(HERE)
    sell("Ada", 5)
    follow_to_the_end()

    rebuild(following.get("ledger.Accounts"), HERE)
    follow_to_the_end()

    assert totals() == {"Ada": 5}
    assert thanked() == ["Ada 5"]
    assert Letter.timelines.count() == 1


def test_what_happens_before_a_rebuild_and_was_not_followed_yet_is_reacted_to_after_it() -> None:
    begin_new(HERE)
    sale = sell("Ada", 5)
    follow_to_the_end()
    sale.pay_again(amount=6)

    rebuild(following.get("ledger.Accounts"), HERE)
    assert totals() == {"Ada": 5}
    follow_to_the_end()

    assert totals() == {"Ada": 11}
    assert thanked() == ["Ada 5", "Ada 6"]


def test_a_reaction_whose_transaction_fails_is_done_once_when_it_succeeds(cause: Any) -> None:
    begin_new(HERE)
    sell("Ada", 5)
    failing = [ValueError("The second handler fails.")]

    def thank_and_fail(event: Any) -> None:
        if failing:
            Thanks.objects.create(customer="rolled back", amount=0)
            raise failing.pop()

    cause(thank_and_fail)
    follow_to_the_end()
    with travel(timedelta(seconds=6)):
        follow_to_the_end()

    assert thanked() == ["Ada 5"]
    assert Account.objects.get().total == 5
    assert Projection.objects.get(pk="ledger.Accounts").error == ""
    assert not News.objects.filter(projection="ledger.Accounts").exists()
