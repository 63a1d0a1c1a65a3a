"""Where timelines stood before their fields (0014) and the runs of their items (0010) lay apart: folded anew from their events.

The events say all, and none of them changes. Each batch is a transaction of its own: it may be interrupted, and goes on with
those that are left.
"""

import uuid
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import migrations, transaction

from ..events import NewEvent
from ..state import apply, empty, lies_beside, split_key, stored, type_state

BATCH = 200


def fold_anew(apps: Any, schema_editor: Any) -> None:
    """Fold those whose state still has the fields in it. Newer ones are as they should be."""
    using = schema_editor.connection.alias
    timelines = apps.get_model("django_timelines", "Timeline").objects.using(using)
    older, last = timelines.filter(state__has_key="fields").order_by("pk"), None
    while ids := list((older.filter(pk__gt=last) if last else older).values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic(using=using):
            _fold(apps, using, ids)
        last = ids[-1]
    for notice in apps.get_model("django_timelines", "Notice").objects.using(using).filter(step=""):
        _say_which_run(notice, timelines.filter(pk__in=[notice.source, notice.timeline]))


def _fold(apps: Any, using: str, ids: list[uuid.UUID]) -> None:
    timelines = apps.get_model("django_timelines", "Timeline").objects.using(using)
    items = apps.get_model("django_timelines", "Item").objects.using(using)
    events = apps.get_model("django_timelines", "Event").objects.using(using).filter(timeline__in=ids)
    columns = ("timeline", "sequence", "type", "step", "item", "data", "attempt", "version")
    items.filter(timeline__in=ids).delete()
    for id, rows in groupby(events.order_by("timeline", "sequence").values_list(*columns).iterator(), itemgetter(0)):
        state, head = empty(), 0
        for _id, head, type, step, item, *more in rows:
            apply(state, NewEvent(type, step, item, 0, *more), head)
        timelines.filter(pk=id).update(state=stored(state), fields=state["fields"])
        items.bulk_create([items.model(timeline_id=id, head=head, **row) for row in _beside(state)], BATCH)


def _beside(state: type_state) -> list[dict[str, Any]]:
    """Return the rows of its items."""
    found = []
    for key, run in state["runs"].items():
        if lies_beside(state["runs"], key):
            step, item, _round = split_key(key)
            row = {"step": step, "item": item, "index": run.get("index"), "status": run["status"], "state": run}
            found.append(row)
    return found


def _say_which_run(notice: Any, timelines: Any) -> None:
    """Write into a notice that was on its way which run it is about: the child of the two says that."""
    for timeline in timelines:
        parent = timeline.state.get("parent") or {}
        if parent.get("timeline") in (notice.source.hex, notice.timeline.hex):
            notice.step, notice.item = parent["step"], parent["item"]
            notice.save(update_fields=["step", "item"])


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("django_timelines", "0014_fields_apart")]
    operations = [migrations.RunPython(fold_anew, migrations.RunPython.noop, elidable=True)]
