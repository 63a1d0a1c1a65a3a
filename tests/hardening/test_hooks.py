"""What a body gives to ``on_commit`` comes after the commit: when it raises, the step is done all the same."""

import pytest
from django.db import DatabaseError

from django_timelines.models import Event
from django_timelines.testing import drain, recorded_errors
from tests.shop.models import Entry
from tests.shop.workflows import plan, ran

from .workflows import Door, Mail, after_commit

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def broken() -> None:
    raise ZeroDivisionError("in a hook")


def broken_by_the_database() -> None:
    raise DatabaseError("in a hook")


def test_a_start_whose_hook_raises_returns_the_timeline() -> None:
    plan["write"] = after_commit(broken)

    with recorded_errors():
        mail = Mail.start(text="Dear Ada")

    assert (mail.write.status, mail.text) == ("completed", "Dear Ada")
    assert list(Entry.objects.values_list("text", flat=True)) == ["Dear Ada"]


def test_a_database_error_in_a_hook_is_no_failure_of_the_step() -> None:
    plan["write"] = after_commit(broken_by_the_database)

    with recorded_errors():
        mail = Mail.start(text="Dear Ada")

    assert (mail.write.status, ran["write"]) == ("completed", 1)
    assert Event.objects.filter(type="AttemptFailed").count() == 0


def test_a_call_whose_hook_raises_gets_its_outcome() -> None:
    door = Door.start()
    drain()
    plan["knock"] = after_commit(broken)

    with recorded_errors():
        outcome = Door.get(door.pk).knock(times=3)

    assert (outcome, ran["knock"]) == ("completed", 1)


def test_what_comes_after_a_step_whose_hook_raises_goes_on() -> None:
    plan["write"] = plan["stamp"] = after_commit(broken)

    with recorded_errors():
        mail = Mail.start(text="Dear Ada")
        drain()

    assert Mail.get(mail.pk).timeline.status == "completed"
    assert (ran["write"], ran["stamp"], ran["post"]) == (1, 1, 1)


def test_a_hook_that_raises_is_logged_with_its_step(caplog: pytest.LogCaptureFixture) -> None:
    plan["write"] = after_commit(broken)

    with recorded_errors():
        Mail.start(text="Dear Ada")

    assert "A hook that write gave to on_commit failed" in caplog.text
    assert "ZeroDivisionError: in a hook" in caplog.text
