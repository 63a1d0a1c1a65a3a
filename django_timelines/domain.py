"""Events in the domain's own words: facts that a step records beside its completion."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from .events import EventType
from .exceptions import DeclarationError


class Event(BaseModel):
    """Subclass it with typed fields; ``self.record(PaymentTaken(amount=5))`` appends it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)
    version: ClassVar[int] = 1

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if cls.__name__ in set(EventType):
            raise DeclarationError(f"{cls.__name__} is an event of django_timelines. Give yours another name.")
