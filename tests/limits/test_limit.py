"""``limit=``: so many attempts at once, over all timelines; who comes too late stays due, and the oldest is first."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from django_timelines.actors import Actor, ActorType
from django_timelines.engine import clock
from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Held, Runner
from django_timelines.engine.slots import call_up, call_up_all
from django_timelines.engine.stopping import give_back
from django_timelines.exceptions import PermanentFailure, Rejected
from django_timelines.models import Event, Run, Slot
from django_timelines.state import RunName
from django_timelines.testing import assert_holds, drain, recorded_errors, travel
from django_timelines.workflows import Limit, Workflow, step
from tests.counting import rows_read, work_done
from tests.limits.workflows import Caller, Desk, Import, Plant
from tests.shop.here import HERE
from tests.shop.workflows import Order, plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def worker(name: str = "worker") -> Runner:
    """Return somebody who executes one attempt: its second is over before it could go on with the next."""
    return Runner(Actor(ActorType.WORKER, name, name), "embedded", HERE, since=float("-inf"))


def claimed(workflow: Any, step: str) -> Held | None:
    """Claim the due attempt of a step, for a worker of its own."""
    fence = Run.objects.using(HERE).get(timeline=workflow.pk, step=step).fence
    return claim(workflow.pk, RunName(step), fence, worker())


def held(workflow: Any, step: str) -> Held:
    """Claim it, and have it."""
    found = claimed(workflow, step)
    assert found is not None
    return found


def ended(attempt: Held) -> None:
    """Execute an attempt to its end, however it ends."""
    with recorded_errors():
        run_from(attempt, worker())


def fresh(workflow: Any) -> Any:
    return type(workflow).get(workflow.pk)


def uploaded(*owners: str) -> list[Import]:
    return [Import.start(owner=owner) for owner in owners]


def waits(workflow: Any, step: str) -> bool:
    return Run.objects.using(HERE).get(timeline=workflow.pk, step=step).awaits is not None


# Slots


def test_so_many_are_claimed_and_the_next_stays_due_without_an_event() -> None:
    first, second, third = uploaded("Ada", "Bea", "Cleo")
    held(first, "load")
    held(second, "load")
    head = fresh(third).timeline.head

    assert claimed(third, "load") is None
    assert claimed(third, "load") is None

    assert (fresh(third).timeline.head, fresh(third).load.status, fresh(third).timeline.status) == (
        head,
        "due",
        "running",
    )
    explanation = fresh(third).timeline.explain()
    assert "“load” waits for its turn: 2 of 2 are being executed." in str(explanation)
    assert (explanation.reason, explanation.public) == ("limit", "“load” comes next.")
    assert sorted(Slot.objects.values_list("number", flat=True)) == [0, 1]
    assert Event.objects.get(timeline=first.pk, step="load", type="AttemptStarted").data["slots"]


def test_the_end_of_one_lets_the_next_begin() -> None:
    first, second, third = uploaded("Ada", "Bea", "Cleo")
    attempt, _ = held(first, "load"), held(second, "load")
    assert claimed(third, "load") is None

    ended(attempt)

    assert held(third, "load")
    assert not waits(third, "load")


def fails(error: Exception) -> Callable[[Held], None]:
    def fail(attempt: Held) -> None:
        def body(workflow: Any) -> None:
            raise error

        plan[attempt.name[0]] = body
        ended(attempt)

    return fail


def left(attempt: Held) -> None:
    """Let its runner have died."""
    travel(timedelta(minutes=2))
    clock.tick(HERE)


def forced(attempt: Held) -> None:
    Import.get(attempt.snapshot.id).load.retry(force=True)


def rewound(attempt: Held) -> None:
    Import.get(attempt.snapshot.id).timeline.rewind(to="load", reason="another file")


ENDINGS: dict[str, Callable[[Held], Any]] = {
    "completed": ended,
    "tried again": fails(OSError("Not now.")),
    "blocked": fails(PermanentFailure("Never.")),
    "given back": lambda attempt: give_back(attempt, worker()),
    "rescued": left,
    "forced": forced,
    "withdrawn": rewound,
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
def test_however_an_attempt_ends_its_slot_is_free(end: Callable[[Held], Any]) -> None:
    (one,) = uploaded("Ada")
    attempt = held(one, "load")
    assert Slot.objects.count() == 1

    end(attempt)

    assert Slot.objects.count() == 0
    assert_holds(one)


def test_an_attempt_that_was_superseded_frees_nothing_of_another() -> None:
    first, second = uploaded("Ada", "Ada")
    for one in (first, second):
        drain_only(one, "load")
    attempt = held(first, "tell")
    fresh(first).tell.retry(force=True)
    held(second, "tell")

    ended(attempt)

    assert Slot.objects.get().timeline_id == second.pk


def drain_only(one: Any, step: str) -> None:
    ended(held(one, step))


def test_an_attempt_of_an_earlier_round_keeps_its_slot_until_it_ends() -> None:
    class Draft(Workflow):
        @step
        def write(self) -> None:
            pass

        @step(after=write, limit=1)
        def check(self) -> None:
            ran["check"] += 1

        @step(after=write, manual=True, again=write)
        def change(self) -> None:
            pass

    def claimed_again() -> Held | None:
        run = Run.objects.using(HERE).get(timeline=draft.pk, step="check", status="due")
        return claim(draft.pk, RunName("check"), run.fence, worker())

    draft = Draft.start()
    ended(held(draft, "write"))
    attempt = held(draft, "check")
    draft.change()
    ended(held(draft, "write"))

    assert claimed_again() is None
    ended(attempt)
    assert Slot.objects.count() == 0
    ended(claimed_again() or pytest.fail("there was no slot"))
    assert (ran["check"], Slot.objects.count()) == (2, 0)


def test_an_undo_counts_with_its_step() -> None:
    first, second, third = uploaded("Ada", "Bea", "Cleo")
    drain_only(first, "load")
    fresh(first).timeline.cancel(reason="no", compensate=True)
    held(first, "unload")
    held(second, "load")

    assert claimed(third, "load") is None


def test_a_step_without_a_limit_asks_nothing_of_slots_and_unique_values() -> None:
    order = Order.start(customer="Ada")
    run = Run.objects.get(timeline=order.pk)

    with CaptureQueriesContext(connections[HERE]) as asked:
        run_from(claim(order.pk, RunName("pack"), run.fence, worker()), worker())
        clock.tick(HERE)

    assert fresh(order).pack.status == "completed"
    said = " ".join(query["sql"] for query in asked.captured_queries)
    assert "django_timelines_run" in said
    assert "django_timelines_slot" not in said
    assert "django_timelines_uniquevalue" not in said


# For each


def test_each_value_has_slots_of_its_own() -> None:
    first, second, other = uploaded("Ada", "Ada", "Bea")
    for one in (first, second, other):
        drain_only(one, "load")
    held(first, "tell")

    assert claimed(second, "tell") is None
    assert held(other, "tell")
    assert "1 of 1 are being executed" in str(fresh(second).timeline.explain())


def test_a_limit_of_the_class_counts_all_its_steps_and_a_steps_own_counts_too() -> None:
    here, there = Plant.start(place="here"), Plant.start(place="there")
    assert ran["sow"] == 2  # its place is not set yet, so nothing limits it
    watering = held(here, "water")

    assert claimed(here, "weed") is None
    assert held(there, "weed")
    ended(watering)
    ended(held(here, "weed"))
    held(here, "harvest")
    assert Slot.objects.filter(timeline=here.pk).count() == 2


def test_a_function_that_goes_wrong_is_the_failure_of_the_attempt() -> None:
    class Broken(Workflow):
        @step
        def begin(self) -> None:
            pass

        @step(after=begin, limit=Limit(1, per=lambda broken: 1 / 0))
        def go_on(self) -> None:
            ran["go_on"] += 1

    broken = Broken.start()
    with recorded_errors():
        drain()

    assert (fresh(broken).go_on.status, ran["go_on"], Slot.objects.count()) == ("retrying", 0, 0)
    assert "division by zero" in str(fresh(broken).timeline.explain())


def test_items_take_slots_each_for_itself() -> None:
    class Mailing(Workflow):
        addresses: list[str]

        @step
        def address(self, addresses: list[str]) -> None:
            self.addresses = addresses

        @step(after=address, each="addresses", limit=2)
        def send(self, address: str) -> None:
            ran[address] += 1

    mailing = Mailing.start(addresses=["a", "b", "c", "d"])
    runs = Run.objects.filter(timeline=mailing.pk).order_by("id")
    attempts = [claim(mailing.pk, RunName("send", run.item), run.fence, worker()) for run in runs]

    assert [attempt is not None for attempt in attempts] == [True, True, False, False]
    for attempt in attempts[:2]:
        ended(attempt or pytest.fail("not claimed"))
    drain()
    assert (fresh(mailing).timeline.status, [ran[one] for one in "abcd"]) == ("completed", [1, 1, 1, 1])


# Calls


def test_a_call_runs_where_it_is_called_if_there_is_a_slot() -> None:
    caller = Caller.start(word="Hello")

    assert (fresh(caller).said, fresh(caller).say.status, Slot.objects.count()) == ("Hello", "completed", 0)
    assert caller.repeat(word="again") == "completed"


def test_a_call_without_a_free_slot_is_due_and_runs_later() -> None:
    first, second = Caller.start(word="Hello"), Caller.start(word="Hello")
    meanwhile: list[str] = []
    plan["repeat"] = lambda body: meanwhile.append(str(second.repeat(word="me too"))) if not meanwhile else None

    assert first.repeat(word="again") == "completed"
    assert meanwhile == ["due"]
    drain()
    assert fresh(second).repeat.status == "completed"


def test_an_input_that_the_body_rejects_is_rejected_and_the_step_waits_for_another() -> None:
    with pytest.raises(Rejected, match="That was rude"):
        Caller.using(key="form").start(word="rude")

    caller = Caller.get(key="form")
    assert caller.timeline.events.filter(type="AttemptStarted").count() == 1
    assert (caller.say.status, Slot.objects.count()) == ("waiting", 0)
    assert caller.say(word="Hello") == "completed"


def test_inside_a_callers_transaction_it_runs_after_the_commit() -> None:
    with transaction.atomic(using=HERE):
        caller = Caller.start(word="Hello")
        assert (caller.say.status, ran["say"]) == ("due", 0)

    assert (fresh(caller).say.status, ran["say"]) == ("completed", 1)


def test_a_runner_goes_on_with_a_step_that_needs_a_slot() -> None:
    (one,) = uploaded("Ada")
    run = Run.objects.get(timeline=one.pk)
    runner = Runner(Actor(ActorType.WORKER, "worker", "worker"), "embedded", HERE)

    run_from(claim(one.pk, RunName("load"), run.fence, runner), runner)

    assert (fresh(one).tell.status, fresh(one).timeline.status, Slot.objects.count()) == ("completed", "completed", 0)


# Whose turn it is


@pytest.fixture
def rung(place: Any) -> Callable[[], list[str]]:
    """Return whom the bells have rung for since the last time that this was asked."""
    place(background="rq:default")
    queue = django_rq.get_queue("default")
    queue.empty()

    def ask() -> list[str]:
        jobs = [str(job.kwargs.get("timeline") or job.args[0]) for job in queue.jobs]
        queue.empty()
        return jobs

    return ask


@pytest.mark.redis
def test_the_one_that_waits_longest_is_rung_for_when_a_slot_is_free(rung: Callable[[], list[str]]) -> None:
    first, second, third, fourth = uploaded("Ada", "Bea", "Cleo", "Dora")
    attempt, _ = held(first, "load"), held(second, "load")
    assert (claimed(fourth, "load"), claimed(third, "load")) == (None, None)
    rung()

    ended(attempt)

    assert [one for one in rung() if one in (third.pk.hex, fourth.pk.hex)] == [third.pk.hex]


def test_whoever_comes_later_leaves_the_slot_to_those_that_wait_unless_they_do_not_come() -> None:
    first, second, waiting = uploaded("Ada", "Bea", "Cleo")
    attempt, _ = held(first, "load"), held(second, "load")
    assert claimed(waiting, "load") is None
    (newer,) = uploaded("Dora")

    ended(attempt)
    call_up_all(HERE, ring=False)
    assert claimed(newer, "load") is None
    travel(timedelta(seconds=6))

    assert held(newer, "load")
    assert claimed(waiting, "load") is None
    assert Slot.objects.count() == 2


def test_who_needs_two_slots_comes_to_its_turn_though_others_pass_it_at_each() -> None:
    oldest = Desk.start(owner="Ada", account="joint")
    tidying = [Desk.start(owner="Ada", account=f"Ada's {n}") for n in range(4)]
    posting = [Desk.start(owner=f"owner {n}", account="joint") for n in range(4)]
    tidies, posts = held(tidying[0], "tidy"), held(posting[0], "post")
    assert claimed(oldest, "post") is None
    ended(tidies)
    assert claimed(oldest, "post") is None
    tidies = held(tidying[1], "tidy")  # it passes the oldest, which waits for the other one
    ended(posts)
    assert claimed(oldest, "post") is None
    posts = held(posting[1], "post")  # and so does this
    travel(timedelta(minutes=2))

    ended(tidies)
    assert claimed(oldest, "post") is None
    assert claimed(tidying[2], "tidy") is None
    ended(posts)
    assert claimed(posting[2], "post") is None
    ended(held(oldest, "post"))

    drain()
    assert [fresh(one).post.status for one in (oldest, *posting)] == ["completed"] * 5
    assert [fresh(one).tidy.status for one in tidying] == ["completed"] * 4


@pytest.mark.redis
def test_the_clock_calls_up_who_waits_although_a_slot_is_free(rung: Callable[[], list[str]]) -> None:
    first, second, third = uploaded("Ada", "Bea", "Cleo")
    attempts = held(first, "load"), held(second, "load")
    assert claimed(third, "load") is None
    rung()
    for attempt in attempts:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("django_timelines.engine.slots._call_up", lambda *args, **kwargs: None)  # it died before
            ended(attempt)
    assert third.pk.hex not in rung()

    clock.tick(HERE)
    clock.tick(HERE)

    assert [one for one in rung() if one == third.pk.hex] == [third.pk.hex]


def test_of_those_that_are_called_up_no_state_is_read_but_the_firsts() -> None:
    first, second, *others = uploaded(*"ABCDEF")
    attempts = held(first, "load"), held(second, "load")
    assert [claimed(one, "load") for one in others] == [None] * 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django_timelines.engine.slots._call_up", lambda *args, **kwargs: None)
        for attempt in attempts:
            ended(attempt)

    with rows_read(HERE) as read:
        call_up_all(HERE, ring=False)

    assert Run.objects.filter(rings=1, awaits__isnull=False).count() == 2
    assert read["states"] == 1


def test_the_more_wait_the_more_work_it_is_not_to_call_one_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_timelines.engine.slots.MANY", 10)
    first, second, third = uploaded("Ada", "Bea", "Cleo")
    attempts = held(first, "load"), held(second, "load")
    assert claimed(third, "load") is None
    for attempt in attempts:
        ended(attempt)
    one = Run.objects.get(timeline=third.pk, step="load")
    alike = {"timeline_id": third.pk, "step": "load", "status": "due", "awaits": one.awaits, "ring": one.ring}
    Run.objects.bulk_create(Run(fence=1_000 + number, **alike) for number in range(5_000))

    with work_done(HERE) as work:
        call_up_all(HERE, ring=False)
        call_up(HERE, filter(None, [one.awaits]), ring=False)

    assert Run.objects.filter(fence__gte=1_000, rings=1).count() == 1
    assert work["steps"] < 20
    Run.objects.filter(fence__gte=1_000).delete()


def test_all_limits_that_somebody_waits_for_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_timelines.engine.slots.MANY", 4)
    called: list[Any] = []
    monkeypatch.setattr("django_timelines.engine.slots._call_up", lambda using, digest, ring: called.append(digest))
    third = uploaded("Ada", "Bea", "Cleo")[2]
    digests = {uuid.uuid4() for _ in range(6)}
    numbered = enumerate([*digests, *digests])
    crowd = [Run(timeline_id=third.pk, step="load", status="due", fence=9 + n, awaits=one) for n, one in numbered]
    Run.objects.bulk_create(crowd)

    looks = []
    for _ in range(200):
        call_up_all(HERE)
        looks.append([called.pop() for _ in [*called]])

    assert all(len({*look}) == len(look) == 4 for look in looks)
    assert {digest for look in looks for digest in look} == digests
    Run.objects.filter(awaits__isnull=False).delete()


def test_what_waits_is_no_busy_loop() -> None:
    first, second, third = uploaded("Ada", "Bea", "Cleo")
    held(first, "load")
    held(second, "load")
    assert claimed(third, "load") is None

    assert drain() == 0
    clock.tick(HERE)
    run = Run.objects.get(timeline=third.pk)
    assert run.rings == 0
    assert run.ring is not None


def test_all_come_to_their_turn() -> None:
    loaded: list[Any] = []
    plan["load"] = lambda workflow: loaded.append(workflow.pk)
    every = uploaded(*"ABCDEFGHIJ")
    attempts = [held(one, "load") for one in every[:2]]
    assert [claimed(one, "load") for one in reversed(every[2:])] == [None] * 8

    for attempt in attempts:
        ended(attempt)
    drain()

    assert {fresh(one).timeline.status for one in every} == {"completed"}
    assert loaded == [one.pk for one in every]
    assert Slot.objects.count() == 0


def test_a_paused_one_lets_others_pass_and_a_cancelled_one_waits_no_more() -> None:
    first, second, third, fourth, fifth = uploaded(*"ABCDE")
    attempts = held(first, "load"), held(second, "load")
    for one in (third, fourth, fifth):
        assert claimed(one, "load") is None
    fresh(third).timeline.pause(reason="wait")
    fresh(fourth).timeline.cancel(reason="no")

    ended(attempts[0])

    assert held(fifth, "load")
    fresh(third).timeline.resume()
    ended(attempts[1])
    assert held(third, "load")


def test_what_waits_for_a_slot_can_be_skipped_and_becomes_overdue_as_any() -> None:
    class Late(Workflow):
        @step
        def begin(self) -> None:
            pass

        @step(after=begin, within=timedelta(minutes=1), limit=1)
        def go_on(self) -> None:
            pass

    first, second, third = Late.start(), Late.start(), Late.start()
    drain_to = [held(one, "begin") for one in (first, second, third)]
    for attempt in drain_to:
        ended(attempt)
    held(first, "go_on")
    assert (claimed(second, "go_on"), claimed(third, "go_on")) == (None, None)
    assert fresh(third).go_on.skip(reason="no") == "completed"

    travel(timedelta(minutes=1))
    clock.tick(HERE)

    assert fresh(second).go_on.status == "overdue"


# Deploys

LIMITED = """
class Parcel(Workflow):
    @step
    def take(self):
        pass

    @step(after=take, limit=3)
    def weigh(self):
        ran['weigh'] += 1

    @step(after=weigh, manual=True)
    def sign(self):
        pass
"""


def taken(workflow: Any, count: int) -> list[Any]:
    parcels = [workflow.start() for _ in range(count)]
    for parcel in parcels:
        ended(held(parcel, "take"))
    return parcels


def test_a_deploy_that_lowers_the_number_begins_none_until_so_many_have_ended(deploy: Any) -> None:
    parcels = taken(deploy(LIMITED), 5)
    attempts = [held(parcel, "weigh") for parcel in parcels[:3]]
    deploy(LIMITED.replace("limit=3", "limit=1"))

    for attempt in attempts:
        assert claimed(parcels[3], "weigh") is None
        ended(attempt)

    assert held(parcels[3], "weigh")
    assert claimed(parcels[4], "weigh") is None


def test_a_deploy_that_raises_the_number_lets_those_begin_that_wait(deploy: Any) -> None:
    parcels = taken(deploy(LIMITED), 5)
    [held(parcel, "weigh") for parcel in parcels[:3]]
    assert (claimed(parcels[3], "weigh"), claimed(parcels[4], "weigh")) == (None, None)

    deploy(LIMITED.replace("limit=3", "limit=4"))
    call_up_all(HERE, ring=False)

    assert [run.rings for run in Run.objects.filter(awaits__isnull=False).order_by("id")] == [1, 0]
    assert drain() == 2  # one after the other


def test_a_deploy_that_takes_the_limit_away_frees_what_is_held_and_lets_all_begin(deploy: Any) -> None:
    parcels = taken(deploy(LIMITED), 5)
    attempts = [held(parcel, "weigh") for parcel in parcels[:3]]
    assert (claimed(parcels[3], "weigh"), claimed(parcels[4], "weigh")) == (None, None)

    deploy(LIMITED.replace(", limit=3", ""))
    assert drain() == 2
    for attempt in attempts:
        ended(attempt)

    assert (ran["weigh"], Slot.objects.count()) == (5, 0)


def test_a_renamed_step_counts_with_those_that_began_under_its_old_name(deploy: Any) -> None:
    parcels = taken(deploy(LIMITED.replace("limit=3", "limit=1")), 2)
    attempt = held(parcels[0], "weigh")
    renamed = LIMITED.replace("limit=3", 'limit=1, renamed_from="weigh"').replace("def weigh", "def measure")
    new = deploy(renamed.replace("after=weigh", "after=measure"))

    fence = Run.objects.get(timeline=parcels[1].pk).fence
    assert claim(parcels[1].pk, RunName("weigh"), fence, worker()) is None

    ended(attempt)
    drain()
    assert new.get(parcels[1].pk).measure.status == "completed"
