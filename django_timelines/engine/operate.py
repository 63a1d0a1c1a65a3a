"""What a person does when a timeline does not go on by itself: events with actor and reason; none edits history.

``exact``: only on the timeline as it was given, at that head; ``MovedOn`` if it has gone on since.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import actors, moments, registry
from ..actors import Actor
from ..databases import in_callers_transaction
from ..events import EventType, NewEvent
from ..exceptions import Conflict, MovedOn, Refused, Rejected, TimelinesError, ValueUnknown
from ..fields import text
from ..placements import INLINE
from ..registry import Declaration
from ..state import (
    ENDED,
    Outcome,
    RunName,
    StepStatus,
    has_unfitting_child,
    late_since,
    open_runs,
    run_key,
    split_key,
    step_status,
    type_run,
    type_state,
)
from ..steps import Delivery
from ..store import Snapshot
from .advance import advance
from .answer import go_on
from .behind import refuse_if_behind
from .body import asks_first
from .cancel import cancellation, clean_reason
from .elsewhere import refuse_if_done_elsewhere
from .family import take_results_again
from .history import as_it_ended
from .judge import check_item, outcome_of
from .patience import Patience
from .renames import brought_up
from .rewind import plan_rewind
from .runner import Runner, commit, knowing, load

_MOVED_ON = gettext_lazy("The timeline has moved on since you saw it.")
THE_TIMELINE = RunName("")  # what is about no run
type_verb = Callable[[Snapshot], NewEvent | list[NewEvent] | None]


def retry(
    snapshot: Snapshot,
    name: RunName,
    actor: Actor | None = None,
    reason: str = "",
    *,
    force: bool = False,
    exact: bool = False,
) -> tuple[Outcome, Snapshot]:
    """Try a blocked step again, or one whose next attempt is still to come, now. It runs where its retries run.

    ``force``: also over an attempt that is being executed. That one is superseded: an exactly-once body rolls back, and what
    another comes to is recorded, never applied. Where a child's results did not fit they are looked at again.
    """
    declaration = registry.get(snapshot.workflow)
    name, judged = name._replace(step=declaration.step(name.step).name), snapshot

    def event(now: Snapshot) -> NewEvent | list[NewEvent] | None:
        nonlocal judged
        judged = now
        if has_no_list(declaration, now.state, name):
            return declaration.graph.reach(declaration.graph.nodes[name[0]], now.state, moments.now())
        check_item(declaration, now.state, name)
        status = step_status(now.state, *name)
        if status is StepStatus.DUE and "due" not in now.state["runs"][run_key(*name)]:
            return None  # a second click
        if status is StepStatus.RUNNING and not force:
            raise _refused(name, status, _("Its attempt is being executed: wait for its end, or retry it with force"))
        if status not in (StepStatus.BLOCKED, StepStatus.RETRYING, StepStatus.DUE, StepStatus.RUNNING):
            raise _refused(name, status, _("Only a step that is blocked or being retried can be tried again"))
        if has_unfitting_child(now.state["runs"][run_key(*name)]):
            return take_results_again(declaration, now, name)
        late = late_since(now.state, name, moments.now())
        data: dict[str, Any] = {"reason": clean_reason(reason)}
        data |= {"late": True, "was_until": late} if late else {}
        only_asked = asks_first(declaration.step(name.step), now.state["runs"][run_key(*name)])
        data |= {"in_time": True} if status is StepStatus.RUNNING and only_asked else {}
        return NewEvent(EventType.STEP_DUE, *name, data=data)

    after = append(declaration, snapshot, event, actor, name, exact=exact)
    return _outcome(judged, after, name), after


def retry_blocked(
    timeline: uuid.UUID,
    using: str,
    step: str = "",
    actor: Actor | None = None,
    reason: str = "",
    *,
    head: int | None = None,
) -> Iterator[tuple[RunName, Refused | None]]:
    """Try again what is blocked on a timeline, or only this step and its items: one run at a time, as they are asked for.

    Yields each run with what refused it, if something did; the others are tried all the same. What may have been done already
    is refused, as ``may_be_done`` says. ``head``: only on the timeline as it was there; ``MovedOn`` if it has gone on since.
    """
    snapshot = load(timeline, using, whole=True)
    if head is not None and snapshot.head != head:
        raise MovedOn(_MOVED_ON)
    declaration = registry.get(snapshot.workflow)
    wanted = step and declaration.current(step)
    for key, run in open_runs(snapshot.state).items():
        stored = split_key(key)
        name = stored._replace(step=declaration.now_called(stored.step, snapshot.state))
        if run["status"] != StepStatus.BLOCKED or "each" in run or (step and name.step != wanted):
            continue
        try:
            if may_be_done(declaration, name, run):
                raise _refused(
                    name, StepStatus.BLOCKED, _("It may have been done: look at it, and retry or skip it alone")
                )
            retry(snapshot, name, actor, reason)
        except Refused as refused:
            yield name, refused
        else:
            yield name, None


def may_be_done(declaration: Declaration, name: RunName, run: type_run) -> bool:
    """Tell whether a blocked run's effect may be there, so that nobody should try it again who has not looked at it.

    An at-most-once attempt may have come to its end before it was interrupted; one whose field was changed meanwhile has.
    """
    was_interrupted = run.get("reason") == "interrupted"
    return run.get("reason") == "conflict" or (
        was_interrupted and declaration.step(name.step).delivery is Delivery.AT_MOST_ONCE
    )


def skip(
    snapshot: Snapshot,
    name: RunName,
    reason: str,
    fields: Mapping[str, Any],
    actor: Actor | None = None,
    *,
    exact: bool = False,
) -> tuple[Outcome, Snapshot]:
    """Go past a step that nobody is executing, setting the fields that it would have set. It counts as done."""
    declaration = registry.get(snapshot.workflow)
    name, judged = name._replace(step=declaration.step(name.step).name), snapshot
    say_why(reason, _("Say why the step is skipped."))
    changes = _encoded(declaration, fields)
    allowed = {StepStatus.BLOCKED, StepStatus.RETRYING, StepStatus.DUE, StepStatus.WAITING, StepStatus.OVERDUE}

    def event(now: Snapshot) -> NewEvent:
        nonlocal judged
        judged = now
        if not has_no_list(declaration, now.state, name):
            check_item(declaration, now.state, name)
        status = step_status(now.state, *name)
        if status not in allowed or now.state["runs"][run_key(*name)].get("final"):
            raise _refused(name, status, _("Only an open step that nobody is executing can be skipped"))
        _check_together(now, changes)
        return NewEvent(EventType.STEP_SKIPPED, *name, data={"reason": clean_reason(reason), "changes": changes})

    after = append(declaration, snapshot, event, actor, name, exact=exact)
    return _outcome(judged, after, name), after


def cancel(
    snapshot: Snapshot, reason: str, actor: Actor | None = None, *, compensate: bool = False, exact: bool = False
) -> Snapshot:
    """Stop what nobody has begun; what is executing ends first. Then, with ``compensate``, undo what completed."""
    say_why(reason, _("Say why the timeline is cancelled."))
    declaration = registry.find(snapshot.workflow)

    if compensate and declaration is None:
        sentence = _(
            "The code has no workflow %(label)s, so it does not know what is to be undone: bring it back first."
        )
        raise Refused(sentence % {"label": snapshot.workflow}, "unknown_workflow")

    def event(now: Snapshot) -> NewEvent:
        refuse_ended(now)
        if now.state.get("cancelling"):
            raise Refused(_("The timeline is being cancelled already."), "cancelling")
        if compensate:
            refuse_if_done_elsewhere(declaration, now)
        return cancellation(declaration, now.state, reason, compensate=compensate)

    return append(declaration, snapshot, event, actor, exact=exact)


def amend(
    snapshot: Snapshot, reason: str, fields: Mapping[str, Any], actor: Actor | None = None, *, exact: bool = False
) -> Snapshot:
    """Correct fields. A body that is being executed and changed one of them too is told, as by any other change."""
    say_why(reason, _("Say why the fields are corrected."))
    declaration = registry.get(snapshot.workflow)
    changes = _encoded(declaration, fields)
    if not changes:
        raise Rejected(_("Name the fields to correct, with their new values."))

    def event(now: Snapshot) -> NewEvent:
        refuse_ended(now)
        _check_together(now, changes)
        return NewEvent(EventType.AMENDED, data={"reason": clean_reason(reason), "changes": changes})

    return append(declaration, snapshot, event, actor, THE_TIMELINE, exact=exact)


def rewind(
    snapshot: Snapshot, to: str, reason: str, actor: Actor | None = None, *, undo: bool = False, exact: bool = False
) -> Snapshot:
    """Begin a new round from a step: it and all that comes after it is done again, fields go back to what they were."""
    say_why(reason, _("Say why the timeline is rewound."))
    declaration = registry.get(snapshot.workflow)

    def event(now: Snapshot) -> NewEvent:
        plan = plan_rewind(declaration, now, to, undo=undo)
        return NewEvent(EventType.ROUND_BEGUN, data=plan.data | {"reason": clean_reason(reason)})

    return append(declaration, snapshot, event, actor, exact=exact)


def _outcome(before: Snapshot, after: Snapshot, name: RunName) -> Outcome:
    return outcome_of(as_it_ended(before, after, name), RunName(*name[:2]))


def has_no_list(declaration: Declaration, state: type_state, name: RunName) -> bool:
    """Tell whether this is a step with ``each=`` that is blocked as a whole: its list could not be read."""
    run = state["runs"].get(name[0], {})
    return (
        not name[1] and name[0] in declaration.items and "each" not in run and run.get("status") == StepStatus.BLOCKED
    )


def say_why(reason: str, sentence: str) -> None:
    """Reject a reason of which nothing would be stored."""
    if not clean_reason(reason or "").strip():
        raise Rejected({"reason": [sentence]})


def refuse_ended(now: Snapshot) -> None:
    """Refuse what makes no sense on a timeline that has ended."""
    if now.status in ENDED:
        raise Refused(_("The timeline has ended: it is %(status)s.") % {"status": _(now.status)}, "settled")


def append(
    declaration: Declaration | None,
    snapshot: Snapshot,
    event: type_verb,
    actor: Actor | None,
    name: RunName | None = None,
    *,
    exact: bool = False,
) -> Snapshot:
    """Append a person's event, judged on what is true at its commit, and go on with what it made due.

    ``name``: the run that it is about, or ``THE_TIMELINE``; without one it is about all.
    """
    runner = Runner(actor or actors.current(), INLINE, snapshot.using, in_callers_transaction(snapshot.using))
    _check_not_its_own_body(snapshot, runner)
    patience, head = Patience(), snapshot.head
    while True:
        snapshot = load(
            snapshot.id,
            snapshot.using,
            lock=runner.in_transaction,
            names=[name] if name else (),
            whole=name is None,
        )
        if exact and snapshot.head != head:
            raise MovedOn(_MOVED_ON)
        snapshot = brought_up(declaration, snapshot)
        refuse_if_behind(declaration, snapshot.state)
        new = event(snapshot)
        if new is None:
            return snapshot
        try:
            result = advance(declaration, snapshot, new if isinstance(new, list) else [new], runner.by())
            commit(result)
        except Conflict as conflict:
            patience.after(conflict)
            continue  # somebody else wrote; judge again
        except ValueUnknown as unknown:
            raise Rejected(str(unknown)) from unknown
        after = go_on(declaration, result, runner) if declaration else result.after
        return knowing(after, name) if name else after


def _check_not_its_own_body(snapshot: Snapshot, runner: Runner) -> None:
    """See that no body acts on its timeline in the transaction of its end: it would overtake itself, and roll back with that."""
    cause = actors.current_cause()
    if cause is not None and cause.timeline == snapshot.id and cause.in_transaction and runner.in_transaction:
        raise TimelinesError(
            "An exactly-once body acts on its own timeline, beside the event that it ends with. To cancel, write "
            "self.cancel(reason=…); to correct a field, assign it; to send the work back, declare again=. For anything else "
            "let a step with delivery=AT_LEAST_ONCE do it."
        )


def _encoded(declaration: Declaration, fields: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in fields if name not in declaration.fields]
    if unknown:
        raise Rejected(
            {name: [_("%(workflow)s has no such field.") % {"workflow": declaration.label}] for name in unknown}
        )
    errors, changes = {}, {}
    for name, value in fields.items():
        try:
            changes[name] = declaration.fields[name].encode(value)
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise Rejected(errors)
    return changes


def _check_together(now: Snapshot, changes: Mapping[str, Any]) -> None:
    """Reject changes with which the fields would be more than is stored."""
    if changes:
        try:
            text({**now.state["fields"], **changes})
        except ValidationError as error:
            raise Rejected(error) from None


def _refused(name: RunName, status: StepStatus, sentence: str) -> Refused:
    where = _("“%(step)s” is %(status)s.") % {"step": run_key(*name).replace("_", " "), "status": _(str(status))}
    return Refused(f"{sentence}. {where}", "not_applicable")
