"""What ``dumpdata`` writes ``loaddata`` brings back, and what was under way goes on there."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command

from django_timelines.models import Timeline
from django_timelines.testing import assert_holds, drain
from tests.calls.workflows import Moving, Vote
from tests.shop.here import HERE
from tests.shop.workflows import Supper

from .workflows import Door

pytestmark = pytest.mark.django_db(databases="__all__")
MODELS = [*apps.get_app_config("django_timelines").get_models()]


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return all that is stored, by model."""
    found = {model.__name__: model._base_manager.using(HERE).order_by("pk").values() for model in MODELS}
    return {name: [_cut(row) for row in several] for name, several in found.items() if several}


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its times as JSON has them, to the millisecond."""
    return {
        name: value.replace(microsecond=value.microsecond // 1000 * 1000) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


@pytest.mark.parametrize(
    "options",
    [["--format=json"], ["--format=xml"], ["--format=json", "--natural-primary", "--natural-foreign"]],
    ids=" ".join,
)
def test_what_was_under_way_goes_on_where_it_was_loaded(tmp_path: Path, options: list[str]) -> None:
    vote, supper, door = Vote.start(guests=["ada", "bob"]), Supper.start(guest="Ada", dishes=["soup"]), Door.start()
    moving = Moving.start(address="Main Street 1")
    drain()
    Vote.get(vote.pk).vote["ada"](votes=2)
    assert Door.get(door.pk).unlock(code="hunter2") == "kept"
    before, path = rows(), tmp_path / f"timelines.{options[0].partition('=')[2]}"
    assert {"Event", "Item", "Run", "SealedInput", "Timeline", "UniqueValue"} <= set(before)

    call_command("dumpdata", "django_timelines", *options, database=HERE, output=str(path), verbosity=0)
    for model in reversed(MODELS):
        model._base_manager.using(HERE).all().delete()
    assert rows() == {}
    call_command("loaddata", str(path), database=HERE, verbosity=0)

    assert rows() == before
    assert_holds()
    Vote.get(vote.pk).vote["bob"](votes=3)
    Supper.get(supper.pk).bill.child.tip(amount=1)
    Door.get(door.pk).knock(times=1)
    drain()
    Supper.get(supper.pk).thank()
    Moving.get(moving.pk).arrive()
    assert (Vote.get(vote.pk).votes, Supper.get(supper.pk).receipt) == (5, "receipt 1")
    assert set(Timeline.objects.using(HERE).values_list("status", flat=True)) == {"completed"}
