"""Clause 13: stored things age. Steps come and go under running timelines, things are renamed and retyped: nothing is lost."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from django_timelines import moments, registry
from django_timelines.actors import SYSTEM
from django_timelines.engine.answer import answer, run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.clock import Clock, tick
from django_timelines.engine.execute import execute
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.engine.prune import prune
from django_timelines.engine.renames import bring_up_all, brought_up
from django_timelines.engine.runner import Runner, load
from django_timelines.exceptions import DeclarationError
from django_timelines.models import Event, Run, SealedInput, Timeline
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.workflows import Event as Fact
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")

BEFORE = """
class Parcel(Workflow):
    address: str
    weight: int = 1

    @step
    def take(self, address: str):
        self.address = address

    @step(after=take)
    def weigh(self):
        ran["weigh"] += 1
        self.weight = 5

    @step(after=weigh, delivery=AT_LEAST_ONCE)
    def carry(self):
        ran["carry"] += 1

    @carry.undo
    def carry_back(self):
        ran["carry_back"] += 1

    @step(after=carry, manual=True, early="keep")
    def sign(self):
        ran["sign"] += 1
"""


def test_a_step_added_behind_where_a_timeline_stands_is_not_taken_there(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    drain()

    new = deploy(BEFORE + "\n    @step(after=take)\n    def insure(self):\n        ran['insure'] += 1\n")
    drain()
    new.get(parcel.pk).sign()

    parcel = new.get(parcel.pk)
    assert (parcel.timeline.status, parcel.insure.status, ran["insure"]) == ("completed", "not taken", 0)


JOINED = """
class Parcel(Workflow):
    @step
    def take(self):
        ran["take"] += 1
    ADDED
    @step(after=take, manual=True)
    def weigh(self):
        ran["weigh"] += 1

    @step(after=WEIGHED)
    def send(self):
        ran["send"] += 1
"""
INSURE = """
    @step(after=take)
    def insure(self):
        ran["insure"] += 1

    @step(after=insure)
    def seal(self):
        ran["seal"] += 1
"""


def joined(added: str = "", weighed: str = "weigh") -> str:
    """Return the class with these steps beside ``weigh``, and what ``send`` comes after."""
    return JOINED.replace("ADDED", added).replace("WEIGHED", weighed)


@pytest.mark.parametrize("weighed", ["[weigh, seal]", "any_of(seal, weigh)", "[seal, weigh, insure]"])
@pytest.mark.parametrize("how", ["called", "skipped"])
def test_what_waits_for_a_step_added_behind_goes_on_without_it(deploy: Any, weighed: str, how: str) -> None:
    parcel = deploy(joined()).start()
    drain()

    new = deploy(joined(INSURE, weighed))
    drain()
    if how == "called":
        new.get(parcel.pk).weigh()
    else:
        new.get(parcel.pk).weigh.skip(reason="it is a letter")
    drain()

    parcel = new.get(parcel.pk)
    assert (parcel.timeline.status, ran["send"], ran["insure"], ran["seal"]) == ("completed", 1, 0, 0)
    assert [parcel.insure.status, parcel.seal.status] == ["not taken", "not taken"]


SIGNED_LAST = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @step(after=take)
    def weigh(self):
        ran["weigh"] += 1

    @step(after=weigh)
    def pack(self):
        ran["pack"] += 1

    @step(after=pack, manual=True, within=timedelta(days=1))
    def sign(self): ...

    @step(after=pack, manual=True)
    def pay(self): ...

    @step(after=SIGNED)
    def send(self):
        ran["send"] += 1
"""
SIGNED_FIRST = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @step(after=take, manual=True, within=timedelta(days=1))
    def sign(self): ...

    @step(after=take, manual=True)
    def pay(self): ...

    @step(after=SIGNED)
    def weigh(self):
        ran["weigh"] += 1

    @step(after=weigh)
    def pack(self):
        ran["pack"] += 1

    @step(after=pack)
    def send(self):
        ran["send"] += 1
"""


@pytest.mark.parametrize("signed", ["[sign, pay]", "any_of(sign, pay)"])
def test_what_comes_after_steps_that_changed_places_is_done(deploy: Any, signed: str) -> None:
    parcel = deploy(SIGNED_LAST.replace("SIGNED", signed)).start()
    drain()

    new = deploy(SIGNED_FIRST.replace("SIGNED", signed))
    new.get(parcel.pk).pay()
    if signed == "[sign, pay]":
        drain()
        assert (new.get(parcel.pk).timeline.status, ran["send"]) == ("waiting", 0)
        new.get(parcel.pk).sign()
    drain()

    assert new.get(parcel.pk).timeline.status == "completed"
    assert (ran["weigh"], ran["pack"], ran["send"]) == (1, 1, 1)


def test_what_changed_places_with_a_step_that_nobody_takes_is_not_gone_past(deploy: Any) -> None:
    parcel = deploy(SIGNED_LAST.replace("SIGNED", "sign")).start()
    drain()

    new = deploy(SIGNED_FIRST.replace("SIGNED", "sign"))
    with travel(timedelta(days=2)):
        drain()
        assert new.get(parcel.pk).sign.status == "overdue"
        new.get(parcel.pk).pay()
        drain()

    assert ran["send"] == 0


def test_what_waits_for_nothing_but_steps_added_behind_is_not_taken(deploy: Any) -> None:
    parcel = deploy(joined()).start()
    drain()

    new = deploy(joined(INSURE, "[weigh.failed, seal]"))
    new.get(parcel.pk).weigh()
    drain()

    parcel = new.get(parcel.pk)
    assert (parcel.timeline.status, parcel.send.status, ran["send"]) == ("completed", "not taken", 0)
    assert [event.step for event in parcel.timeline.events.filter(type="StepNotTaken")] == ["insure", "seal", "send"]


def test_what_waits_for_a_step_added_where_the_timeline_stands_waits_for_it(deploy: Any) -> None:
    parcel = deploy(joined()).start()

    new = deploy(joined(INSURE.replace("after=take", "after=take, manual=True"), "[weigh, seal]"))
    drain()
    new.get(parcel.pk).weigh()
    drain()
    assert (ran["weigh"], ran["send"]) == (1, 0)
    new.get(parcel.pk).insure()
    drain()

    assert (new.get(parcel.pk).timeline.status, ran["send"]) == ("completed", 1)


def test_a_step_added_ahead_of_where_a_timeline_stands_is_done(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    drain()

    new = deploy(BEFORE + "\n    @step(after=sign)\n    def bill(self):\n        ran['bill'] += 1\n")
    new.get(parcel.pk).sign()
    drain()

    assert (new.get(parcel.pk).timeline.status, ran["bill"]) == ("completed", 1)


def test_a_removed_step_with_open_work_blocks_with_an_explanation_and_goes_on_when_it_is_back(
    deploy: Any, after_the_rollout: Any
) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    deploy(BEFORE.replace("weigh", "measure"))
    after_the_rollout()

    timeline = Timeline.objects.get(pk=parcel.pk)
    assert timeline.status == "blocked"
    assert "The code has no step shop.Parcel.weigh any more" in str(timeline.explain())

    new = deploy(BEFORE)
    new.get(parcel.pk).weigh.retry()
    drain()
    assert new.get(parcel.pk).sign.status == "waiting"


@pytest.mark.parametrize("stands", ["waiting", "blocked"])
def test_a_removed_step_that_waits_for_somebody_is_said_to_be_gone(deploy: Any, stands: str) -> None:
    source = joined().replace("manual=True)", "manual=True, retry=Retry(1))").replace('ran["weigh"] += 1', "1 / 0")
    parcel = deploy(source).start()
    drain()
    if stands == "blocked":
        with recorded_errors():
            parcel.weigh()
            drain()
    deploy(source.replace("weigh", "measure"))

    timeline = Timeline.objects.get(pk=parcel.pk)
    assert timeline.status == stands
    assert timeline.explain().reason == "unknown_step"
    assert "This code has no step “weigh”: nobody can call, retry or skip it here." in str(timeline.explain())
    timeline.cancel(reason="nothing is weighed any more")
    assert timeline.status == "cancelled"


@pytest.mark.parametrize("mended", ["rewind", "call", "skip"])
def test_a_step_that_waits_and_runs_by_itself_now_says_so_and_how_it_goes_on(deploy: Any, mended: str) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    drain()
    new = deploy(BEFORE.replace("manual=True, ", ""))

    parcel = new.get(parcel.pk)
    assert parcel.sign.status == "waiting"
    assert str(parcel.timeline.explain()) == (
        "“sign” waits for a call, and runs by itself in this code: nobody is asked for it. "
        "Rewind to it, so that it runs, skip it, or call it by code."
    )
    if mended == "rewind":
        parcel.timeline.rewind(to="sign", reason="nobody signs any more")
    elif mended == "call":
        parcel.sign()
    else:
        parcel.sign.skip(reason="nobody signs any more")
    drain()
    assert (new.get(parcel.pk).timeline.status, ran["sign"]) == ("completed", 0 if mended == "skip" else 1)


def test_a_removed_workflow_blocks_and_can_be_cancelled(deploy: Any, after_the_rollout: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    registry._declarations.pop("shop.Parcel")
    after_the_rollout()

    timeline = Timeline.objects.get(pk=parcel.pk)
    assert (timeline.status, timeline.explain().reason) == ("blocked", "unknown_workflow")
    timeline.cancel(reason="we carry nothing any more")
    assert timeline.status == "cancelled"


UNDONE = """
class Parcel(Workflow):
    @step
    def post(self): ...

    @post.undo
    def fetch(self):
        ran["fetch"] += 1
"""
CARRIED = """
    @step(after=post, delivery=AT_LEAST_ONCE)
    def carry(self):
        raise OSError("The road is closed.")
"""


@pytest.fixture
def cancelled(deploy: Any) -> Any:
    """Return a timeline that is to be undone, once what was begun outside has come to its end."""
    parcel = deploy(UNDONE + CARRIED).start()
    with recorded_errors():
        drain()
    parcel.timeline.cancel(reason="not wanted any more", compensate=True)
    assert Timeline.objects.get(pk=parcel.pk).status == "cancelling"
    return parcel


def test_what_completed_is_undone_though_the_code_has_lost_the_step_that_was_to_end_first(
    cancelled: Any, deploy: Any, after_the_rollout: Any
) -> None:
    deploy(UNDONE)

    after_the_rollout()

    assert (Timeline.objects.get(pk=cancelled.pk).status, ran["fetch"]) == ("cancelled", 1)


def test_a_timeline_that_is_to_be_undone_waits_for_its_class(
    cancelled: Any, deploy: Any, after_the_rollout: Any
) -> None:
    registry._declarations.pop("shop.Parcel")
    after_the_rollout()
    assert Timeline.objects.get(pk=cancelled.pk).status == "blocked"

    deploy(UNDONE + CARRIED.replace('raise OSError("The road is closed.")', "pass")).get(cancelled.pk).carry.retry()
    drain()

    assert (Timeline.objects.get(pk=cancelled.pk).status, ran["fetch"]) == ("cancelled", 1)


def test_a_renamed_step_goes_on_under_its_new_name(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    renamed = BEFORE.replace("def weigh", "def measure").replace("after=weigh", "after=measure")
    new = deploy(renamed.replace("@step(after=take)", '@step(after=take, renamed_from="weigh")'))
    drain()

    parcel = new.get(parcel.pk)
    assert (parcel.measure.status, parcel.sign.status, parcel.weight) == ("completed", "waiting", 5)
    assert Event.objects.get(timeline=parcel.pk, type="Amended").data["renamed"]["steps"] == {"weigh": "measure"}


def test_a_bell_with_the_old_name_is_answered(deploy: Any) -> None:

    parcel = deploy(BEFORE).start("Main Street 1")
    run = Run.objects.get(timeline=parcel.pk)
    renamed = BEFORE.replace("def weigh", "def measure").replace("after=weigh", "after=measure")
    new = deploy(renamed.replace("@step(after=take)", '@step(after=take, renamed_from="weigh")'))

    answer(parcel.pk.hex, "weigh", "", run.fence, HERE, "rq:default")

    assert new.get(parcel.pk).measure.status == "completed"


def test_a_link_with_the_old_name_still_calls_the_step(deploy: Any, client: Client) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    drain()
    link = parcel.sign.link()
    new = deploy(BEFORE.replace("def sign", "def receive").replace('early="keep"', 'early="keep", renamed_from="sign"'))

    assert client.get(link).status_code == 200
    client.post(link)

    assert new.get(parcel.pk).receive.status == "completed"


LONG = """
class Parcel(Workflow):
    seen: list[int] = []

    @step
    def take(self):
        pass

    @step(after=take, retry=Retry(2, wait=timedelta(seconds=10), jitter=False))
    def weigh(self):
        for number in self.iterate(range(6), batch=2):
            ran[number] += 1
            if number == 3 and ran[number] == 1:
                raise OSError
            self.seen.append(number)
"""


def test_a_renamed_long_step_goes_on_at_its_cursor_with_renamed_fields(deploy: Any) -> None:
    parcel = deploy(LONG).start()
    with recorded_errors():
        drain()
    new = deploy(
        LONG.replace("def weigh", "def measure")
        .replace("self.seen", "self.measured")
        .replace("seen: list[int]", 'measured: Annotated[list[int], RenamedFrom("seen")]')
        .replace("@step(after=take", '@step(renamed_from="weigh", after=take')
    )
    travel(timedelta(seconds=10))
    drain()

    assert (new.get(parcel.pk).measure.status, new.get(parcel.pk).measured) == ("completed", [*range(6)])
    assert [ran[number] for number in range(6)] == [1, 1, 2, 2, 1, 1]  # 2 and 3 were in the batch that rolled back


def test_the_clock_brings_up_what_waits_for_a_renamed_step(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    drain()
    new = deploy(BEFORE.replace("def sign", "def receive").replace('early="keep"', 'early="keep", renamed_from="sign"'))

    assert bring_up_all(HERE) == 1
    assert bring_up_all(HERE) == 0
    assert Run.objects.get(timeline=parcel.pk).step == "receive"
    assert new.get(parcel.pk).receive() == "completed"


def test_an_attempt_that_runs_in_the_old_code_ends_under_its_old_name(deploy: Any) -> None:
    old = deploy(BEFORE)
    parcel = old.start("Main Street 1")

    runner = Runner(SYSTEM, "rq:default", HERE)
    run = Run.objects.get(timeline=parcel.pk)
    held = claim(parcel.pk, ("weigh", ""), run.fence, runner)
    renamed = BEFORE.replace("def weigh", "def measure").replace("after=weigh", "after=measure")
    new = deploy(renamed.replace("@step(after=take)", '@step(after=take, renamed_from="weigh")'))
    bring_up_all(HERE)
    assert Run.objects.get(timeline=parcel.pk).step == "weigh"

    run_from(held, runner)
    drain()

    assert Event.objects.filter(timeline=parcel.pk, type="StepCompleted", step="weigh").count() == 1
    assert new.get(parcel.pk).sign.status == "waiting"


def test_an_attempt_that_died_in_the_old_code_is_rescued_by_the_new(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    run = Run.objects.get(timeline=parcel.pk)
    claim(parcel.pk, ("weigh", ""), run.fence, Runner(SYSTEM, "rq:default", HERE))
    renamed = BEFORE.replace("def weigh", "def measure").replace("after=weigh", "after=measure")
    new = deploy(renamed.replace("@step(after=take)", '@step(after=take, renamed_from="weigh")'))

    travel(timedelta(minutes=2))
    tick(HERE)
    drain()

    assert new.get(parcel.pk).measure.status == "completed"


RENAMED = (
    BEFORE.replace("def weigh", "def measure")
    .replace("after=weigh", "after=measure")
    .replace("@step(after=take)", '@step(after=take, renamed_from="weigh")')
)


def brought_up_to(new: Any, parcel: Any) -> Any:
    """Let newer code look at the timeline once, in another process; return its run."""
    brought_up(new._declaration, load(parcel.pk, HERE))
    return Run.objects.get(timeline=parcel.pk)


def types(parcel: Any) -> list[str]:
    return list(Event.objects.filter(timeline=parcel.pk).order_by("sequence").values_list("type", flat=True))


def test_a_worker_of_the_old_code_leaves_what_newer_code_has_renamed_to_that(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    run = brought_up_to(deploy(RENAMED), parcel)
    before = types(parcel)

    deploy(BEFORE)
    answer(parcel.pk.hex, "measure", "", run.fence, HERE, "rq:default")
    assert (Run.objects.get(timeline=parcel.pk).status, types(parcel)) == ("due", before)
    assert Timeline.objects.get(pk=parcel.pk).explain().reason == "older_code"

    new = deploy(RENAMED)
    answer(parcel.pk.hex, "measure", "", run.fence, HERE, "rq:default")
    assert new.get(parcel.pk).measure.status == "completed"
    assert new.get(parcel.pk).timeline.explain().reason != "older_code"


def test_a_worker_of_the_old_code_goes_on_with_no_step_of_what_newer_code_has_renamed(deploy: Any) -> None:
    source = """
    class Parcel(Workflow):
        @step
        def take(self, address: str): ...

        @step(after=take)
        def weigh(self): ...

        @step(after=take)
        def wrap(self):
            ran["wrap"] += 1

        @step(after=[weigh, wrap])
        def carry(self):
            ran["carry"] += 1
    """
    parcel = deploy(source).start("Main Street 1")
    runner = Runner(SYSTEM, "rq:default", HERE, since=float("-inf"))  # its second is over: it goes on with nothing
    run_from(claim(parcel.pk, ("weigh", ""), Run.objects.get(step="weigh").fence, runner), runner)
    renamed = source.replace("@step(after=take)", '@step(after=take, renamed_from="weigh")', 1)
    renamed = renamed.replace("def weigh", "def measure").replace("[weigh", "[measure")
    run = brought_up_to(deploy(renamed), parcel)

    deploy(source)  # to which it would seem that nothing comes after wrap before weigh is done
    answer(parcel.pk.hex, "wrap", "", run.fence, HERE, "rq:default")
    assert (run.step, ran["wrap"]) == ("wrap", 0)

    deploy(renamed)
    drain()
    assert (ran["wrap"], ran["carry"], Timeline.objects.get(pk=parcel.pk).status) == (1, 1, "completed")


def test_a_clock_of_the_old_code_leaves_the_rescue_to_one_of_the_new(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    run = brought_up_to(deploy(RENAMED), parcel)
    claim(parcel.pk, ("measure", ""), run.fence, Runner(SYSTEM, "rq:default", HERE))
    before = types(parcel)

    deploy(BEFORE)
    travel(timedelta(minutes=2))
    with moments.standing_still():
        assert [tick(HERE), tick(HERE)] == [1, 0]  # and it does not look at it all the time
    assert types(parcel) == before

    new = deploy(RENAMED)
    travel(timedelta(minutes=2))
    tick(HERE)
    drain()
    assert new.get(parcel.pk).measure.status == "completed"


def test_a_clock_of_the_old_code_leaves_the_deadlines_to_one_of_the_new(deploy: Any) -> None:
    parcel = deploy(BEFORE.replace("manual=True", "manual=True, within=timedelta(days=1)")).start("Main Street 1")
    drain()
    renamed = RENAMED.replace("manual=True", "manual=True, within=timedelta(days=1)")
    brought_up_to(deploy(renamed), parcel)

    deploy(BEFORE)
    travel(timedelta(days=2))
    tick(HERE)
    assert Run.objects.get(timeline=parcel.pk).status == "waiting"

    new = deploy(renamed)
    travel(timedelta(minutes=2))
    tick(HERE)
    assert new.get(parcel.pk).sign.status == "overdue"


def test_a_step_that_was_renamed_and_then_removed_blocks(deploy: Any, after_the_rollout: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    brought_up_to(deploy(RENAMED), parcel)

    deploy(BEFORE.replace("def weigh", "def glance").replace("after=weigh", "after=glance"))
    after_the_rollout()

    assert Timeline.objects.get(pk=parcel.pk).status == "blocked"


def test_a_field_added_with_a_default_has_it_on_timelines_that_were_there(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    source = BEFORE.replace("weight: int = 1\n", "weight: int = 1\n    marks: list[str] = []\n")
    new = deploy(
        source.replace('ran["carry"] += 1', "assert self.marks == []").replace("self.weight = 5", "self.marks")
    )

    assert new.get(parcel.pk).marks == []
    drain()
    assert new.get(parcel.pk).sign.status == "waiting"
    assert "marks" not in new.get(parcel.pk).timeline.state["fields"]  # reading is no change

    new = deploy(source.replace('ran["sign"] += 1', 'self.marks.append("signed")'))
    new.get(parcel.pk).sign()
    assert new.get(parcel.pk).timeline.state["fields"]["marks"] == ["signed"]


def test_a_renamed_field_keeps_its_value(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    new = deploy(
        BEFORE.replace("address: str\n    weight", 'place: Annotated[str, RenamedFrom("address")]\n    weight').replace(
            "self.address", "self.place"
        )
    )
    assert new.get(parcel.pk).place == "Main Street 1"
    assert new.get(parcel.pk, at=4).place == "Main Street 1"
    drain()

    assert new.get(parcel.pk).timeline.state["fields"] == {"place": "Main Street 1", "weight": 5}


def test_a_renamed_workflow_keeps_its_timelines_its_keys_and_its_placements(deploy: Any, place: Any) -> None:
    new = deploy(BEFORE)
    parcel = new.using(key="order 17").start("Main Street 1")

    new = deploy(
        BEFORE.replace("class Parcel(Workflow)", 'class Packet(Workflow, renamed_from="shop.Parcel")'), "Packet"
    )
    place("shop.Packet", weigh="rq:default")

    assert new.get(parcel.pk).pk == new.get(key="order 17").pk == parcel.pk
    assert new.using(key="order 17").start("Main Street 1").pk == parcel.pk
    assert new.timelines.count() == 1
    tick(HERE)
    drain()
    assert new.get(parcel.pk).sign.status == "waiting"


def test_a_renamed_workflow_is_paused_and_pruned_under_all_its_names(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    new = deploy(
        BEFORE.replace("class Parcel(Workflow)", 'class Packet(Workflow, renamed_from="shop.Parcel")'), "Packet"
    )

    pause_all("no trucks", "shop.Packet")
    drain()
    assert new.get(parcel.pk).weigh.status == "due"

    assert resume_all("shop.Packet") is True
    drain()
    new.get(parcel.pk).sign()
    travel(timedelta(days=2))
    assert list(prune(timedelta(days=1), "shop.Packet")) == [1]


def test_a_workflow_that_is_paused_as_it_is_renamed_is_paused_under_its_new_name(deploy: Any) -> None:
    deploy(BEFORE)
    pause_all("no trucks", "shop.Parcel")
    renamed = BEFORE.replace("class Parcel(Workflow)", 'class Packet(Workflow, renamed_from="shop.Parcel")')
    new = deploy(renamed, "Packet")

    Clock(HERE).turn()
    parcel = new.start("Main Street 1")
    drain()

    assert new.get(parcel.pk).take.status == "due"
    assert "no trucks" in str(new.get(parcel.pk).timeline.explain())


def test_a_renamed_workflow_is_found_by_what_a_renamed_field_of_it_refers_to(deploy: Any) -> None:
    source = """
        from tests.shop.models import Entry
        class Parcel(Workflow):
            label: Entry

            @step
            def take(self, label: Entry):
                self.label = label

            @step(after=take, manual=True)
            def sign(self): ...
    """
    entry = Entry.objects.create(text="fragile")
    parcel = deploy(source).start(label=entry)
    renamed = source.replace("label: Entry\n\n", 'sticker: Annotated[Entry, RenamedFrom("label")]\n\n', 1)
    renamed = renamed.replace("class Parcel(Workflow)", 'class Packet(Workflow, renamed_from="shop.Parcel")')
    packet = deploy(renamed.replace("self.label", "self.sticker"), "Packet").start(label=entry)

    assert {one.pk for one in packet.timelines.about(entry)} == {parcel.pk, packet.pk}


def test_what_is_about_a_row_is_also_what_has_it_in_a_list(deploy: Any) -> None:
    parcel = deploy("""
        from tests.shop.models import Entry
        class Parcel(Workflow):
            labels: list[Entry] = []
            sender: Entry | None = None

            @step
            def take(self, labels: list[Entry]):
                self.labels = labels
    """)
    first, second, third = (Entry.objects.create(text=text) for text in ("fragile", "this side up", "heavy"))
    one, other = parcel.start(labels=[first, second]), parcel.start(labels=[second])
    parcel.start(labels=[])

    assert [{found.pk for found in parcel.timelines.about(entry)} for entry in (first, second, third)] == [
        {one.pk},
        {one.pk, other.pk},
        set(),
    ]


def test_what_a_retyped_field_no_longer_takes_fails_the_attempt_that_reads_it(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    new = deploy(BEFORE.replace("address: str\n", "address: int\n", 1).replace('ran["carry"] += 1', "self.address"))
    with recorded_errors():
        drain()

    timeline = new.get(parcel.pk).timeline
    assert timeline.status == "running"  # it is retried: the next deploy may mend it
    assert "valid integer" in timeline.state["runs"]["carry"]["error"]["message"]


def test_a_validator_brings_up_a_retyped_field(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    typed = (
        "address: Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]\n"
    )
    new = deploy(BEFORE.replace("address: str\n", typed, 1))

    assert new.get(parcel.pk).address == ["Main Street 1"]


def test_a_secret_of_a_renamed_step_is_still_there_and_goes_with_it(deploy: Any) -> None:
    source = """
    class Parcel(Workflow):
        @step(retry=Retry(2, wait=timedelta(seconds=0), jitter=False))
        def open(self, code: Secret[str]):
            ran["open"] += 1
            if ran["open"] == 1:
                raise OSError("not yet")
            ran[code] += 1
    """
    with recorded_errors():
        parcel = deploy(source).start("sesame")
    assert SealedInput.objects.count() == 1
    deploy(source.replace("def open", "def unlock").replace("@step(", '@step(renamed_from="open", '))
    drain()

    assert (ran["sesame"], SealedInput.objects.count()) == (1, 0)
    assert Timeline.objects.get(pk=parcel.pk).status == "completed"


def test_what_completed_under_an_old_name_is_undone_under_the_new_one(deploy: Any) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    drain()
    renamed = (
        BEFORE.replace("def carry(", "def bring(").replace("after=carry", "after=bring").replace("@carry.", "@bring.")
    )
    new = deploy(renamed.replace("delivery=AT_LEAST_ONCE)", 'delivery=AT_LEAST_ONCE, renamed_from="carry")'))

    new.get(parcel.pk).timeline.cancel(reason="lost", compensate=True)
    drain()

    assert (ran["carry_back"], new.get(parcel.pk).timeline.status) == (1, "cancelled")


def test_a_rename_from_what_is_there_still_is_refused(deploy: Any) -> None:
    with pytest.raises(DeclarationError, match="there still"):
        deploy(BEFORE.replace('early="keep"', 'early="keep", renamed_from="take"'))


class Paid(Fact):
    """Version 1 had cents."""

    version = 2
    euros: float

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        return {"euros": data["cents"] / 100}


def test_a_recorded_event_of_an_older_version_is_read_as_the_new_one() -> None:
    assert Paid.read(SimpleNamespace(version=1, data={"cents": 250})).euros == 2.5
    assert Paid.read(SimpleNamespace(version=2, data={"euros": 2.5})).euros == 2.5


HELD = """
    class Parcel(Workflow):
        weighed: int = 0

        @step
        def begin(self, street: str):
            pass

        @step(after=begin, delivery={delivery})
        def weigh(self):
            ran["weigh"] += 1
            self.weighed += 1

        @step(after=weigh, manual=True, early="keep"{renamed})
        def {sign}(self):
            pass

        @step(after=[weigh, {sign}])
        def post(self):
            ran["post"] += 1
"""


@pytest.mark.parametrize("delivery", ["EXACTLY_ONCE", "AT_LEAST_ONCE"])
def test_an_attempt_that_old_code_holds_while_newer_code_renames_is_given_to_that(deploy: Any, delivery: str) -> None:
    old = deploy(HELD.format(delivery=delivery, sign="sign", renamed=""))
    parcel = old.start("Main Street 1")
    assert parcel.sign() == "kept"
    run = Run.objects.get(timeline=parcel.pk, step="weigh")
    runner = Runner(SYSTEM, "rq:default", HERE)
    held = claim(parcel.pk, ("weigh", ""), run.fence, runner)
    new = deploy(HELD.format(delivery=delivery, sign="confirm", renamed=', renamed_from="sign"'))
    brought_up(registry.get("shop.Parcel"), load(parcel.pk, HERE))
    assert "confirm" in new.get(parcel.pk).timeline.state["runs"]

    assert execute(held, runner) == (None, None)  # by the old class

    parcel = new.get(parcel.pk)
    assert (parcel.weigh.status, parcel.weighed) == ("retrying", 0)
    drain()
    parcel = new.get(parcel.pk)
    assert (parcel.timeline.status, parcel.weighed, ran["post"]) == ("completed", 1, 1)
    assert not Event.objects.filter(timeline=parcel.pk, type="StepDue", step="sign").exists()


def test_a_call_that_old_code_takes_after_newer_code_renamed_is_written_down_for_that(deploy: Any) -> None:
    before = HELD.replace("def weigh(self)", "def weigh(self, grams: int)")
    old = deploy(before.format(delivery="EXACTLY_ONCE", sign="sign", renamed=""))
    parcel = old.start("Main Street 1")
    assert parcel.sign() == "kept"
    after = before.format(delivery="EXACTLY_ONCE", sign="confirm", renamed=', renamed_from="sign"')
    deploy(after)
    brought_up(registry.get("shop.Parcel"), load(parcel.pk, HERE))

    deploy(before.format(delivery="EXACTLY_ONCE", sign="sign", renamed=""))
    assert old.get(parcel.pk).weigh(grams=5) == "due"
    assert ran["weigh"] == 0

    new = deploy(after)
    drain()
    assert (new.get(parcel.pk).weigh.status, ran["weigh"]) == ("completed", 1)
    assert not Event.objects.filter(timeline=parcel.pk, type="StepDue", step="sign").exists()


def test_a_rewind_to_a_step_that_is_then_removed_blocks_once_all_is_undone(deploy: Any) -> None:
    source = """
        class Parcel(Workflow):
            @step
            def post(self): ...
            WEIGH
            @step(after=FIRST)
            def stamp(self): ...

            @stamp.undo
            def unstamp(self):
                ran["unstamp"] += 1

            @step(after=stamp, manual=True)
            def hold(self): ...
    """
    weigh = """
            @step(after=post)
            def weigh(self): ...
    """
    workflow = deploy(source.replace("WEIGH", weigh).replace("FIRST", "weigh"))
    parcel = workflow.start()
    drain()
    workflow.get(parcel.pk).timeline.rewind(to="weigh", reason="again", undo=True)
    workflow = deploy(source.replace("WEIGH", "").replace("FIRST", "post"))

    drain()

    now = workflow.get(parcel.pk)
    assert (ran["unstamp"], now.timeline.status) == (1, "blocked")
    assert "no step shop.Parcel.weigh any more" in str(now.timeline.explain())
