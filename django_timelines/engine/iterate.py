"""Walking over many items in one step: where the walk is, and what it finds when the step begins again."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, Self, TypeVar

from asgiref.sync import sync_to_async
from django.db.models import CompositePrimaryKey, Model, QuerySet

from ..exceptions import CursorLost, PermanentFailure
from ..statements import type_row
from .batches import Batches
from .body import Frame
from .interrupt import AtCheckpoint

T = TypeVar("T")
_END: Any = object()


class Body(Protocol):
    """What a walk needs of the object that is a body's ``self``."""

    def _changes(self) -> dict[str, Any]: ...
    def _go_back_to(self, kept: dict[str, Any]) -> None: ...


@dataclass
class Cursor:
    """How far one loop of a body has come. ``of``: the model that it walks, if any. ``at``: the key of its last item."""

    of: str
    done: int = 0
    total: int | None = None
    at: str | None = None
    seen: str = ""  # a digest of its last item, where it can be told
    ended: bool = False
    fields: dict[str, Any] | None = None  # those that the body has changed up to there
    cancel: list[Any] | None = None

    @property
    def where(self) -> str:
        """Say it for people."""
        return f"item {self.done:,}" + (f" ({self.of} {self.at})" if self.of else "")


@dataclass
class Loops:
    """The loops of a body, in the order in which they begin."""

    batches: Batches
    stored: list[type_row] | None = None
    begun: list[Cursor] = field(default_factory=list)
    is_open: bool = False

    def enter(self, body: Body, frame: Frame, source: Source) -> Cursor:
        """Begin the next loop; where it was before, the fields go back to what they were there."""
        if self.is_open:
            raise PermanentFailure(
                "One iterate() is inside another, or another was left half-way and is still held in a variable. "
                "Let one loop end before the next begins, or close() it."
            )
        self.batches.check()
        if self.stored is None:
            self.stored = list((self.batches.stored() or {}).get("loops", ()))
        if self.begun and not self.begun[-1].ended:  # the body left it by a break
            self.begun[-1].ended = True
            if self.begun[-1].fields is None:
                self.begun[-1].fields = body._changes()  # says what is wrong with them
        number = len(self.begun)
        cursor = Cursor(**self.stored[number]) if number < len(self.stored) else Cursor(source.of)
        if cursor.of != source.of:
            raise CursorLost(
                f"The cursor of loop {number + 1} is that of {cursor.of or 'an iterable'}, and the body now walks "
                f"{source.of or 'an iterable'}. Rewind to the step to begin it anew."
            )
        self.begun.append(cursor)
        if number < len(self.stored):
            body._go_back_to(cursor.fields or {})
            frame.recorded = []  # what was recorded before this loop is committed with its first batch
            frame.cancel = tuple(cursor.cancel) if cursor.cancel else None
        elif cursor.total is None:
            cursor.total = source.count()
        return cursor

    def commit(self, body: Body, frame: Frame) -> None:
        """Commit what was done so far, and stop here if the worker ends or somebody said so."""
        cursor, changes = self.begun[-1], body._changes()
        cursor.fields, cursor.cancel = changes, list(frame.cancel) if frame.cancel else None
        self.batches.come_to(cursor.done, cursor.total)
        self.batches.commit([vars(one) for one in self.begun], changes, frame.recorded)
        frame.recorded = []
        if self.batches.may_stop():
            raise AtCheckpoint


class Source(Protocol):
    """What can be walked over."""

    of: str

    def count(self) -> int | None: ...
    def after(self, cursor: Cursor) -> Iterator[tuple[str | None, Any]]: ...


class Rows:
    """A queryset, walked by primary key: no offset, and no more than a batch of it in memory."""

    def __init__(self, rows: QuerySet[Any], size: int) -> None:
        model = rows.model
        if rows.query.is_sliced or rows.query.combinator:
            raise TypeError(
                "A queryset that is sliced or combined cannot be walked by key. Give iterate() a list of it."
            )
        if isinstance(model._meta.pk, CompositePrimaryKey):
            raise TypeError(
                f"{model.__name__} has a composite key, which cannot be walked. Give iterate() an iterator."
            )
        self.of = str(model._meta.label)
        self._rows = rows.order_by("pk")
        self._rows.query.standard_ordering = True  # a queryset that was reversed would go on downwards
        self._key: Any = model._meta.pk
        self._size = size

    def count(self) -> int | None:
        """Count the rows: those that come while they are walked are not among them."""
        return self._rows.values("pk").distinct().count()  # a join may repeat a row

    def after(self, cursor: Cursor) -> Iterator[tuple[str | None, Any]]:
        """Yield key and row of those behind the cursor, each once. What a body does to a row does not move the walk."""
        at = cursor.at
        while True:
            behind = self._rows if at is None else self._rows.filter(pk__gt=self._key.to_python(at))
            found = [(self._key_of(row), row) for row in behind[: self._size]]
            yield from dict(found).items()
            if len(found) < self._size:
                return
            at = found[-1][0]

    def _key_of(self, row: Any) -> str:
        if not isinstance(row, Model):
            raise TypeError("iterate() walks the rows of a queryset, not values(): those have no key. Try only().")
        return str(self._key.value_to_string(row))


class Items:
    """Any iterable: when a step begins again, it is read again up to the cursor, and the last item there is compared."""

    of = ""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def count(self) -> int | None:
        """Return how many there are, if they can say so."""
        return len(self._items) if isinstance(self._items, Sized) else None

    def after(self, cursor: Cursor) -> Iterator[tuple[str | None, Any]]:
        """Yield those behind the cursor; ``CursorLost`` if they are not what they were."""
        items = iter(self._items)
        if cursor.done:
            last = deque(enumerate(islice(items, cursor.done), 1), maxlen=1)
            count, item = last[0] if last else (0, None)
            if count < cursor.done:
                raise CursorLost(
                    f"The step has done {cursor.done:,} items, and what it iterates has {count:,} now. "
                    "Put back what was there and retry the step, or rewind to it to begin it anew."
                )
            if digest_of(item) != cursor.seen:
                raise CursorLost(
                    f"Item {cursor.done:,}, the last that the step has done, is not what it was: what it iterates was changed. "
                    "Put back what was there and retry the step, or rewind to it to begin it anew."
                )
        for one in items:
            yield None, one


def source_of(items: Any, size: int) -> Source:
    """Return how these are walked."""
    if isinstance(items, QuerySet):
        return Rows(items, size)
    if not isinstance(items, Iterable):
        raise TypeError(f"iterate() walks over an iterable or a queryset, not over {items!r}.")
    return Items(items)


def digest_of(item: Any) -> str:
    """Return a digest of an item that is plain data, or nothing: of any other object nothing can be told."""
    try:
        written = json.dumps(item, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.blake2b(written.encode(errors="surrogatepass"), digest_size=8).hexdigest()


class Walk(Generic[T]):
    """What ``iterate`` returns: walk over it once, with ``for`` or, in an ``async def`` step, with ``async for``."""

    def __init__(self, body: Body, frame: Frame, loops: Loops, source: Source, size: int) -> None:
        self._of = body, frame, loops, source
        self._size = size

    def __iter__(self) -> Generator[T]:
        """Yield the items that are not done yet. After each batch, what the body has done is committed."""
        body, frame, loops, source = self._of
        cursor = loops.enter(body, frame, source)
        if cursor.ended:
            return
        loops.is_open, fresh = True, 0
        loops.batches.begin(cursor.done, cursor.total)
        try:
            for key, item in source.after(cursor):
                yield item
                cursor.done, cursor.at, fresh = cursor.done + 1, key, fresh + 1
                if fresh >= self._size or loops.batches.is_full():
                    cursor.seen, fresh = "" if cursor.of else digest_of(item), 0
                    loops.commit(body, frame)
            cursor.ended, cursor.fields = True, body._changes()
            if fresh and loops.batches.are_outside:
                loops.commit(body, frame)
        except GeneratorExit:  # the body leaves it by a break
            cursor.fields = None
            with suppress(Exception):  # what is wrong with them is said later, where it is heard
                cursor.fields = body._changes()
            raise
        finally:
            loops.is_open = False

    def __aiter__(self) -> AsyncIterator[T]:
        """Do the same in an event loop; the database is asked in the body's own thread."""
        return _Awaited(iter(self))


class _Awaited(Generic[T]):
    """A loop that awaits each item. Who leaves it ends it there and then: a generator that awaits would end some time later."""

    def __init__(self, items: Generator[T]) -> None:
        self._items = items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        item: T = await sync_to_async(_next)(self._items)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """End it, as that of a generator does."""
        await sync_to_async(self._items.close)()

    def __del__(self) -> None:
        with suppress(ValueError):  # the body was cancelled as it awaited an item: it ends once that is there
            self._items.close()


def _next(items: Iterator[Any]) -> Any:
    return next(items, _END)
