"""Rule 3: ``each=`` makes one run for each item, each with its own attempts; the list is read once, when the step is reached."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext

from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.clock import tick
from django_timelines.engine.history import state_at
from django_timelines.events import EventType, NewEvent
from django_timelines.exceptions import DeclarationError, PermanentFailure, Refused, Unknown
from django_timelines.items import read_all
from django_timelines.models import Event, Item, Run, Timeline
from django_timelines.state import MOVING, empty, fold, items_of
from django_timelines.testing import assert_holds, drain, recorded_errors, travel
from django_timelines.testing.due import carry_out
from django_timelines.workflows import Workflow, step
from tests.races.workers import worker
from tests.shop.models import Entry
from tests.shop.workflows import Bar, Desk, Jury, Panel, Tray, plan, ran

TOUR = """
    class Parcel(Workflow):
        shops: list[str]

        @step
        def take(self, shops: list[str]):
            self.shops = shops

        @step(after=take, each="shops", at_most_failed=1, at_once=1)
        def deliver(self, shop: str):
            if shop in plan.get("deliver", ""):
                raise PermanentFailure("closed")

        @step(after=deliver)
        def park(self): ...

        @step(after=deliver.failed)
        def walk(self): ...
"""

pytestmark = pytest.mark.django_db(databases="__all__")


def spill(*names: str) -> Any:
    """Let these drinks go wrong."""

    def body(bar: Any) -> None:
        if bar.drink in names:
            raise PermanentFailure(f"{bar.drink} was spilled.")

    return body


def fresh(workflow: Any) -> Any:
    return type(workflow).get(workflow.pk)


def made() -> list[str]:
    return sorted(Entry.objects.filter(text__startswith="made ").values_list("text", flat=True))


def test_each_item_has_a_run_and_what_comes_after_waits_for_all() -> None:
    bar = Bar.start(drinks=["latte", "mocha", "latte"])
    assert list(items_of(read_all(bar.timeline), "make")) == ["latte", "mocha", "latte#2"]

    drain()

    bar = fresh(bar)
    assert made() == ["made latte", "made latte", "made mocha"]
    assert (bar.make.status, bar.make["latte#2"].status, bar.serve.status) == ("completed", "completed", "completed")
    assert bar.timeline.status == "completed"
    assert_holds(bar)


def test_an_empty_list_is_done_at_once() -> None:
    bar = Bar.start(drinks=[])
    drain()

    assert (fresh(bar).make.status, fresh(bar).timeline.status, ran["serve"]) == ("completed", "completed", 1)


def test_a_template_reads_steps_and_items() -> None:
    bar = Bar.start(drinks=["latte", "mocha"])
    shown = Template("{{ bar.serve.status }}, {{ bar.make.status }}, {{ bar.make.latte.status }}")

    assert shown.render(Context({"bar": bar})) == "upcoming, running, due"
    odd = Bar.start(drinks=["status"])
    assert odd.make["status"].status == "due"
    with pytest.raises(KeyError):
        odd.make["status"]["status"]


def test_an_item_is_shown_with_where_it_stands() -> None:
    bar = Bar.start(drinks=["latte", "mocha"])

    assert repr(fresh(bar).make["mocha"]) == f"<<shop.Bar {bar.pk} running> make[mocha]: due>"


def test_an_item_that_fails_blocks_alone_and_is_retried_alone() -> None:
    plan["make"] = spill("mocha")
    bar = Bar.start(drinks=["latte", "mocha", "tea"])
    with recorded_errors():
        drain()
    bar = fresh(bar)
    assert [bar.make[drink].status for drink in ("latte", "mocha", "tea")] == ["completed", "blocked", "completed"]
    assert (bar.make.status, bar.timeline.status, bar.serve.status) == ("blocked", "blocked", "upcoming")
    assert "mocha" in str(bar.timeline.explain())

    plan.clear()
    bar.make["mocha"].retry(reason="a new cup")
    drain()

    assert (fresh(bar).timeline.status, made()) == ("completed", ["made latte", "made mocha", "made tea"])


def test_an_item_is_skipped_alone() -> None:
    plan["make"] = spill("mocha")
    bar = Bar.start(drinks=["latte", "mocha"])
    with recorded_errors():
        drain()

    fresh(bar).make["mocha"].skip(reason="the guest left")
    drain()

    assert (fresh(bar).make.status, fresh(bar).timeline.status) == ("completed", "completed")


def test_the_list_is_read_once() -> None:
    plan["make"] = spill("mocha")
    bar = Bar.start(drinks=["latte", "mocha"])
    with recorded_errors():
        drain()

    fresh(bar).timeline.amend(reason="mistyped", drinks=["water"])
    plan.clear()
    fresh(bar).make["mocha"].retry()
    drain()

    assert made() == ["made latte", "made mocha"]


def test_no_more_than_at_once_are_open_and_blocked_ones_make_room() -> None:
    plan["deliver"] = spill("a", "b")
    tray = Tray.start(cups=list("abcde"))
    with recorded_errors():
        drain()

    tray = fresh(tray)
    states = [state_at(tray.pk, tray.timeline.using, head) for head in range(1, tray.timeline.head + 1)]
    moving = [sum(run["status"] in MOVING for run in items_of(state, "deliver").values()) for state in states]
    assert max(moving) == 2
    assert [tray.deliver[cup].status for cup in "abcde"] == ["blocked", "blocked", *["completed"] * 3]
    assert (tray.deliver.status, tray.timeline.status) == ("blocked", "blocked")
    for cup in "ab":
        fresh(tray).deliver[cup].skip(reason="broken")
    assert fresh(tray).timeline.status == "completed"
    assert_holds(fresh(tray))


def test_an_overdue_one_makes_room_as_a_blocked_one_does(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            stamps: list[str]
            @step
            def take(self, stamps: list[str]):
                self.stamps = stamps
            @step(after=take, each="stamps", at_once=1, manual=True, within=timedelta(hours=1))
            def lick(self, stamp: str): ...
    """).start(stamps=["a", "b"])
    with travel(timedelta(hours=2)):
        tick(parcel.timeline.using)

        assert (fresh(parcel).lick["a"].status, fresh(parcel).lick["b"].status) == ("overdue", "waiting")
        assert [fresh(parcel).lick[item]() for item in "ab"] == ["completed", "completed"]
    assert_holds(parcel)


def test_a_deploy_that_lets_all_of_many_items_begin_at_once_begins_them_when_the_next_is_done(deploy: Any) -> None:
    code = """
        class Parcel(Workflow):
            stamps: list[str]
            @step
            def take(self, stamps: list[str]):
                self.stamps = stamps
            @step(after=take, each="stamps", at_once=1)
            def lick(self, stamp: str): ...
    """
    parcel = deploy(code).start(stamps=[f"stamp {number}" for number in range(70)])
    deploy(code.replace(", at_once=1", ""))

    carry_out(Run.objects.get(timeline=parcel.pk), parcel.timeline.using, alone=True)

    assert Run.objects.filter(timeline=parcel.pk, status="due").count() == 69
    drain()
    assert fresh(parcel).timeline.status == "completed"


def test_enough_votes_settle_and_nobody_else_is_asked() -> None:
    jury = Jury.start(members=[{"name": "Ada", "seat": 1}, {"name": "Bob", "seat": 2}, {"name": "Cy", "seat": 3}])
    assert jury.timeline.status == "waiting"

    jury.vote["Ada"](points=3)
    assert fresh(jury).vote.status == "waiting"
    fresh(jury).vote["Cy"](points=2)
    drain()

    jury = fresh(jury)
    assert (jury.vote.status, jury.vote["Bob"].status, jury.timeline.status) == ("completed", "not taken", "completed")
    assert jury.points == 5
    with pytest.raises(Refused) as refused:
        jury.vote["Bob"](points=9)
    assert refused.value.reason == "settled"
    assert_holds(jury)


def test_too_few_are_a_failure_that_the_class_goes_on_from() -> None:
    plan["vote"] = spill("Ada", "Bob")
    jury = Jury.start(members=[{"name": name, "seat": 1} for name in ("Ada", "Bob", "Cy")])
    with recorded_errors():
        jury.vote["Ada"](points=1)
        fresh(jury).vote["Bob"](points=1)
    drain()

    jury = fresh(jury)
    assert (jury.vote["Ada"].status, jury.vote.status, jury.vote["Cy"].status) == ("failed", "failed", "not taken")
    assert (jury.adjourn.status, jury.announce.status) == ("completed", "not reached")


def test_a_step_of_which_items_are_overdue_is_overdue_and_the_class_goes_on_from_that(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            names: list[str]
            @step
            def take(self, names: list[str]):
                self.names = names
            @step(after=take, each="names", within=timedelta(days=2))
            def sign(self, name: str, yes: bool): ...
            @step(after=sign)
            def send(self): ...
            @step(after=sign.overdue)
            def send_back(self):
                ran["send_back"] += 1
    """).start(names=["ada", "bob"])
    drain()
    fresh(parcel).sign["ada"](True)

    with travel(timedelta(days=3)):
        drain()

    parcel = fresh(parcel)
    assert (parcel.sign.status, parcel.sign["bob"].status, parcel.send.status) == ("overdue", "overdue", "not reached")
    assert (ran["send_back"], parcel.timeline.status) == (1, "completed")


def test_a_call_names_an_item_that_is_there() -> None:
    jury = Jury.start(members=[{"name": "Ada", "seat": 1}, {"name": "Bob", "seat": 2}])

    with pytest.raises(Refused) as refused:
        jury.vote(points=1)
    assert refused.value.reason == "item_needed"
    with pytest.raises(Unknown, match="no item Eve"):
        jury.vote["Eve"](points=1)
    with pytest.raises(Unknown, match="has no items"):
        jury.announce["Ada"].retry()
    with pytest.raises(TypeError):
        iter(jury.vote)  # type: ignore[call-overload]


def written_for(item: str, count: int) -> tuple[int, list[int]]:
    """Let an item be done of so many; return how many statements that took, and how long those were that wrote.

    No other items are read.
    """
    bar = Bar.start(drinks=[f"drink {number:05}" for number in range(count)])
    run = Run.objects.get(timeline=bar.pk, item=item)
    with CaptureQueriesContext(connections[bar.timeline.using]) as asked:
        carry_out(run, bar.timeline.using, alone=True)
    assert fresh(bar).make[item].status == "completed"
    statements = [query["sql"] for query in asked.captured_queries]
    assert all(item in sql for sql in statements if sql.startswith("SELECT") and "django_timelines_item" in sql)
    return len(statements), [len(sql) for sql in statements if not sql.startswith("SELECT")]


def test_a_commit_reads_and_writes_the_items_that_it_is_about() -> None:
    of_few, of_many = written_for("drink 00007", 10), written_for("drink 00007", 600)

    assert of_few[0] == of_many[0]
    assert sum(of_many[1]) - sum(of_few[1]) < 50  # some numbers are longer


def test_of_five_thousand_items_a_few_are_begun_and_the_rest_is_not_taken_once_enough_are_done() -> None:
    panel = Panel.start(members=[str(number) for number in range(5_000)])
    assert Run.objects.filter(timeline=panel.pk).count() == 3

    drain()

    panel = fresh(panel)
    counts = panel.timeline.state["runs"]["ask"]["each"]
    assert (panel.timeline.status, counts) == ("completed", {"count": 5_000, "completed": 4, "not taken": 4_996})
    assert (panel.ask["3"].status, panel.ask["4999"].status) == ("completed", "not taken")
    assert Run.objects.filter(timeline=panel.pk).count() == 0


def test_an_early_call_of_an_item_that_waits_for_room_is_taken_when_its_turn_comes() -> None:
    desk = Desk.start(guests=["Ada", "Bob"])
    assert desk.greet["Bob"](words="Hello") == "kept"
    assert fresh(desk).greet["Bob"].status == "upcoming"

    fresh(desk).greet["Ada"](words="Welcome")
    drain()

    assert (fresh(desk).said, fresh(desk).timeline.status) == (["Welcome, Ada", "Hello, Bob"], "completed")


@pytest.mark.parametrize("name", ["Ada\nBob", "Ada\r\nBob", "\x00", "\ud800", "x" * 5000])
def test_no_early_call_is_kept_for_an_item_of_which_no_list_can_have_the_name(deploy: Any, name: str) -> None:
    hall = deploy(
        """
        class Parcel(Workflow):
            guests: list[str]

            @step
            def book(self, guests: list[str]) -> None:
                self.guests = guests

            @step(after=book, manual=True)
            def open(self) -> None:
                pass

            @step(after=open, each="guests", early="keep")
            def greet(self, guest: str, words: str) -> None:
                pass
        """
    ).start(guests=["Ada"])

    with pytest.raises(Unknown) as refused:
        hall.greet[name](words="Hello")

    assert refused.value.reason == "unknown_item"
    assert fresh(hall).greet["Ada"](words="Hello") == "kept"


def test_an_erased_timeline_numbers_its_items_and_forgets_what_they_were_called() -> None:
    tray = Tray.start(cups=["Ada", "2", "Bob", "1", "Cy"])
    tray.timeline.cancel(reason="closed")
    tray.timeline.erase(reason="asked to")

    items = list(Item.objects.filter(timeline=tray.pk).order_by("index").values_list("item", "state__item"))
    assert sorted(items) == [("1", None), ("2", None), ("3", None), ("4", None), ("5", None)]
    assert not {"Ada", "Bob", "Cy"} & {*Event.objects.filter(timeline=tray.pk).values_list("item", flat=True)}
    assert "Ada" not in str(list(Event.objects.filter(timeline=tray.pk).values_list("data", flat=True)))
    assert_holds(fresh(tray))


def test_a_second_click_on_an_item_counts_once() -> None:
    jury = Jury.start(members=[{"name": name, "seat": 1} for name in ("Ada", "Bob", "Cy")])

    assert jury.vote["Ada"](points=3) == fresh(jury).vote["Ada"](points=3) == "completed"
    with pytest.raises(Refused) as refused:
        fresh(jury).vote["Ada"](points=4)

    assert (refused.value.reason, fresh(jury).points, ran["vote"]) == ("settled", 3, 1)


@pytest.mark.filterwarnings("ignore:A payload of")
@pytest.mark.parametrize(
    ("members", "said"),
    [
        (None, "is not set"),
        ([{"name": "", "seat": 1}], "no key"),
        ([{"name": "x" * 200, "seat": 1}], "characters long"),
        ([{"name": "Ada\nBob", "seat": 1}], r"is 'Ada\nBob'. Keys are one line of text"),
        ([{"name": "Ada\r", "seat": 1}], "without control characters"),
        ([{"name": "\x1b[2J", "seat": 1}], "without control characters"),
        ([{"name": "Ada\u2028Bob", "seat": 1}], "without control characters"),
        ([{"name": str(n), "seat": n} for n in range(20_001)], "at most 20,000"),
    ],
)
def test_a_list_that_cannot_be_read_blocks_the_step_and_a_corrected_one_is_read_anew(members: Any, said: str) -> None:
    jury = Jury.start(members=members)

    assert jury.timeline.status == "blocked"
    assert said in str(jury.timeline.explain())
    jury.timeline.amend(reason="mistyped", members=[{"name": "Ada", "seat": 1}, {"name": "Bob", "seat": 2}])
    fresh(jury).vote.retry()

    assert (fresh(jury).vote.status, fresh(jury).vote["Ada"].status) == ("waiting", "waiting")
    assert_holds(fresh(jury))


def test_a_rewind_to_a_list_that_cannot_be_read_blocks_the_step_once_and_a_person_goes_past_it() -> None:
    jury = Jury.start(members=None)
    jury.timeline.rewind(to="vote", reason="once more")

    assert fresh(jury).vote.skip(reason="by a show of hands") == "completed"
    assert (fresh(jury).vote.status, fresh(jury).announce.status) == ("skipped", "due")
    fresh(jury).timeline.rewind(to="vote", reason="once more")
    assert_holds(fresh(jury))


def test_cancel_undoes_the_items_one_by_one_the_last_first() -> None:
    plan["serve"] = lambda bar: (_ for _ in ()).throw(PermanentFailure("closed"))
    bar = Bar.start(drinks=["latte", "mocha"])
    with recorded_errors():
        drain()
    fresh(bar).timeline.cancel(reason="closed", compensate=True)
    drain()

    undone = Event.objects.filter(timeline=bar.pk, type="StepUndone").order_by("sequence")
    completed = Event.objects.filter(timeline=bar.pk, type="StepCompleted", step="make").order_by("-sequence")
    assert list(undone.values_list("item", flat=True)) == list(completed.values_list("item", flat=True))
    assert sorted(Entry.objects.filter(text__startswith="poured").values_list("text", flat=True)) == [
        "poured away latte",
        "poured away mocha",
    ]
    assert fresh(bar).timeline.status == "cancelled"
    assert_holds(fresh(bar))


def test_a_new_round_reads_the_list_anew() -> None:
    plan["serve"] = lambda bar: (_ for _ in ()).throw(PermanentFailure("closed"))
    bar = Bar.start(drinks=["latte", "mocha"])
    with recorded_errors():
        drain()
    fresh(bar).timeline.amend(reason="mistyped", drinks=["tea"])
    plan.clear()
    fresh(bar).timeline.rewind(to="make", reason="other drinks")
    drain()

    assert made() == ["made latte", "made mocha", "made tea"]
    assert list(items_of(read_all(fresh(bar).timeline), "make")) == ["tea"]
    assert_holds(fresh(bar))


@pytest.mark.parametrize("undo", [False, True])
def test_a_new_round_whose_list_is_empty_goes_on_with_what_comes_after(undo: bool) -> None:
    bar = Bar.start(drinks=[])
    ran.clear()
    fresh(bar).timeline.rewind(to="make", reason="once more", undo=undo)

    assert (fresh(bar).make.status, fresh(bar).serve.status) == ("completed", "due")
    drain()
    assert (fresh(bar).timeline.status, ran["serve"]) == ("completed", 1)
    assert_holds(fresh(bar))


def test_a_step_may_send_the_work_back_to_an_empty_list(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            items: list[str] = []
            tries: int = 0

            @step
            def post(self): ...

            @step(after=post, each="items")
            def pack(self, item: str): ...

            @step(after=pack)
            def weigh(self):
                self.tries += 1

            @step(after=weigh, again=pack, when=lambda parcel: parcel.tries < 2)
            def check(self): ...
    """).start()
    drain()

    assert (fresh(parcel).tries, fresh(parcel).timeline.status) == (2, "completed")
    assert_holds(fresh(parcel))


def test_a_rewind_to_a_last_step_whose_list_is_empty_by_now_is_the_end(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            items: list[str] = []

            @step
            def post(self, items: list[str]):
                self.items = items

            @step(after=post, each="items", manual=True)
            def pack(self, item: str): ...
    """).start(items=["a"])
    parcel.timeline.amend(reason="mistyped", items=[])
    parcel.timeline.rewind(to="pack", reason="once more")

    assert fresh(parcel).timeline.status == "completed"
    assert_holds(fresh(parcel))


def test_cancel_ends_all_that_nobody_has_begun() -> None:
    tray = Tray.start(cups=list("abcde"))
    tray.timeline.cancel(reason="closed")

    assert (fresh(tray).timeline.status, Run.objects.filter(timeline=tray.pk).count()) == ("cancelled", 0)


def test_the_state_as_of_an_event_counts_what_was_done_by_then() -> None:
    bar = Bar.start(drinks=["latte", "mocha"])
    drain()
    first = Event.objects.filter(timeline=bar.pk, type="StepCompleted", step="make").order_by("sequence")[0]

    then = state_at(bar.pk, Timeline.objects.get(pk=bar.pk).using, first.sequence)

    assert then["runs"]["make"]["each"] == {"count": 2, "completed": 1, "due": 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"each": "glasses"}, "no field. Did you mean 'classes'"),
        ({"each": "name"}, "no list"),
        ({"each": "things"}, "has no key. Name a part of it: by='sku'"),
        ({"each": "classes", "at_once": 0}, "leaves no item"),
        ({"each": "classes", "at_least": 1, "at_most_failed": 1}, "Keep one"),
        ({"at_once": 2}, "needs each="),
        ({"each": 5}, "no name of a field"),
    ],
)
def test_a_wrong_declaration_says_how_to_mend_it(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):

        class Wrong(Workflow):
            name: str
            classes: list[str]
            things: list[dict[str, str]]

            @step
            def begin(self) -> None: ...

            @step(after=begin, **options)
            def work(self, item: str) -> None: ...


def test_a_body_without_a_parameter_for_the_item_says_so() -> None:
    with pytest.raises(DeclarationError, match="its body takes none"):

        class Empty(Workflow):
            things: list[str]

            @step
            def begin(self) -> None: ...

            @step(after=begin, each="things")
            def work(self) -> None: ...


@pytest.mark.parametrize("goes_on_without", ["an item", "a member"])
def test_whose_functions_are_asked_while_others_are_done_is_not_taken(goes_on_without: str, deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, each="people", at_least=1, manual=True, within=lambda parcel: timedelta(hours=1))
            def sign(self, person: str): ...

            @step(after=post, manual=True)
            def fetch(self): ...

            @step(after=any_of(sign, fetch))
            def thank(self): ...
    """).start(people=["ada", "eve"])
    runner = worker("one")
    while (run := Run.objects.filter(status="due").first()) and run.item != "eve":
        run_from(claim(run.timeline_id, (run.step, run.item), run.fence, runner), runner)
    asking = claim(parcel.pk, ("sign", "eve"), Run.objects.get(item="eve").fence, runner)
    fresh(parcel).sign["ada"]() if goes_on_without == "an item" else fresh(parcel).fetch()
    run_from(asking, runner)
    drain()

    parcel = fresh(parcel)
    statuses = parcel.sign["eve"].status, parcel.thank.status, parcel.timeline.status
    assert statuses == ("not taken", "completed", "completed")
    assert_holds(parcel)


@pytest.mark.parametrize("parameter", ["", ", grams: int"], ids=["runs by itself", "waits"])
@pytest.mark.parametrize("people", [["Ada"], []])
def test_a_list_that_is_too_short_for_at_least_begins_none_of_its_items(
    deploy: Any, parameter: str, people: list[str]
) -> None:
    workflow = deploy(
        """
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, each="people", at_least=2, at_once=1)
            def sign(self, person: str PARAMETER):
                ran["sign"] += 1

            @step(after=sign.failed)
            def apologise(self): ...
    """.replace(" PARAMETER", parameter)
    )
    parcel = workflow.start(people)
    drain()

    now = workflow.get(parcel.pk)
    assert (now.sign.status, now.apologise.status, now.timeline.status) == ("failed", "completed", "completed")
    assert ([now.sign[person].status for person in people], ran["sign"]) == (["not taken"] * len(people), 0)


@pytest.mark.parametrize("at_once", ["", ", at_once=1"])
@pytest.mark.parametrize(
    ("shops", "closed", "statuses", "whole"),
    [
        ("abc", "", "completed completed completed", "completed"),
        ("abc", "a", "failed completed completed", "completed"),
        ("abc", "c", "completed completed failed", "completed"),
        ("a", "", "completed", "completed"),
        ("a", "a", "failed", "completed"),
        ("", "", "", "completed"),
        ("ab", "ab", "failed failed", "failed"),
    ],
)
def test_so_many_items_may_fail_and_the_step_is_done_when_nothing_is_left_to_do(
    deploy: Any, at_once: str, shops: str, closed: str, statuses: str, whole: str
) -> None:
    parcel = deploy(TOUR.replace(", at_once=1", at_once)).start(shops=[*shops])
    plan["deliver"] = closed
    with recorded_errors():
        drain()

    parcel = fresh(parcel)
    assert [parcel.deliver[shop].status for shop in shops] == statuses.split()
    assert (parcel.deliver.status, parcel.timeline.status) == (whole, "completed")
    assert (parcel.park.status, parcel.walk.status) == {
        "completed": ("completed", "not taken"),
        "failed": ("not reached", "completed"),
    }[whole]
    assert_holds(parcel)


def test_the_step_fails_as_soon_as_more_items_have_failed_than_may(deploy: Any) -> None:
    parcel = deploy(TOUR).start(shops=[*"abcd"])
    plan["deliver"] = "ab"
    with recorded_errors():
        drain()

    parcel = fresh(parcel)
    assert [parcel.deliver[shop].status for shop in "abcd"] == ["failed", "failed", "not taken", "not taken"]
    assert (parcel.deliver.status, parcel.walk.status) == ("failed", "completed")


def test_an_item_that_is_not_taken_has_not_failed(deploy: Any) -> None:
    code = TOUR.replace("at_once=1", "when=lambda parcel: 'closed' not in plan")
    plan["closed"] = True
    parcel = deploy(code).start(shops=[*"abc"])
    drain()

    assert (fresh(parcel).deliver.status, fresh(parcel).walk.status) == ("not taken", "not taken")
    assert fresh(parcel).timeline.status == "completed"


def test_events_of_a_step_that_was_stored_with_a_quorum_are_folded_as_they_were() -> None:
    done = [NewEvent(EventType.STEP_COMPLETED, "deliver", shop) for shop in "ab"]
    begun = NewEvent(EventType.STEP_DUE, "deliver", data={"each": 3, "enough": 2})
    items = [NewEvent(EventType.STEP_DUE, "deliver", shop, data={"value": shop}) for shop in "abc"]

    runs = fold(empty(), [begun, *items, *done], 1)["runs"]

    assert (runs["deliver"]["status"], runs["deliver[c]"]["status"]) == ("completed", "due")


def test_a_kept_call_of_what_is_no_item_counts_as_none(deploy: Any) -> None:
    workflow = deploy("""
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, manual=True)
            def hold(self): ...

            @step(after=hold, each="people", early="keep", at_once=1, retry=Retry(3, wait=timedelta(seconds=10)))
            def sign(self, person: str, grams: int):
                if "sign" in plan:
                    plan.pop("sign")(self)

            @step(after=hold, manual=True)
            def fetch(self): ...

            @step(after=any_of(sign, fetch))
            def thank(self): ...
    """)

    def fail(signing: Any) -> None:
        raise OSError("no")

    parcel = workflow.start(["Ada", "Bob"])
    drain()
    parcel.sign["Zoe"](grams=1)
    parcel.hold()
    drain()
    plan["sign"] = fail
    with recorded_errors():
        workflow.get(parcel.pk).sign["Ada"](grams=1)
    workflow.get(parcel.pk).fetch()
    with travel(timedelta(hours=1)):
        drain()

    now = workflow.get(parcel.pk)
    assert (now.sign["Ada"].status, now.sign["Bob"].status) == ("completed", "not taken")
    assert (now.sign.status, now.timeline.status) == ("completed", "completed")
