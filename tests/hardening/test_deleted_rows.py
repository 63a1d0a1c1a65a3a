"""A body may delete the rows that a field names, one or several: the field names them still."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import Retry, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry

pytestmark = pytest.mark.django_db(databases="__all__")
done: dict[str, Callable[[Any], None]] = {}


class Uploads(Workflow):
    one: Entry | None = None
    anything: Any = None
    several: list[Entry] = []  # noqa: RUF012 (a field)
    pair: tuple[Entry, Entry] | None = None
    loose: set[Entry] = set()  # noqa: RUF012 (a field)
    frozen: frozenset[Entry] = frozenset()
    queue: deque[Entry] = deque()  # noqa: RUF012 (a field)
    named: dict[str, list[Entry]] = {}  # noqa: RUF012 (a field)

    @step
    def begin(self, first: Entry, second: Entry) -> None:
        both = [first, second]
        self.one, self.several, self.pair, self.loose = first, both, (first, second), {*both}
        self.frozen, self.queue, self.named = frozenset(both), deque(both), {"both": both}

    @step(after=begin, retry=Retry(1))
    def clean(self) -> None:
        done["clean"](self)


def cleaned(clean: Callable[[Any], None]) -> tuple[list[int], Any]:
    """Return the keys of two rows, and the timeline of which a step did that to them; its errors are only recorded."""
    first, second = (Entry.objects.using(HERE).create(text=text) for text in ("first", "second"))
    done["clean"], keys = clean, [first.pk, second.pk]
    uploads = Uploads.start(first=first, second=second)
    with recorded_errors():
        drain()
    return keys, Uploads.get(uploads.pk).timeline


def changes_of(timeline: Any) -> Any:
    return timeline.events.get(type="StepCompleted", step="clean").data.get("changes", {})


@pytest.mark.parametrize("name", ["several", "pair", "loose", "frozen", "queue", "named"])
def test_deleting_the_rows_of_a_field_changes_no_field(name: str) -> None:
    def clean(uploads: Any) -> None:
        rows = getattr(uploads, name)
        for row in rows["both"] if name == "named" else rows:
            row.delete()

    _keys, timeline = cleaned(clean)

    assert (timeline.status, changes_of(timeline), Entry.objects.using(HERE).count()) == ("completed", {}, 0)


def test_a_list_of_which_rows_were_deleted_may_be_changed_and_set_again() -> None:
    def clean(uploads: Any) -> None:
        for row in uploads.several:
            row.delete()
        uploads.several += [Entry.objects.using(HERE).create(text="third")]
        del uploads.several[0]

    keys, timeline = cleaned(clean)

    assert changes_of(timeline) == {"several": [keys[1], Entry.objects.using(HERE).get().pk]}


def test_a_row_that_a_body_sets_and_then_deletes_is_the_one_that_the_field_names() -> None:
    def clean(uploads: Any) -> None:
        second = uploads.several[1]
        uploads.one, uploads.several = second, [second]
        second.delete()

    keys, timeline = cleaned(clean)

    assert changes_of(timeline) == {"one": keys[1], "several": [keys[1]]}


def test_a_row_that_was_never_saved_is_refused_in_a_list_still() -> None:
    def clean(uploads: Any) -> None:
        uploads.several[0].delete()
        uploads.several.append(Entry(text="never saved"))

    _keys, timeline = cleaned(clean)

    assert "this Entry is not in the database: save it first" in str(timeline.explain())


def test_a_row_is_refused_where_the_field_names_none() -> None:
    def clean(uploads: Any) -> None:
        uploads.anything = uploads.one

    _keys, timeline = cleaned(clean)

    assert "Unable to serialize unknown type" in str(timeline.explain())
