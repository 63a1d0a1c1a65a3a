"""What events mean: the fold of a timeline's events into its state. Pure; nothing else changes state.

The state is a JSON object, the same in the timeline's row and in memory::

    {"fields": {"email": "a@example.org"},
     "runs": {"register": {"status": "completed", "fence": 3, "attempt": 1},
              "make": {"status": "running", "fence": 7, "each": {"count": 2, "completed": 1, "running": 1}, …},
              "make[latte]": {…}, "make[mocha]": {…}},
     "keys": {"evt_17": "register"},
     "rounds": {"charge": 3}, "past": {"charge@1": {…}}, "sent_back": {"review": "charge"},
     "links": ["activate"], "revoked": {"activate": 9},
     "renamed": {"weigh": "measure"}, "renamed_fields": {"address": "street"},
     "set": {"": 5, "email": 9}, "undone_from": 12,
     "ended": "completed", "reopened": true}

``fence`` is the sequence of the newest event of the run: it proves who holds its attempt, and no two open runs have the same.
``runs`` has those of each step's current round, and of earlier rounds (``charge@2``) what somebody had begun, until it comes to
its end. Of what has ended there only what may still be undone is kept, in ``past``. ``sent_back`` names the steps that have sent
the work back, each with where to. A step with ``each=`` has one run for each
item, and one that stands for them all: it counts them, and is settled when they are. The runs of its items are stored beside the
state, a row each, and are read where they are needed (``Runs``): what is said of all of them is a matter of counts. The fields
are a column of their own, which is written when they change. ``links``
names the runs whose link a body made, ``revoked`` those whose links were revoked, with the event that did it (``""``: the
timeline's own). ``set`` says which event set a field last, if that was after the first items were reached (``""``); an item that
completes takes those events along, so that whoever undoes it reads no others. ``undone_from``: of a timeline that is undone, all
that completed from this event on is; ``reopened``: it had ended before. ``renamed`` and ``renamed_fields``: what the code called
otherwise before; a run that was there by then says what its step was called when it was ``begun_as`` that.
"""

from ..runs import RunName, Runs, run_key, split_key, type_run
from .asking import (
    anything_open,
    completed_last,
    count_alike,
    count_items,
    earlier_keys,
    items_of,
    kept_calls,
    keys_to_show,
    late_since,
    names_of,
    open_runs,
    revoked_at,
    round_of,
    settled_items,
    standing,
    step_status,
    timeline_status,
    waiting_steps,
    waits_for_call,
)
from .beside import (
    changed,
    in_state,
    is_damaged,
    keys_of,
    lies_beside,
    loaded,
    steps_with_items,
    stored,
    type_changed,
    type_state,
    with_fields,
)
from .folding import apply, empty, fold, name_at, name_of, own
from .one_run import (
    UNFITTING,
    awaits_child,
    has_unfitting_child,
    is_begun,
    is_open,
    is_settled,
    is_to_undo,
    is_unbegun,
    takes_calls,
)
from .statuses import (
    CLAIMABLE,
    DONE,
    ENDED,
    FOR_PEOPLE,
    GRAVEST_FIRST,
    KEPT,
    LATE,
    LATER,
    MOVING,
    OPEN,
    TAKES_CALLS,
    WANTS_A_LOOK,
    Outcome,
    StepStatus,
    TimelineStatus,
)

__all__ = [
    "CLAIMABLE",
    "DONE",
    "ENDED",
    "FOR_PEOPLE",
    "GRAVEST_FIRST",
    "KEPT",
    "LATE",
    "LATER",
    "MOVING",
    "OPEN",
    "TAKES_CALLS",
    "UNFITTING",
    "WANTS_A_LOOK",
    "Outcome",
    "RunName",
    "Runs",
    "StepStatus",
    "TimelineStatus",
    "anything_open",
    "apply",
    "awaits_child",
    "changed",
    "completed_last",
    "count_alike",
    "count_items",
    "earlier_keys",
    "empty",
    "fold",
    "has_unfitting_child",
    "in_state",
    "is_begun",
    "is_damaged",
    "is_open",
    "is_settled",
    "is_to_undo",
    "is_unbegun",
    "items_of",
    "kept_calls",
    "keys_of",
    "keys_to_show",
    "late_since",
    "lies_beside",
    "loaded",
    "name_at",
    "name_of",
    "names_of",
    "open_runs",
    "own",
    "revoked_at",
    "round_of",
    "run_key",
    "settled_items",
    "split_key",
    "standing",
    "step_status",
    "steps_with_items",
    "stored",
    "takes_calls",
    "timeline_status",
    "type_changed",
    "type_run",
    "type_state",
    "waiting_steps",
    "waits_for_call",
    "with_fields",
]
