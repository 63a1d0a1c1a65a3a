"""A long step commits batch by batch: rows, fields, facts and cursor together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from pytest_django import DjangoAssertNumQueries

from django_timelines.engine import clock
from django_timelines.engine.iterate import _Awaited, source_of
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.exceptions import LeaseLost, Rejected
from django_timelines.models import Lease, Run, Timeline
from django_timelines.placements import stopping
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.testing.due import carry_out, next_due
from django_timelines.workflows import PermanentFailure
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import ran

from .workflows import (
    Called,
    Freely,
    Later,
    LaterTwice,
    Load,
    Loaded,
    Once,
    Outside,
    Post,
    Twice,
    befall,
    letters,
    trouble,
    walked,
)

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def rows() -> list[str]:
    return list(Entry.objects.order_by("id").values_list("text", flat=True))


def at_first(error: BaseException | type[BaseException] = OSError) -> Callable[[Any], None]:
    """Fail the first time that the item comes."""
    came: list[int] = []

    def fail(workflow: Any) -> None:
        came.append(1)
        if len(came) == 1:
            raise error

    return fail


def go_on() -> None:
    """Let the retry's time come."""
    travel(timedelta(seconds=11))
    with recorded_errors():
        drain()


def begin(workflow: Any = Load, **given: Any) -> Any:
    begun = workflow.start(**given)
    with recorded_errors():
        drain()
    return begun


def now(workflow: Any) -> Any:
    return type(workflow).get(workflow.pk)


def test_a_long_step_that_nothing_disturbs_does_each_item_once() -> None:
    load = begin()

    assert now(load).load.status == "completed"
    assert rows() == [f"row {item}" for item in range(10)]
    assert (now(load).loaded, now(load).names) == (10, [*"0123456789"])
    assert [event.type for event in load.timeline.events.filter(step="load")] == [
        "StepDue",
        "AttemptStarted",
        "StepCompleted",
    ]


def test_a_failure_costs_its_batch_and_the_next_attempt_goes_on_at_the_cursor() -> None:
    trouble[7] = at_first()

    load = begin()
    assert rows() == [f"row {item}" for item in range(6)]
    go_on()

    assert rows() == [f"row {item}" for item in range(10)]
    assert (now(load).loaded, now(load).names) == (10, [*"0123456789"])


def test_until_the_step_completes_the_state_is_the_fold_of_the_events_and_then_they_carry_all_its_changes() -> None:
    trouble[7] = at_first()
    load = begin(note="hello")

    assert (now(load).loaded, now(load).names) == (0, [])
    go_on()

    completed = load.timeline.events.get(type="StepCompleted", step="load")
    assert completed.data["changes"] == {"loaded": 10, "names": [*"0123456789"]}
    assert Load.get(load.pk, at=completed.sequence - 1).loaded == 0
    assert Load.get(load.pk, at=completed.sequence).loaded == 10


def test_fields_are_what_they_were_at_the_cursor_whatever_the_body_does_before_it() -> None:
    def clear(load: Any) -> None:
        seen.append(load.loaded)
        load.loaded, load.note = 100, "again"
        load.names.append("first")

    seen: list[int] = []
    trouble["before"], trouble[7] = clear, at_first()
    load = begin()
    go_on()

    assert seen == [0, 0]
    assert (now(load).loaded, now(load).names, now(load).note) == (110, ["first", *"0123456789"], "again")


def test_an_error_after_progress_uses_up_no_attempt() -> None:
    for item in (3, 6, 9):
        trouble[item] = at_first()
    load = begin()

    for _ in range(3):
        go_on()

    assert now(load).load.status == "completed"
    failed = load.timeline.events.filter(type="AttemptFailed")
    assert [(event.attempt, event.data.get("progressed")) for event in failed] == [(1, True), (1, True), (1, True)]


def test_errors_without_progress_use_up_the_attempts() -> None:
    trouble[4] = lambda load: (_ for _ in ()).throw(OSError("no"))
    load = begin()
    for _ in range(2):
        go_on()

    assert now(load).load.status == "blocked"
    failed = load.timeline.events.filter(type="AttemptFailed")
    assert [(event.attempt, event.data.get("progressed", False)) for event in failed] == [
        (1, True),
        (1, False),
        (2, False),
    ]


def test_the_last_attempt_is_not_the_last_if_it_came_further() -> None:
    trouble["before"] = at_first()  # uses up the first of two attempts
    trouble[4] = at_first()
    load = begin()
    for _ in range(2):
        go_on()

    assert (now(load).load.status, len(rows())) == ("completed", 10)


def test_a_process_that_dies_after_progress_uses_up_no_attempt() -> None:
    for item in (3, 6, 9):
        trouble[item] = at_first(LeaseLost)  # nothing is recorded, and the lease is left
    load = begin()

    for _ in range(3):
        travel(timedelta(seconds=61))
        drain()

    assert rows() == [f"row {item}" for item in range(10)]
    interrupted = load.timeline.events.filter(type="AttemptInterrupted")
    assert [(event.attempt, event.data.get("progressed")) for event in interrupted] == [(1, True)] * 3


def test_of_a_process_that_dies_after_progress_it_is_said_where_the_step_goes_on() -> None:
    trouble[3] = at_first(LeaseLost)
    load = begin()
    travel(timedelta(seconds=61))

    clock.tick(HERE)

    said = "“load” was interrupted on its way: the process that executed it went away; it goes on there."
    assert said in str(now(load).timeline.explain())


def test_a_step_that_a_person_tries_again_goes_on_at_its_cursor() -> None:
    trouble[4] = lambda load: (_ for _ in ()).throw(PermissionError("closed"))
    load = begin()
    for _ in range(2):
        go_on()
    trouble.clear()

    load.load.retry(reason="opened")
    drain()

    assert rows() == [f"row {item}" for item in range(10)]


def test_facts_are_appended_with_their_batch_once_each() -> None:
    for item in (1, 4, 8):
        trouble[item] = lambda load, item=item: load.record(Loaded(item=item))
    trouble["before"] = lambda load: load.record(Loaded(item=-1))
    trouble[7] = at_first()
    load = begin()

    facts = load.timeline.events.filter(type="Loaded")
    assert [event.data["item"] for event in facts] == [-1, 1, 4]
    go_on()

    assert [event.data["item"] for event in facts.all()] == [-1, 1, 4, 8]


def test_a_cancel_by_the_body_is_not_forgotten_with_the_attempt() -> None:
    trouble[1] = lambda load: load.cancel(reason="a bad row")
    trouble[7] = at_first()
    load = begin()
    go_on()

    assert load.timeline.status == "cancelled"
    assert rows() == [f"row {item}" for item in range(10)]


# More loops


def test_each_loop_of_a_body_has_a_cursor_of_its_own() -> None:
    walked["first"], walked["second"] = lambda: range(5), lambda: range(10, 15)
    trouble[14] = at_first()
    between: list[tuple[int, int]] = []
    trouble["between"] = lambda twice: between.append((twice.first, twice.second))
    twice = begin(Twice)
    go_on()

    assert rows() == [*(f"first {item}" for item in range(5)), *(f"second {item}" for item in range(10, 15))]
    assert between == [(5, 0), (5, 0)]
    assert (now(twice).first, now(twice).second) == (5, 5)


def test_a_loop_that_was_left_is_not_taken_up_again_once_the_next_has_a_cursor() -> None:
    walked["first"], walked["second"] = lambda: [1, 2, 3, "stop", 4], lambda: range(10, 15)
    trouble[14] = at_first()
    twice = begin(Twice)
    go_on()

    assert rows() == [*(f"first {item}" for item in (1, 2, 3)), *(f"second {item}" for item in range(10, 15))]
    assert (now(twice).first, now(twice).second) == (3, 5)


def test_a_loop_in_a_loop_is_refused() -> None:
    def nest(freely: Any) -> None:
        for _ in freely.iterate(range(3)):
            for _ in freely.iterate(range(3)):
                pass

    trouble["go"] = nest
    freely = begin(Freely)

    assert now(freely).go.status == "blocked"
    assert "One iterate() is inside another" in str(freely.timeline.explain())


@pytest.mark.parametrize("workflow", [Freely, Outside])
def test_a_transaction_of_the_bodys_own_around_the_loop_is_refused(workflow: Any) -> None:
    def wrap(freely: Any) -> None:
        with transaction.atomic(using=HERE):
            for _ in freely.iterate(range(3)):
                pass

    trouble["go"] = wrap
    freely = begin(workflow)

    assert now(freely).go.status == "blocked"
    assert "inside an atomic() block of its own" in str(freely.timeline.explain())


def test_a_transaction_of_the_bodys_own_within_the_loop_is_fine() -> None:
    def wrap(freely: Any) -> None:
        for item in freely.iterate(range(5), batch=1):
            with transaction.atomic():
                Entry.objects.create(text=f"row {item}")

    trouble["go"] = wrap
    freely = begin(Freely)

    assert now(freely).go.status == "completed"
    assert len(rows()) == 5


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_batch_has_an_item_at_least(wrong: int) -> None:
    trouble["go"] = lambda freely: freely.iterate(range(3), batch=wrong)
    freely = begin(Freely)

    assert "1 at least" in str(freely.timeline.explain())


def test_what_cannot_be_walked_over_says_so() -> None:
    trouble["go"] = lambda freely: freely.iterate(Entry.objects)
    freely = begin(Freely)

    assert "iterate() walks over an iterable or a queryset" in str(freely.timeline.explain())


# What is walked over


def test_a_queryset_is_walked_by_key_a_batch_at_a_time(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(7):
        Entry.objects.create(text=str(number))
    asked: list[str] = []

    def walk(freely: Any) -> None:
        def note(execute: Any, sql: str, *rest: Any) -> Any:
            if "shop_entry" in sql:
                asked.append(sql)
            return execute(sql, *rest)

        with connections["default"].execute_wrapper(note):
            seen.extend(entry.text for entry in freely.iterate(Entry.objects.order_by("-text"), batch=3))

    seen: list[str] = []
    trouble["go"] = walk
    begin(Freely)

    assert seen == [*"0123456"]
    assert len(asked) == 4  # how many there are, and three batches
    assert not any("OFFSET" in sql for sql in asked)
    assert all("LIMIT 3" in sql for sql in asked[1:])


def test_a_queryset_that_was_reversed_is_walked_upwards_to_its_end() -> None:
    for number in range(7):
        Entry.objects.create(text=str(number))
    seen: list[str] = []

    def walk(freely: Any) -> None:
        seen.extend(entry.text for entry in freely.iterate(Entry.objects.order_by("text").reverse(), batch=2))

    trouble["go"] = walk
    begin(Freely)

    assert seen == [*"0123456"]


@pytest.mark.parametrize("batch", [2, 3, 100])
def test_a_row_that_a_join_repeats_is_walked_over_and_counted_once(batch: int) -> None:
    permissions = Permission.objects.all()[:3]
    for name in "abcde":
        Group.objects.create(name=name).permissions.set(permissions)
    found = Group.objects.filter(permissions__in=[one.pk for one in permissions])
    seen: list[str] = []
    trouble["go"] = lambda freely: seen.extend(group.name for group in freely.iterate(found, batch=batch))
    begin(Freely)

    assert seen == [*"abcde"]
    assert source_of(found, batch).count() == 5


def test_a_body_may_delete_the_rows_that_it_walks_over() -> None:
    for number in range(7):
        Entry.objects.create(text=str(number))
    stop = at_first()

    def walk(freely: Any) -> None:
        for entry in freely.iterate(Entry.objects.all(), batch=2):
            if entry.text == "5":
                stop(freely)
            seen.append(entry.text)
            entry.delete()

    seen: list[str] = []
    trouble["go"] = walk
    begin(Freely)
    go_on()

    assert rows() == []
    assert seen == [*"01234456"]  # 4 was in the batch that rolled back


@pytest.mark.parametrize(
    ("queryset", "why"),
    [
        (lambda: Entry.objects.all()[:3], "sliced or combined"),
        (lambda: Entry.objects.all().union(Entry.objects.all()), "sliced or combined"),
        (lambda: Entry.objects.values("text"), "not values()"),
    ],
)
def test_a_queryset_that_cannot_be_walked_by_key_says_why(queryset: Any, why: str) -> None:
    Entry.objects.create(text="one")
    trouble["go"] = lambda freely: [*freely.iterate(queryset())]
    freely = begin(Freely)

    assert why in str(freely.timeline.explain())


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda: range(4), "The step has done 6 items, and what it iterates has 4 now."),
        (lambda: range(100, 110), "Item 6, the last that the step has done, is not what it was"),
        (Entry.objects.all, "The cursor of loop 1 is that of an iterable, and the body now walks shop.Entry."),
    ],
)
def test_what_changed_under_a_long_step_blocks_it_and_leaves_the_timeline_whole(changed: Any, why: str) -> None:
    trouble[7] = at_first()
    load = begin()
    walked["load"] = changed
    go_on()

    assert now(load).load.status == "blocked"
    assert why in str(load.timeline.explain())
    assert rows() == [f"row {item}" for item in range(6)]

    walked.clear()  # somebody puts back what was there
    load.load.retry(reason="put back")
    drain()

    assert rows() == [f"row {item}" for item in range(10)]


def test_a_dict_whose_keys_come_in_another_order_is_the_same_item() -> None:
    def walk(freely: Any) -> None:
        for item in freely.iterate(found.pop(0), batch=2):
            Entry.objects.create(text=f"row {item['id']}")
            befall(freely, item["id"])

    found = [
        [{"price": 5, "id": n} for n in range(4)],
        [{"id": n, "price": 5} for n in range(4)],
    ]  # PostgreSQL orders them
    trouble["go"], trouble[3] = walk, at_first()
    freely = begin(Freely)
    go_on()

    assert now(freely).go.status == "completed"
    assert rows() == [f"row {n}" for n in range(4)]


def test_of_items_that_are_no_plain_data_only_the_number_is_compared() -> None:
    walked["load"] = lambda: (Thing() for _ in range(10))
    trouble["after"] = at_first()
    load = begin()
    go_on()

    assert (now(load).loaded, len(rows())) == (10, 10)


class Thing:
    """No two of them are equal."""


# Who ends it between two items


def test_a_pause_stops_a_long_step_at_the_next_item_and_it_goes_on_where_it_was() -> None:
    trouble[2] = lambda load: Post.get(load.pk).timeline.pause(reason="too loud")
    post = begin(Post)

    assert (letters, post.timeline.status, now(post).send.status) == ([0, 1, 2, 3], "paused", "retrying")
    assert Lease.objects.count() == 0
    trouble.clear()
    post.timeline.resume()
    drain()

    assert letters == [*range(10)]
    assert now(post).sent == 10
    interrupted = post.timeline.events.get(type="AttemptInterrupted")
    assert (interrupted.data["stopped"], interrupted.data["progressed"]) == (True, True)


def test_a_pause_of_everything_stops_it_too() -> None:
    trouble[2] = lambda load: pause_all("too loud")
    begin(Post)
    assert letters == [0, 1, 2, 3]
    trouble.clear()

    resume_all()
    drain()

    assert letters == [*range(10)]


def test_a_cancel_stops_an_effect_outside_between_two_items() -> None:
    trouble[2] = lambda post: Post.get(post.pk).timeline.cancel(reason="enough")
    post = begin(Post)

    assert letters == [0, 1, 2, 3]
    assert (post.timeline.status, now(post).send.status) == ("cancelled", "failed")
    assert post.timeline.events.get(type="StepFailed").data["reason"] == "cancelled"
    assert Run.objects.count() == 0


def test_what_is_undone_is_undone_to_its_end() -> None:
    load = begin()

    load.timeline.cancel(reason="wrong file", compensate=True)
    drain()

    assert (rows(), now(load).timeline.status) == ([], "cancelled")
    assert load.timeline.events.filter(type="AttemptStarted", step="unload").count() == 1


def test_a_worker_that_ends_commits_what_is_done_and_gives_the_rest_back() -> None:
    trouble[4] = lambda load: stopping.set()
    load = Load.start()
    run = next_due(HERE)
    assert run is not None
    carry_out(run, HERE)

    assert rows() == [f"row {item}" for item in range(5)]
    assert now(load).load.status == "retrying"
    assert Lease.objects.count() == 0
    stopping.clear()
    trouble.clear()
    drain()

    assert rows() == [f"row {item}" for item in range(10)]
    assert now(load).loaded == 10


def test_an_attempt_that_somebody_else_has_got_commits_no_batch_more() -> None:
    trouble[2] = lambda post: (trouble.clear(), Post.get(post.pk).send.retry(reason="it hangs", force=True))
    post = Post.start()
    drain()

    assert letters == [0, 1, 2, 3, *range(2, 10)]  # the second attempt began at the cursor of the first
    assert now(post).sent == 10


def test_a_long_step_that_was_cancelled_rolls_back_its_batch(elsewhere: Any) -> None:
    trouble[4] = lambda load: elsewhere(lambda: Load.get(load.pk).timeline.cancel(reason="enough"))
    load = begin()

    assert rows() == ["row 0", "row 1", "row 2"]
    assert load.timeline.status == "cancelled"


def test_a_long_step_that_lost_its_lease_rolls_back_its_batch(elsewhere: Any) -> None:
    trouble[4] = lambda load: elsewhere(lambda: Load.get(load.pk).load.retry(reason="it hangs", force=True))
    load = Load.start()
    with recorded_errors():
        trouble_once = trouble[4]
        trouble[4] = lambda load: (trouble.clear(), trouble_once(load))
        drain()

    assert rows() == [f"row {item}" for item in range(10)]
    assert now(load).loaded == 10


# Fields that others change


def test_a_field_that_a_batch_and_somebody_else_changed_blocks_with_both_values() -> None:
    trouble[7] = at_first()
    load = begin()
    load.timeline.amend(reason="I counted", loaded=77)
    go_on()

    blocked = load.timeline.events.get(type="StepBlocked")
    assert now(load).load.status == "blocked"
    assert (blocked.data["reason"], blocked.data["theirs"]) == ("conflict", {"loaded": 77})
    assert blocked.data["changes_kept_back"] == {"loaded": 10, "names": [*"0123456789"]}
    assert now(load).loaded == 77
    assert len(rows()) == 9
    assert "what it did since its last batch rolled back. Retry it, and it goes on there" in str(
        load.timeline.explain()
    )


def test_whoever_retries_it_chooses_the_bodys_value_and_no_row_is_there_twice() -> None:
    test_a_field_that_a_batch_and_somebody_else_changed_blocks_with_both_values()
    load = Load.timelines.get().subject

    load.load.retry(reason="the step counted right")
    drain()

    assert (now(load).loaded, now(load).load.status) == (10, "completed")
    assert rows() == [f"row {item}" for item in range(10)]


def test_a_field_that_only_somebody_else_changed_is_theirs() -> None:
    trouble[7] = at_first()
    load = begin()
    load.timeline.amend(reason="so that all know", note="the big one")
    go_on()

    assert (now(load).note, now(load).loaded) == ("the big one", 10)


# When the run is another one


def test_a_new_round_begins_at_the_first_item() -> None:
    trouble[7] = at_first()
    load = begin()
    Entry.objects.all().delete()

    load.timeline.rewind(to="load", reason="another file")
    drain()

    assert rows() == [f"row {item}" for item in range(10)]
    assert now(load).loaded == 10


def test_a_call_with_other_input_begins_at_its_first_item(place: Any) -> None:
    place("workflows.Called", load="embedded")
    trouble[3] = lambda load: (_ for _ in ()).throw(ValidationError("no threes"))
    called = begin(Called, first=0, last=6)
    assert rows() == ["row 0", "row 1"]

    called.load(first=10, last=15)
    drain()

    assert rows() == ["row 0", "row 1", *(f"row {item}" for item in range(10, 15))]
    assert now(called).loaded == 5


@pytest.mark.parametrize(("workflow", "given"), [(Load, {}), (Called, {"first": 0, "last": 10})])
@pytest.mark.parametrize("placed", [{}, {"load": "embedded"}])
def test_a_call_of_a_blocked_step_with_the_same_input_goes_on_at_its_cursor(
    workflow: Any, given: dict[str, int], placed: dict[str, str], place: Any
) -> None:
    place(f"workflows.{workflow.__name__}", **placed)
    trouble[7] = at_first(PermanentFailure("closed"))
    load = begin(workflow, **given)
    blocked = now(load)
    assert blocked.load.status == "blocked"

    blocked.load(**given)
    drain()

    assert rows() == [f"row {item}" for item in range(10)]
    assert (now(load).load.status, now(load).loaded) == ("completed", 10)


def test_a_call_of_a_blocked_effect_outside_goes_on_at_its_cursor() -> None:
    def walk(once: Any) -> None:
        for item in once.iterate(range(5), batch=1):
            letters.append(item)
            befall(once, item)

    trouble["go"], trouble[3] = walk, at_first()
    once = begin(Once)
    assert (now(once).go.status, letters) == ("blocked", [0, 1, 2, 3])

    once.go()
    drain()

    assert letters == [0, 1, 2, 3, 3, 4]


def test_a_call_that_finds_its_cursor_taken_is_judged_again(elsewhere: Any) -> None:
    def retried(load: Any) -> None:
        trouble.clear()
        elsewhere(lambda: [now(load).load.retry(), drain()])

    trouble[7] = at_first(PermanentFailure("closed"))
    load = begin()
    trouble["before"] = retried

    load.load()

    assert rows() == [f"row {item}" for item in range(10)]


@pytest.mark.parametrize("placed", [{}, {"load": "embedded"}])
def test_a_call_of_a_blocked_step_with_other_input_begins_at_its_first_item(placed: dict[str, str], place: Any) -> None:
    place("workflows.Called", **placed)
    trouble[3] = at_first(PermanentFailure("closed"))
    called = begin(Called, first=0, last=6)
    assert now(called).load.status == "blocked"

    called.load(first=10, last=15)
    drain()

    assert rows() == ["row 0", "row 1", *(f"row {item}" for item in range(10, 15))]


def test_the_next_step_of_a_runner_does_not_find_the_cursor() -> None:
    seen: list[Any] = []
    trouble["file_away"] = lambda post: seen.append(Run.objects.values_list("step", "cursor", "progress").get())
    begin(Post)

    assert seen == [("file_away", None, None)]


# In a request


def test_a_long_step_that_is_called_here_is_there_from_its_first_batch_on() -> None:
    seen: list[Any] = []
    trouble[3] = lambda load: seen.append((Timeline.objects.count(), Lease.objects.count(), len(rows())))

    called = Called.start(first=0, last=6)

    assert seen == [(1, 1, 4)]
    assert (called.loaded, called.load.status, Lease.objects.count()) == (6, "completed", 0)


def test_one_that_is_rejected_after_a_batch_leaves_the_batch_and_waits_for_the_next_call() -> None:
    trouble[3] = lambda load: (_ for _ in ()).throw(ValidationError("no threes"))

    with pytest.raises(Rejected, match="no threes"):
        Called.start(first=0, last=6)

    called = Called.timelines.get().subject
    assert (rows(), called.load.status) == (["row 0", "row 1"], "waiting")


def test_one_that_fails_after_a_batch_is_retried_where_retries_run() -> None:
    trouble[3] = at_first()
    with recorded_errors():
        called = Called.start(first=0, last=6)
    assert called.load.status == "retrying"

    go_on()

    assert rows() == [f"row {item}" for item in range(6)]


def test_two_starts_with_one_key_are_one_timeline_though_both_come_to_their_first_batch(elsewhere: Any) -> None:
    def other(load: Any) -> None:
        trouble.clear()
        elsewhere(lambda: Called.using(key="form").start(first=0, last=6))

    trouble[0] = other
    called = Called.using(key="form").start(first=0, last=6)

    assert Called.timelines.count() == 1
    assert rows() == [f"row {item}" for item in range(6)]
    assert now(called).loaded == 6


def test_inside_the_callers_transaction_batches_are_savepoints_of_it() -> None:
    with transaction.atomic(using=HERE), transaction.atomic():
        called = Called.start(first=0, last=6)
        assert (len(rows()), called.load.status) == (6, "completed")
        transaction.set_rollback(True)
        transaction.set_rollback(True, using=HERE)

    assert (rows(), Timeline.objects.count()) == ([], 0)


def test_inside_the_callers_transaction_a_failure_rolls_back_its_batch_only() -> None:
    trouble[3] = at_first()
    with recorded_errors(), transaction.atomic(using=HERE), transaction.atomic():
        called = Called.start(first=0, last=6)

    assert (len(rows()), now(called).load.status) == (2, "retrying")
    go_on()
    assert rows() == [f"row {item}" for item in range(6)]


# What a body does to its transaction


def test_a_hook_that_fails_after_a_batch_is_logged_and_the_step_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fail_later(load: Any) -> None:
        def fail() -> None:
            raise RuntimeError("a hook")

        transaction.on_commit(fail)

    trouble[1] = fail_later
    load = begin()

    assert now(load).load.status == "completed"
    assert "after the commit of a batch" in caplog.text


def test_a_batch_that_cannot_be_committed_fails_the_attempt_even_if_the_body_swallows_it() -> None:
    if connections[HERE].vendor == "mysql":
        pytest.skip("MariaDB checks no constraint at the commit")
    came: list[int] = []

    def swallow(freely: Any) -> None:
        with suppress(IntegrityError):
            for item in freely.iterate(range(10), batch=3):
                Entry.objects.using(HERE).create(text=f"row {item}")
                if item == 4 and not came:
                    came.append(1)
                    # of no content type, which is found at the commit
                    Permission.objects.using(HERE).create(content_type_id=10**6, codename="x", name="x")

    trouble["go"] = swallow
    freely = begin(Freely)

    assert now(freely).go.status == "retrying"
    assert now(freely).timeline.state["runs"]["go"]["error"]["type"] == "django.db.utils.IntegrityError"
    assert Entry.objects.using(HERE).count() == 3
    go_on()
    assert Entry.objects.using(HERE).count() == 10


# At least once, at most once, and awaited


def test_an_effect_outside_is_done_again_from_its_last_cursor_on() -> None:
    trouble[5] = at_first()
    post = begin(Post)
    go_on()

    assert letters == [0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]
    assert now(post).sent == 10


def test_what_comes_after_the_loop_repeats_no_effect_of_it() -> None:
    trouble["after"] = at_first()
    walked["send"] = lambda: range(5)
    begin(Post)
    go_on()

    assert letters == [0, 1, 2, 3, 4]


def test_an_at_most_once_step_that_failed_waits_for_a_person_and_goes_on_at_its_cursor() -> None:
    def walk(once: Any) -> None:
        for item in once.iterate(range(6), batch=2):
            letters.append(item)
            if item == 3 and len(letters) == 4:
                raise OSError

    trouble["go"] = walk
    once = begin(Once)
    assert now(once).go.status == "blocked"

    once.go.retry(reason="three is fine twice")
    drain()

    assert letters == [0, 1, 2, 3, 2, 3, 4, 5]


def test_nothing_but_a_cancel_stops_an_at_most_once_step_between_two_items() -> None:
    def walk(once: Any) -> None:
        for item in once.iterate(range(6), batch=1):
            letters.append(item)
            if item == 1:
                Once.get(once.pk).timeline.pause(reason="too loud")
                stopping.set()
            if item == 3:
                Once.get(once.pk).timeline.cancel(reason="enough")

    trouble["go"] = walk
    once = begin(Once)

    assert letters == [0, 1, 2, 3]
    assert (now(once).go.status, now(once).timeline.status) == ("failed", "cancelled")


def test_an_awaited_step_walks_with_async_for() -> None:
    trouble[5] = at_first()
    later = begin(Later)
    go_on()

    assert letters == [0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]
    assert (now(later).seen, now(later).go.status) == (10, "completed")


def test_an_awaited_loop_that_was_left_has_ended_before_the_next_begins() -> None:
    walked["first"], walked["second"] = lambda: [1, 2, 3, "stop", 4], lambda: range(10, 15)
    trouble[14] = at_first()
    later = begin(LaterTwice)
    go_on()

    assert letters == [10, 11, 12, 13, 14, 14]
    assert (now(later).go.status, now(later).between, now(later).seen) == ("completed", 1, 5)


def test_an_awaited_loop_can_be_closed_as_a_generator_is() -> None:
    async def leave() -> int:
        async with aclosing(_Awaited(item for item in range(3))) as items:
            async for item in items:
                return item
        return -1

    assert async_to_sync(leave)() == 0


def test_a_call_of_an_overdue_step_with_the_same_input_goes_on_at_its_cursor(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def begin(self): ...

            @step(after=begin, within=timedelta(hours=1), delivery=AT_LEAST_ONCE, retry=Retry(3, wait=timedelta(hours=2)))
            def load(self, n: int):
                for item in self.iterate(range(n), batch=1):
                    ran[item] += 1
                    if item == 3 and ran[item] == 1:
                        raise RetryAfter(7200)
    """).start()
    drain()
    with recorded_errors():
        type(parcel).get(parcel.pk).load(n=5)
        drain()
        with travel(timedelta(hours=1, seconds=5)):
            drain()
            assert type(parcel).get(parcel.pk).load.status == "overdue"
            type(parcel).get(parcel.pk).load(n=5)
            drain()

    assert type(parcel).get(parcel.pk).load.status == "completed"
    assert ran == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1}


def test_an_awaited_loop_in_a_loop_is_refused() -> None:
    walked["first"] = lambda: [1, "nest", 3]
    later = begin(LaterTwice)

    assert now(later).go.status == "blocked"
    assert "One iterate() is inside another" in str(later.timeline.explain())
