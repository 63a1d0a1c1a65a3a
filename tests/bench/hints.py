"""Hints to the channel layer, which leave with each commit where ``django_timelines.live`` is installed: here on demand."""

from collections.abc import Iterator
from contextlib import contextmanager

from django_timelines.live import sender
from django_timelines.signals import appended

UID = "django_timelines.live.sender"


def off() -> None:
    """Send none, as a project without ``django_timelines.live`` does."""
    appended.disconnect(dispatch_uid=UID)


@contextmanager
def on() -> Iterator[None]:
    """Send them for the block."""
    appended.connect(sender.send_hint, dispatch_uid=UID)
    try:
        yield
    finally:
        off()
