"""The order of events, told again step by step, by nothing of the engine's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django_timelines.graph import Node

from .history import Plan, Story, Told

SETTLED = {
    "StepCompleted": "done",
    "StepSkipped": "done",
    "StepFailed": "failed",
    "StepNotTaken": "not taken",
    "StepNotReached": "not reached",
}
ENDINGS = ("TimelineCompleted", "TimelineFailed", "TimelineCancelled")
ENDS_ATTEMPT = ("StepCompleted", "StepRejected", "AttemptFailed", "AttemptInterrupted")


@dataclass(slots=True)
class Telling:
    """Where each step stands, event by event."""

    plan: Plan
    settled: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    ended: bool = False

    def tell(self, event: Told) -> Iterator[str]:
        """Take the next event, and say what is wrong with it."""
        where = f"event {event.sequence} ({event.type} {event.step})"
        if event.cause is not None and event.cause >= event.sequence:
            yield f"{where} comes before its cause, event {event.cause}"
        if self.ended:
            yield f"{where} comes after the end"
        self.ended = self.ended or event.type in ENDINGS
        if event.type == "CancelRequested":
            for key in event.data.get("cancelled", ()):
                self.settled[key] = "cancelled"
                self.running.pop(key, None)
        elif event.step in self.plan.nodes and not event.data.get("superseded"):  # what came too late changes nothing
            for wrong in self._of_step(event):
                yield f"{where} {wrong}"

    def _of_step(self, event: Told) -> Iterator[str]:
        step = event.step
        if step in self.settled and event.type != "StepCalled":
            yield f"comes after the step was {self.settled[step]}"
        if event.type == "StepCalled":
            self.attempts[step] = 0
        elif event.type == "AttemptStarted":
            yield from self._begin(event)
        elif event.type in ENDS_ATTEMPT:
            if self.running.pop(step, None) != event.attempt:
                yield f"ends attempt {event.attempt}, which was not under way"
        elif event.type in ("StepDue", "StepBlocked", "StepSkipped", "StepOverdue") and step in self.running:
            yield f"comes while attempt {self.running[step]} is under way"
        if event.type == "StepDue" and self._is_too_early(self.plan.nodes[step]):
            yield "comes before what it comes after was settled"
        if event.type in SETTLED:
            self.settled[step] = SETTLED[event.type]
        elif event.type == "StepOverdue" and event.data.get("final"):
            self.settled[step] = "overdue"

    def _begin(self, event: Told) -> Iterator[str]:
        step, attempt = event.step, event.attempt or 0
        if step in self.running:
            yield f"begins attempt {attempt} while attempt {self.running[step]} is under way"
        if attempt != self.attempts.get(step, 0) + 1:
            yield f"begins attempt {attempt} after attempt {self.attempts.get(step, 0)}"
        if self._is_too_early(self.plan.nodes[step]):
            yield "comes before what it comes after was settled"
        self.attempts[step] = self.running[step] = attempt

    def _is_too_early(self, node: Node) -> bool:
        if not node.after:
            return False
        came = [self.settled.get(dependency.step) == dependency.outcome for dependency in node.after]
        settled = [dependency.step in self.settled for dependency in node.after]
        return not any(came) or (node.joins == "all" and not all(settled))


def out_of_order(story: Story, plan: Plan) -> Iterator[str]:
    """Say what is wrong with the order of a timeline's events."""
    telling = Telling(plan)
    for event in story.events:
        yield from telling.tell(event)
