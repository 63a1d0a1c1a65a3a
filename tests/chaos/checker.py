"""What may not be: lost, doubled, stuck, out of order. Each check yields what it finds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from django_timelines.events import NewEvent
from django_timelines.runs import split_key
from django_timelines.state import ENDED, StepStatus, empty, fold, is_open, timeline_status

from .beyond import beyond
from .history import Answer, History, Plan, Story
from .order import out_of_order

EXACTLY_ONCE, AT_LEAST_ONCE, AT_MOST_ONCE = "exactly once", "at least once", "at most once"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that may not be."""

    sort: str
    timeline: str
    sentence: str


def findings(history: History) -> list[Finding]:
    """Check everything."""
    found = [*_answers(history)]
    if history.orphans:
        found.append(Finding("stuck", "", f"{history.orphans} leases of runs that are not there"))
    for story in history.stories.values():
        plan = history.plans[story.workflow]
        found += [Finding("lost", story.id, text) for text in _lost(story, plan)]
        found += [Finding("doubled", story.id, text) for text in _doubled(story, plan)]
        found += [Finding("stuck", story.id, text) for text in _stuck(story)]
        found += [Finding("out of order", story.id, text) for text in (*_folded(story), *out_of_order(story, plan))]
    return found + [Finding(*one) for one in beyond(history)]


def _answers(history: History) -> Iterator[Finding]:
    started: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for story in history.stories.values():
        if story.key:
            started[story.workflow, story.key].add(story.id)
    for answer in dict.fromkeys(history.answers):
        if answer.verb == "start":
            started[answer.workflow, answer.key].add(answer.timeline)
        story = history.stories.get(answer.timeline)
        if story is None:
            yield Finding(
                "lost", answer.timeline, f"a {answer.verb} was answered ({answer.key}), and there is no timeline"
            )
        elif answer.verb == "call" and not _was_called(story, answer):
            yield Finding("lost", story.id, f"a call of {answer.step} was answered ({answer.key}), and has no event")
    for (_, key), timelines in started.items():
        if len(timelines) > 1:
            yield Finding("doubled", min(timelines), f"the key {key} has {len(timelines)} timelines")


def _was_called(story: Story, answer: Answer) -> bool:
    wanted = (answer.step, answer.key)
    return any(e.type == "StepCalled" and (e.step, e.data.get("key")) == wanted for e in story.events)


def _completed(story: Story) -> Counter[str]:
    """Count by run what was done, or undone: each had its effect."""
    return Counter(event.run for event in story.events if event.type in ("StepCompleted", "StepUndone"))


def _lost(story: Story, plan: Plan) -> Iterator[str]:
    if story.status not in ENDED:
        where = ", ".join(f"{run.step} is {run.status}" for run in story.runs) or "nothing is open"
        yield f"it does not end: {where}. {story.why}".strip()
    completed = _completed(story)
    for run, times in completed.items():
        delivery = plan.deliveries.get(split_key(run)[0])  # None: of a step that is another timeline
        if delivery == EXACTLY_ONCE and story.rows[run] < times:
            yield f"{run} completed, and its row is not there"
        if delivery in (AT_LEAST_ONCE, AT_MOST_ONCE) and not _lines(story, run):
            yield f"{run} completed, and its effect did not happen"
    for field, steps in plan.sums.items():
        wanted, value = sum(completed[step] for step in steps), story.state["fields"].get(field)
        if value != wanted:
            yield f"{field} is {value}, and {' and '.join(steps)} added {wanted}"


def _lines(story: Story, run: str) -> int:
    return sum(times for (name, _), times in story.lines.items() if name == run)


def _doubled(story: Story, plan: Plan) -> Iterator[str]:
    completed = _completed(story)
    for run, times in story.rows.items():
        if times > completed[run]:
            yield f"{times} rows of {run}, which completed {completed[run]} times"
    begun = {(event.run, event.attempt) for event in story.events if event.type == "AttemptStarted"}
    for (run, attempt), times in story.lines.items():
        if times > 1:
            yield f"attempt {attempt} at {run} had its effect {times} times"
        if (run, attempt) not in begun:
            yield f"attempt {attempt} at {run} had its effect, and no event says that it began"
    yield from _keys(story)
    yield from _not_asked_for(story, plan)


def _keys(story: Story) -> Iterator[str]:
    """A key has one effect, unless its call was rejected."""
    taken: dict[str, str] = {}
    for event in story.events:
        key = event.data.get("key") if event.type == "StepCalled" else None
        if key and key in taken:
            yield f"the key {key} has two calls"
        if key:
            taken[key] = event.step
        if event.type == "StepRejected":
            taken = {key: step for key, step in taken.items() if step != event.step}


def _not_asked_for(story: Story, plan: Plan) -> Iterator[str]:
    """An effect that may happen at most once is tried again by a person only."""
    asked: Counter[str] = Counter()
    for event in story.events:
        if event.type in ("StepDue", "StepCalled"):
            asked[event.step] = 1
        elif event.type == "AttemptStarted":
            if plan.deliveries.get(event.step) == AT_MOST_ONCE and not asked[event.step]:
                yield f"{event.step} was begun again, and nobody asked for it"
            asked[event.step] = 0


def _stuck(story: Story) -> Iterator[str]:
    for run in story.runs:
        moving = run.status in (StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING)
        if not run.rung and (moving or (run.until and run.status == StepStatus.WAITING)):
            yield f"{run.step} is {run.status}, and no clock will look at it"
        if run.leased and run.status != StepStatus.RUNNING:
            yield f"{run.step} is {run.status}, and has a lease"
    rows = {run.step: (run.status, run.fence, run.attempt) for run in story.runs}
    runs = {key: run for key, run in story.state["runs"].items() if is_open(run) and "each" not in run}
    told = {key: (run["status"], run["fence"], run["attempt"]) for key, run in runs.items()}
    if rows != told:
        yield f"its open runs are {rows}, and its state says {told}"
    if story.status in ENDED and story.runs:
        yield f"it is {story.status}, and {', '.join(rows)} still open"


def _folded(story: Story) -> Iterator[str]:
    sequences = [event.sequence for event in story.events]
    if sequences != list(range(1, story.head + 1)):
        yield f"its events are {sequences}, and its head is {story.head}"
        return
    events = [NewEvent(e.type, e.step, e.item, 0, e.data, e.attempt, e.version) for e in story.events]
    state = fold(empty(), events, 1)
    if state != story.state:
        differing = sorted(key for key in {*state, *story.state} if state.get(key) != story.state.get(key))
        yield f"its state is not the fold of its events: {', '.join(differing)} differ"
    if story.status != timeline_status(state):
        yield f"its status is {story.status}, and its events say {timeline_status(state)}"
