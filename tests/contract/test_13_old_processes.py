"""Clause 13: an old process is up still, and newer code has renamed steps or fields of a timeline: it writes nothing there."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from django_timelines import registry
from django_timelines.actors import SYSTEM
from django_timelines.engine.answer import answer
from django_timelines.engine.claim import claim
from django_timelines.engine.clock import tick
from django_timelines.engine.execute import execute
from django_timelines.engine.interrupt import Stopped
from django_timelines.engine.notices import notice_row
from django_timelines.engine.renames import brought_up
from django_timelines.engine.runner import Runner, load
from django_timelines.exceptions import Refused
from django_timelines.models import Event, Notice, Run, Timeline, new_id
from django_timelines.runs import RunName
from django_timelines.testing import assert_holds, drain, due, travel
from tests.shop.here import HERE
from tests.shop.workflows import Bill, Order, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")

OLD = """
class Parcel(Workflow):
    address: str
    weight: int = 1

    @step
    def take(self, address: str):
        self.address = address

    @step(after=take)
    def weigh(self, grams: int):
        ran["weigh"] += 1
        self.weight = grams

    @step(after=take, manual=True)
    def sign(self):
        ran["sign"] += 1
"""
STEP_RENAMED = OLD.replace("@step(after=take)", '@step(after=take, renamed_from="weigh")').replace(
    "def weigh", "def measure"
)
FIELD_RENAMED = OLD.replace("self.weight", "self.grams").replace(
    "weight: int = 1", 'grams: Annotated[int, RenamedFrom("weight")] = 1'
)
RENAMED = pytest.mark.parametrize("new", [STEP_RENAMED, FIELD_RENAMED], ids=["a step", "a field"])
VERBS: dict[str, Callable[[Any], Any]] = {
    "retry": lambda parcel: parcel.sign.retry(),
    "skip": lambda parcel: parcel.sign.skip(reason="nobody is there"),
    "assign": lambda parcel: parcel.sign.assign(None),
    "revoke_links": lambda parcel: parcel.sign.revoke_links(reason="lost"),
    "revoke_all": lambda parcel: parcel.timeline.revoke_links(reason="lost"),
    "amend": lambda parcel: parcel.timeline.amend(reason="mistyped", address="Main Street 2"),
    "rewind": lambda parcel: parcel.timeline.rewind(to="take", reason="mistyped"),
    "preview": lambda parcel: parcel.timeline.preview_rewind(to="take"),
    "pause": lambda parcel: parcel.timeline.pause(reason="a bad day"),
    "resume": lambda parcel: parcel.timeline.resume(),
    "cancel": lambda parcel: parcel.timeline.cancel(reason="not wanted"),
}


def renamed_under(deploy: Any, old: str, new: str, parcel: Any) -> Any:
    """Let newer code look at the timeline once; return the old class, whose process is up still."""
    deploy(new)
    look_at_it(parcel)
    return deploy(old)


def look_at_it(parcel: Any) -> None:
    brought_up(registry.get("shop.Parcel"), load(parcel.pk, HERE))


def written(parcel: Any) -> Any:
    runs = Run.objects.filter(timeline=parcel.pk).order_by("id").values_list("step", "status", "fence")
    return Timeline.objects.get(pk=parcel.pk).state, Event.objects.filter(timeline=parcel.pk).count(), list(runs)


@RENAMED
@pytest.mark.parametrize("verb", VERBS)
def test_what_a_person_does_in_an_old_process_is_refused(deploy: Any, new: str, verb: str) -> None:
    parcel = deploy(OLD).start("Main Street 1")
    old = renamed_under(deploy, OLD, new, parcel)
    before = written(parcel)

    with pytest.raises(Refused, match=r"Newer code has this timeline.*from a process of the new release") as refused:
        VERBS[verb](old.get(parcel.pk))

    assert refused.value.reason == "older_code"
    assert written(parcel) == before


def test_a_call_of_a_step_that_newer_code_calls_otherwise_is_refused(deploy: Any) -> None:
    parcel = deploy(OLD).start("Main Street 1")
    old = renamed_under(deploy, OLD, STEP_RENAMED, parcel)
    before = written(parcel)

    with pytest.raises(Refused) as refused:
        old.get(parcel.pk).weigh(grams=5)

    assert (refused.value.reason, written(parcel)) == ("older_code", before)


def test_a_call_of_a_step_whose_field_newer_code_calls_otherwise_is_written_down_for_that(deploy: Any) -> None:
    parcel = deploy(OLD).start("Main Street 1")
    old = renamed_under(deploy, OLD, FIELD_RENAMED, parcel)

    assert old.get(parcel.pk).weigh(grams=5) == "due"
    run = Run.objects.get(timeline=parcel.pk, step="weigh")
    answer(parcel.pk.hex, "weigh", "", run.fence, HERE, "rq:default")
    assert (ran["weigh"], written(parcel)[0]["runs"]["weigh"]["status"]) == (0, "due")

    new = deploy(FIELD_RENAMED)
    drain()
    assert (new.get(parcel.pk).grams, ran["weigh"]) == (5, 1)
    assert "weight" not in new.get(parcel.pk).timeline.state["fields"]
    assert_holds(parcel)


def test_draining_with_old_code_leaves_what_newer_code_has_and_goes_on_with_the_others(
    deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "TOO_MANY", 20)
    parcel = deploy(OLD).start("Main Street 1")
    old = renamed_under(deploy, OLD, FIELD_RENAMED, parcel)
    assert old.get(parcel.pk).weigh(grams=5) == "due"
    Order.start(customer="Ada")

    assert drain() == 1

    assert Run.objects.get(timeline=parcel.pk, step="weigh").status == "due"
    assert not Run.objects.exclude(timeline=parcel.pk).filter(status="due").exists()


GUARDED = OLD.replace(
    "@step(after=take)", "@step(after=take, allowed=lambda parcel, user: ran.update(asked=parcel.weight) or True)"
)
GUARDED_RENAMED = (
    GUARDED.replace("parcel.weight", "parcel.grams")
    .replace("self.weight", "self.grams")
    .replace("weight: int = 1", 'grams: Annotated[int, RenamedFrom("weight")] = 1')
)


@pytest.fixture
def guarded(deploy: Any, django_user_model: Any) -> Any:
    """A parcel in an old process. Who may weigh it is said by a function that reads a field which newer code calls otherwise."""
    ada = django_user_model.objects.create_user("ada")
    parcel = deploy(GUARDED).using(actor=ada).start("Main Street 1")
    return renamed_under(deploy, GUARDED, GUARDED_RENAMED, parcel).get(parcel.pk)


def test_a_function_of_allowed_is_not_asked_in_an_old_process_and_the_call_is_refused(
    guarded: Any, django_user_model: Any
) -> None:
    before = written(guarded)

    with pytest.raises(Refused) as refused:
        guarded.weigh.using(actor=django_user_model.objects.get())(grams=5)

    assert (refused.value.reason, written(guarded), ran["asked"]) == ("older_code", before, 0)


def test_pages_links_and_api_of_an_old_process_refuse_it_as_well(
    guarded: Any, django_user_model: Any, client: Any, deploy: Any
) -> None:
    page, link = guarded.get_absolute_url(), guarded.weigh.link().removeprefix("https://example.org")
    api = f"/timelines/api/{guarded.pk}/steps/weigh/"
    client.force_login(django_user_model.objects.get())
    before = written(guarded)

    shown = client.get(page)
    refused = [
        client.post(page, {"timelines-step": "weigh", "grams": "5"}),
        client.get(link),
        client.post(link, {"grams": "5"}),
        client.post(api, {"input": {"grams": 5}}, content_type="application/json"),
    ]

    assert (shown.status_code, [call.run for call in shown.context["calls"]]) == (200, ["sign"])
    assert [answer.status_code for answer in refused] == [409] * 4
    assert all("Newer code has this timeline" in answer.content.decode() for answer in refused)
    assert client.get("/timelines/").status_code == 200
    assert (written(guarded), ran["asked"]) == (before, 0)
    deploy(GUARDED_RENAMED)
    assert client.post(page, {"timelines-step": "weigh", "grams": "5"}).status_code == 302
    assert ran["weigh"] == 1


def test_who_is_named_by_name_is_let_in_by_an_old_process_and_the_call_is_written_down(
    deploy: Any, django_user_model: Any
) -> None:
    old, new = (
        source.replace("allowed=", 'allowed=["user:ada", ').replace("or True)", "or True])")
        for source in (GUARDED, GUARDED_RENAMED)
    )
    parcel = deploy(old).start("Main Street 1")
    ada = django_user_model.objects.create_user("ada")

    parcel = renamed_under(deploy, old, new, parcel).get(parcel.pk)

    assert parcel.weigh.using(actor=ada)(grams=5) == "due"
    assert ran["asked"] == 0


def test_who_has_a_step_is_not_said_to_be_kept_from_it_by_an_old_process(deploy: Any, django_user_model: Any) -> None:
    parcel = deploy(GUARDED).start("Main Street 1")
    parcel.weigh.assign(django_user_model.objects.create_user("ada"))
    ran.clear()

    old = renamed_under(deploy, GUARDED, GUARDED_RENAMED, parcel)

    sentences = [str(reason) for reason in old.get(parcel.pk).timeline.explain().reasons]
    assert any("ada has “weigh”." in sentence for sentence in sentences)
    assert ran["asked"] == 0


PARENT = """
from tests.shop.workflows import Bill

class Parcel(Workflow):
    receipt: str

    @step
    def take(self): ...

    pay = subworkflow(Bill, after=take, given=lambda parcel: {"amount": 5}, results={"receipt": "receipt"})

    @step(after=take, manual=True)
    def sign(self): ...

    @step(after=pay)
    def thank(self):
        ran["thank"] += 1
"""


def test_a_childs_end_is_left_to_newer_code(deploy: Any) -> None:
    parcel = deploy(PARENT).start()
    drain()
    child = Timeline.objects.get(parent=parcel.pk)
    new = PARENT.replace("manual=True", 'manual=True, renamed_from="sign"').replace("def sign", "def confirm")
    renamed_under(deploy, PARENT, new, parcel)
    before = written(parcel)

    Bill.get(child.pk).tip(amount=1)
    drain()
    travel_past_the_clocks_patience()
    assert (Notice.objects.get().timeline, written(parcel)) == (parcel.pk, before)

    parcel = deploy(new).get(parcel.pk)
    drain()
    parcel = type(parcel).get(parcel.pk)
    assert (parcel.pay.status, parcel.receipt, ran["thank"]) == ("completed", "receipt 1", 1)


def test_the_word_that_nobody_waits_for_it_is_left_to_newer_code(deploy: Any) -> None:
    parcel = deploy(OLD).start("Main Street 1")
    renamed_under(deploy, OLD, STEP_RENAMED, parcel)
    before = written(parcel)
    Notice.objects.create(**notice_row(parcel.pk, new_id(), 1, Notice.CANCEL, RunName("parcel")))

    drain()
    travel_past_the_clocks_patience()
    assert (Notice.objects.count(), written(parcel)) == (1, before)

    deploy(STEP_RENAMED)
    drain()
    assert Timeline.objects.get(pk=parcel.pk).status == "cancelled"


def travel_past_the_clocks_patience() -> None:
    travel(timedelta(minutes=1))
    tick(HERE)


ONCE = """
class Parcel(Workflow):
    @step
    def take(self, address: str): ...

    @step(after=take, delivery=AT_MOST_ONCE)
    def weigh(self):
        ran["weigh"] += 1

    @step(after=take, manual=True)
    def wrap(self): ...

    @step(after=any_of(wrap, weigh), manual=True)
    def sign(self): ...
"""


def test_what_is_delivered_at_most_once_and_was_begun_by_old_code_blocks_and_decides_nothing(deploy: Any) -> None:
    parcel = deploy(ONCE).start("Main Street 1")
    old = Runner(SYSTEM, "rq:default", HERE)
    held = claim(parcel.pk, ("weigh", ""), Run.objects.get(timeline=parcel.pk, step="weigh").fence, old)
    assert held is not None
    type(parcel).get(parcel.pk).wrap()
    renamed = ONCE.replace("weigh), manual=True", 'weigh), manual=True, renamed_from="sign"')
    new = deploy(renamed.replace("def sign", "def confirm"))
    look_at_it(parcel)

    assert execute(held, old) == (None, None)

    parcel = new.get(parcel.pk)
    assert (ran["weigh"], parcel.weigh.status, parcel.confirm.status) == (1, "blocked", "waiting")
    assert Event.objects.filter(timeline=parcel.pk).latest("sequence").data["reason"] == "interrupted"
    assert "sign" not in parcel.timeline.state["runs"]


def test_what_is_delivered_at_most_once_and_did_not_begin_in_old_code_is_done_by_the_new(deploy: Any) -> None:
    asked = ONCE.replace("delivery=AT_MOST_ONCE", 'delivery=AT_MOST_ONCE, when=lambda parcel: ran["asked"] > 0')
    parcel = deploy(asked).start("Main Street 1")
    old = Runner(SYSTEM, "rq:default", HERE)
    held = claim(parcel.pk, ("weigh", ""), Run.objects.get(timeline=parcel.pk, step="weigh").fence, old)
    assert held is not None
    type(parcel).get(parcel.pk).wrap()
    renamed = asked.replace("weigh), manual=True", 'weigh), manual=True, renamed_from="sign"')
    new = deploy(renamed.replace("def sign", "def confirm"))
    look_at_it(parcel)

    assert execute(held, old) == (None, None)  # the guard said no
    assert (new.get(parcel.pk).weigh.status, ran["weigh"]) == ("retrying", 0)

    ran["asked"] = 1
    drain()
    assert (new.get(parcel.pk).weigh.status, ran["weigh"]) == ("completed", 1)


def test_an_attempt_at_most_once_whose_worker_ends_before_its_body_begins_is_due_again(deploy: Any) -> None:
    source = ONCE.replace("delivery=AT_MOST_ONCE", "delivery=AT_MOST_ONCE, when=lambda parcel: plan['ask'](parcel)")
    parcel = deploy(source).start("Main Street 1")
    plan["ask"] = end_the_worker
    run = Run.objects.get(timeline=parcel.pk, step="weigh")

    answer(parcel.pk.hex, "weigh", "", run.fence, HERE, "rq:default")

    assert (type(parcel).get(parcel.pk).weigh.status, ran["weigh"]) == ("retrying", 0)
    plan["ask"] = lambda parcel: True
    drain()
    assert (type(parcel).get(parcel.pk).weigh.status, ran["weigh"]) == ("completed", 1)


def end_the_worker(parcel: Any) -> None:
    raise Stopped
