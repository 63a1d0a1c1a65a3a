"""No secret is stored, logged or kept longer than needed, whatever goes wrong around it."""

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pydantic
import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.utils.html import escape
from django.views.debug import ExceptionReporter

from django_timelines.fields import field_for
from django_timelines.models import Event, SealedInput, Timeline
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import Retry, Secret, Workflow, step
from tests.shop.here import HERE

from .workflows import Door

pytestmark = pytest.mark.django_db(databases="__all__")
CODE = "hunter2"


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return all that is stored in the open, and logged."""
    caplog.set_level(logging.DEBUG)

    def everything() -> str:
        states = list(Timeline.objects.values_list("state", flat=True))
        return json.dumps([states, *Event.objects.values_list("data", flat=True)]) + caplog.text

    return everything


def test_a_kept_secret_that_no_step_will_take_is_gone_when_the_timeline_ends() -> None:
    door = Door.start()
    drain()
    assert Door.get(door.pk).unlock(code=CODE) == "kept"

    Door.get(door.pk).timeline.cancel(reason="nobody is at home")

    assert (Timeline.objects.get().status, SealedInput.objects.count()) == ("cancelled", 0)


def test_a_rejection_does_not_repeat_the_secret(place: Any, shown: Callable[[], str]) -> None:
    class Weak(Workflow):
        @step
        def begin(self, code: Secret[str]) -> None:
            raise ValidationError(f"{code} is too weak")

    place(Weak._declaration.label, begin="embedded")

    weak = Weak.start(code=CODE)
    drain()

    assert Weak.get(weak.pk).begin.status == "waiting"
    assert "*** is too weak" in shown()
    assert CODE not in shown()


def test_an_error_does_not_show_what_is_inside_of_a_secret(shown: Callable[[], str]) -> None:
    class Nested(Workflow):
        @step
        def begin(self, codes: Secret[list[str]]) -> None:
            raise ValueError(f"bad {codes[0]}")

    with recorded_errors():
        Nested.start(codes=[CODE])

    assert "bad ***" in shown()
    assert CODE not in shown()


def test_an_error_does_not_show_how_a_secret_would_be_written_in_code(shown: Callable[[], str]) -> None:
    class Quoted(Workflow):
        @step
        def begin(self, code: Secret[str]) -> None:
            raise KeyError(code)

    with recorded_errors():
        Quoted.start(code="pass'\"phrase\nxyzzy")

    assert "KeyError" in shown()
    assert "xyzzy" not in shown()


@pytest.mark.parametrize(
    "written", [quote, lambda code: quote(code, safe=""), quote_plus, escape, json.dumps, lambda code: code.encode()]
)
def test_an_error_does_not_show_a_secret_as_addresses_pages_and_messages_write_it(
    shown: Callable[[], str], written: Callable[[str], object]
) -> None:
    class Sent(Workflow):
        @step
        def begin(self, code: Secret[str]) -> None:
            raise OSError(f"GET https://example.org/?code={written(code)} failed")

    code = "xy/zz y&\N{LATIN SMALL LETTER U WITH DIAERESIS}"

    with recorded_errors():
        Sent.start(code=code)

    assert "failed" in shown()
    assert str(written(code)) not in shown()
    assert "zz" not in shown()


class Card(pydantic.BaseModel):
    """What is typed to pay."""

    number: str


def test_an_error_does_not_show_a_field_of_a_secret_object(shown: Callable[[], str]) -> None:
    class Paid(Workflow):
        @step
        def begin(self, card: Secret[Card]) -> None:
            raise OSError(f"{card.number} was declined")

    with recorded_errors():
        Paid.start(card=Card(number="4111 1111"))

    assert "*** was declined" in shown()
    assert "4111" not in shown()


def test_a_secret_whose_type_has_changed_is_not_shown(place: Any, shown: Callable[[], str]) -> None:
    class Changed(Workflow):
        @step
        def begin(self, code: Secret[str]) -> None:
            pass

    place(Changed._declaration.label, begin="embedded")
    changed = Changed.start(code=CODE)
    Changed._declaration.inputs["begin"]["code"] = field_for("Changed.begin", "code", Secret[int])

    with recorded_errors():
        drain()

    assert "The stored input no longer fits" in str(changed.timeline.explain()) + shown()
    assert CODE not in shown()


def test_a_secret_that_an_older_key_has_sealed_names_the_setting_and_is_opened_once_the_key_is_back(
    place: Any, settings: Any, shown: Callable[[], str]
) -> None:
    class Sealed(Workflow):
        @step(retry=Retry(1))
        def begin(self, code: Secret[str]) -> None:
            assert code == CODE

    place(Sealed._declaration.label, begin="embedded")
    sealed, before = Sealed.start(code=CODE), settings.SECRET_KEY
    settings.SECRET_KEY = "another one"

    with recorded_errors():
        drain()

    assert str(sealed.timeline.explain()) == (
        "“begin” is blocked after attempt 1: NotOpened: The secret input cannot be opened (InvalidToken). If SECRET_KEY has "
        "changed, put the one before into SECRET_KEY_FALLBACKS, and retry the step. Retry or skip it."
    )
    assert CODE not in shown()

    settings.SECRET_KEY_FALLBACKS = [before]
    Sealed.get(sealed.pk).begin.retry()
    drain()
    assert Sealed.get(sealed.pk).begin.status == "completed"


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_commit_that_the_database_refuses_does_not_show_the_secret(shown: Callable[[], str]) -> None:
    if connections[HERE].vendor == "mysql":
        pytest.skip("MariaDB has no deferred constraints")

    class Twice(Workflow):
        @step
        def begin(self, code: Secret[str]) -> None:
            connections[HERE].cursor().execute("INSERT INTO codes VALUES (%s)", [code])

    with connections[HERE].cursor() as cursor:
        cursor.execute("CREATE TABLE codes (code text UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        cursor.execute("INSERT INTO codes VALUES (%s)", [CODE])
    try:
        with recorded_errors():
            Twice.start(code=CODE)
    finally:
        connections[HERE].cursor().execute("DROP TABLE codes")

    assert "IntegrityError" in shown()
    assert CODE not in shown()


def test_a_log_does_not_show_what_a_child_was_to_be_given(deploy: Any, caplog: pytest.LogCaptureFixture) -> None:
    workflow = deploy(f"""
        class Vault(Workflow):
            @step
            def unlock(self, owner: int, code: Secret[str]): ...

        class Parcel(Workflow):
            @step
            def post(self): ...

            vault = subworkflow(Vault, after=post, given=lambda parcel: {{"owner": "nobody", "code": {CODE!r}}})
    """)
    workflow.start()
    with recorded_errors():
        drain()

    frames = [
        ExceptionReporter(None, *record.exc_info).get_traceback_html() for record in caplog.records if record.exc_info
    ]
    assert CODE not in "".join([caplog.text, *frames])
    assert "vault failed at attempt 1" in caplog.text
