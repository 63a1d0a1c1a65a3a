"""Schedules in the admin and in the terminal: shown, paused and resumed."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client

from django_timelines.models import Schedule, Timeline
from django_timelines.testing import travel
from tests.shop.people import staff_with

from .test_schedules import at, daily, noon, tick  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db(databases="__all__")
LIST = "/admin/django_timelines/schedule/"


def say(*words: str) -> str:
    out = StringIO()
    call_command("timelines", "schedules", *words, "--no-color", stdout=out)
    return out.getvalue()


def act(client: Client, action: str) -> str:
    chosen = [str(row.pk) for row in Schedule.objects.all()]
    return client.post(LIST, {"action": action, "_selected_action": chosen}, follow=True).content.decode()


def test_the_admin_shows_when_each_begins_next_and_what_came_of_the_last(daily: Any) -> None:  # noqa: F811
    daily()
    at(noon(2))
    tick()
    page = staff_with("view_schedule").get(LIST).content.decode()

    assert "0 12 * * * (UTC)" in page
    assert ">On<" in page
    assert "started" in page
    assert str(Timeline.objects.get().pk)[:8] in page
    assert "Pause the selected" not in page


def test_the_admin_pauses_and_resumes(daily: Any) -> None:  # noqa: F811
    daily()
    client = staff_with("view_schedule", "pause_schedule")

    assert "Shop.Parcel is paused." in act(client, "pause")
    assert Schedule.objects.get().paused_by == "ada"
    at(noon(2))
    tick()
    assert Timeline.objects.count() == 0

    assert "Shop.Parcel is resumed." in act(client, "resume")
    tick()
    assert Schedule.objects.get().next_tick == noon(3)
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == ["Paused.", "Resumed."]


def test_who_may_only_look_pauses_nothing(daily: Any) -> None:  # noqa: F811
    daily()
    act(staff_with("view_schedule"), "pause")

    assert Schedule.objects.get().paused_at is None


def test_one_that_is_gone_from_the_code_is_not_resumed_and_may_be_deleted(daily: Any, deploy: Any) -> None:  # noqa: F811
    daily()
    client = staff_with("view_schedule", "pause_schedule")
    act(client, "pause")
    delete = f"{LIST}{Schedule.objects.get().pk}/delete/"
    assert client.post(delete, {"post": "yes"}).status_code == 403
    deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...
    """)

    assert "has no such schedule any more" in act(client, "resume")
    client.post(delete, {"post": "yes"})
    assert Schedule.objects.count() == 0


def test_the_terminal_lists_pauses_and_resumes(daily: Any) -> None:  # noqa: F811
    daily()
    line = say().splitlines()[1]
    assert line.split()[:7] == ["shop.Parcel", "0", "12", "*", "*", "*", "(UTC)"]

    (said,) = json.loads(say("--pause", "shop.Parcel", "--json"))["schedules"]
    assert (said["status"], said["next_tick"] is not None) == ("paused", True)
    travel(timedelta(days=3))
    tick()
    assert Timeline.objects.count() == 0
    (said,) = json.loads(say("--resume", "shop.Parcel", "--json"))["schedules"]
    assert said["status"] == "on"


def test_the_terminal_resumes_those_of_a_workflow_that_the_code_still_has(daily: Any) -> None:  # noqa: F811
    for name in ("evening", "noon"):
        daily(f"name={name!r}")
    say("--pause", "shop.Parcel")

    said = json.loads(say("--resume", "shop.Parcel", "--json"))["schedules"]

    assert [one["status"] for one in said] == ["not in the code", "on"]
    with pytest.raises(CommandError, match="has no such schedule any more"):
        say("--resume", "shop.Parcel", "--name", "evening")


def test_the_terminal_names_what_no_clock_has_looked_at(daily: Any) -> None:  # noqa: F811
    daily()
    Schedule.objects.all().delete()

    assert "shop.Parcel: no clock has looked at it yet." in say()
    with pytest.raises(CommandError, match=r"no schedule .shop\.Parcel night."):
        say("--pause", "shop.Parcel", "--name", "night")
    with pytest.raises(CommandError, match="--name: with --pause or --resume only"):
        say("--name", "night")
