"""What the code of this process does not have: that of another process may, of a newer release that is being rolled out.

So what is due is left to that for five to ten minutes, in which a clock rings again and again. Only then is it taken for removed.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext as _

from .. import moments
from ..databases import as_they_are
from ..exceptions import Refused
from ..models import Event, Notice, Run, first_id_at
from ..registry import Declaration
from ..state import StepStatus, split_key, type_state
from ..store import Snapshot

RINGS = 7  # the last one 315 seconds after a run is due, 615 after a lease or a deadline has ended
LONG = timedelta(minutes=5)
ROLLOUT = timedelta(hours=1)  # at most, as far as it matters to what is done already


def lacks(declaration: Declaration | None, step: str, state: type_state) -> bool:
    """Tell whether the code has no step that the timeline knows by this name, or not even its workflow."""
    return declaration is None or declaration.now_called(step, state) not in declaration.steps


def is_left(declaration: Declaration | None, step: str, state: type_state, run: Run) -> bool:
    """Tell whether an open run is of a step that the code lacks, and for others still."""
    return run.rings < RINGS and lacks(declaration, step, state)


def is_fresh(notice: Notice) -> bool:
    """Tell whether a notice about a step that the code lacks is for others still."""
    return notice.id > first_id_at(moments.now() - LONG)


def done_elsewhere(declaration: Declaration | None, snapshot: Snapshot) -> str:
    """Return a step that was done lately and that the code lacks, so that newer code did it and may know an undo; or nothing."""
    runs = snapshot.state.get("past", {}) | dict(snapshot.state["runs"].here())
    done = {
        run["fence"]: split_key(key).step
        for key, run in runs.items()
        if run["status"] == StepStatus.COMPLETED and lacks(declaration, split_key(key).step, snapshot.state)
    }
    if not done:
        return ""
    events = as_they_are(Event.objects.using(snapshot.using)).filter(timeline=snapshot.id, sequence__in=done)
    lately = events.filter(at__gt=moments.now() - ROLLOUT).values_list("sequence", flat=True).first()
    return done[lately] if lately is not None else ""


def refuse_if_done_elsewhere(declaration: Declaration | None, snapshot: Snapshot) -> None:
    """Refuse to say what is undone, or done again, of a timeline of which newer code has done a step."""
    if step := done_elsewhere(declaration, snapshot):
        words = {"step": step.replace("_", " ")}
        sentence = _(
            "“%(step)s” was done lately, and this process does not know the step: newer code may, and how it is undone. Call "
            "again from a process of that release; or, if the step was removed, an hour after it was done."
        )
        raise Refused(sentence % words, "older_code")
