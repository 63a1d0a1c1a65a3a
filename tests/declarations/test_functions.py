"""Bodies run, and functions of a class answer, when they are called: a coroutine or a generator is no answer, and never a yes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_timelines.exceptions import DeclarationError
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import AT_LEAST_ONCE, Limit, Workflow, step, subworkflow
from tests.shop.workflows import ran


async def waits(*_: Any) -> Any: ...


def goes_on(*_: Any) -> Any:
    yield


async def both(*_: Any) -> Any:
    yield


class Waits:
    async def __call__(self, *_: Any) -> Any: ...


class Leaf(Workflow):
    """Begins at once."""

    @step
    def begin(self) -> None: ...


@pytest.mark.parametrize("function", [waits, goes_on, both, Waits()], ids=["async", "generator", "both", "an object"])
@pytest.mark.parametrize("option", ["when", "within", "delay", "until", "assigned", "remind", "allowed"])
def test_a_function_that_gives_no_answer_when_it_is_called_is_refused(option: str, function: Any) -> None:
    with pytest.raises(DeclarationError, match=rf"Step '<lambda>': {option}=.* Write a plain def"):
        step(after=Leaf.begin, **{option: function})(lambda self: None)


def test_so_it_is_in_a_list_of_rules() -> None:
    with pytest.raises(DeclarationError, match=r"allowed=.* Write a plain def"):
        step(allowed=["user:ada", waits])(lambda self: None)


def test_what_a_child_is_given_is_told_at_once() -> None:
    with pytest.raises(DeclarationError, match=r"subworkflow\(Leaf\): given=.* Write a plain def"):
        subworkflow(Leaf, after=Leaf.begin, given=waits)


@pytest.mark.parametrize(
    ("of_class", "of_step"),
    [({"unique": waits}, {}), ({"limit": Limit(1, per=waits)}, {}), ({}, {"limit": Limit(1, per=waits)})],
)
def test_so_is_what_tells_timelines_apart(of_class: Any, of_step: Any) -> None:
    with pytest.raises(DeclarationError, match="Write a plain def"):

        class Parcel(Workflow, **of_class):
            @step(**of_step)
            def begin(self) -> None: ...


@pytest.mark.parametrize("body", [goes_on, both])
def test_a_body_is_no_generator(body: Any) -> None:
    for declare in (
        step(delivery=AT_LEAST_ONCE),
        Leaf.begin.undo,
        step(remind=timedelta(1))(lambda self: None).reminder,
    ):
        with pytest.raises(DeclarationError, match=r"Step '\w+' has a yield.*self\.iterate\("):
            declare(body)


def told(deploy: Any, options: str, body: str, delivery: str = "EXACTLY_ONCE", before: str = "def") -> tuple[str, str]:
    """Run a step that has these options and this body; say where it stands, and why."""
    parcel = deploy(f"""
        def numbers():
            ran["go"] += 1
            yield 1

        class Parcel(Workflow):
            @step
            def begin(self): ...

            @step(after=begin, delivery={delivery}{options})
            {before} go(self):
                {body}

            async def work(self):
                ran["go"] += 1
    """)
    begun = parcel.start()
    with recorded_errors():
        drain()
    return parcel.get(begun.pk).go.status, str(begun.timeline.explain())


@pytest.mark.parametrize("delivery", ["EXACTLY_ONCE", "AT_LEAST_ONCE", "AT_MOST_ONCE"])
@pytest.mark.parametrize(
    ("body", "kind"), [("return self.work()", "coroutine"), ("return numbers()", "generator")], ids=["awaits", "yields"]
)
@pytest.mark.django_db(databases="__all__")
def test_a_body_whose_work_nobody_does_fails(deploy: Any, body: str, kind: str, delivery: str) -> None:
    status, why = told(deploy, "", body, delivery)

    assert (status, ran["go"]) == ("blocked", 0)
    assert f"The body of 'go' returned a {kind}, which nobody awaits or goes through" in why


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_so_does_an_awaited_one(deploy: Any) -> None:
    status, why = told(deploy, "", "return self.work()", "AT_LEAST_ONCE", "async def")

    assert (status, ran["go"]) == ("blocked", 0)
    assert "The body of 'go' returned a coroutine" in why


@pytest.mark.parametrize(
    "option",
    ["when", "within", "delay", "until", "manual=True, assigned", "manual=True, within", "manual=True, remind"],
)
@pytest.mark.django_db(databases="__all__")
def test_a_function_that_answers_with_a_coroutine_fails_its_step(deploy: Any, option: str) -> None:
    reminder = "..."
    if option.endswith("remind"):
        reminder = "...\n\n            @go.reminder\n            def nudge(self): ..."
    status, why = told(deploy, f", {option}=lambda parcel: parcel.work()", reminder)

    assert (status, ran["go"]) == ("blocked", 0)
    assert f"{option.split()[-1]}= of 'go' returned a coroutine" in why


@pytest.mark.django_db(databases="__all__")
def test_so_does_one_that_a_child_is_begun_by(deploy: Any) -> None:
    parcel = deploy("""
        class Leaf(Workflow):
            @step
            def begin(self): ...

        class Parcel(Workflow):
            @step
            def begin(self): ...

            leaf = subworkflow(Leaf, after=begin, given=lambda parcel: parcel.work())

            async def work(self): ...
    """).start()
    with recorded_errors():
        drain()

    assert "given= of 'leaf' returned a coroutine" in str(parcel.timeline.explain())
