"""Signals of django_timelines. Receivers sit at the top of the package or in your code; a receiver that fails harms nobody."""

from django.dispatch import Signal

paused = Signal()
"""After the commit of a pause of a workflow or of everything, or of its end. Argument: ``using``."""

appended = Signal()
"""After the commit of events. Arguments: ``timeline`` (its id, a UUID), ``sequence`` (the newest event's), ``using``, and
``more``: whether the same runner goes on with the timeline at once, and will say so again."""

progressed = Signal()
"""After a long step has noted how far it is, now and then. No event: arguments are ``timeline`` and ``using``."""
