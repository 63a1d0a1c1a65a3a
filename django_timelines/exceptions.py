"""Everything that django_timelines raises, under one root but for ``LeaseLost``.

A message says what happened, what was there and how to mend it.
"""

from __future__ import annotations

import copyreg
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.utils.translation import gettext as _

LONGEST_WAIT = timedelta(days=366)
"""Until the next attempt."""


class TimelinesError(Exception):
    """The root of all errors of django_timelines."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it cross to another process, as a parallel test runner has it: not all are made of what they say."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class DeclarationError(TimelinesError, TypeError):
    """A workflow class is declared wrongly. Raised when the class is made."""


class Refused(TimelinesError):
    """The call is wrong: nothing was written.

    ``reason`` is a word that programs can act on (``"not_yet"``, ``"taken"``, ``"key_reused"``, ``"settled"`` …);
    the message is a sentence that says what is missing: a translatable one, unless it is about code (a class or a step that
    there is not).
    """

    def __init__(self, message: Any, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Rejected(Refused, ValidationError):
    """The input is bad: a parameter's type said so, or the step's body did by raising a ``ValidationError``.

    It is a Django ``ValidationError``, so ``form.add_error(None, error)`` shows it.
    """

    def __init__(self, error: ValidationError | str | dict[str, Any] | list[Any], reason: str = "invalid") -> None:
        ValidationError.__init__(self, error)
        self.reason = reason


class NotUnique(Rejected):
    """Another timeline of the class has the value for which ``unique=`` allows one at a time, and has not ended.

    ``timeline`` is that one's primary key.
    """

    def __init__(
        self, error: ValidationError | str | dict[str, Any] | list[Any], timeline: UUID, reason: str = "not_unique"
    ) -> None:
        super().__init__(error, reason)
        self.timeline = timeline

    def __str__(self) -> str:
        return f"{' '.join(self.messages)} ({self.timeline})"


class NotAllowed(Refused, PermissionDenied):
    """This actor may not do that."""

    def __init__(self, message: Any, reason: str = "not_allowed") -> None:
        super().__init__(message, reason)


class Unknown(Refused, ObjectDoesNotExist):
    """There is no such timeline, step, item or event."""

    def __init__(self, message: Any, reason: str = "unknown") -> None:
        super().__init__(message, reason)


class MovedOn(Refused):
    """The timeline has gone on since somebody looked at it, who asked for this on what they saw."""

    def __init__(self, message: Any, reason: str = "moved_on") -> None:
        super().__init__(message, reason)


class StateDamaged(Refused):
    """What is stored as a timeline's state is no fold of events: somebody has changed the row by hand.

    The events are the truth: ``manage.py timelines refold ID`` folds them anew. ``timeline`` is the primary key.
    """

    def __init__(self, timeline: UUID, reason: str = "state_damaged") -> None:
        sentence = _(
            "The stored state of timeline %(id)s is damaged. Its events say what it was: "
            "manage.py timelines refold %(id)s folds them anew."
        )
        super().__init__(sentence % {"id": timeline}, reason)
        self.timeline = timeline


class PermanentFailure(TimelinesError):
    """Raise it in a step's body: the step fails at once and is not retried."""


class FieldUnset(PermanentFailure, AttributeError):
    """A field is read that no step has set yet. A template shows nothing for it; ``hasattr`` says no."""


class NoAnswer(PermanentFailure, TypeError):
    """A body, guard, rule or policy returned a coroutine, or a generator, which nobody awaits or goes through."""


class CursorLost(PermanentFailure):
    """What a long step iterates is not what its cursor was set in: a file that was changed, rows that are gone."""


class NotOpened(TimelinesError):
    """A secret input cannot be opened: the key that sealed it is not there any more. Its attempt fails, and may be retried.

    If ``SECRET_KEY`` has changed: put the one before into ``SECRET_KEY_FALLBACKS``.
    """


class RetryAfter(TimelinesError):
    """Raise it in a step's body: try again after this long, instead of the policy's own wait.

    ``delay`` is a ``timedelta`` or a number of seconds, from nought to a year: what an outside service asks for may be absurd.
    NaN counts as nought. The attempt counts.
    """

    def __init__(self, delay: timedelta | float) -> None:
        if not isinstance(delay, timedelta):
            delay = timedelta(seconds=min(max(0, delay), LONGEST_WAIT.total_seconds()))
        self.delay = min(max(timedelta(0), delay), LONGEST_WAIT)
        super().__init__(f"Try again after {self.delay}.")


class Conflict(TimelinesError):
    """Somebody else wrote this timeline first: in a transaction that you opened, or again and again outside of one.

    Nothing of the call was written and your transaction is still usable. Begin it again.
    """


class UnknownPlacement(TimelinesError):
    """A placement is not one of ``inline``, ``embedded``, ``rq:<queue>``, ``tasks:<backend>``."""


class ItemsNotLoaded(TimelinesError):
    """Runs of items are needed that were left out when the timeline was read. ``wanted`` says which: read these, too.

    The engine does so by itself. Code that looks at all items of a row's state reads them first: ``items.read_all(timeline)``.
    """

    def __init__(self, wanted: Any) -> None:
        super().__init__(
            f"The timeline was read without {wanted}. Read all items first: django_timelines.items.read_all(timeline)."
        )
        self.wanted = wanted


class ValueTaken(TimelinesError):
    """The engine's own: another timeline holds the value that this one was to hold. Nothing was written."""

    def __init__(self, workflow: str, digest: UUID) -> None:
        super().__init__(f"The value {digest} of {workflow} is taken.")
        self.workflow, self.digest = workflow, digest


class ValueUnknown(TimelinesError):
    """The function in ``unique=`` raised on what a timeline would be, where no step's body is to blame. Nothing was written.

    Its ``__cause__`` is what the function raised.
    """


class LeaseLost(BaseException):
    """This attempt belongs to somebody else now; whatever it wrote rolls back.

    A ``BaseException``, so that ``except Exception`` in a step's body does not swallow it.
    """
