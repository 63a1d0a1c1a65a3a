"""Events in the domain's own words: facts that a step records beside its completion."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict

from .events import EventType
from .exceptions import DeclarationError


class Stored(Protocol):
    """What is read of a stored event."""

    version: int
    data: Any


class Event(BaseModel):
    """Subclass it with typed fields; ``self.record(PaymentTaken(amount=5))`` appends it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)
    version: ClassVar[int] = 1

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Return what a stored event of this older version says in the terms of the next one. Override it with ``version``."""
        return data

    @classmethod
    def read(cls, stored: Stored) -> Self:
        """Return a stored event as an object of this class, whichever version it was recorded in."""
        data = dict(stored.data)
        for version in range(stored.version, cls.version):
            data = cls.upcast(data, version)
        return cls.model_validate(data)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if cls.__name__ in set(EventType):
            raise DeclarationError(f"{cls.__name__} is an event of django_timelines. Give yours another name.")
