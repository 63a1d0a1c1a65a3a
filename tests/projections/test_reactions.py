"""A reaction is to what happens from now on, and happens once."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from django_timelines import following, projections
from django_timelines.engine.projecting import begin_new
from django_timelines.engine.rebuild import rebuild
from django_timelines.models import News, Projection
from django_timelines.testing import travel
from tests.shop.here import HERE

from .conftest import follow_to_the_end
from .models import Account, Thanks
from .test_following import sell, totals
from .workflows import Letter, Received, Sale, Visit

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


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Release a projection that thanks for what is received in these workflows, in the place of the one before."""
    monkeypatch.setattr(following, "_followings", dict(following._followings))

    def put(*workflows: Any, name: str = "ledger.Gratitude") -> None:
        following._followings.pop(name, None)

        def thank(self: Any, event: Any) -> None:
            Thanks.objects.create(customer=event.data.customer, amount=event.data.amount)

        for workflow in workflows:
            projections.reaction(Received, workflow=workflow)(thank)
        type("Gratitude", (projections.Projection,), {"label": name, "thank": thank})

    return put


def warnings() -> list[dict[str, Any]]:
    """Return what ``timelines check`` finds."""
    out = StringIO()
    call_command("timelines", "check", "--json", stdout=out)
    return json.loads(out.getvalue())["findings"]


@pytest.mark.parametrize("added", [(Sale, Visit), (None,)])
def test_a_reaction_that_a_release_adds_for_another_workflow_is_also_to_its_past_and_the_check_warns_of_it(
    release: Any, added: Any
) -> None:
    release(Sale)
    follow_to_the_end("ledger.Gratitude")
    first, _second = Visit.start("Eve"), Visit.start("Bob")
    sell("Ada", 5)
    with travel(timedelta(hours=1)):
        follow_to_the_end("ledger.Gratitude")
        assert warnings() == []

        release(*added)
        (one,) = warnings()
        assert (one["kind"], one["blocks"]) == ("past_reaction", False)
        assert one["sentence"].startswith("ledger.Gratitude reacts to ledger.Visit, which it has not followed so far")
        assert (one["count"], one["examples"][0]) == (2, str(first.pk))

    with travel(timedelta(hours=2)):
        follow_to_the_end("ledger.Gratitude")

    assert thanked()[0] == "Ada 5"
    assert sorted(thanked()[1:]) == ["Bob 1000", "Eve 1000"]
    assert warnings() == []


def test_one_in_a_projection_of_its_own_begins_with_the_present(release: Any) -> None:
    release(Sale)
    follow_to_the_end("ledger.Gratitude")
    Visit.start("Eve")

    release(Visit, name="ledger.Welcome")
    assert warnings() == []
    follow_to_the_end("ledger.Welcome")
    Visit.start("Bob")
    follow_to_the_end("ledger.Welcome")

    assert thanked() == ["Bob 1000"]


@pytest.mark.parametrize(
    ("is_forgotten", "expected"), [(False, ["Ada 5", "Ada 6", "Ada 7"]), (True, ["Ada 5", "Ada 7"])]
)
def test_one_that_is_put_back_reacts_to_what_happened_meanwhile_unless_it_was_forgotten(
    release: Any, is_forgotten: bool, expected: list[str]
) -> None:
    release(Sale)
    begin_new(HERE)
    sale = sell("Ada", 5)
    follow_to_the_end("ledger.Gratitude")
    del following._followings["ledger.Gratitude"]
    sale.pay_again(amount=6)
    if is_forgotten:
        call_command("timelines", "forget", "ledger.Gratitude", stdout=StringIO())

    release(Sale)
    with travel(timedelta(minutes=11)):
        begin_new(HERE)
        sell("Ada", 7)
        follow_to_the_end("ledger.Gratitude")

    assert thanked() == expected
