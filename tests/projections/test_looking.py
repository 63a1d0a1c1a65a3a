"""Where projections stand, in the terminal and in the admin."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_timelines import moments, store
from django_timelines.engine import clock
from django_timelines.engine.sightings import FOLLOWER
from django_timelines.models import News, Place, Projection
from tests.shop.here import HERE
from tests.shop.people import staff_with

from .conftest import follow_to_the_end
from .models import Account
from .projections import trouble
from .test_following import sell, totals

pytestmark = pytest.mark.django_db(databases="__all__")
LIST = "/admin/django_timelines/projection/"


def say(*words: str) -> str:
    out = StringIO()
    call_command("timelines", *words, "--no-color", stdout=out)
    return out.getvalue()


def standing(label: str = "ledger.Accounts") -> dict[str, Any]:
    document = json.loads(say("projections", "--json"))
    return next(one for one in document["projections"] if one["projection"] == label)


def test_a_projection_that_nobody_has_followed_yet_is_named() -> None:
    assert "ledger.Accounts: nobody has followed it yet.\n" in say("projections")
    assert "No follower has been seen for a minute" in say("projections")


def test_a_follower_that_was_seen_is_not_missed() -> None:
    store.sighted(HERE, FOLLOWER, moments.now())

    assert "No follower" not in say("projections")


def test_the_list_says_how_far_behind_a_projection_is() -> None:
    follow_to_the_end()
    sale = sell("Ada", 5)
    assert (standing()["status"], standing()["behind"]) == ("following", 1)

    sale.pay_again(amount=6)
    assert standing()["behind"] == 1  # timelines, not events
    follow_to_the_end()

    assert (standing()["behind"], standing()["events"]) == (0, 2)


def test_a_projection_that_has_not_come_to_the_end_yet_is_being_built() -> None:
    follow_to_the_end()
    Projection.objects.update(has_walked=False)

    assert standing()["status"] == "building"


def test_the_list_says_where_a_projection_has_stopped_and_why() -> None:
    sale = sell("Ada", 5)
    trouble.append(lambda event: 1 / 0)
    follow_to_the_end()

    assert f"ledger.Accounts: count failed at event 8 of {sale.pk}. ZeroDivisionError: division by zero" in say(
        "projections"
    )
    assert (standing()["status"], standing()["stopped_at"]) == ("stopped", [str(sale.pk), 8])


def test_rebuild_says_from_how_many_events() -> None:
    sell("Ada", 5, 6)
    follow_to_the_end()
    Account.objects.all().delete()

    assert say("rebuild", "ledger.Accounts") == "ledger.Accounts is rebuilt from 2 events.\n"
    assert totals() == {"Ada": 11}


def test_rebuild_says_which_handler_failed_where_and_leaves_the_rows_as_they_were() -> None:
    sale = sell("Ada", 5, 6)
    follow_to_the_end()
    trouble.append(lambda event: 1 / 0)

    with pytest.raises(CommandError) as refused:
        say("rebuild", "ledger.Accounts")

    said = (
        f"count failed at event 8 of {sale.pk}. ZeroDivisionError: division by zero (--traceback says where.) The rows"
    )
    assert (str(refused.value), refused.value.returncode) == (f"{said} are as they were.", 1)
    assert totals() == {"Ada": 11}


def test_rebuild_of_what_is_no_projection_names_those_that_there_are() -> None:
    with pytest.raises(CommandError, match=r"no projection 'Accounts' in the code\. Known: ledger\.Accounts"):
        say("rebuild", "Accounts")


def test_a_projection_that_the_code_no_longer_has_is_forgotten() -> None:
    sale = sell("Ada", 5)
    Projection.objects.create(label="ledger.Old", since=moments.now(), walk=moments.now())
    Place.objects.create(timeline_id=sale.pk, projection="ledger.Old", sequence=1)
    News.objects.create(timeline_id=sale.pk, projection="ledger.Old", at=moments.now())
    assert standing("ledger.Old")["status"] == "unknown"

    say("forget", "ledger.Old")

    for rows in (Projection.objects.filter(label="ledger.Old"), Place.objects.all()):
        assert not rows.exists()
    assert set(News.objects.values_list("projection", flat=True)) == {"ledger.Accounts", "ledger.History"}


def test_a_projection_of_the_code_is_not_forgotten() -> None:
    follow_to_the_end()

    with pytest.raises(CommandError, match=r"The code has the projection ledger\.Accounts"):
        say("forget", "ledger.Accounts")


def test_the_clock_and_the_follower_follow_once_if_asked() -> None:
    sell("Ada", 5)
    call_command("timelines_clock", "--once", stdout=StringIO())
    assert totals() == {"Ada": 5}

    with moments.standing_still():
        sell("Ada", 6)
        call_command("timelines_follow", "--once", stdout=StringIO())
        assert totals() == {"Ada": 11}
        assert clock.tick(HERE) == 0


def test_the_admin_shows_how_far_behind_a_projection_is_and_why_it_has_stopped() -> None:
    sell("<b>Ada</b>", 5)
    trouble.append(lambda event: event.data.missing)
    follow_to_the_end()

    page = staff_with("view_projection").get(LIST).content.decode()

    assert "Stopped" in page
    assert "1 timeline since" in page
    assert "AttributeError: &#x27;Received&#x27; object has no attribute &#x27;missing&#x27;" in page
    assert "No follower has been seen for a minute" in page
    assert "Rebuild the selected" not in page


def test_who_may_asks_for_a_rebuild_in_the_admin() -> None:
    sell("Ada", 5)
    follow_to_the_end()
    Account.objects.all().delete()
    client = staff_with("view_projection", "rebuild_projection")

    page = client.post(LIST, {"action": "rebuild", "_selected_action": ["ledger.Accounts"]}, follow=True)

    assert "A rebuild of ledger.Accounts was asked for." in page.content.decode()
    assert standing()["status"] == "rebuilding"
    follow_to_the_end()
    assert (totals(), standing()["status"]) == ({"Ada": 5}, "following")


def test_who_may_only_view_cannot_rebuild() -> None:
    follow_to_the_end()

    staff_with("view_projection").post(LIST, {"action": "rebuild", "_selected_action": ["ledger.Accounts"]})

    assert not News.objects.filter(timeline=None).exists()


def test_who_may_not_view_sees_nothing() -> None:
    assert staff_with().get(LIST).status_code == 403
