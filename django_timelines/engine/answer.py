"""Answer bells: claim the attempt that each was rung for, execute it, and go on with what that made due.

The same in a request and in a worker.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import Error, connections, transaction

from ..actors import ActorType, acting, current, this_process
from ..exceptions import Conflict, LeaseLost, TimelinesError
from ..items import without_many
from ..placements import INLINE, Bell
from ..registry import Declaration
from ..state import RunName, run_key
from ..steps import Step
from ..store import Snapshot
from . import leaks
from .advanced import Advance
from .body import Failed
from .claim import claim
from .errors import can_be_shown
from .execute import execute
from .family import hear
from .runner import Held, Runner
from .stopping import at_work

logger = logging.getLogger("django_timelines")


def answer(timeline: str, step: str, item: str, fence: int, using: str, placement: str, trace: str = "") -> None:
    """Answer a bell: claim the attempt it was rung for and go on from there. An unknown or old one is logged and dropped."""
    if using not in connections or not _is_id(timeline):
        logger.error("Dropped a bell for %r of timeline %r in database %r: there is none such.", step, timeline, using)
        return
    leaks.mend(suspected=True)
    actor = current() if placement == INLINE else this_process(ActorType.WORKER, placement)
    with acting(actor, trace), nullcontext() if placement == INLINE else at_work():
        runner = Runner(actor, placement, using)
        bell = Bell(timeline, step, item, fence, using, placement, trace)
        run_from(_first([bell], runner), runner)


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except (ValueError, AttributeError):
        return False
    return True


def answer_all(several: Iterable[dict[str, Any]]) -> None:
    """Answer these bells as they come. A worker that is told to end meanwhile ends as in the middle of an answer."""
    with at_work():
        for bell in several:
            try:
                answer(**bell)
            except Exception as error:
                error.add_note(f"It was raised in answer to {bell}.")
                raise


def run_from(held: Held | None, runner: Runner, of: uuid.UUID | None = None) -> Snapshot | None:
    """Execute the attempt and what it makes due for this runner, one after the other.

    Return where the timeline (``of``: another than the attempt's) stands then, if any of it was executed.
    """
    asked_for = of or (held.snapshot.id if held is not None else None)
    snapshot: Snapshot | None = None
    unexpected: Exception | None = None
    waiting: list[Bell] = []
    while held is not None:
        result, ended = execute(held, runner)
        if result is None:
            break
        if result.after.id == asked_for:  # not what it began, nor what it told of its end
            snapshot = result.after
        if isinstance(ended, Failed) and ended.rejection is None:
            _log(held, ended)
            if is_unexpected(ended.error, held.step):
                unexpected = unexpected or ended.error
        held = _next(held.declaration, result, runner, waiting)
    if unexpected is not None and runner.raises:
        raise unexpected
    return snapshot


def go_on(declaration: Declaration, result: Advance, runner: Runner) -> Snapshot:
    """After a commit: run what it made due for whoever made it due."""
    return run_from(_next(declaration, result, runner, []), runner, result.after.id) or result.after


def _next(declaration: Declaration, result: Advance, runner: Runner, waiting: list[Bell]) -> Held | None:
    """Return the attempt to go on with: the one that the last commit claimed, or the next that waits for this runner."""
    waiting += result.inline
    if result.taken is not None:
        return Held(declaration, without_many(result.after, result.taken), result.taken)
    return _first(waiting, runner)


def _first(waiting: list[Bell], runner: Runner) -> Held | None:
    """Answer bells until one has an attempt to execute. A bell of no step says that the timeline was told something."""
    while waiting:
        bell = waiting.pop(0)
        if runner.in_transaction:
            transaction.on_commit(partial(_answer_after_commit, bell), using=runner.using)
        elif not bell.step:
            waiting += _hear(bell, runner)
        elif held := claim(uuid.UUID(bell.timeline), RunName(bell.step, bell.item), bell.fence, runner):
            return held
    return None


def _answer_after_commit(bell: Bell) -> None:
    """Answer a bell of the caller's transaction. That is committed: a database that is away now is no error of the caller's."""
    try:
        answer(**bell.as_json())
    except (Conflict, Error):
        _leave_to_the_clock(bell)


def _hear(bell: Bell, runner: Runner) -> list[Bell]:
    """Let another timeline take what it was told. What is wrong there is nothing to whoever told it, whose commit stands."""
    try:
        return hear(uuid.UUID(bell.timeline), runner)
    except (Exception, LeaseLost):
        _leave_to_the_clock(bell)
        return []


def _leave_to_the_clock(bell: Bell) -> None:
    logger.warning("%s could not be answered after a commit; the clock rings again.", bell, exc_info=True)


def _log(held: Held, failed: Failed) -> None:
    """Log a failed attempt, for a step with secrets without the frames whose variables a handler might show.

    Of an error that would raise in a handler its message is logged.
    """
    where = (run_key(*held.name), held.attempt, held.snapshot.workflow, held.snapshot.id)
    if held.declaration.knows_secrets(held.step.name) or not can_be_shown(failed.error):
        logger.error("%s failed at attempt %s (%s %s): %s", *where, failed.described["message"])
    else:
        logger.error("%s failed at attempt %s (%s %s).", *where, exc_info=failed.error)


def is_unexpected(error: Exception, step: Step[...]) -> bool:
    """Tell whether nobody said that this error may come: neither the body, by raising one of ours, nor ``Retry(on=…)``."""
    if isinstance(error, TimelinesError | ValidationError):
        return False
    return step.retry.on is Exception or not isinstance(error, step.retry.on)
