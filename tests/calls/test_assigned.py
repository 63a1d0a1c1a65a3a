"""Steps that somebody has: whose they are when they are reached, given by a person, and for whom they wait then."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.management import call_command
from django.test import Client

from django_timelines import policy
from django_timelines.audit import who
from django_timelines.exceptions import DeclarationError, NotAllowed, Refused, Rejected
from django_timelines.models import Run, Timeline
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.workflows import PermanentFailure, Workflow, step
from tests.admin.conftest import page_of, post, verb_of
from tests.shop.workflows import plan, ran

from .conftest import mine
from .workflows import Refund

pytestmark = pytest.mark.django_db


class Claim(Workflow):
    """Something is claimed, an adjuster looks at it, the team pays."""

    adjuster: User | None = None
    voters: list[str] = []  # noqa: RUF012 (a default, copied into each timeline)
    note: str = ""

    @step
    def report(self, adjuster: User | None = None):
        self.adjuster = adjuster

    @step(after=report, assigned="adjuster")
    def look(self, note: str):
        """The adjuster looks at it."""
        if note == "broken":
            raise PermanentFailure("It is broken.")
        self.note = note

    @step(after=look, manual=True, allowed="group:team", assigned=lambda claim: User.objects.get(username="grace"))
    def pay(self):
        """The team pays."""

    @step(after=pay)
    def thank(self):
        """By itself."""


class Ballot(Workflow):
    """Each voter has a vote of their own."""

    voters: list[str]

    @step
    def call(self, voters: list[str]):
        self.voters = voters

    @step(after=call, each="voters", assigned=lambda ballot, voter: User.objects.get(username=voter))
    def vote(self, voter: str, yes: bool):
        """They vote."""


def reported(adjuster: User | None = None, by: User | None = None) -> Claim:
    claim = Claim.using(actor=by).start(adjuster=adjuster)
    drain()
    return Claim.get(claim.pk)


def may(user: object, workflow: Workflow, run: str = "look", session: object = None) -> bool:
    return policy.may_call(Timeline.objects.get(pk=workflow.pk), run, user, session)


def permitted(user: User, *codenames: str) -> User:
    user.is_staff = True
    user.save()
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=user.pk)


def test_a_step_is_whose_the_field_says_when_it_is_reached(ada, grace, boss):
    claim = reported(adjuster=ada, by=boss)

    assert claim.look.status == "waiting"
    assert claim.look.assigned == ada
    assert (mine(ada), mine(boss), mine(grace)) == ([str(claim.pk)], [], [])
    assert may(ada, claim)
    assert not may(boss, claim)  # who began it
    assert not may(permitted(grace, "change_timeline"), claim)
    due = claim.timeline.events.filter(type="StepDue", step="look").latest("sequence")
    assert due.data["assigned"] == {"id": str(ada.pk), "label": "ada"}


def test_a_field_that_names_nobody_leaves_it_to_all_who_may_call_it(boss):
    claim = reported(by=boss)

    assert claim.look.assigned is None
    assert mine(boss) == [str(claim.pk)]


def test_a_function_says_whose_it_is_in_an_attempt_of_its_own(ada, grace, boss):
    claim = reported(adjuster=ada)
    claim.look.using(actor=ada)("fine")
    drain()

    claim = Claim.get(claim.pk)
    assert claim.pay.assigned == grace
    assert mine(grace) == [str(claim.pk)]
    assert claim.pay.using(actor=grace)() == "completed"


def test_each_item_is_its_own_users(ada, grace):
    ballot = Ballot.start(voters=["ada", "grace"])
    drain()
    ballot = Ballot.get(ballot.pk)

    assert (ballot.vote["ada"].assigned, ballot.vote["grace"].assigned) == (ada, grace)
    assert may(ada, ballot, "vote[ada]")
    assert not may(ada, ballot, "vote[grace]")


def test_a_function_that_returns_no_user_fails_the_step_and_says_so(deploy):
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, manual=True, retry=Retry(1), assigned=lambda parcel: "ada")
            def sign(self): ...
    """)
    begun = parcel.start(what="books")
    with recorded_errors():
        drain()

    assert parcel.get(begun.pk).sign.status == "blocked"
    assert "returned 'ada'. Return a saved user, or None for nobody." in str(begun.timeline.explain())


def test_a_person_gives_it_to_somebody_and_back(ada, grace, boss):
    claim = reported(by=boss)

    claim.look.assign(ada, reason="She knows them.", actor=boss)
    assert (mine(ada), mine(boss)) == ([str(claim.pk)], [])
    claim.look.assign(grace, actor=boss)
    assert (mine(ada), mine(grace)) == ([], [str(claim.pk)])
    claim.look.assign(None, reason="Whoever has time.", actor=boss)
    assert (mine(grace), mine(boss)) == ([], [str(claim.pk)])

    first, _second, third = claim.timeline.events.filter(type="StepAssigned").order_by("sequence")
    assert (first.actor_label, first.step) == ("boss", "look")
    assert first.data == {"assigned": {"id": str(ada.pk), "label": "ada"}, "reason": "She knows them."}
    assert third.data == {"assigned": None, "reason": "Whoever has time."}


def test_who_has_it_already_is_given_it_once(ada):
    claim = reported(adjuster=ada)
    head = claim.timeline.head

    claim.look.assign(ada)

    assert Timeline.objects.get(pk=claim.pk).head == head


def test_it_stays_theirs_through_a_rejection_a_block_and_a_retry_until_a_new_round(ada, grace):
    claim = reported()
    claim.look.assign(grace)
    with recorded_errors():
        claim.look.using(actor=grace)("broken")
    assert claim.look.status == "blocked"
    assert claim.look.assigned == grace

    claim.look("fine")
    claim.timeline.rewind(to="look", reason="again")
    drain()

    assert Claim.get(claim.pk).look.status == "waiting"
    assert Claim.get(claim.pk).look.assigned is None
    assert Run.objects.get(timeline=claim.pk, step="look").assigned is None


def test_code_of_yours_calls_it_all_the_same_but_for_allowed(ada, grace, boss):
    claim = reported(adjuster=ada)

    assert claim.look.using(actor=boss)("for her") == "completed"
    drain()
    with pytest.raises(NotAllowed):
        Claim.get(claim.pk).pay.using(actor=ada)()


@pytest.mark.parametrize("wrong", ["ada", 7, object()])
def test_only_a_user_can_have_it(wrong):
    claim = reported()
    head = claim.timeline.head

    with pytest.raises(Rejected, match="is no user"):
        claim.look.assign(wrong)

    assert Timeline.objects.get(pk=claim.pk).head == head


def test_it_is_given_to_nobody_who_has_left_or_may_not_call_it(ada, grace, boss):
    claim = reported(adjuster=ada)
    claim.look("fine")
    drain()
    claim = Claim.get(claim.pk)
    with pytest.raises(NotAllowed, match="ada may not call “pay”"):
        claim.pay.assign(ada)
    User.objects.filter(pk=boss.pk).update(is_active=False)
    with pytest.raises(Rejected, match="boss has left"):
        claim.pay.assign(boss)


def test_what_does_not_wait_for_a_person_is_nobodys(ada):
    claim = reported()

    for step_, reason in ((claim.thank, "runs by itself"), (claim.pay, "is upcoming"), (claim.report, "is completed")):
        with pytest.raises(Refused, match=reason) as refused:
            step_.assign(ada)
        assert refused.value.reason == "not_applicable"


def test_who_has_left_is_named_and_a_new_assignment_mends_it(ada, grace):
    claim = reported(adjuster=ada)
    assert "ada has “look”." in str(claim.timeline.explain())
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert "ada has “look”, and has left: assign it to somebody else." in str(claim.timeline.explain())
    assert not may(User.objects.get(pk=ada.pk), claim)
    assert mine(User.objects.get(pk=ada.pk)) == []
    ada.delete()
    assert "ada has “look”, and has left" in str(claim.timeline.explain())
    assert claim.look.assigned is None

    claim.look.assign(grace)

    assert "grace has “look”." in str(claim.timeline.explain())
    assert may(grace, claim)


def test_visitors_are_not_told_who_has_it(ada):
    claim = reported(adjuster=ada)

    assert "ada" not in claim.timeline.explain().public


def test_who_no_longer_may_call_it_is_named_as_well(ada, grace):
    claim = reported(adjuster=ada)
    claim.look("fine")
    drain()
    grace.groups.clear()

    assert "grace has “pay”, and may not call it: assign it" in str(Claim.get(claim.pk).timeline.explain())
    assert mine(grace) == []


# From outside.


def test_who_is_named_by_no_function_that_can_be_answered_may_not_call_it_either(ada, grace):
    refund = Refund.start(owner=ada)
    refund.receive.assign(grace)
    grace.groups.clear()  # which leaves a function that reads a field which is unset

    assert "grace has “receive”, and may not call it: assign it" in str(Refund.get(refund.pk).timeline.explain())


def test_the_page_is_for_whom_it_was_given_to_and_others_are_told_who_that_is(ada, grace, browser_of):
    claim = reported(adjuster=ada, by=grace)
    theirs, others = browser_of(ada), browser_of(grace)

    page = others.get(claim.get_absolute_url())
    pressed = others.post(claim.get_absolute_url(), {"timelines-step": "look", "note": "mine"})

    assert page.context["calls"] == []
    assert pressed.status_code == 403
    assert "“look” is not yours to call: ada has it." in pressed.content.decode()
    form = theirs.get(claim.get_absolute_url()).context["call"]
    sent = {"timelines-step": "look", "timelines-key": form.key, "timelines-seen": form.seen, "note": "seen it"}
    assert theirs.post(claim.get_absolute_url(), sent).status_code == 302
    assert Claim.get(claim.pk).note == "seen it"


def test_who_may_see_no_more_once_their_work_is_done_is_led_to_what_waits_for_them(ada, browser_of):
    claim, next_one = reported(adjuster=ada), reported(adjuster=ada)
    browser = browser_of(ada)
    form = browser.get(claim.get_absolute_url()).context["call"]

    sent = {"timelines-step": "look", "timelines-key": form.key, "timelines-seen": form.seen, "note": "seen it"}
    page, again = (browser.post(claim.get_absolute_url(), sent, follow=True) for _twice in range(2))

    assert page.redirect_chain == again.redirect_chain == [("/timelines/", 302)]
    assert [one.timeline.pk for one in page.context["waiting"]] == [next_one.pk]
    assert Claim.get(claim.pk).note == "seen it"
    assert claim.timeline.events.filter(type="StepCalled", step="look").count() == 1


def test_what_is_given_to_somebody_else_while_its_form_is_open_is_refused(ada, grace, browser_of):
    claim = reported(adjuster=ada)
    browser = browser_of(ada)
    form = browser.get(claim.get_absolute_url()).context["call"]
    claim.look.assign(grace)

    sent = {"timelines-step": "look", "timelines-key": form.key, "note": "late"}

    assert browser.post(claim.get_absolute_url(), sent).status_code == 404  # it is not hers to see any more, either
    assert Claim.get(claim.pk).look.status == "waiting"


def test_a_link_is_for_whoever_had_the_step_when_it_was_made(ada, grace):
    claim = reported(adjuster=ada)
    old = claim.look.link()
    claim.look.assign(grace)

    assert Client().get(path(old)).status_code == 410
    assert Client().get(path(claim.look.link())).status_code == 200


def test_the_api_gives_it_to_somebody_who_may_and_says_who_has_it(ada, grace, boss, browser_of):
    claim = reported(by=boss)
    address = f"/timelines/api/{claim.pk}/steps/look/"
    asked = json.dumps({"to": "grace", "reason": "She has time."})
    assert send(browser_of(boss), address + "assign/", asked).status_code == 403

    boss = permitted(boss, "assign_timeline", "view_timeline")
    answer = send(browser_of(boss), address + "assign/", asked)

    shown = next(one for one in answer.json()["steps"] if one["run"] == "look")
    assert (answer.status_code, shown["assigned"], shown["may_call"]) == (200, "grace", False)
    refused = send(browser_of(boss), address, json.dumps({"input": {"note": "mine"}}))
    assert (refused.status_code, refused.json()["error"]["reason"]) == (403, "assigned")
    assert refused.json()["error"]["message"] == "“look” is not yours to call: grace has it."
    assert send(browser_of(boss), address + "assign/", '{"to": "nobody"}').status_code == 400
    assert send(browser_of(boss), address + "assign/", "{}").status_code == 400
    assert send(browser_of(boss), address + "assign/", '{"to": null}').json()["steps"][1]["assigned"] is None
    called = send(browser_of(boss), address, json.dumps({"input": {"note": "mine"}}))
    assert called.json()["outcome"] == "completed"


@pytest.mark.parametrize("name", ["", "\x00", "\ud800", "x" * 5000])
def test_the_api_gives_nothing_to_a_name_that_nobody_has(boss, browser_of, name):
    claim = reported(by=boss)
    boss = permitted(boss, "assign_timeline", "view_timeline")

    answer = send(browser_of(boss), f"/timelines/api/{claim.pk}/steps/look/assign/", json.dumps({"to": name}))

    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["user"])


def test_the_admin_gives_it_to_somebody_found_by_name(ada, grace, boss):
    claim, root = reported(by=boss), Client()
    root.force_login(User.objects.create_superuser("root"))
    User.objects.create_user("gracia")
    url = verb_of("assign", claim, "look")
    assert f'action="{url}"' in root.get(page_of(claim)).content.decode()
    assert f'action="{verb_of("assign", claim, "report")}"' not in root.get(page_of(claim)).content.decode()

    several = root.post(url, {"user": "gra", "fence": fence(root, url)}).content.decode()
    unknown = root.post(url, {"user": "zoe", "fence": fence(root, url)}).content.decode()
    said = post(root, url, user="grace", reason="She has time.")

    assert "Several are meant: " in several
    assert "There is no such user." in unknown
    assert said == "grace has “Look” now."
    assert "grace has it" in root.get(page_of(claim)).content.decode()
    assert "She has time." in root.get(page_of(claim)).content.decode()
    assert post(root, url, user="") == "“Look” waits for all who may call it."


def test_the_admin_does_nothing_if_somebody_else_was_given_it_meanwhile(ada, grace):
    claim, root = reported(), Client()
    root.force_login(User.objects.create_superuser("root"))
    url = verb_of("assign", claim, "look")
    seen = fence(root, url)
    claim.look.assign(ada)

    page = root.post(url, {"user": "grace", "fence": seen}, follow=True).content.decode()

    assert "has moved on since you saw it" in page
    assert Claim.get(claim.pk).look.assigned == ada


def test_who_may_not_see_users_names_them_in_full(ada, boss):
    claim, clerk = reported(), Client()
    clerk.force_login(permitted(boss, "view_timeline", "assign_timeline"))
    url = verb_of("assign", claim, "look")

    assert "There is no such user." in clerk.post(url, {"user": "ad", "fence": fence(clerk, url)}).content.decode()
    assert post(clerk, url, user="ada") == "ada has “Look” now."


def test_the_command_gives_it_to_somebody(ada, capsys):
    claim = reported()

    call_command("timelines", "assign", str(claim.pk), "look", "--to", "ada", "--reason", "on call", "--json")
    assert json.loads(capsys.readouterr().out)["assigned"] == "ada"
    assert Claim.get(claim.pk).look.assigned == ada
    call_command("timelines", "assign", str(claim.pk), "look", "--nobody")

    assert Claim.get(claim.pk).look.assigned is None
    actors = claim.timeline.events.filter(type="StepAssigned").values_list("actor_label", flat=True)
    assert list(actors) == ["timelines", "timelines"]


# A call from outside that is there before anybody has asked whose the step is.

KEPT = """
from django.contrib.auth import get_user_model
class Parcel(Workflow):
    who: get_user_model() | None = None
    @step
    def pack(self, who: get_user_model() | None = None):
        self.who = who
    @step(after=pack, manual=True)
    def close(self): ...
    @step(after=close, early="keep", within=timedelta(days=3), OPTIONS)
    def sign(self, note: str = ""):
        ran[note] += 1
"""
WAYS = ["assigned='who'", "assigned=lambda parcel: parcel.who", "assigned='who', delivery=AT_LEAST_ONCE"]


def signed_early(deploy, browser, adjuster=None, options="assigned='who'", source=KEPT):
    parcel = deploy(source.replace("OPTIONS", options)).using(actor=by_browser(browser)).start(who=adjuster)
    answer = send(browser, f"/timelines/api/{parcel.pk}/steps/sign/", '{"input": {"note": "early"}}')
    assert answer.json()["outcome"] == "kept"
    parcel.close()
    drain()
    return type(parcel).get(parcel.pk)


def by_browser(browser):
    return User.objects.get(pk=browser.session["_auth_user_id"])


@pytest.mark.parametrize("options", WAYS)
def test_what_came_early_from_somebody_else_is_rejected_and_the_step_waits_for_whose_it_is(
    deploy, ada, grace, browser_of, options
):
    parcel = signed_early(deploy, browser_of(grace), adjuster=ada, options=options)

    assert (parcel.sign.status, parcel.sign.assigned, dict(ran)) == ("waiting", ada, {})
    with pytest.raises(Rejected, match="“sign” is not yours to call: ada has it"):
        parcel.sign.wait(timeout=0.1)
    rejected = parcel.timeline.events.get(type="StepRejected")
    assert "until" in rejected.data
    assert mine(ada) == [str(parcel.pk)]
    parcel.sign.using(actor=ada)("in time")
    drain()
    assert dict(ran) == {"in time": 1}


@pytest.mark.parametrize("options", WAYS)
def test_what_came_early_from_whom_it_is_given_to_is_taken(deploy, ada, browser_of, options):
    parcel = signed_early(deploy, browser_of(ada), adjuster=ada, options=options)

    assert (parcel.sign.status, dict(ran)) == ("completed", {"early": 1})


def test_what_came_early_is_taken_where_nobody_gets_the_step(deploy, grace, browser_of):
    assert signed_early(deploy, browser_of(grace)).sign.status == "completed"


def test_what_code_of_yours_called_early_is_taken_whosever_the_step_is(deploy, ada, grace):
    parcel = deploy(KEPT.replace("OPTIONS", WAYS[0])).start(who=ada)
    parcel.sign.using(actor=grace)("for her")
    parcel.close()
    drain()

    assert dict(ran) == {"for her": 1}


def test_a_step_of_which_nobody_could_say_whose_it_is_asks_again_when_it_is_called(deploy, ada, grace, browser_of):
    def adjuster(parcel):
        if "lost" in plan:
            raise PermanentFailure("The list is lost.")
        return ada

    plan.update(lost=True, adjuster=adjuster)
    workflow = deploy(KEPT.replace("OPTIONS", "assigned=lambda parcel: plan['adjuster'](parcel)"))
    parcel = workflow.using(actor=grace).start()
    parcel.close()
    with recorded_errors():
        drain()
    assert workflow.get(parcel.pk).sign.status == "blocked"
    del plan["lost"]

    answer = send(browser_of(grace), f"/timelines/api/{parcel.pk}/steps/sign/", '{"input": {"note": "mine"}}')

    assert answer.json()["error"]["message"] == "“sign” is not yours to call: ada has it."
    assert dict(ran) == {}


# In a body, and in the class.


BLOCKED = KEPT.replace("ran[note] += 1", "ran[note] += 1\n        if note == 'early': raise PermanentFailure('no')")


@pytest.mark.parametrize("placed", ["inline", "embedded"])
@pytest.mark.parametrize("to_nobody", [False, True])
def test_what_a_person_says_of_a_blocked_step_wins_over_whose_it_was_to_be(
    deploy, ada, grace, browser_of, place, placed, to_nobody
):
    with recorded_errors():
        parcel = signed_early(deploy, browser_of(ada), ada, source=BLOCKED)
    place("shop.Parcel", sign=placed)
    parcel.sign.assign(None if to_nobody else grace, reason="ada is ill")
    Timeline.objects.filter(pk=parcel.pk).update(started_by=str(grace.pk))

    send(browser_of(grace), f"/timelines/api/{parcel.pk}/steps/sign/", '{"input": {"note": "mine"}}')
    drain()

    now = type(parcel).get(parcel.pk)
    assert (now.sign.status, ran, now.sign.assigned) == (
        "completed",
        {"early": 1, "mine": 1},
        None if to_nobody else grace,
    )


def test_whose_a_step_is_is_asked_once_for_a_call_that_is_rejected(deploy, ada, grace, browser_of):
    asked = []

    def rota(parcel):
        asked.append(parcel)
        return [ada, grace][len(asked) % 2 - 1]

    plan["adjuster"] = rota
    parcel = signed_early(deploy, browser_of(grace), options="assigned=lambda parcel: plan['adjuster'](parcel)")

    assert (parcel.sign.status, parcel.sign.assigned, len(asked)) == ("waiting", ada, 1)


def test_a_call_that_was_tried_is_for_a_person_if_the_step_is_somebody_elses_since(deploy, ada, grace, browser_of):
    once = KEPT.replace("ran[note] += 1", "ran[note] += 1\n        if ran[note] == 1: raise ConnectionError")
    options = "assigned='who', delivery=AT_LEAST_ONCE, retry=Retry(3, wait=timedelta(seconds=1))"
    with recorded_errors():
        parcel = signed_early(deploy, browser_of(ada), ada, options, source=once)
        parcel.timeline.amend(reason="grace is who knows", who=grace)
        with travel(timedelta(minutes=1)):
            drain()

    now = type(parcel).get(parcel.pk)
    assert (now.sign.status, ran) == ("blocked", {"early": 1})
    now.sign.assign(ada, reason="it was hers")
    type(parcel).get(parcel.pk).sign.retry()
    drain()
    assert type(parcel).get(parcel.pk).sign.status == "completed"


def test_a_body_gives_a_step_that_waits_to_somebody_with_its_completion(deploy, ada):
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, manual=True)
            def sign(self): ...
            @step(after=pack)
            def complain(self, who: str):
                from django.contrib.auth.models import User
                self.sign.assign(User.objects.get(username=who), reason="They complained.")
                if who == "grace":
                    raise PermanentFailure("No.")
    """)
    begun = parcel.start(what="books")
    begun.complain("ada")

    begun = parcel.get(begun.pk)
    assert begun.sign.assigned == ada
    assert [event.type for event in begun.timeline.events.order_by("sequence")][-2:] == [
        "StepCompleted",
        "StepAssigned",
    ]


def test_a_body_that_fails_gives_nothing_to_anybody(deploy, grace):
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, manual=True)
            def sign(self): ...
            @step(after=pack)
            def complain(self, who: str):
                from django.contrib.auth.models import User
                self.sign.assign(User.objects.get(username=who))
                raise PermanentFailure("No.")
    """)
    begun = parcel.start(what="books")
    with recorded_errors():
        begun.complain("grace")

    assert parcel.get(begun.pk).sign.assigned is None


@pytest.mark.parametrize("wrong", [7, "not a name", ["adjuster"]])
def test_what_names_nobody_is_said_when_the_class_is_made(wrong):
    with pytest.raises(DeclarationError, match="assigned="):
        step(assigned=wrong)(lambda self, x: None)


def test_a_field_that_is_no_user_is_said_when_the_class_is_made():
    with pytest.raises(DeclarationError, match="'what' is no field that is a user"):

        class Parcel(Workflow):
            what: str

            @step
            def order(self, what: str): ...

            @step(after=order, assigned="what")
            def pack(self, box: int): ...


def test_a_step_that_waits_for_nobody_has_nobody():
    with pytest.raises(DeclarationError, match="'pack' runs by itself"):

        class Parcel(Workflow):
            @step
            def order(self, what: str): ...

            @step(after=order, assigned=lambda parcel: None)
            def pack(self): ...


def test_an_anonymous_visitor_has_nothing(ada):
    reported(adjuster=ada)

    assert mine(AnonymousUser()) == []


def test_erasing_takes_the_name_of_who_had_it(ada):
    claim = reported()
    claim.look.assign(ada, reason="Ada knows them.")
    claim.timeline.cancel(reason="over")
    claim.timeline.erase(reason="asked for it")

    assert [event.data for event in claim.timeline.events.all() if "ada" in str(event.data)] == []
    assert "ada" not in str(Timeline.objects.get(pk=claim.pk).state)


def path(link: str) -> str:
    return link.removeprefix("https://example.org")


def send(client: Client, address: str, body: str):
    return client.post(address, body, content_type="application/json")


def fence(client: Client, url: str) -> str:
    return str(client.get(url).context["form"]["fence"].value())


# The audit line: who, as whom, through what.


def lines_of(workflow: Workflow, type: str) -> list[str]:
    return [who(event) for event in workflow.timeline.events.filter(type=type).order_by("sequence")]


def test_an_event_says_who_did_it_as_whom_and_through_what(ada, grace, boss, browser_of):
    claim, root = reported(adjuster=ada, by=boss), Client()
    root.force_login(User.objects.create_superuser("root"))
    post(root, verb_of("assign", claim, "look"), user="grace", reason="holidays")
    claim.look.assign(ada, actor=boss)
    boss = permitted(boss, "assign_timeline", "view_timeline")
    send(browser_of(boss), f"/timelines/api/{claim.pk}/steps/look/assign/", '{"to": "grace"}')
    call_command("timelines", "assign", str(claim.pk), "look", "--to", "ada")
    claim.look.using(actor=boss)("done for her")

    assert lines_of(claim, "StepAssigned") == ["root, through the admin", "boss", "boss, through the API", "timelines"]
    assert lines_of(claim, "StepCalled") == ["boss", "boss (for ada)"]
    page = root.get(page_of(claim)).content.decode()
    assert "root, through the admin" in page
    assert "boss (for ada)" in page


def test_a_call_from_a_page_or_by_a_link_says_so_and_what_follows_does_not(ada, grace, browser_of):
    claim, browser = reported(adjuster=ada), browser_of(ada)
    form = browser.get(claim.get_absolute_url()).context["call"]
    sent = {"timelines-step": "look", "timelines-key": form.key, "timelines-seen": form.seen, "note": "seen it"}
    browser.post(claim.get_absolute_url(), sent)
    other = reported(adjuster=ada)
    link = path(other.look.link())
    Client().post(link, {"note": "by mail"})

    assert lines_of(claim, "StepCalled")[-1] == "ada, through a page"
    assert lines_of(claim, "StepCompleted")[-1] == "ada"
    assert lines_of(other, "StepCalled")[-1] == "link (for ada)"


def test_the_terminal_shows_it_too(ada, boss, grace, capsys):
    claim = reported(adjuster=ada)
    claim.look.using(actor=boss)("done for her")

    call_command("timelines", "show", str(claim.pk))
    assert "boss (for ada)" in capsys.readouterr().out
    call_command("timelines", "show", str(claim.pk), "--json")

    assert {event["through"] for event in json.loads(capsys.readouterr().out)["events"]} == {""}
