"""The order of events, told again step by step, by nothing of the engine's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django_timelines.runs import split_key

from .history import Plan, Story, Told

SETTLED = {
    "StepCompleted": "done",
    "StepSkipped": "done",
    "StepUndone": "undone",
    "StepFailed": "failed",
    "StepNotTaken": "not taken",
    "StepNotReached": "not reached",
}
ENDINGS = ("TimelineCompleted", "TimelineFailed", "TimelineCancelled")
ENDS_ATTEMPT = ("StepCompleted", "StepUndone", "StepRejected", "AttemptFailed", "AttemptInterrupted")


@dataclass(slots=True)
class Telling:
    """Where each run stands, event by event. ``items``: how many of a step's are not settled yet."""

    plan: Plan
    is_child: bool = False
    settled: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)
    ended: str = ""

    def tell(self, event: Told) -> Iterator[str]:
        """Take the next event, and say what is wrong with it."""
        where = f"event {event.sequence} ({event.type} {event.run})"
        if not event.elsewhere and event.cause is not None and event.cause >= event.sequence:
            yield f"{where} comes before its cause, event {event.cause}"
        reopens = self.is_child and event.type == "CancelRequested" and self.ended == "TimelineCompleted"
        if self.ended and not reopens and not event.data.get("superseded"):  # a child is undone with its parent
            yield f"{where} comes after the end"
        self.ended = "" if reopens else event.type if event.type in ENDINGS else self.ended
        if event.type == "CancelRequested":
            for key in event.data.get("cancelled", ()):
                self._settle(key, "cancelled")
                self.running.pop(key, None)
        elif event.step and not event.data.get("superseded"):  # what came too late changes nothing
            for wrong in self._of_run(event):
                yield f"{where} {wrong}"

    def _of_run(self, event: Told) -> Iterator[str]:
        run, begins_child = event.run, "child" in event.data
        if "of" in event.data and event.type == "StepDue":
            yield from self._undo(event)
        if run in self.settled and event.type != "StepCalled":
            yield f"comes after the step was {self.settled[run]}"
        if event.type == "StepCalled":
            self.attempts[run] = 0
        elif event.type == "AttemptStarted":
            yield from self._begin(event)
        elif event.type in ENDS_ATTEMPT and event.step in self.plan.deliveries:
            if self.running.pop(run, None) != event.attempt:
                yield f"ends attempt {event.attempt}, which was not under way"
        elif event.type == "StepDue" and begins_child and self.running.get(run) == event.attempt:
            self.running.pop(run, None)  # its body has returned, and it waits for the child
        elif event.type in ("StepDue", "StepBlocked", "StepSkipped", "StepOverdue") and run in self.running:
            yield f"comes while attempt {self.running[run]} is under way"
        if event.type in ENDS_ATTEMPT:
            self.running.pop(run, None)
        if event.type == "StepDue" and self._is_too_early(event.step):
            yield "comes before what it comes after was settled"
        if event.type == "StepDue" and "each" in event.data:
            self._reach_items(event)
        elif event.type in SETTLED:
            self._settle(run, SETTLED[event.type])
        elif event.type == "StepOverdue" and event.data.get("final"):
            self._settle(run, "overdue")

    def _undo(self, event: Told) -> Iterator[str]:
        """What is undone was done; a child is undone under its step's own name."""
        undone = event.data["of"].partition("@")[0]
        if self.settled.get(undone) != "done":
            yield f"undoes {undone}, which was {self.settled.get(undone, 'not settled')}"
        self.settled.pop(undone, None)
        self.settled.pop(event.run, None)

    def _reach_items(self, event: Told) -> None:
        self.items[event.step] = event.data["each"]
        if not event.data["each"]:
            self.settled[event.step] = "done"

    def _settle(self, run: str, outcome: str) -> None:
        self.settled[run] = outcome
        name = split_key(run)
        if name.item and self.items.get(name.step):
            self.items[name.step] -= 1
            if not self.items[name.step]:
                self.settled[name.step] = outcome if outcome != "undone" else "done"

    def _begin(self, event: Told) -> Iterator[str]:
        run, attempt = event.run, event.attempt or 0
        if run in self.running:
            yield f"begins attempt {attempt} while attempt {self.running[run]} is under way"
        if attempt != self.attempts.get(run, 0) + 1:
            yield f"begins attempt {attempt} after attempt {self.attempts.get(run, 0)}"
        if self._is_too_early(event.step):
            yield "comes before what it comes after was settled"
        self.attempts[run] = self.running[run] = attempt

    def _is_too_early(self, step: str) -> bool:
        node = self.plan.nodes.get(step)  # None: of an undo
        if node is None or not node.after:
            return False
        came = [self.settled.get(dependency.step) == dependency.outcome for dependency in node.after]
        settled = [dependency.step in self.settled for dependency in node.after]
        return not any(came) or (node.joins == "all" and not all(settled))


def out_of_order(story: Story, plan: Plan) -> Iterator[str]:
    """Say what is wrong with the order of a timeline's events."""
    telling = Telling(plan, is_child=bool(story.parent))
    for event in story.events:
        yield from telling.tell(event)
