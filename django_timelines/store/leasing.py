"""Leases: by the database's clock, in rows that no commit needs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Exists, OuterRef, Q
from django.db.models.expressions import RawSQL

from ..databases import later
from ..models import Lease, Run
from ..state import StepStatus


def heartbeat(using: str, holders: Sequence[str], seconds: float) -> int:
    """Lengthen the leases of these holders; return how many there were.

    A row that somebody holds is left out where the database can: a caller's transaction that moves its run may hold it for as
    long as a request takes, and the other leases would end meanwhile.
    """
    connection = connections[using]
    if not connection.features.has_select_for_update_skip_locked:
        return _lengthen(connection, seconds, f"holder IN ({_places(holders)})", holders)
    free = f"SELECT run_id FROM django_timelines_lease WHERE holder IN ({_places(holders)}) FOR UPDATE SKIP LOCKED"  # noqa: S608
    if connection.vendor == "postgresql":
        return _lengthen(connection, seconds, f"run_id IN ({free})", holders)
    with transaction.atomic(using=using), connection.cursor() as cursor:  # its update waits, whatever a subquery skips
        cursor.execute(free, holders)
        runs = [run for (run,) in cursor.fetchall()]
        return _lengthen(connection, seconds, f"run_id IN ({_places(runs)})", runs) if runs else 0


def _lengthen(connection: BaseDatabaseWrapper, seconds: float, where: str, params: Sequence[Any]) -> int:
    expires, ahead = later(connection, seconds)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE django_timelines_lease SET expires = {expires} WHERE {where}", [ahead, *params])  # noqa: S608
        return int(cursor.rowcount)


def _places(params: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(params))


def leases(using: str, runs: Sequence[uuid.UUID]) -> dict[uuid.UUID, datetime | None]:
    """Return which of these runs have a lease: when it ends, or None if it has ended, by the database's clock."""
    held = Lease.objects.using(using).filter(run__in=runs, run__status=StepStatus.RUNNING)
    rows = held.values_list("run_id", "expires", _is_live(using))
    return {run: expires if is_live else None for run, expires, is_live in rows}


def with_live_lease(using: str) -> Q:
    """Return the condition for open runs that are being executed, under a lease that has not ended by the database's clock."""
    live = Lease.objects.using(using).filter(_is_live(using), run=OuterRef("pk"))
    return Q(Exists(live), status=StepStatus.RUNNING)


def with_ended_lease(using: str, most: int) -> list[uuid.UUID]:
    """Return runs whose lease has ended, by the database's clock."""
    ended = Lease.objects.using(using).exclude(_is_live(using))
    return list(ended.order_by().values_list("run", flat=True)[:most])


def _is_live(using: str) -> RawSQL:
    now, ahead = later(connections[using])
    return RawSQL(f"expires > {now}", [ahead], output_field=BooleanField())  # noqa: S611 (one placeholder, ours)


def delete_ended_leases(using: str) -> None:
    """Delete the leases that were left behind, and have ended: of runs that nobody executes, or that are no longer open."""
    running = Run.objects.using(using).filter(pk=OuterRef("run_id"), status=StepStatus.RUNNING)
    left = Lease.objects.using(using).exclude(_is_live(using)).exclude(Exists(running))
    left.order_by()._raw_delete(using)
