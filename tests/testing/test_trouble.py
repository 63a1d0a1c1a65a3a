"""Crashes, bells that come twice, bodies that fail: what a test can do to a workflow, and what holds then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections, router, transaction
from django.db.transaction import TransactionManagementError

from django_timelines.engine import clock
from django_timelines.exceptions import Unknown
from django_timelines.models import Lease, Timeline
from django_timelines.placements import embedded
from django_timelines.signals import appended
from django_timelines.testing import (
    Crash,
    assert_holds,
    crash_at,
    deliver_twice,
    drain,
    fail_step,
    given,
    recorded_errors,
    travel,
)
from django_timelines.testing import holds as holds_module
from django_timelines.testing.due import carry_out, next_due
from django_timelines.testing.patching import wrapped
from django_timelines.workflows import RetryAfter
from tests.shop.here import HERE
from tests.shop.models import Entry, Unique
from tests.shop.workflows import Bar, Jury, Order, Trip, Vault, given_back, plan, ran

from .workflows import Announcement, Chore, Postcard, Telegram

pytestmark = pytest.mark.usefixtures("committed")
LATER = timedelta(minutes=2)  # a lease is over by then


def upto(step: str) -> Order:
    return given(Order, customer="Ada").upto(step).workflow


def types(workflow: Order | Postcard, step: str) -> list[str]:
    return [event.type for event in type(workflow).get(workflow.pk).timeline.events.filter(step=step)]


def entries() -> list[str]:
    return list(Entry.objects.order_by("id").values_list("text", flat=True))


@pytest.mark.parametrize(
    ("point", "status", "rows", "leases"),
    [
        ("before claim", "due", [], 0),
        ("before body", "running", [], 1),
        ("after body", "running", [], 1),
        ("before commit", "running", [], 1),
        ("after commit", "completed", ["pack"], None),  # one, if it was quick enough to go on with the next step
    ],
)
def test_an_exactly_once_step_leaves_what_was_committed(
    point: Any, status: str, rows: list[str], leases: int | None
) -> None:
    order = upto("pack")

    with crash_at(point, Order.pack):
        drain()

    assert (Order.get(order.pk).pack.status, entries()) == (status, rows)
    assert leases in (None, Lease.objects.count())
    assert_holds(order)
    with travel(LATER):
        drain()
    assert (Order.get(order.pk).pay.status, entries()) == ("waiting", ["pack", "announce"])


@pytest.mark.parametrize(
    ("point", "rows"),
    [
        ("before claim", ["announce"]),
        ("before body", ["announce"]),
        ("after body", ["announce", "announce"]),
        ("before commit", ["announce", "announce"]),
        ("after commit", ["announce"]),
    ],
)
def test_an_at_least_once_step_is_executed_again_unless_its_end_was_committed(point: Any, rows: list[str]) -> None:
    order = upto("announce")

    with crash_at(point, "announce"):
        drain()
    with travel(LATER):
        drain()

    assert (Order.get(order.pk).pay.status, entries()) == ("waiting", rows)


@pytest.mark.parametrize(
    ("point", "status", "runs"),
    [
        ("before claim", "completed", 1),
        ("before body", "blocked", 0),
        ("after body", "blocked", 1),
        ("before commit", "blocked", 1),
        ("after commit", "completed", 1),
    ],
)
def test_an_at_most_once_step_blocks_unless_its_end_was_committed(point: Any, status: str, runs: int) -> None:
    order = upto("send")

    with crash_at(point, "shop.Order.send"):
        drain()
    with travel(LATER):
        drain()

    assert (Order.get(order.pk).send.status, ran["send"]) == (status, runs)


@pytest.mark.parametrize("point", ["before claim", "before body", "after body", "before commit"])
def test_a_call_that_dies_leaves_nothing(point: Any) -> None:
    order = upto("pay")

    with crash_at(point, "pay"):
        order.pay(amount=5)

    assert (Order.get(order.pk).pay.status, entries()) == ("waiting", [])
    assert Order.get(order.pk).timeline.head == order.timeline.head


@pytest.mark.parametrize(("point", "undone"), [("before commit", 2), ("after commit", 1)])
def test_an_undo_is_executed_again_unless_its_end_was_committed(point: Any, undone: int) -> None:
    trip = given(Trip).upto("book_hotel", flight="LH 1").workflow
    trip.timeline.cancel(reason="ill", compensate=True)

    with crash_at(point, Trip.give_back_flight):
        drain()
    with travel(LATER):
        drain()

    assert (Trip.get(trip.pk).timeline.status, ran["give_back_flight"]) == ("cancelled", undone)
    assert len({key for _flight, key in given_back}) == 1
    assert_holds(trip)


@pytest.mark.parametrize(("point", "status"), [("before commit", "running"), ("after commit", "waiting")])
def test_a_child_is_there_only_if_its_beginning_was_committed(point: Any, status: str) -> None:
    announcement = given(Announcement, people=["Ada"]).upto("telegrams").workflow

    with crash_at(point, "telegrams"):
        drain()

    assert Announcement.get(announcement.pk).telegrams["Ada"].status == status
    assert Telegram.timelines.count() == (status == "waiting")
    with travel(LATER):
        drain()
    assert (Announcement.get(announcement.pk).timeline.status, Telegram.timelines.count()) == ("completed", 1)
    assert_holds(announcement)


@pytest.mark.parametrize(("point", "status"), [("before commit", "running"), ("after commit", "waiting")])
def test_a_step_whose_time_a_function_tells_waits_only_if_the_answer_was_committed(point: Any, status: str) -> None:
    chore = Chore.start(days=2)

    with crash_at(point, Chore.go):
        drain()

    assert Chore.get(chore.pk).go.status == status
    with travel(LATER):
        drain()
    assert Chore.get(chore.pk).go.status == "waiting"
    assert_holds(chore)


def test_a_start_that_dies_leaves_no_timeline() -> None:
    with crash_at("before commit"):
        Order.start(customer="Ada")

    assert (Timeline.objects.count(), entries()) == (0, [])


def test_a_call_that_dies_after_its_commit_is_done() -> None:
    order = upto("pay")

    with crash_at("after commit", "pay"):
        order.pay(amount=5)

    assert (Order.get(order.pk).pay.status, Order.get(order.pk).send.status) == ("completed", "due")


def test_a_caller_that_dies_with_its_own_transaction_takes_the_call_with_it(committed: bool) -> None:
    order = upto("pay")

    with crash_at("after commit", "pay"), transaction.atomic(using=HERE):
        order.pay(amount=5)
        Entry.objects.create(text="beside it")

    assert (Order.get(order.pk).pay.status, entries()) == ("completed", ["pay", "beside it"])
    with crash_at("before commit", "send"), transaction.atomic(using=HERE):
        Entry.objects.create(text="lost")
        drain()
    assert (Order.get(order.pk).send.status, entries()) == ("due", ["pay", "beside it"])


def test_no_hook_and_no_hint_leaves_with_a_commit_after_which_the_process_dies(
    django_capture_on_commit_callbacks: Any, committed: bool
) -> None:
    order, heard = upto("pay"), []

    def listen(**kwargs: Any) -> None:
        heard.append("hint")

    plan["pay"] = lambda workflow: transaction.on_commit(partial(heard.append, "hook"), using=HERE)
    appended.connect(listen)
    try:
        with django_capture_on_commit_callbacks(using=HERE, execute=True), crash_at("after commit", "pay"):
            order.pay(amount=5)
    finally:
        appended.disconnect(listen)

    assert (Order.get(order.pk).pay.status, heard) == ("completed", [])


def test_a_live_lease_is_respected_after_a_crash() -> None:
    order = upto("pack")
    with crash_at("after body", "pack"):
        drain()

    assert drain() == 0

    clock.tick(HERE)
    assert Order.get(order.pk).pack.status == "running"


def test_the_process_dies_once() -> None:
    order = upto("pack")
    with crash_at("after body"):
        drain()

    with travel(LATER):
        drain()

    assert types(order, "pack")[-3:] == ["AttemptInterrupted", "AttemptStarted", "StepCompleted"]


def test_a_body_does_not_catch_a_crash() -> None:
    caught = []

    def swallow(workflow: Any) -> None:
        try:
            Order.start(customer="Bob")
        except Exception as error:
            caught.append(error)

    plan["announce"] = swallow
    upto("announce")

    with crash_at("before commit", "place"):
        drain()

    assert caught == []


def test_a_point_that_is_never_reached_fails_the_test() -> None:
    upto("pay")

    never = r"never to the point 'after body' of shop\.Order\.pack"
    with pytest.raises(AssertionError, match=never), crash_at("after body", "shop.Order.pack"):
        drain()


def test_an_unknown_point_is_named() -> None:
    known = r"no point 'in the middle'\. Known: before claim, "
    with pytest.raises(ValueError, match=known), crash_at("in the middle"):  # type: ignore[arg-type]
        pass


def test_an_error_of_the_block_is_no_crash() -> None:
    with pytest.raises(ZeroDivisionError), crash_at("after body"):
        _ = 1 / 0


def test_a_crash_of_another_kind_goes_on() -> None:
    order = upto("pack")

    with crash_at("before body", "pack"):
        with pytest.raises(AssertionError), crash_at("after body", "send"):
            pass
        drain()

    assert Order.get(order.pk).pack.status == "running"
    with pytest.raises(Crash), crash_at("before body", "announce"):
        raise Crash("of the test's own")


def test_a_bell_that_comes_twice_is_answered_once() -> None:
    order = upto("pack")

    with deliver_twice():
        drain()
        Order.get(order.pk).pay(amount=5)
        drain()

    assert Order.get(order.pk).timeline.status == "completed"
    assert ran == {"pack": 1, "announce": 1, "pay": 1, "send": 1}


def test_a_bell_comes_again_while_the_first_is_answered_and_late(caplog: pytest.LogCaptureFixture) -> None:
    upto("send")
    caplog.set_level("INFO", "django_timelines")

    with deliver_twice():
        drain()
        said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Dropped")]
        assert [one.rpartition(" ")[2] for one in said] == ["running."]

    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Dropped")]
    assert [one.rpartition(" ")[2] for one in said] == ["running.", "completed."]


def test_what_a_placement_rings_it_rings_twice(monkeypatch: pytest.MonkeyPatch, committed: bool) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(embedded.Embedded, "ring", lambda self, bell: rung.append(bell.step) or True)

    with deliver_twice():
        Order.start(customer="Ada")

    assert rung == (["pack", "pack"] if committed else [])  # nothing is committed in a TestCase


def test_a_step_fails_as_often_as_it_was_told() -> None:
    order = upto("announce")

    with fail_step(Order.announce, OSError("No paper."), times=2):
        drain()
        assert (Order.get(order.pk).announce.status, ran["announce"]) == ("retrying", 0)
        with travel(timedelta(minutes=1)):
            drain()
        with travel(timedelta(minutes=2)):
            drain()

    assert (types(order, "announce").count("AttemptFailed"), ran["announce"]) == (2, 1)
    assert Order.get(order.pk).pay.status == "waiting"


def test_a_step_fails_after_it_has_run() -> None:
    order = upto("pack")

    with fail_step("pack", ConnectionError, after=True):
        drain()

    assert (ran["pack"], entries(), Order.get(order.pk).pack.status) == (1, [], "retrying")


def test_an_error_that_the_test_makes_is_recorded_and_not_raised() -> None:
    order = upto("pay")

    with fail_step("shop.Order.pay", KeyError("till")):
        outcome = order.pay(amount=5)

    assert outcome == "retrying"
    assert order.timeline.events.get(type="AttemptFailed").data["error"]["type"] == "KeyError"


def test_other_errors_are_still_raised() -> None:
    plan["announce"] = lambda order: {}["weight"]
    upto("pack")

    with fail_step("pack", OSError("No paper.")):
        drain()
    with travel(timedelta(minutes=1)), pytest.raises(KeyError, match="weight"):
        drain()


def test_an_async_step_fails_too() -> None:
    with fail_step(Postcard.post, OSError("No stamp."), after=True):
        card = Postcard.start(to="Ada")
        drain()

    assert (Postcard.get(card.pk).post.status, types(card, "post").count("AttemptFailed")) == ("retrying", 1)


def _again(workflow: Any) -> None:
    Unique.objects.create(text="announced")


def _again_by_hand(workflow: Any) -> None:
    with connections[router.db_for_write(Unique)].cursor() as cursor:
        cursor.execute("INSERT INTO shop_unique (text) VALUES ('announced')")


def _again_and_otherwise_called(workflow: Any) -> None:
    try:
        _again_by_hand(workflow)
    except IntegrityError as error:
        raise OSError("They know already.") from error


def _again_and_never_mind(workflow: Any) -> None:
    with suppress(IntegrityError):
        _again(workflow)


@pytest.mark.parametrize(
    ("body", "status"), [(_again, "blocked"), (_again_by_hand, "blocked"), (_again_and_otherwise_called, "retrying")]
)
def test_a_database_error_of_a_body_outside_is_recorded_and_breaks_no_transaction_of_the_test(
    body: Any, status: str
) -> None:
    Unique.objects.create(text="announced")
    order, plan["announce"] = upto("announce"), body

    with recorded_errors():
        drain()

    assert (Order.get(order.pk).announce.status, Unique.objects.count()) == (status, 1)
    assert_holds(order)


def test_a_database_error_of_a_body_outside_is_recorded_before_it_is_raised() -> None:
    Unique.objects.create(text="announced")
    order, plan["announce"] = upto("announce"), _again

    with pytest.raises(IntegrityError):
        drain()

    assert Order.get(order.pk).announce.status == "blocked"


def test_a_database_error_of_the_first_body_is_recorded_before_start_raises_it(deploy: Any) -> None:
    Unique.objects.create(text="announced")
    parcel = deploy(
        """
        from tests.shop.models import Unique

        class Parcel(Workflow):
            @step
            def announce(self, text: str):
                Unique.objects.create(text=text)
        """
    )

    with pytest.raises(IntegrityError):
        parcel.start("announced")

    assert parcel.get(parcel.timelines.get().pk).announce.status == "retrying"


def test_a_body_outside_that_passes_over_a_database_error_is_not_done_without_what_it_wrote() -> None:
    Unique.objects.create(text="announced")
    order, plan["announce"] = upto("announce"), _again_and_never_mind

    with pytest.raises(TransactionManagementError), transaction.atomic(using=router.db_for_write(Unique)):
        drain()

    assert Order.get(order.pk).announce.status != "completed"


def test_a_database_error_of_a_body_outside_costs_none_of_its_batches(deploy: Any) -> None:
    Unique.objects.create(text="announced")
    mailing = deploy(
        """
        from tests.shop.models import Unique

        class Mailing(Workflow):
            sent: int = 0

            @step
            def write(self) -> None: ...

            @step(after=write, delivery=AT_LEAST_ONCE)
            def send(self) -> None:
                for number in self.iterate(range(4), batch=2):
                    self.sent += 1
                    ran[f"send {number}"] += 1
                    if number == 3:
                        Unique.objects.create(text="announced")
    """,
        "Mailing",
    ).start()

    with recorded_errors():
        drain()
    Unique.objects.all().delete()
    with travel(LATER):
        drain()

    assert type(mailing).get(mailing.pk).sent == 4
    assert ran == {"send 0": 1, "send 1": 1, "send 2": 2, "send 3": 2}
    assert_holds(mailing)


def test_a_secret_is_kept_for_the_attempt_after_a_failure() -> None:
    with fail_step(Vault.unlock, OSError("It is stuck.")):
        vault = Vault.start(owner="Ada", code="open sesame")
    with travel(timedelta(minutes=1)):
        drain()

    assert Vault.get(vault.pk).opened


def test_a_step_that_never_ran_could_not_fail() -> None:
    upto("pay")

    with pytest.raises(AssertionError, match="serve did not run in the block"), fail_step("serve", OSError):
        drain()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda rows: rows.update(state={"fields": {}, "runs": {}}), "the state is"),
        (lambda rows: rows.update(status="completed"), "the status is 'completed'"),
        (lambda rows: rows.get().events.get(sequence=2).delete(), r"the sequence of its events is \[1, 3"),
        (lambda rows: rows.get().runs.all().delete(), r"its open runs is \{\}"),
    ],
)
def test_what_does_not_hold_is_said(broken: Callable[[Any], Any], said: str, committed: bool) -> None:
    order = upto("pay")
    rows = Timeline.objects.filter(pk=order.pk)
    rows_before = rows.values("state", "status").get()
    assert_holds(order)

    with transaction.atomic(using=HERE):
        broken(rows)
        with pytest.raises(AssertionError, match=said):
            assert_holds()
        transaction.set_rollback(True, using=HERE)

    assert rows.values("state", "status").get() == rows_before


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_nobody_writes_while_it_looks(elsewhere: Callable[[Callable[[], Any]], None]) -> None:
    order = upto("pay")
    came_too_late: list[bool] = []

    def write() -> None:
        try:
            with transaction.atomic(using=HERE):
                Timeline.objects.select_for_update(nowait=True).get(pk=order.pk)
                Order.get(order.pk).pay(amount=5)
        except OperationalError:
            came_too_late.append(True)

    with wrapped(holds_module, "state_at", lambda fold: lambda *args: (fold(*args), elsewhere(write))[0]):
        assert_holds(order)

    assert came_too_late == [True]


def test_what_waits_for_another_attempt_is_not_drained_with_it_however_short_the_wait() -> None:
    telegram = Telegram.start(to="Ada")

    with fail_step(Telegram.send, OSError("the wire is down")):
        drain()

    assert Telegram.get(telegram.pk).send.status == "retrying"
    with travel(timedelta(seconds=1)):
        drain()
    assert Telegram.get(telegram.pk).send.status == "completed"


def test_an_attempt_that_need_not_wait_is_drained_at_once() -> None:
    telegram = Telegram.start(to="Ada")

    with fail_step(Telegram.send, RetryAfter(0)):
        drain()

    assert Telegram.get(telegram.pk).send.status == "completed"


def test_what_need_not_wait_comes_before_what_has_waited_on_every_database() -> None:
    waited = Telegram.start(to="Ada")
    with fail_step(Telegram.send, OSError("the wire is down")):
        drain()
    fresh = Telegram.start(to="Eve")

    with travel(timedelta(minutes=1)):
        run = next_due(HERE)
        assert run
        carry_out(run, HERE)
        assert [Telegram.get(one.pk).send.status for one in (waited, fresh)] == ["retrying", "completed"]


def test_one_item_fails_and_dies_apart_from_the_others() -> None:
    bar = Bar.start(drinks=["tea", "beer", "milk"])
    with fail_step("make[beer]", OSError("empty")), crash_at("after commit", "shop.Bar.make[milk]"):
        drain()

    now = Bar.get(bar.pk)
    assert [now.make[drink].status for drink in ("tea", "beer", "milk")] == ["completed", "retrying", "completed"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (partial(fail_step, error=OSError), "shop.Jury.announce did not"),
        (partial(crash_at, "after body"), "never to the"),
    ],
)
def test_a_step_of_one_class_is_none_of_another(trouble: Callable[..., Any], said: str) -> None:
    order = upto("announce")

    with pytest.raises(AssertionError, match=said), trouble(step=Jury.announce):
        drain()

    assert Order.get(order.pk).announce.status == "completed"


@pytest.mark.parametrize("label", ["shop.Parcel", "shop.Packet"])
@pytest.mark.parametrize("trouble", [partial(fail_step, error=OSError()), partial(crash_at, "before commit")])
def test_a_step_is_found_by_each_label_of_its_workflow(trouble: Callable[..., Any], label: str, deploy: Any) -> None:
    source = """
        class Parcel(Workflow):
            @step
            def post(self, to: str): ...

            @step(after=post)
            def sort(self): ...
    """
    parcel = deploy(source).start(to="Ada")
    packet = deploy(source.replace("Parcel(Workflow", "Packet(Workflow, renamed_from='shop.Parcel'"), "Packet")

    with trouble(step=f"{label}.sort"):
        drain()

    assert packet.get(parcel.pk).sort.status != "completed"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("serev", "No workflow has a step 'serev'. Did you mean 'serve'?"),
        ("shop.Bar.serev", "shop.Bar has no step 'serev'. Did you mean 'serve'?"),
        ("Bar.serve", "There is no workflow 'Bar' in the code."),
    ],
)
def test_a_step_that_there_is_not_is_named_at_once(step: str, said: str) -> None:
    with pytest.raises(Unknown) as unknown, fail_step(step, OSError):
        pass

    assert str(unknown.value).startswith(said)


@pytest.mark.parametrize("trouble", [partial(fail_step, error=OSError), partial(crash_at, "after body")])
def test_a_step_of_an_object_is_none_of_a_class(trouble: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="is no step of a class"), trouble(step=upto("pay").pay):
        pass
