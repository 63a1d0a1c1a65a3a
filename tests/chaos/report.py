"""What was tried and what was found, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from .checker import Finding
from .history import History

SORTS = ("lost", "doubled", "stuck", "out of order")
FIRST = 3
"""So many timelines with findings are told event by event."""


def totals(history: History) -> dict[str, int]:
    """Count what the timelines went through."""
    stories = history.stories.values()
    types = Counter(event.type for story in stories for event in story.events)
    counted = Counter(f"timelines {story.status}" for story in stories)
    attempts = types["AttemptStarted"]
    return {"timelines": len(stories), **dict(sorted(counted.items()))} | {
        "events": sum(types.values()),
        "attempts": attempts,
        "failed attempts": types["AttemptFailed"],
        "rescued attempts": types["AttemptInterrupted"],
        "rejected in a worker": types["StepRejected"],
        "blocked steps": types["StepBlocked"],
        "overdue steps": types["StepOverdue"],
        "children": sum(bool(story.parent) for story in stories),
        "ticks": sum(len(timetable.begun) for timetable in history.timetables),
        "undone steps": types["StepUndone"],
        "events that were projected": len(history.projected.rows) if history.projected else 0,
        "effects in the database": sum(story.rows.total() for story in stories),
        "effects outside": sum(story.lines.total() for story in stories),
    }


def show(heading: str, figures: Mapping[str, int]) -> None:
    """Print a part of the table."""
    print(f"\n{heading}")
    for name, value in figures.items():
        print(f"  {name:44} {value:8,}")


def show_findings(found: Iterable[Finding], history: History) -> None:
    """Print how many there are of each sort, and tell the first few."""
    found = list(found)
    counted = Counter(finding.sort for finding in found)
    show("Found", {sort: counted[sort] for sort in SORTS})
    for finding in found[:30]:
        print(f"\n{finding.sort}: {finding.sentence} ({finding.timeline})")
    for timeline in list(dict.fromkeys(finding.timeline for finding in found))[:FIRST]:
        story = history.stories.get(timeline)
        if story is None:
            continue
        print(f"\n{story.workflow} {story.id}: {story.status}, head {story.head}; open {story.runs}")
        print(f"  rows {dict(story.rows)}; lines {dict(story.lines)}")
        for event in story.events:
            short = {name: value for name, value in event.data.items() if name not in ("error", "digest")}
            message = event.data.get("error", {}).get("message", "")
            attempt = "" if event.attempt is None else f"#{event.attempt}"
            print(f"  {event.sequence:3} {event.type:19} {event.run}{attempt} ← {event.cause} {short} {message}"[:200])
