"""A workflow whose bodies take as long as a test lets them."""

import asyncio
import multiprocessing
import os
import signal
import time
from typing import Any

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Retry, Workflow, step
from tests.shop.models import Entry


class Watch(Workflow):
    """Each body says that it began, and ends when somebody has said that it may."""

    @step
    def begin(self, kind: str) -> None:
        """Somebody keeps watch."""

    @step(after=begin, when=lambda watch: said("inside"))
    def inside(self) -> None:
        Entry.objects.create(text="written inside")
        until_allowed("inside")

    @step(after=begin, delivery=AT_LEAST_ONCE, when=lambda watch: said("outside"))
    def outside(self) -> None:
        Entry.objects.create(text="outside began")
        until_allowed("outside")

    @step(after=begin, delivery=AT_MOST_ONCE, when=lambda watch: said("once"))
    def once(self) -> None:
        Entry.objects.create(text="once began")
        until_allowed("once")

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=Retry(1), when=lambda watch: said("last"))
    def last(self) -> None:
        until_allowed("last")

    @step(after=begin, delivery=AT_LEAST_ONCE, when=lambda watch: said("awaiting"))
    async def awaiting(self) -> None:
        await Entry.objects.acreate(text="awaiting began")
        while not await Entry.objects.filter(text="end awaiting").aexists():
            await asyncio.sleep(0.05)

    @step(after=begin, delivery=AT_LEAST_ONCE, when=lambda watch: said("forking"))
    def forking(self) -> None:
        begun, has_begun = CHILDREN.Pipe()
        child = CHILDREN.Process(target=hear_no_alarm, args=[has_begun])
        child.start()
        begun.recv()
        child.terminate()
        child.join()
        Entry.objects.create(text=f"forking ended its child: {child.exitcode}")


CHILDREN = multiprocessing.get_context("fork")


def hear_no_alarm(begun: Any) -> None:
    """Work until a signal ends the process; what Python raises in a body that is interrupted is not noticed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    begun.send(True)
    while True:
        time.sleep(0.05)


def said(kind: str) -> bool:
    """Tell whether the test wants this one."""
    return Entry.objects.filter(text=f"do {kind}").exists()


def until_allowed(kind: str) -> None:
    """Work until the test allows it to end, or wants the process to go away in the middle of it."""
    if Entry.objects.filter(text=f"die {kind}").exists():
        os._exit(1)
    while not Entry.objects.filter(text=f"end {kind}").exists():
        time.sleep(0.05)
