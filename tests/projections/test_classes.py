"""A projection that is declared wrongly says so when it is made; the checks say the rest."""

from __future__ import annotations

from typing import Any

import pytest
from django.test.utils import isolate_apps

from django_timelines import following
from django_timelines.checks import check_projections
from django_timelines.exceptions import DeclarationError
from django_timelines.projections import Projection, on, reaction
from django_timelines.workflows import Event

from .models import Account, Seen, Thanks
from .workflows import Received, Sale


@pytest.fixture(autouse=True)
def only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no projection behind."""
    monkeypatch.setattr(following, "_followings", dict(following._followings))


def test_it_is_named_after_its_app_and_class_or_as_it_says() -> None:
    class Sums(Projection):
        into = (Thanks,)

        @on(Received)
        def add(self, event: Any) -> None: ...

    class Totals(Sums):
        label = "ledger.Old"

    assert Sums.label.endswith("Sums")
    assert following.get("ledger.Old").projection is Totals


def test_a_base_without_handlers_is_no_projection() -> None:
    before = following.labels()

    class Base(Projection):
        pass

    assert following.labels() == before


def test_an_override_takes_the_place_of_its_base() -> None:
    class Sums(Projection):
        into = (Thanks,)

        @on(Received)
        def add(self, event: Any) -> None: ...

    class Others(Sums):
        @on("TimelineStarted")
        def add(self, event: Any) -> None: ...

    assert [handler.type for handler in following.get(Others.label).handlers] == ["TimelineStarted"]


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: on(), "Say which events"),
        (lambda: on("StepDone"), "'StepDone' is no event. .* StepCompleted"),
        (lambda: on(Event), "is no event"),
        (lambda: on(Sale), "is no event"),  # type: ignore[arg-type]
        (lambda: on(Received, step="pay"), "no step 'pay': name its workflow, too"),
        (lambda: on(Received, workflow=Sale, step="pray"), "no step 'pray': known are begin, pay, pay_again"),
        (lambda: reaction(Received, workflow=Received), "is no workflow class"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_event_or_step_is_refused(declare: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        declare()


@pytest.mark.parametrize(
    ("into", "said"), [((), "does not say which models"), (Account, "no tuple"), (("Account",), "no tuple")]
)
def test_a_projection_says_which_models_it_writes(into: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        type("Sums", (Projection,), {"into": into, "add": on(Received)(lambda self, event: None)})


def test_one_that_only_reacts_writes_no_models() -> None:
    class Greeter(Projection):
        @reaction(Received)
        def greet(self, event: Any) -> None: ...

    assert following.get(Greeter.label).into == ()


def test_a_label_that_is_too_long_is_refused() -> None:
    with pytest.raises(DeclarationError, match="LL is 151 characters long; at most 150 are stored"):
        type("Sums", (Projection,), {"label": "L" * 151, "greet": reaction(Received)(lambda self, event: None)})


def test_two_of_one_label_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"Two projections are called ledger\.Accounts"):
        type(
            "Other", (Projection,), {"label": "ledger.Accounts", "greet": reaction(Received)(lambda self, event: None)}
        )


def test_two_that_write_one_model_are_warned_of() -> None:
    assert check_projections() == []

    class Others(Projection):
        into = (Seen,)

        @on(Received)
        def add(self, event: Any) -> None: ...

    (found,) = check_projections()
    assert (found.id, found.msg) == ("timelines.W014", f"ledger.History and {Others.label} both write ledger.Seen.")


@isolate_apps("tests.projections")
def test_two_that_write_one_table_are_warned_of_unless_each_clears_its_own() -> None:
    class Looked(Seen):
        class Meta:
            proxy = True
            app_label = "ledger"

    def add(self: Any, event: Any) -> None: ...

    def clear(self: Any) -> None: ...

    def declare(name: str, **more: Any) -> None:
        type(name, (Projection,), {"into": (Looked,), "add": on(Received)(add), "label": f"ledger.{name}", **more})

    declare("Others")
    (found,) = check_projections()
    assert (found.id, found.msg) == ("timelines.W014", "ledger.History and ledger.Others both write ledger.Seen.")
    del following._followings["ledger.Others"], following._followings["ledger.History"]

    declare("One", clear=clear)
    declare("Two", clear=clear)
    assert check_projections() == []
    declare("Three")
    assert [found.id for found in check_projections()] == ["timelines.W014"]


def test_a_model_in_another_database_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import router

    before = router.db_for_write
    monkeypatch.setattr(router, "db_for_write", lambda model, **hints: "far" if model is Account else before(model))

    (found,) = check_projections()
    assert found.id == "timelines.E013"
    assert found.msg.startswith("ledger.Accounts writes ledger.Account, which is in 'far'")


@pytest.mark.parametrize("version", [0, -1, 32_768, "2", True])
def test_the_version_of_an_event_counts_from_one(version: Any) -> None:
    with pytest.raises(DeclarationError, match="Count from 1 to 32767"):
        type("Parked", (Event,), {"version": version, "__annotations__": {}})


def test_the_name_of_an_event_fits_its_column() -> None:
    with pytest.raises(DeclarationError, match="longer than 60 characters"):
        type("P" * 61, (Event,), {})


async def asynchronous(projection: Projection, *event: Any) -> None: ...


def with_a_yield(projection: Projection, *event: Any) -> Any:
    yield


@pytest.mark.parametrize("method", [asynchronous, with_a_yield])
@pytest.mark.parametrize("name", ["add", "flush", "clear"])
def test_a_method_that_would_do_nothing_when_it_is_called_is_refused(name: str, method: Any) -> None:
    methods = {"add": lambda projection, event: None} | {name: method}

    with pytest.raises(DeclarationError, match=rf"Sums\.{name}: .* so it gives no answer when it is called"):
        type("Sums", (Projection,), {"into": (Thanks,)} | methods | {"add": on(Received)(methods["add"])})
