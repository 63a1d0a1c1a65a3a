"""What a caller asks for: the options and the input of a call, checked before anything else happens."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import moments
from ..actors import Actor
from ..events import EventType, NewEvent
from ..exceptions import Rejected
from ..fields import text
from ..links import CallLink
from ..registry import Declaration
from ..runs import can_be_stored
from ..state import RunName
from ..steps import Step

KEY_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a call, as ``using(key=…, actor=…)`` sets them."""

    key: str = ""
    actor: Actor | None = None
    early: bool = False
    seen: int | None = None
    """The newest event that the caller knew of: if the step went on since, the call is refused as ``stale``."""
    link: CallLink | None = None
    """The link that its caller holds."""
    outside: bool = False
    """It comes from a page or the API: a step that was given to somebody is theirs alone."""
    schedule: Mapping[str, str] | None = None
    """The ``name`` and ``tick`` of the schedule that begins a timeline. Its caller executes nothing."""

    def __post_init__(self) -> None:
        if len(self.key) > KEY_LIMIT or not can_be_stored(self.key):
            said = _("A key has at most %(limit)d characters, no NUL and no lone surrogate.")
            raise Rejected(said % {"limit": KEY_LIMIT}, "invalid_key")


@dataclass(slots=True)
class Input:
    """A call's input, checked, as it is stored: JSON, secrets apart. Each run of a body is given values of its own."""

    encoded: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def with_secrets(self) -> dict[str, Any]:
        """All of it, for a body."""
        return self.encoded | self.secrets

    @property
    def digest(self) -> str:
        """Tells one input from another; secrets do not count."""
        return hashlib.sha256(json.dumps(self.encoded, sort_keys=True).encode()).hexdigest()[:32]

    def event(self, name: RunName, key: str = "", *, early: bool = False, late: str | None = None) -> NewEvent:
        """Return the event of the call. ``late``: the deadline that has passed."""
        data: dict[str, Any] = {"input": self.encoded, "digest": self.digest}
        data |= {"key": key} if key else {}
        data |= {"early": True} if early else {}
        data |= {"late": True, "was_until": late} if late else {}
        data |= {"sealed": sorted(self.secrets)} if self.secrets else {}
        return NewEvent(EventType.STEP_CALLED, *name, data=data, at=moments.now())


NO_INPUT = Input().digest


@sensitive_variables()
def check_input(declaration: Declaration, step: Step[...], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Input:
    """Check a call's arguments against the step's parameters; ``Rejected`` names each one that does not fit."""
    names = [parameter.name for parameter in step.parameters]
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    unknown = [name for name in kwargs if name not in names]
    if unknown or len(args) > len(names) or len(given) < len(args) + len(kwargs):
        wrong = f"has no {', '.join(unknown)}" if unknown else "was given too much"
        raise Rejected(f"{declaration.label}.{step.name} takes ({', '.join(names)}); the call {wrong}.", "wrong_input")
    result, errors = Input(), {}
    for parameter in step.parameters:
        name = parameter.name
        if name not in given:
            if parameter.required:
                errors[name] = [_("This is missing.")]
            continue
        try:
            field = declaration.inputs[step.name][name]
            (result.secrets if field.is_secret else result.encoded)[name] = field.encode(given[name])
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise Rejected(errors)
    text(result.encoded)
    return result


def key_digest(workflow: str, key: str) -> uuid.UUID:
    """Return what makes a key unique in its workflow: case counts, and every database compares it alike."""
    digest = hashlib.blake2b(f"{workflow}\0{key}".encode(), digest_size=16).digest()
    return uuid.UUID(bytes=digest, version=5)  # the bits of a UUID of RFC 9562: MariaDB takes no others
