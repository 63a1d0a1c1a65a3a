"""An async body, and the thread that waits for it: where one of them is interrupted, the other ends, too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TypeVar

from .interrupt import MOMENT, Cancelled, Interrupted, Stopped, innermost

T = TypeVar("T")
AGAIN = MOMENT / 2  # seconds after which a task that goes on although it was cancelled is cancelled again


class Awaited:
    """An async body that a thread waits for. It is run by a task, of an event loop of its own or of the caller's."""

    def __init__(self) -> None:
        self._error: type[Interrupted] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._ended = threading.Event()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait in here. What raises in this thread meanwhile (RQ's timeout of a job, say) ends the body before."""
        block = innermost()
        try:
            with block.waits_for(self) if block else nullcontext():
                yield
        except BaseException:
            if self._error is None and not self._ended.is_set():
                self.cancel(Stopped)
                self._ended.wait(MOMENT)
            raise

    def cancel(self, error: type[Interrupted]) -> None:
        """Cancel the task, again and again until it ends; what it raises then is this. From any thread."""
        self._error = error
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._cancel)

    async def run(self, body: Callable[[], Awaitable[T]]) -> T:
        """Run the body, if it was not interrupted before, and return what it does."""
        self._task = task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()  # before it looks for an error: who sets that later finds the loop here
        try:
            if self._error is not None:
                raise self._error
            returned: T
            returned, raised = await asyncio.create_task(_ended(body))  # whose cancel is the body's own
            if raised is not None:
                raise raised
            return returned
        except asyncio.CancelledError:
            if self._error is not None:
                raise self._error from None
            if task is not None and task.cancelling():
                raise Cancelled from None
            raise  # the body's own
        finally:
            self._task = None
            self._ended.set()

    def _cancel(self) -> None:
        if self._loop is not None and self._task is not None:
            self._task.cancel()
            self._loop.call_later(AGAIN, self._cancel)


async def _ended(body: Callable[[], Awaitable[Any]]) -> tuple[Any, BaseException | None]:
    """Return what the body does, and what ends it that would end the event loop as well, if a task raised it."""
    try:
        return await body(), None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error
