"""The only one who appends events, and what it reads: it knows databases, and nothing of workflows."""

from .change import Change, Snapshot, type_slot
from .leasing import delete_ended_leases, heartbeat, leases, with_ended_lease, with_live_lease
from .locking import alone_with, take_row
from .noting import (
    Ring,
    await_slot,
    forget_deadline,
    note,
    put_back,
    rang,
    ring_soon,
    sighted,
    take_notices,
    take_value,
)
from .reading import EVERYTHING, cursor_of, find, holder_of, load, paused, snapshot_of
from .writing import commit

__all__ = [
    "EVERYTHING",
    "Change",
    "Ring",
    "Snapshot",
    "alone_with",
    "await_slot",
    "commit",
    "cursor_of",
    "delete_ended_leases",
    "find",
    "forget_deadline",
    "heartbeat",
    "holder_of",
    "leases",
    "load",
    "note",
    "paused",
    "put_back",
    "rang",
    "ring_soon",
    "sighted",
    "snapshot_of",
    "take_notices",
    "take_row",
    "take_value",
    "type_slot",
    "with_ended_lease",
    "with_live_lease",
]
