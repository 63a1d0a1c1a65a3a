"""Events in the domain's own words: facts that a step records beside its completion."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict

from .events import EventType
from .exceptions import DeclarationError

LONGEST_NAME = 60  # of an event's type, in its column
LAST_VERSION = 32_767  # that every database's small integer holds


class Stored(Protocol):
    """What is read of a stored event."""

    @property
    def version(self) -> int: ...
    @property
    def data(self) -> Any: ...


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
        """Return a stored event as an object of this class, whichever version it was recorded in.

        ``ValueError`` if it was recorded in a newer version than this code knows, or does not fit.
        """
        if stored.version > cls.version:
            raise ValueError(
                f"This {cls.__name__} was recorded in version {stored.version}, and the code knows {cls.version}: it is older."
            )
        data = dict(stored.data)
        for version in range(stored.version, cls.version):
            data = cls.upcast(data, version)
        return cls.model_validate(data)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if cls.__name__ in set(EventType):
            raise DeclarationError(f"{cls.__name__} is an event of django_timelines. Give yours another name.")
        if type(cls.version) is not int or not 1 <= cls.version <= LAST_VERSION:
            raise DeclarationError(f"The version of {cls.__name__} is {cls.version!r}. Count from 1 to {LAST_VERSION}.")
        if len(cls.__name__) > LONGEST_NAME:
            raise DeclarationError(
                f"{cls.__name__} is longer than {LONGEST_NAME} characters, which is all that is stored."
            )
