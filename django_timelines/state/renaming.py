"""Steps and fields that the code calls by another name now."""

from __future__ import annotations

from collections.abc import Mapping

from ..runs import split_key
from .beside import type_state


def rename(state: type_state, steps: Mapping[str, str], fields: Mapping[str, str]) -> None:
    """Let the state, which is the caller's own, go by these names."""

    def renamed(key: str) -> str:
        step = split_key(key)[0]
        return steps.get(step, step) + key[len(step) :]

    for key, run in state["runs"].items():
        if (step := split_key(key).step) in steps and (run.get("tried") or run.get("attempt")):
            state["runs"][key] = {"begun_as": step, **run}  # whoever was given its idempotency key knows it by that
    for part in ("fields", "set"):
        if part in state:
            stored = state[part]
            # newer code may have set one under its new name already: that holds, in whatever order
            former = {old for old, new in fields.items() if new in stored and new not in fields}
            state[part] = {fields.get(name, name): value for name, value in stored.items() if name not in former}
    for part in ("runs", "rounds", "past"):
        if part in state:
            state[part] = type(state[part])({renamed(key): value for key, value in state[part].items()})
    for part in ("runs", "past"):
        for key, run in state.get(part, {}).items():
            if "of" in run:
                state[part][key] = {**run, "of": renamed(run["of"])}
    if "keys" in state:
        state["keys"] = {name: [renamed(run), digest] for name, (run, digest) in state["keys"].items()}
    if "links" in state:
        state["links"] = [renamed(key) for key in state["links"]]
    if "revoked" in state:
        state["revoked"] = {renamed(key): sequence for key, sequence in state["revoked"].items()}
    if "sent_back" in state:
        state["sent_back"] = {renamed(step): renamed(to) for step, to in state["sent_back"].items()}
    if "undoing" in state:
        undoing = state["undoing"]
        state["undoing"] = {"runs": [renamed(key) for key in undoing["runs"]], "then": renamed(undoing["then"])}
