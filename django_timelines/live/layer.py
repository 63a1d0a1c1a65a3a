"""The channel layer, which carries hints between processes. It may lose them: the hub looks into the database.

Recommended, with redis-py 8 and later::

    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": "redis://127.0.0.1:6379/0", "socket_timeout": None}]},
        }
    }

redis-py 8 gives every connection a timeout of five seconds. The queue-like ``RedisChannelLayer`` dies of it when nothing was sent
for so long (the pub/sub one asks more often than that); ``socket_timeout: None`` says that silence is no error. That layer also
drops hints for a process that is behind, so prefer the other.
"""

from __future__ import annotations

import uuid
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer

HINT = "timeline.hint"
EVERY = uuid.UUID(int=0)
"""Stands for all timelines in a hint: what is shown of them may have changed, though none has gone on."""
PROGRESS = 0
"""In the place of a sequence: a long step has come further, which is no event."""


def shared_layer() -> Any:
    """Return the layer that reaches other processes, or None: within one process the hub needs none."""
    layer = get_channel_layer()
    return None if layer is None or isinstance(layer, InMemoryChannelLayer) else layer


def group_of(timeline: uuid.UUID) -> str:
    """Name a timeline's group: ASCII letters, digits and a full stop, under 100 characters."""
    return f"timelines.{timeline.hex}"


def hint(timeline: uuid.UUID, sequence: int) -> dict[str, Any]:
    """Return the message: there is an event of this sequence by now."""
    return {"type": HINT, "timeline": timeline.hex, "sequence": sequence}


def read_hint(message: Any) -> tuple[uuid.UUID, int] | None:
    """Read a message, or None for one that is no hint of ours."""
    try:
        if message["type"] != HINT:
            return None
        return uuid.UUID(message["timeline"]), int(message["sequence"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None
