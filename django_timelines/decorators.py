"""Steps as they are declared on a class: ``step``, ``subworkflow`` and ``any_of``."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from . import answers
from .bound import BoundStep
from .exceptions import DeclarationError
from .limits import Limit
from .people import type_assignee, type_remind, type_rule
from .retries import Retry
from .steps import AnyOf, Delivery, Step, StepOutcome, type_moment, type_span
from .subject import Subject

OPTIONS = (
    *("after", "manual", "within", "delay", "until", "delivery", "retry", "when", "early", "timeout", "renamed_from"),
    *("allowed", "assigned", "remind", "limit", "again", "each", "by", "at_once", "at_least", "at_most_failed"),
)
P = ParamSpec("P")
W = TypeVar("W")
type_aside = Callable[[Any], object] | Callable[[Any, Any], object]


class WorkflowStep(Step[P]):
    """A declared step. On an instance it is a ``BoundStep``."""

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> WorkflowStep[P]: ...
    @overload
    def __get__(self, instance: Subject, owner: type[Any]) -> BoundStep[P]: ...
    def __get__(self, instance: Subject | None, owner: type[Any]) -> WorkflowStep[P] | BoundStep[P]:
        return self if instance is None else BoundStep(instance, self.name)

    def undo(self, body: Callable[[Any], object] | Callable[[Any, Any], object], /) -> WorkflowStep[[]]:
        """Declare the step's compensation: ``@charge.undo`` above a method of another name.

        ``cancel(compensate=True)`` and ``rewind(undo=True)`` run it, with the step's delivery and retry and a key of its own,
        on the fields as they were when the step completed. With ``each=`` it is given the item, too.
        """
        compensation: WorkflowStep[[]] = WorkflowStep(
            body,  # type: ignore[arg-type]  # an item is given, and no part of a call
            delivery=self.delivery,
            retry=self.retry,
            timeout=self.timeout,
            limit=self.limit,
        )
        if compensation.name == self.name:
            raise DeclarationError(
                f"The undo of step {self.name!r} has its step's name, which it would replace. Give it another: "
                f"@{self.name}.undo above def undo_{self.name}(self): …"
            )
        compensation.undoes = self
        return compensation

    @overload
    def reminder(self, body: type_aside, /) -> WorkflowStep[[]]: ...
    @overload
    def reminder(
        self,
        body: None = ...,
        /,
        *,
        delivery: Delivery = ...,
        retry: Retry | None = ...,
        timeout: timedelta | None = ...,
    ) -> Callable[[type_aside], WorkflowStep[[]]]: ...
    def reminder(self, body: Any = None, /, **options: Any) -> Any:
        """Declare what ``remind=`` has done: ``@review.reminder`` above a method of another name.

        It runs by itself each time, while the step waits, with a delivery, a retry and a timeout of its own, and a key for each
        reminder. If it fails for good, the step waits on, and the next is due in its time. With ``each=`` it is given the item.
        """
        if body is None:
            return lambda body: self.reminder(body, **options)
        handler: WorkflowStep[[]] = WorkflowStep(body, **options)
        if handler.name == self.name:
            raise DeclarationError(
                f"The reminder of step {self.name!r} has its step's name, which it would replace. Give it another: "
                f"@{self.name}.reminder above def remind_of_{self.name}(self): …"
            )
        handler.reminds = self
        return handler


class ChildStep(WorkflowStep[[]]):
    """What ``subworkflow(…)`` makes: a step that begins a timeline and is done when that is."""

    def __init__(self, child: Any, given: Callable[..., Any], results: dict[str, str], **options: Any) -> None:
        if not (isinstance(child, type) and issubclass(child, Subject)):
            raise DeclarationError(f"subworkflow({child!r}, …): name a workflow class.")
        if not callable(given):
            raise DeclarationError(
                f"subworkflow({child.__name__}, given={given!r}): write given=lambda order: {{…}}, a dict of its input."
            )
        answers.check(f"subworkflow({child.__name__}): given=", given)
        body: Any = lambda parent, **item: given(parent, *item.values())  # noqa: E731 (it has a name and a text of its own)
        body.__name__, body.__doc__ = child.__name__.lower(), child.__doc__
        super().__init__(body, **options)
        self.child, self.given, self.results = child, given, results
        if self.is_entry:
            raise DeclarationError(
                f"subworkflow({child.__name__}) needs after=: the entry step is one that start(…) calls."
            )

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = name


def subworkflow(
    workflow: type[Any],
    *,
    after: Step[...] | StepOutcome | AnyOf | list[Any],
    given: Callable[..., Any] = lambda *_: {},
    results: dict[str, str] | None = None,
    **options: Any,
) -> ChildStep:
    """Declare another timeline like a step: it begins when this is reached, goes on beside its parent, and reports its end.

    ``given``: what its entry step is called with, a function of the parent (and of the item, with ``each=``) that returns a
    dict; it is the step's body, retried and blocked as any other. ``results={"reference": "reference"}``: the parent's fields
    that take the values of the child's when it has completed. It fails only if the class goes on from ``payment.failed``
    (settled when the child begins); else the child is blocked, and the parent waits. Other options are those of ``@step`` for
    what runs by itself: ``when``, ``within``, ``delay``, ``until``, ``retry``, ``again``, ``renamed_from``, ``each`` and its own.
    """
    known = set(OPTIONS) - {"manual", "delivery", "early", "timeout", "allowed", "assigned", "remind", "limit"}
    if unknown := [option for option in options if option not in known]:
        raise DeclarationError(f"subworkflow has no option {unknown[0]!r}: it has {', '.join(sorted(known))}.")
    return ChildStep(workflow, given, results or {}, after=after, **options)


@overload
def step(body: Callable[Concatenate[W, P], object], /) -> WorkflowStep[P]: ...
@overload
def step(
    *,
    after: Step[...] | StepOutcome | AnyOf | list[Any] | None = ...,
    manual: bool = ...,
    within: type_span | None = ...,
    delay: type_span | None = ...,
    until: type_moment | None = ...,
    delivery: Delivery = ...,
    retry: Retry | None = ...,
    when: Callable[[Any], bool] | None = ...,
    early: str = ...,
    timeout: timedelta | None = ...,
    renamed_from: str = ...,
    allowed: type_rule | list[type_rule] | None = ...,
    limit: int | Limit | None = ...,
    assigned: type_assignee | None = ...,
    remind: type_remind | None = ...,
    again: Step[...] | None = ...,
) -> Callable[[Callable[Concatenate[W, P], object]], WorkflowStep[P]]: ...
@overload
def step(  # the item is given, and no part of a call
    *,
    each: str,
    by: str = ...,
    at_once: int | None = ...,
    at_least: int | None = ...,
    at_most_failed: int | None = ...,
    after: Step[...] | StepOutcome | AnyOf | list[Any] | None = ...,
    manual: bool = ...,
    within: type_span | None = ...,
    delay: type_span | None = ...,
    until: type_moment | None = ...,
    delivery: Delivery = ...,
    retry: Retry | None = ...,
    when: Callable[[Any], bool] | None = ...,
    early: str = ...,
    timeout: timedelta | None = ...,
    renamed_from: str = ...,
    allowed: type_rule | list[type_rule] | None = ...,
    limit: int | Limit | None = ...,
    assigned: type_assignee | None = ...,
    remind: type_remind | None = ...,
    again: Step[...] | None = ...,
) -> Callable[[Callable[Concatenate[W, Any, P], object]], WorkflowStep[P]]: ...
def step(body: Any = None, /, **options: Any) -> Any:
    """Declare a step of a workflow. Where it runs is never said here.

    ``after``: the steps, or outcomes of steps, that it comes after; the one step without is what ``start(…)`` begins with.
    ``manual``: it waits for somebody to call it, although it has no parameters. ``within``: how long it may wait before it
    is overdue. ``delay`` and ``until``: how long after it is reached it is due, or not before when; it holds no worker. Each
    of the three is a value or a function of the workflow object, which the first attempt asks. ``delivery``:
    ``EXACTLY_ONCE`` (default), ``AT_LEAST_ONCE`` or ``AT_MOST_ONCE``. ``retry``: the failure policy. ``when``: a guard, asked
    first in the first attempt, until it has answered once. ``early="keep"``: a call that comes too early is kept.
    ``timeout``: how long one attempt may work (waiting does not count); then it fails with a ``TimeoutError``.
    ``renamed_from``: the name that the step had before; timelines under way go on under the new one.
    ``each="drinks"``: one run for each item of that field, given to the body's first parameter; ``build.make["latte"]`` is
    one of them. ``by="sku"`` names the part of an item that is its key. ``at_once=4``: no more are open at the same time.
    ``at_least=2`` done are enough, and the rest is left; or all are done, of which ``at_most_failed=1`` may fail; or none may.
    ``again=review``: once it is done, ``review`` and all that comes after it begin a new round; fields stay as they are.
    ``allowed``: who may call it: a permission, ``"group:…"``, ``"user:…"``, ``"link"``, a function of workflow and user.
    ``limit=3``: so many attempts at once, over all timelines and processes; ``limit=Limit(2, per="account")`` for each account.
    ``assigned="reviewer"``: whose it is when it is reached: a field that is a user, or a function of the workflow (and of the
    item, with ``each=``), which the first attempt asks.
    ``remind=timedelta(days=1)``: while it waits, ``@review.reminder`` runs each day; a list says after how long each time.
    """
    if body is not None:
        if not (callable(body) and hasattr(body, "__name__")):
            raise DeclarationError(f"@step({body!r}): give options by name. Write @step(after=…), or @step alone.")
        return WorkflowStep(body)
    for option in options:
        if option not in OPTIONS:
            near = difflib.get_close_matches(option, OPTIONS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(OPTIONS)}."
            raise DeclarationError(f"@step has no option {option!r}: {hint}")
    return lambda body: WorkflowStep(body, **options)


def any_of(*members: Step[...] | StepOutcome) -> AnyOf:
    """Come after whichever of these is done first."""
    return AnyOf(*members)
