"""Errors that cannot be told, or tell without end: the attempt fails all the same, and a rejection stays one."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

import pytest
from django.core.exceptions import ValidationError
from django.utils.functional import lazy

from django_timelines.engine import errors
from django_timelines.engine.interrupt import Stopped
from django_timelines.exceptions import NotUnique
from django_timelines.models import Event, Lease, Run
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import RetryAfter
from tests.shop.workflows import plan

from .workflows import Box, Whisper

pytestmark = pytest.mark.django_db(databases="__all__")

BEGIN: dict[str, Callable[[], Any]] = {  # called, and delivered exactly once and at least once
    "fill": lambda: Box.start(content="hat"),
    "whisper": lambda: Whisper.start(text="hush"),
}


def raising(error: BaseException) -> Any:
    def body(workflow: Any) -> None:
        raise error

    return body


def leave(*given: Any) -> NoReturn:
    """Do what no property and no method should."""
    sys.exit(1)


def miss(*given: Any) -> NoReturn:
    raise KeyError("b")


class Text(str):
    """A text that cannot be looked into."""

    __slots__ = ()
    replace = encode = __getitem__ = __str__ = __format__ = leave


class OddText(Exception):
    def __str__(self) -> str:
        return Text("odd")


class NoText(Exception):
    __str__ = lambda self: 3  # noqa: E731


class OddNotes(Exception):
    __notes__ = property(leave)


class OddCause(Exception):
    __cause__ = __context__ = property(leave)


class OddRepr(Exception):
    __repr__ = __str__ = __reduce__ = leave


class OddClass(Exception):
    __class__ = property(leave)


class LyingClass(Exception):
    __class__ = ValidationError


class Nameless(type):
    def __getattribute__(cls, name: str) -> Any:
        return leave() if name in ("__name__", "__qualname__", "__module__") else super().__getattribute__(name)


class OddName(Exception, metaclass=Nameless):
    pass


class OddList(ValidationError):
    messages = __iter__ = property(leave)


class OddFields(ValidationError):
    error_dict = property(miss)


class OddMessages(ValidationError):
    messages = property(miss)


class Unready(RetryAfter):
    def __init__(self) -> None:
        """Forget what a ``RetryAfter`` has."""


def caused(by: BaseException) -> Exception:
    error = ValueError("a plain one")
    error.__cause__ = by
    return error


REJECTIONS = {
    "a typo in its params": ValidationError("%(a)s %(b)d", params={"a": 1}),
    "a typo in one of several": ValidationError({"content": ["wrong", ValidationError("%(b)d", params={"a": 1})]}),
    "a lazy message": ValidationError(lazy(miss, str)()),
    "a lazy param": ValidationError("%(a)s", params={"a": lazy(leave, str)()}),
    "its list": OddList("wrong"),
    "its fields": OddFields("wrong"),
    "its messages": OddMessages("wrong"),
    "its class lies": LyingClass("wrong"),
    "its other timeline": NotUnique("wrong", timeline="none"),
}
FAILURES = {
    "its text": OddText(),
    "its text is none": NoText(),
    "its notes": OddNotes(),
    "its cause": OddCause(),
    "the notes of its cause": caused(OddNotes()),
    "its repr": OddRepr(),
    "its class": OddClass(),
    "its name": OddName(),
    "no exception, of an odd name": Nameless("Odd", (BaseException,), {})(),
    "no exception, of odd notes": type("Odd", (SystemExit,), {"__notes__": property(leave)})(),
    "its wait": Unready(),
}


def given_to(step: str, placement: str, error: BaseException, place: Any) -> Any:
    """Return a timeline on which this step, which somebody called, has raised this, where it is placed."""
    workflow = {"fill": Box, "whisper": Whisper}[step]
    place(workflow._declaration.label, **{step: placement})
    plan[step] = raising(error)
    with recorded_errors():
        begun = BEGIN[step]()
        drain()
    return begun


@pytest.mark.parametrize("placement", ["inline", "embedded"])
@pytest.mark.parametrize("step", BEGIN)
@pytest.mark.parametrize("what", [*REJECTIONS, *FAILURES])
def test_an_error_that_cannot_be_told_fails_the_attempt(what: str, step: str, placement: str, place: Any) -> None:
    begun = given_to(step, placement, {**REJECTIONS, **FAILURES}[what], place)

    failed = Event.objects.get(timeline=begun.pk, type="AttemptFailed")
    assert set(failed.data["error"]) == {"type", "message", "traceback"}
    assert not Event.objects.filter(type="StepRejected").exists()
    assert not Lease.objects.exists()
    goes_on = what in FAILURES and what != "its wait"
    assert Run.objects.get(timeline=begun.pk).status == ("retrying" if goes_on else "blocked")


def test_what_can_be_told_of_an_error_is_told(place: Any) -> None:
    begun = given_to("fill", "embedded", ValidationError("%(a)s %(b)d", params={"a": 1}), place)

    error = Event.objects.get(timeline=begun.pk, type="AttemptFailed").data["error"]
    assert error["type"] == "django.core.exceptions.ValidationError"
    assert error["message"] == "(its message cannot be shown)"
    assert "in body\n    raise error" in error["traceback"]


def test_where_an_error_was_raised_is_told_though_its_notes_cannot_be(place: Any) -> None:
    begun = given_to("fill", "embedded", OddNotes("a plain message"), place)

    error = Event.objects.get(timeline=begun.pk, type="AttemptFailed").data["error"]
    assert (error["type"].rpartition(".")[2], error["message"]) == ("OddNotes", "a plain message")
    assert "in body\n    raise error" in error["traceback"]


def test_the_log_says_what_can_be_said_of_an_error(place: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(logging.Formatter())

    given_to("fill", "embedded", OddNotes("a plain message"), place)

    assert "fill failed at attempt 1" in caplog.text
    assert "a plain message" in caplog.text


ENDLESS = {
    "a long message": ValidationError("x" * 2_000_000),
    "many messages": ValidationError(["x" * 1_000] * 3_000),
    "many fields": ValidationError({f"field {number}": "x" * 1_000 for number in range(3_000)}),
    "a long name": ValidationError({"x" * 2_000_000: "no"}),
    "many that are long": ValidationError({"\U0001f600" * 5_000: ["\U0001f600" * 5_000] * 200}),
}


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("placement", ["inline", "embedded"])
@pytest.mark.parametrize("what", ENDLESS)
def test_a_rejection_of_any_size_stays_one_and_fits(what: str, placement: str, place: Any) -> None:
    with pytest.raises(ValidationError):  # by the call, or the wait for its outcome
        given_to("whisper", placement, ENDLESS[what], place).whisper.wait(timeout=0)

    assert Run.objects.get().status == "waiting"
    event = Event.objects.get(type="StepRejected")
    assert len(json.dumps(event.data, ensure_ascii=False).encode()) < 1_000_000


def test_a_long_rejection_says_what_was_left_out(place: Any) -> None:
    several = [f"line {number} is wrong" for number in range(2_345)]
    begun = given_to("whisper", "embedded", ValidationError(several), place)

    errors = Event.objects.get(timeline=begun.pk, type="StepRejected").data["errors"]
    assert errors == [*several[:100], "And 2,245 more."]


def test_so_does_one_by_field_and_says_it_of_none(place: Any) -> None:
    of_fields = {"one": ["a"] * 99, "two": ["b", "c"], "three": "d"}
    begun = given_to("whisper", "embedded", ValidationError(of_fields), place)

    errors = Event.objects.get(timeline=begun.pk, type="StepRejected").data["errors"]
    assert errors == {"one": ["a"] * 99, "two": ["b"], "__all__": ["And 2 more."]}


def test_a_message_is_cut_once_no_secret_is_in_it() -> None:
    message = "x" * 1_995 + "hunter2 and more"

    said = errors.rejected_with(ValidationError(message), ("hunter2",))

    assert said == {"errors": ["x" * 1_995 + "*** a"]}


@pytest.mark.parametrize("ours", [KeyboardInterrupt, Stopped])
def test_what_ends_the_process_is_not_taken_for_a_fault_of_the_error(ours: type[BaseException]) -> None:
    class Late(Exception):
        def __str__(self) -> str:
            raise ours

    with pytest.raises(ours):
        errors.described(Late())


@pytest.mark.parametrize("placement", ["inline", "embedded"])
def test_a_wait_that_is_none_fails_the_step_at_once(placement: str, place: Any) -> None:
    error = RetryAfter(5)
    error.delay = 5

    begun = given_to("whisper", placement, error, place)

    assert Run.objects.get(timeline=begun.pk).status == "blocked"


def test_a_wait_that_an_error_asks_for_is_kept(place: Any) -> None:
    begun = given_to("whisper", "embedded", RetryAfter(timedelta(days=2)), place)

    assert Run.objects.get(timeline=begun.pk).status == "retrying"
