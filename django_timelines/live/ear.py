"""Hears the hints of other processes: one channel of the layer for each event loop, in one group per watched timeline."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

from .layer import group_of, read_hint, shared_layer

logger = logging.getLogger("django_timelines")
RETRY = 5.0  # seconds until a layer that failed is tried again; meanwhile the hub looks into the database


class Ear:
    """Listens for as long as anything is wanted.

    ``heard(timeline, sequence)`` is called for each hint, and with the sequence None once a timeline's group is joined:
    a hint may have come before that.
    """

    def __init__(self, heard: Callable[[uuid.UUID, int | None], None]) -> None:
        self._heard = heard
        self._wanted: set[uuid.UUID] = set()
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    def want(self, timeline: uuid.UUID) -> None:
        """Listen to a timeline from now on."""
        self._wanted.add(timeline)
        self._changed.set()
        if self._listening is None or self._listening.done():
            layer = shared_layer()
            if layer is not None:
                self._listening = asyncio.create_task(self._listen(layer))

    def drop(self, timeline: uuid.UUID) -> None:
        """Listen to it no more."""
        self._wanted.discard(timeline)
        self._changed.set()

    async def _listen(self, layer: Any) -> None:
        while self._wanted:
            try:
                await self._listen_once(layer)
            except Exception as error:
                logger.warning("The channel layer failed: %r. Pages look for themselves every few seconds.", error)
                await asyncio.sleep(RETRY)

    async def _listen_once(self, layer: Any) -> None:
        channel = await layer.new_channel()
        receiving = asyncio.create_task(self._receive(layer, channel))
        joining = asyncio.create_task(self._join(layer, channel))
        try:
            done, _pending = await asyncio.wait({receiving, joining}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            receiving.cancel()
            joining.cancel()
            await asyncio.gather(receiving, joining, return_exceptions=True)

    async def _receive(self, layer: Any, channel: str) -> None:
        while True:
            hint = read_hint(await layer.receive(channel))
            if hint is not None:
                self._heard(*hint)

    async def _join(self, layer: Any, channel: str) -> None:
        """Keep to the groups that are wanted; return once none is."""
        joined: set[uuid.UUID] = set()
        while self._wanted or joined:
            self._changed.clear()
            for timeline in self._wanted - joined:
                await layer.group_add(group_of(timeline), channel)
                joined.add(timeline)
                self._heard(timeline, None)
            for timeline in joined - self._wanted:
                await layer.group_discard(group_of(timeline), channel)
                joined.discard(timeline)
            if self._wanted or joined:
                await self._changed.wait()
