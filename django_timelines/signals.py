"""Signals of django_timelines. Receivers sit at the top of the package or in your code; a receiver that fails harms nobody."""

from django.dispatch import Signal

paused = Signal()
"""After the commit of a pause of a workflow or of everything, or of its end. Argument: ``using``."""

appended = Signal()
"""After the commit of events. Arguments: ``timeline`` (its id, a UUID), ``sequence`` (the newest event's), ``using``, and
``more``: whether the same runner goes on with the timeline at once, and will say so again."""

progressed = Signal()
"""After a long step has noted how far it is, now and then. No event: arguments are ``timeline`` and ``using``."""

timeline_ended = Signal()
"""After the commit in which a timeline came to its end. Arguments: ``timeline`` (its id), ``workflow`` (its label), ``status``
(``"completed"``, ``"failed"`` or ``"cancelled"``) and ``using``."""

step_blocked = Signal()
"""After the commit that left a step to a person. Arguments: ``timeline``, ``workflow``, ``step``, ``item``, ``reason``
(``"failed"``, ``"interrupted"``, ``"conflict"`` …) and ``using``."""

projection_stopped = Signal()
"""When a projection stops at an event, once until it goes on. Arguments: ``projection`` (its label), ``error`` (the message)
and ``using``."""
