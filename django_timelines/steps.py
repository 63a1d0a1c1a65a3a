"""Steps as they are declared: what a step takes, what it comes after, how it is delivered. Never where it runs."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec

from . import answers, limits, moments, people
from .exceptions import DeclarationError
from .limits import Limit
from .people import type_assignee, type_remind, type_rule
from .retries import Retry

P = ParamSpec("P")
MOST_ITEMS = 20_000
"""Of one step: one commit begins them. Their list is a field, of which all together may have a megabyte."""
LONGEST_NAME = 100  # of a step, in its columns
LONGEST_KEY = 190  # with room for "#19999"
_NO_KEY = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # which no address and no form brings as it was
SECRET = "django_timelines: secret"
"""The mark in ``Secret[T]``, which is ``Annotated[T, SECRET]``: a plain T to the body and to type checkers."""
_ASKED = ("when", "within", "delay", "until", "assigned", "remind")  # may be functions
type_span = timedelta | Callable[[Any], timedelta | None]
type_moment = datetime | Callable[[Any], datetime | None]


class Delivery(StrEnum):
    """How often a body's effects happen when something dies in the middle."""

    EXACTLY_ONCE = "exactly once"
    """The body's ORM writes and its completion commit together, in the database that holds the timeline."""
    AT_LEAST_ONCE = "at least once"
    """For effects outside: the body runs in no transaction of ours, and again after a crash."""
    AT_MOST_ONCE = "at most once"
    """The start is committed first; what was started and not finished needs a person."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a step: its name, its type and whether a call may leave it out."""

    name: str
    annotation: Any
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Tell whether a call must give it."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Each:
    """What ``each=`` declares: one run for each item of a field's list.

    ``at_once``: how many may be open at the same time; what is blocked or overdue does not count. ``at_least`` done are enough:
    then the rest is left. Or all are done, of which ``at_most_failed`` may fail. Otherwise none may.
    """

    field: str
    by: str = ""
    at_once: int | None = None
    at_least: int | None = None
    at_most_failed: int | None = None
    declared: Any = dataclasses.field(default=None, compare=False, repr=False)  # the field, in a class's graph

    @property
    def tolerates(self) -> bool:
        """Tell whether an item may fail for good: the class says what then."""
        return self.at_least is not None or self.at_most_failed is not None

    def list_in(self, fields: Mapping[str, Any]) -> Any:
        """Return the list as stored fields have it, or the field's default; ``ValueError`` if it cannot be brought up."""
        found = self.declared.stored_in(fields, None)
        if found is None or isinstance(found, list):
            return found
        try:
            return self.declared.brought_up(found)
        except Exception as error:  # a validator is the project's own code; the value is somebody's
            raise ValueError(f"{self.field} is no list, and cannot be brought up ({type(error).__name__}).") from None

    def items(self, values: Any) -> list[tuple[str, Any]]:
        """Return each item's key and value; ``ValueError`` says what is wrong with the list."""
        if not isinstance(values, list):
            raise ValueError(f"{self.field} is {'no list' if values is not None else 'not set'}.")
        if len(values) > MOST_ITEMS:
            raise ValueError(f"{self.field} has {len(values):,} items; at most {MOST_ITEMS:,} are runs of one step.")
        found: dict[str, Any] = {}
        for value in values:
            found[self._free_key(value, found)] = value
        return list(found.items())

    def _free_key(self, value: Any, taken: Mapping[str, Any]) -> str:
        named = value.get(self.by) if self.by and isinstance(value, dict) else value
        if isinstance(named, bool) or not isinstance(named, str | int | float) or named == "":
            raise ValueError(f"An item of {self.field} has no key: {self.by or 'it'} is {str(named)[:100]!r}.")
        key, number = str(named), 1
        if len(key) > LONGEST_KEY:
            raise ValueError(
                f"The key of an item of {self.field} is {len(key)} characters long, at most {LONGEST_KEY}."
            )
        if _NO_KEY.search(key):
            raise ValueError(
                f"The key of an item of {self.field} is {key!r}. Keys are one line of text, without control characters."
            )
        while key in taken:
            number += 1
            key = f"{named}#{number}"
        return key


def may_be_item(name: str) -> bool:
    """Tell whether an item may have this name: one line of text, and not too long."""
    return len(name) <= LONGEST_KEY + len("#19999") and _NO_KEY.search(name) is None


class StepOutcome:
    """What a step may come after instead of another's success: ``pay.failed``, ``activate.overdue``."""

    def __init__(self, step: Step[...], status: str) -> None:
        self.step = step
        self.status = status

    def __repr__(self) -> str:
        return f"{self.step.name}.{self.status}"


class AnyOf:
    """What ``any_of(…)`` makes: go on with the first that is done."""

    def __init__(self, *members: Step[...] | StepOutcome) -> None:
        self.members = members


class Step(Generic[P]):
    """A step of a workflow, declared. ``@step`` makes it; a bound step is what an instance gives for it."""

    name: str

    def __init__(
        self,
        body: Callable[Concatenate[Any, P], Any],
        *,
        after: Any = None,
        manual: bool = False,
        within: type_span | None = None,
        delay: type_span | None = None,
        until: type_moment | None = None,
        delivery: Delivery = Delivery.EXACTLY_ONCE,
        retry: Retry | None = None,
        when: Callable[[Any], bool] | None = None,
        early: str = "refuse",
        timeout: timedelta | None = None,
        renamed_from: str = "",
        each: str = "",
        by: str = "",
        at_once: int | None = None,
        at_least: int | None = None,
        at_most_failed: int | None = None,
        again: Step[...] | None = None,
        allowed: type_rule | list[type_rule] | None = None,
        limit: int | Limit | None = None,
        assigned: type_assignee | None = None,
        remind: type_remind | None = None,
    ) -> None:
        self.body = body
        self.name = body.__name__
        self.doc = inspect.cleandoc(body.__doc__ or "")
        self.joins, self.after = _dependencies(self.name, after)
        self.manual = manual
        self.within = within
        self.delay = delay
        self.until = until
        self.delivery = _delivery(self.name, delivery)
        self.retry = retry or Retry()
        self.when = when
        self.keeps_early = early == "keep"
        self.timeout = timeout
        self.renamed_from = renamed_from
        self.allowed = people.rules(self.name, allowed)
        self.assigned = people.assignee(self.name, assigned)
        self.remind = people.remind(self.name, remind)
        self.limit = limits.limit(f"Step {self.name!r}: ", limit)
        self.undoes: Step[...] | None = None
        self.reminds: Step[...] | None = None
        self.again = again
        self.child: Any = None  # the workflow that it begins
        self.results: dict[str, str] = {}  # its fields, and the child's that give them their values
        self.parameters: tuple[Parameter, ...] = ()
        self.item: Parameter | None = None  # the parameter that each= fills
        self.each = _each(self.name, each, by, at_once=at_once, at_least=at_least, at_most_failed=at_most_failed)
        self._check(early)

    def _check(self, early: str) -> None:
        for option, value, wanted, advice in (
            ("within", None if callable(self.within) else self.within, timedelta, "timedelta(days=3)"),
            ("delay", None if callable(self.delay) else self.delay, timedelta, "timedelta(hours=1)"),
            ("until", None if callable(self.until) else self.until, datetime, "datetime(2030, 1, 1, tzinfo=UTC)"),
            ("timeout", self.timeout, timedelta, "timedelta(minutes=5)"),
            ("retry", self.retry, Retry, "Retry(5)"),
            ("manual", self.manual, bool, "True"),
        ):
            if value is not None and not isinstance(value, wanted):
                raise DeclarationError(
                    f"Step {self.name!r}: {option}={value!r} is no {wanted.__name__}. Write {option}={advice}, say."
                )
        if self.when is not None and not callable(self.when):
            raise DeclarationError(
                f"Step {self.name!r}: when={self.when!r} is not callable. Write when=lambda workflow: …"
            )
        if self.timeout is not None and self.timeout <= timedelta(0):
            raise DeclarationError(f"Step {self.name!r}: timeout={self.timeout} leaves no time. Give it some.")
        if self.again is not None and not isinstance(self.again, Step):
            raise DeclarationError(
                f"Step {self.name!r}: again={self.again!r} is no step. Name one defined above, without quotes."
            )
        if early not in ("refuse", "keep"):
            raise DeclarationError(
                f"Step {self.name!r}: early={early!r} is not known. Write early='keep', or leave it out."
            )
        self._check_times()
        self._check_functions()

    def _check_times(self) -> None:
        if self.delay is not None and self.until is not None:
            raise DeclarationError(f"Step {self.name!r}: delay= and until= both say when it is due. Keep one.")
        if isinstance(self.until, datetime) and self.until.tzinfo is None:
            raise DeclarationError(
                f"Step {self.name!r}: until={self.until!r} has no time zone. Give it one: tzinfo=UTC, say."
            )
        for option, span in (("delay", self.delay), ("within", self.within)):
            if isinstance(span, timedelta) and span < timedelta(0):
                raise DeclarationError(
                    f"Step {self.name!r}: {option}={span} is over before it begins. Write 0 or more."
                )
        for option in ("delay", "within", "until", "timeout"):
            far = getattr(self, option)
            if isinstance(far, timedelta | datetime) and moments.is_too_far(far):
                raise DeclarationError(
                    f"Step {self.name!r}: {option}={far!r} {moments.TOO_FAR}. Write less, or leave it out for none."
                )

    def _check_functions(self) -> None:
        if answers.has_yield(self.body):
            raise DeclarationError(
                f"Step {self.name!r} has a yield, so that calling its body runs nothing of it. Put what yields into a "
                "function of its own, or let the body commit its batches in a loop: for row in self.iterate(…)."
            )
        functions = [(option, getattr(self, option)) for option in _ASKED]
        for option, function in [*functions, *(("allowed", rule) for rule in self.allowed)]:
            answers.check(f"Step {self.name!r}: {option}=", function)
        if inspect.iscoroutinefunction(self.body) and self.delivery is Delivery.EXACTLY_ONCE:
            raise DeclarationError(
                f"Step {self.name!r} is an async def, which Django's transactions do not cover. "
                "Give it delivery=AT_LEAST_ONCE or AT_MOST_ONCE."
            )

    @property
    def failed(self) -> StepOutcome:
        """The outcome "its policy gave up", to come after."""
        return StepOutcome(self, "failed")

    @property
    def overdue(self) -> StepOutcome:
        """The outcome "its ``within=`` ran out", to come after."""
        if self.within is None:
            raise DeclarationError(f"Step {self.name!r} has no within=, so it is never overdue. Give it one.")
        return StepOutcome(self, "overdue")

    @property
    def is_entry(self) -> bool:
        """Tell whether ``start(…)`` begins here."""
        return not self.after and not self.is_aside

    @property
    def is_aside(self) -> bool:
        """Tell whether it undoes a step, or reminds of one: nothing comes after it, and it comes after nothing."""
        return self.undoes is not None or self.reminds is not None

    @property
    def asks_when(self) -> bool:
        """Tell whether its first attempt asks when it is due or overdue, or who gets it: there user code may run."""
        return self.assigned is not None or any(
            callable(one) for one in (self.delay, self.until, self.within, self.remind)
        )

    @property
    def waits(self) -> bool:
        """Tell whether the step waits for somebody to call it: it has parameters, or says ``manual=True``."""
        return self.manual or bool(self.parameters)

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    if not TYPE_CHECKING:  # a type checker says it better

        def __call__(self, *args: Any, **kwargs: Any) -> None:
            raise TypeError(
                f"The step {self.name!r} is called on a timeline, signup.{self.name}(…); the entry step by start(…). "
                "In after= it is named without parentheses."
            )

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or "name" not in self.__dict__:  # what copies and inspects objects
                raise AttributeError(name)
            raise AttributeError(f"A step has no {name!r}. What may be come after of {self.name!r}: .failed, .overdue.")


def _delivery(name: str, given: Any) -> Delivery:
    try:
        return Delivery(given)
    except ValueError:
        known = ", ".join(delivery.name for delivery in Delivery)
        raise DeclarationError(f"Step {name!r}: delivery={given!r} is not known. Write one of {known}.") from None


def _each(name: str, field: Any, by: str, **numbers: int | None) -> Each | None:
    given: dict[str, Any] = {option: number for option, number in numbers.items() if number is not None}
    if not isinstance(field, str):
        raise DeclarationError(f"Step {name!r}: each={field!r} is no name of a field. Write each='drinks', say.")
    if not field:
        if by or given:
            raise DeclarationError(f"Step {name!r}: {', '.join([*given, *(['by'] if by else [])])} needs each='…'.")
        return None
    for option, number in given.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < (option != "at_most_failed"):
            raise DeclarationError(f"Step {name!r}: {option}={number!r} leaves no item to do. Write {option}=2, say.")
    if len(given.keys() & {"at_least", "at_most_failed"}) == 2:
        raise DeclarationError(
            f"Step {name!r}: with at_least= the rest is left, with at_most_failed= none is. Keep one."
        )
    return Each(field, by, **numbers)


def _dependencies(name: str, after: Any) -> tuple[str, tuple[StepOutcome | Step[...], ...]]:
    if after is None:
        return "all", ()
    joins = "any" if isinstance(after, AnyOf) else "all"
    members = after.members if isinstance(after, AnyOf) else after if isinstance(after, list | tuple) else (after,)
    if not members:
        what = "any_of() of nothing" if isinstance(after, AnyOf) else "an empty list"
        raise DeclarationError(f"Step {name!r}: after= is {what}. Name a step, or leave it out for the entry step.")
    for member in members:
        if not isinstance(member, Step | StepOutcome):
            raise DeclarationError(
                f"Step {name!r}: after={member!r} is no step. Name steps defined above it, without quotes, "
                "or an outcome of one such as pay.failed."
            )
    return joins, tuple(members)
