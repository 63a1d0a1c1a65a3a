"""What is told of an error that a body raised: plain text of a limited size, whatever the error's own code makes of that.

Text, notes, cause and class of an error may be code of its author's, which raises, too, or gives what is no plain text.
"""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..exceptions import LeaseLost, NotUnique
from .interrupt import Again, Interrupted

T = TypeVar("T")
MESSAGE_LIMIT, TRACEBACK_LIMIT = 2_000, 16_000
MOST_MESSAGES, NAME_LIMIT = 100, 200  # of a rejection, which with that is below what is refused as a payload


def told(ask: Callable[[], T], instead: T) -> T:
    """Return what an error answers, or this if it raises meanwhile. What ends the process or the attempt comes through."""
    try:
        return ask()
    except (KeyboardInterrupt, Interrupted, LeaseLost, Again):
        raise
    except BaseException:
        return instead


def as_failure(error: BaseException) -> Exception:
    """Return an ``Exception`` that can be asked what it is: the error, or what stands for it."""
    if isinstance(error, Exception) and told(lambda: issubclass(error.__class__, Exception), False):
        return error
    name = told(lambda: plain(type(error).__name__), "what cannot be named")
    failure = RuntimeError(f"The body raised {name}, which is no Exception. Return, or raise one.")
    failure.__cause__ = error
    return failure


def described(error: BaseException, secrets: Sequence[str] = ()) -> dict[str, str]:
    """Return type, message and traceback as an event stores them: limited, without local variables or secrets."""
    return {
        "type": told(lambda: plain(_type_of(error), secrets)[:MESSAGE_LIMIT], "(its type cannot be shown)"),
        "message": told(lambda: plain(str(error), secrets)[:MESSAGE_LIMIT], "(its message cannot be shown)"),
        "traceback": told(lambda: plain(_lines_of(error), secrets)[-TRACEBACK_LIMIT:], ""),
    }


def can_be_shown(error: BaseException) -> bool:
    """Tell whether a log can show it with its traceback."""
    return told(lambda: bool(traceback.format_exception(error)), False)


def rejected_with(error: BaseException, secrets: Sequence[str] = ()) -> dict[str, Any] | None:
    """Return what ``StepRejected`` says of it. None: it says no to no input, or cannot be told; then it is a failure."""
    if not isinstance(error, ValidationError):
        return None
    return told(lambda: {"errors": _errors_of(error, secrets)} | _other_of(error, secrets), None)


def plain(text: str, secrets: Sequence[str] = ()) -> str:
    """Return this text as any database can hold it, with the secrets blotted out."""
    found = str.__str__(text)  # the characters, whatever a subclass makes of them
    for secret in secrets:
        found = found.replace(secret, "***")
    return found.replace("\x00", "\ufffd").encode(errors="replace").decode()


def _type_of(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _lines_of(error: BaseException) -> str:
    """Return the traceback with all that the error came from, or if that cannot be told where it was raised."""
    whole = told(lambda: "".join(traceback.format_exception(error, limit=-12, chain=True)), "")
    return whole or "".join(traceback.format_tb(error.__traceback__, limit=-12))


def _errors_of(error: ValidationError, secrets: Sequence[str]) -> list[str] | dict[str, list[str]]:
    """Return a ``ValidationError``'s messages: a list, or a dict of lists by field. Each is cut, and so is their number."""
    if not hasattr(error, "error_dict"):
        return _some([(NON_FIELD_ERRORS, one) for one in error.messages], secrets).get(NON_FIELD_ERRORS, [])
    return _some([(name, one) for name, several in error.message_dict.items() for one in several], secrets)


def _some(messages: Sequence[tuple[str, str]], secrets: Sequence[str]) -> dict[str, list[str]]:
    """Return the first of these messages by their fields, and of no field how many more there are."""
    kept: dict[str, list[str]] = {}
    for name, message in messages[:MOST_MESSAGES]:
        several = kept.setdefault(plain(str(name), secrets)[:NAME_LIMIT], [])
        several.append(plain(str(message), secrets)[:MESSAGE_LIMIT])
    if len(messages) > MOST_MESSAGES:
        more = number_format(len(messages) - MOST_MESSAGES, force_grouping=True)
        kept.setdefault(NON_FIELD_ERRORS, []).append(_("And %(count)s more.") % {"count": more})
    return kept


def _other_of(error: ValidationError, secrets: Sequence[str]) -> dict[str, str]:
    """Return why the value of a timeline is not unique, and which one has it."""
    if not isinstance(error, NotUnique):
        return {}
    return {"reason": plain(str(error.reason), secrets), "other": uuid.UUID(str(error.timeline)).hex}
