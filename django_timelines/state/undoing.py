"""What is undone: how far a timeline has come with it, and which runs are."""

from __future__ import annotations

from ..events import NewEvent
from ..runs import run_key, split_key, type_run
from .beside import type_state
from .counting import count_undo
from .one_run import is_to_undo


def begin_undo(state: type_state, event: NewEvent, before: type_run, sequence: int) -> None:
    """Note how far a cancelled timeline is undone, the last completed first; the undos of items are counted as these are."""
    of = event.data["of"]
    if state.get("compensating"):
        state["undone_from"] = (state["runs"].get(of) or state["past"][of])["fence"]
    key, step = run_key(event.step, event.item), split_key(of).step
    if of.startswith(f"{key}@") and before and is_to_undo(before):  # the current round's, whose own turn comes
        round = before.get("round") or state.get("rounds", {}).get(event.step, 0)
        state["past"] = {**state.get("past", {}), run_key(event.step, event.item, round): before}
    if event.item and event.step != step:
        count_undo(state["runs"], event, before, step, sequence)


def mark_undone(state: type_state, key: str, sequence: int) -> None:
    """Let a run be undone. One of an earlier round was kept for that alone."""
    if key in state["runs"]:
        state["runs"][key] = {**state["runs"][key], "undone": sequence}
    else:
        state["past"] = {name: run for name, run in state["past"].items() if name != key}
        if undoing := state.get("undoing"):
            state["undoing"] = {**undoing, "runs": [name for name in undoing["runs"] if name != key]}
