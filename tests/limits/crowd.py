"""A crowd at one door: many workers at once, and bodies that write down how many of them are inside."""

from __future__ import annotations

import sys
import uuid

from django.db import OperationalError, connections

from django_timelines.engine.answer import answer
from django_timelines.engine.clock import tick
from django_timelines.models import Run, Timeline
from django_timelines.state import ENDED
from django_timelines.workflows import AT_LEAST_ONCE, Limit, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry

ROOM = 3


class Visit(Workflow):
    """Goes through a door that only so many may be behind, and one of each group."""

    group: str

    @step
    def come(self, group: str) -> None:
        self.group = group

    @step(after=come, delivery=AT_LEAST_ONCE, limit=ROOM)
    def look(self) -> None:
        inside("all")

    @step(after=look, delivery=AT_LEAST_ONCE, limit=Limit(1, per="group"))
    def speak(self) -> None:
        inside(self.group)

    @step(after=speak, delivery=AT_LEAST_ONCE, limit=1)
    def hang(self) -> None:
        if self.group == "hangs" and not Entry.objects.filter(text="hung").exists():
            Entry.objects.create(text="hung")
            sys.stdout.write("hung\n")
            sys.stdout.flush()
            sys.stdin.readline()


def inside(group: str) -> None:
    """Come in, write down how many are inside now, and leave."""
    me = uuid.uuid4().hex
    Entry.objects.create(text=f"in {group} {me}")
    try:
        came = Entry.objects.filter(text__startswith=f"in {group} ").count()
        left = Entry.objects.filter(text__startswith=f"out {group} ").count()
        Entry.objects.create(text=f"saw {group} {came - left}")
    finally:
        leave(f"out {group} {me}")


def leave(text: str) -> None:
    """Write it down, however often SQLite has no turn for that: an attempt that fails has left as well."""
    while True:
        try:
            Entry.objects.create(text=text)
            break
        except OperationalError:
            continue


def answer_all() -> None:
    """Answer what is due, whoever was rung for it, until all timelines have ended."""
    try:
        while Timeline.objects.using(HERE).exclude(status__in=ENDED).exists():
            for run in Run.objects.using(HERE).filter(status="due").order_by("?")[:5]:
                answer(run.timeline_id.hex, run.step, run.item, run.fence, HERE, "embedded")
            tick(HERE)
    finally:
        connections.close_all()
