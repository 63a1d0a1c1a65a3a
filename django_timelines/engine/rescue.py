"""What becomes of a run that nobody moves in time: an attempt whose runner went away, a step whose deadline has passed.

Each write is conditional: of clocks that look together one moves it.
"""

from __future__ import annotations

from .. import moments, registry, store
from ..events import EventType, NewEvent
from ..exceptions import Conflict
from ..models import Run
from ..registry import Declaration
from ..state import CLAIMABLE, RunName, name_at
from ..store import Ring, Snapshot
from . import bells, elsewhere
from .advance import advance
from .advanced import By
from .failure import after_interruption, without_code
from .known import Known
from .renames import brought_up
from .runner import commit, load


def rescue(run: Run, by: By, known: Known | None = None) -> bool:
    """Give an attempt whose lease ran out another go, as its delivery and policy allow; return whether it has one."""
    snapshot = _now(run)
    declaration = registry.find(snapshot.workflow)
    name = _name_of(run, snapshot)
    if _leaves_to_other_code(declaration, snapshot, run, name, known):
        return False
    if store.leases(snapshot.using, [run.pk]).get(run.pk):  # a heartbeat came since it was looked at
        return False
    if declaration is None or elsewhere.lacks(declaration, name.step, snapshot.state):
        events = [without_code(declaration, snapshot, name)]
    else:
        progressed = (run.cursor or {}).get("fence") == run.fence
        events = after_interruption(declaration, snapshot.state, name, run.attempt, progressed=progressed)
    result = advance(declaration, snapshot, events, by)
    commit(result)
    return True


def settle_overdue(run: Run, by: By, known: Known | None = None) -> None:
    """Say that a step's time has run out; final if its class goes on from that."""
    snapshot = _now(run)
    declaration = registry.find(snapshot.workflow)
    snapshot = brought_up(declaration, snapshot)
    name = _name_of(run, snapshot)
    if _leaves_to_other_code(declaration, snapshot, run, name, known):
        return
    if snapshot.state.get("cancelling"):  # an effect that was begun is carried to its end, however late that is
        at = moments.now()
        store.forget_deadline(run, max(at, run.due or at) if run.status in CLAIMABLE else None)
        return
    if declaration is not None and declaration.has_former_name(name.step, snapshot.state):
        _look_later(run, snapshot)  # an attempt is executed under it; what follows is known under the new one
        return
    final = declaration is not None and declaration.graph.lets_run_late(name.step)
    event = NewEvent(EventType.STEP_OVERDUE, *name, data={"final": True} if final else {})
    commit(advance(declaration, snapshot, [event], by))


def _now(run: Run) -> Snapshot:
    """Read the timeline: an earlier look of this tick may have moved it."""
    return load(run.timeline_id, run.timeline.using, names=[RunName(run.step, run.item)])


def _name_of(run: Run, snapshot: Snapshot) -> RunName:
    name = name_at(snapshot.state, run.fence)
    if name is None:
        raise Conflict("The run went on.")
    return name


def _leaves_to_other_code(
    declaration: Declaration | None, snapshot: Snapshot, run: Run, name: RunName, known: Known | None
) -> bool:
    """Tell whether newer code calls the timeline's steps or fields otherwise, or may have the step that this code lacks.

    A clock of that code looks at it.
    """
    is_behind = declaration is not None and declaration.is_behind(snapshot.state)
    if not is_behind and not elsewhere.is_left(declaration, name.step, snapshot.state, run):
        return False
    if known is None or not known.leaves(run, moments.now()):
        _look_later(run, snapshot)
    return True


def _look_later(run: Run, snapshot: Snapshot) -> None:
    store.rang(snapshot.using, [Ring(run, 1, run.placement, bells.next_ring(run.rings, moments.now()))])
