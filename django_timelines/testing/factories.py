"""A base for factories of factory_boy, which is imported here only: ``pip install "django-timelines[testing]"``."""

from __future__ import annotations

from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from factory.base import Factory

from .. import registry, store
from ..bound import with_options
from ..engine.asked import Options
from ..exceptions import TimelinesError
from ..models import Run
from ..registry import Declaration
from ..state import StepStatus, step_status
from ..steps import Step
from ..workflows import BoundStep, Workflow
from .due import TOO_MANY, carry_out, keep_time, next_due, questions

W = TypeVar("W", bound=Workflow)
_OPTIONS = ("upto", "key", "actor")
_ELSEWHERE = (StepStatus.NOT_TAKEN, StepStatus.NOT_REACHED, StepStatus.CANCELLED)


class WorkflowFactory(Factory[W]):
    """Begin timelines: the declarations are the input of ``start``, and ``Meta.model`` is the workflow.

    ``SignupFactory(upto="activate")`` goes on until that step is reached, by running what is due and calling what waits on
    the way, with the input that is named after it: ``OrderFactory(upto="send", pay={"amount": 5})``; of a step with items each
    is called with it. What is due of the timelines that it begins runs, too. ``key=`` and ``actor=`` are the options of
    ``start``. The bodies run; a past in which none did is what ``given`` makes.
    """

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: type[W], *args: Any, **kwargs: Any) -> W:
        declaration = model_class._declaration
        names = {parameter.name for parameter in declaration.step(declaration.graph.entry.name).parameters}
        options = {name: kwargs.pop(name, None) for name in _OPTIONS if name not in names}
        calls = {name: kwargs.pop(name) for name in declaration.steps if name in kwargs and name not in names}
        asked = with_options(Options(), options.get("key"), options.get("actor"))
        workflow: W = model_class._start(asked, args, kwargs)
        if upto := options.get("upto"):
            _go_on(workflow, upto.name if isinstance(upto, Step) else upto, calls)
        found: W = model_class._from(store.load(workflow.pk, workflow._snapshot.using))
        return found

    @classmethod
    def _build(cls, model_class: type[W], *args: Any, **kwargs: Any) -> W:
        raise TypeError(f"A timeline is stored from its first event on: {cls.__name__}.create(…), not build(…).")


def _go_on(workflow: Workflow, upto: str, calls: dict[str, dict[str, Any]]) -> None:
    """Run and call what comes before a step, one attempt at a time, until it is reached."""
    declaration, using = workflow._declaration, workflow._snapshot.using
    declaration.step(upto)
    for _number in range(TOO_MANY):
        snapshot = store.load(workflow.pk, using)
        status = step_status(snapshot.state, upto)
        if status in _ELSEWHERE:
            raise TimelinesError(f"The timeline does not come to {upto!r}: it is {status}.")
        asking = questions(declaration, snapshot, upto)
        if status is not StepStatus.UPCOMING and not asking:
            return
        keep_time(using)
        if (run := asking[0] if asking else next_due(using, snapshot.correlation)) is not None:
            carry_out(run, using, alone=True)
        else:
            step, item = _waiting(declaration, workflow, upto)
            BoundStep(declaration.workflow._from(snapshot), step, item)(**calls.get(step, {}))
    raise TimelinesError(f"After {TOO_MANY:,} attempts {upto!r} is not reached.")


def _waiting(declaration: Declaration, workflow: Workflow, upto: str) -> tuple[str, str]:
    """Return the step before this one that waits for a call, and for which of its items."""
    before = [name for name in declaration.graph.ancestors()[upto] if declaration.step(name).child is None]
    runs = Run.objects.using(workflow._snapshot.using).filter(timeline=workflow.pk, status=StepStatus.WAITING)
    try:
        return runs.filter(step__in=before).order_by("id").values_list("step", "item")[:1].get()
    except ObjectDoesNotExist:
        why = registry.verbs().explain(workflow.timeline)
        raise TimelinesError(f"The timeline does not come to {upto!r} by itself. {why}") from None
