"""Who may call a step: its own ``allowed=`` wherever the call comes from, and the policy for what comes from outside."""

from urllib.parse import quote

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import PermissionDenied
from django.test import Client

from django_timelines import policy
from django_timelines.engine.renames import brought_up
from django_timelines.engine.runner import load
from django_timelines.exceptions import DeclarationError, NoAnswer, NotAllowed
from django_timelines.models import Timeline
from django_timelines.testing import drain
from django_timelines.workflows import Workflow, step
from example_project.signup.workflows import Signup
from tests.pages.stories import signed_up
from tests.shop.workflows import ran

from .workflows import Expense, Guarded, Refund

pytestmark = pytest.mark.django_db


def handed_in() -> Expense:
    return Expense.using(actor=None).start(owner="ada", amount=5)


def approved(grace: User, boss: User) -> Expense:
    expense = handed_in()
    expense.look_at.using(actor=grace)("fine")
    expense.approve.using(actor=boss)()
    drain()
    return Expense.get(expense.pk)


def may(user: object, expense: Expense, step: str, session: object = None) -> bool:
    return policy.may_call(Timeline.objects.get(pk=expense.pk), step, user, session)


def test_the_engine_asks_who_calls_and_writes_nothing_for_somebody_else(ada, boss):
    expense = handed_in()
    head = expense.timeline.head

    with pytest.raises(NotAllowed, match=r"^boss may not call “look at”\.$") as refused:
        expense.look_at.using(actor=boss)("fine")

    assert isinstance(refused.value, PermissionDenied)
    assert refused.value.reason == "not_allowed"
    assert Timeline.objects.get(pk=expense.pk).head == head


def test_a_group_a_function_and_a_permission_let_people_in(ada, grace, boss):
    first, second = handed_in(), handed_in()

    assert first.look_at.using(actor=grace)("fine") == "completed"
    assert second.look_at.using(actor=ada)("mine") == "completed"
    assert first.approve.using(actor=boss)() == "completed"


def test_code_that_names_nobody_is_nobody(db):
    with pytest.raises(NotAllowed, match=r"^system may not call .*Code names who calls: \w+\.using\(actor=user\)"):
        handed_in().look_at("fine")


def test_who_has_left_may_not_call_any_more(grace):
    expense = handed_in()
    User.objects.filter(pk=grace.pk).update(is_active=False)

    with pytest.raises(NotAllowed):
        expense.look_at.using(actor=grace)("fine")

    grace.delete()
    with pytest.raises(NotAllowed):
        expense.look_at.using(actor=grace)("fine")


def test_the_permission_counts_as_it_is_at_the_call(boss, grace):
    expense = handed_in()
    expense.look_at.using(actor=grace)("fine")
    boss.user_permissions.clear()  # the object that the caller holds may know better times

    with pytest.raises(NotAllowed):
        expense.approve.using(actor=boss)()


def test_a_start_is_asked_as_well(ada, grace):
    with pytest.raises(NotAllowed):
        Guarded.using(actor=ada).start(name="x")
    assert not Guarded.timelines.exists()

    assert Guarded.using(actor=grace).start(name="x").timeline.status == "completed"


def test_who_is_not_allowed_learns_nothing_of_the_input(ada):
    with pytest.raises(NotAllowed):
        Guarded.using(actor=ada).start(wrong="x")


@pytest.mark.parametrize("wrong", ["editors", 7, [], ["group:"], "group:", "a.b.c", ""])
def test_what_names_nobody_is_said_when_the_class_is_made(wrong):
    with pytest.raises(DeclarationError, match="allowed="):
        step(allowed=wrong)(lambda self, x: None)


def test_a_step_that_nobody_calls_has_nobody_who_may():
    with pytest.raises(DeclarationError, match="'pack' runs by itself"):

        class Parcel(Workflow):
            @step
            def order(self, what: str): ...

            @step(after=order, allowed="group:team")
            def pack(self): ...


# From outside: pages, API and links.


def test_from_outside_a_step_is_for_whom_it_names_and_nobody_else(ada, grace, boss):
    expense = handed_in()
    boss.is_staff = boss.is_superuser = True  # a superuser has each permission, and is in no group
    boss.save()

    assert may(grace, expense, "look_at")
    assert may(ada, expense, "look_at")
    assert not may(boss, expense, "look_at")
    assert not may(AnonymousUser(), expense, "look_at")
    assert not may(None, expense, "look_at", {policy.SESSION_KEY: [expense.pk.hex]})


def test_from_outside_a_step_that_names_nobody_is_for_whoever_started_it(ada, grace):
    signup = Signup.using(actor=ada).start(email="ada@example.org", password="correct horse")
    session = {policy.SESSION_KEY: [signup.pk.hex]}

    assert may(ada, signup, "register")
    assert may(AnonymousUser(), signup, "register", session)
    assert not may(grace, signup, "register")
    assert not may(AnonymousUser(), signup, "register", {policy.GUEST_KEY: [signup.pk.hex]})


def test_staff_need_the_permission_to_change_a_timeline(boss):
    signup = signed_up()
    boss.is_staff = True
    boss.user_permissions.add(Permission.objects.get(codename="view_timeline"))
    boss.save()
    assert not may(User.objects.get(pk=boss.pk), signup, "activate")

    boss.user_permissions.add(Permission.objects.get(codename="change_timeline"))

    assert may(User.objects.get(pk=boss.pk), signup, "activate")


def test_a_step_whose_link_was_made_is_for_its_holder_and_not_for_whoever_waits_for_the_mail(ada):
    signup = Signup.using(actor=ada).start(email="ada@example.org", password="correct horse")
    assert may(ada, signup, "activate")  # nobody has made a link yet, and it does not wait yet either

    drain()

    assert Signup.get(signup.pk).activate.status == "waiting"
    assert not may(ada, signup, "activate")
    assert not may(ada, signup, "activate", {policy.SESSION_KEY: [signup.pk.hex]})


def test_the_link_counts_as_made_even_if_the_body_failed_after_it(ada, monkeypatch):
    def away(*args: object, **kwargs: object) -> None:
        raise OSError("no answer, but the mail may be out")

    monkeypatch.setattr("example_project.signup.workflows.send_mail", away)
    signup = Signup.using(actor=ada).start(email="ada@example.org", password="correct horse")
    drain()
    Signup.get(signup.pk).send_activation_link.skip(reason="It is out.")

    assert Signup.get(signup.pk).activate.status == "waiting"
    assert not may(ada, signup, "activate")


@pytest.mark.parametrize(
    "written", ["activate[", "activate[]", "activate[]]", "activate[x]", "activate@1", "activate@01"]
)
def test_a_step_is_its_links_holders_however_a_caller_writes_its_name(ada, browser_of, written):
    browser, signup = browser_of(ada), Signup.using(actor=ada).start(email="ada@example.org", password="correct horse")
    drain()

    by_page = browser.post(signup.get_absolute_url(), {"timelines-step": written})
    by_api = browser.post(
        f"/timelines/api/{signup.pk}/steps/{quote(written, safe='')}/", {}, content_type="application/json"
    )

    assert {by_page.status_code, by_api.status_code} <= {403, 404}
    assert Signup.get(signup.pk).activate.status == "waiting"


def test_a_step_that_was_renamed_is_its_links_holders_still(ada, deploy):
    before = """
        class Parcel(Workflow):
            @step
            def take(self): ...

            @step(after=take, delivery=AT_LEAST_ONCE)
            def tell(self):
                self.sign.link()

            @step(after=tell, manual=True)
            def sign(self): ...
    """
    parcel = deploy(before).using(actor=ada).start()
    drain()

    now = deploy(before.replace("sign", "confirm").replace("manual=True", 'manual=True, renamed_from="sign"'))

    assert not may(ada, parcel, "sign")
    assert not may(ada, parcel, "confirm")
    brought_up(now._declaration, load(parcel.pk, "default"))
    assert not may(ada, parcel, "sign")
    assert not may(ada, parcel, "confirm")


def test_a_policy_is_asked_of_the_name_that_the_step_has_now(ada, deploy, settings):
    before = """
        class Parcel(Workflow):
            @step
            def take(self): ...

            @step(after=take, manual=True)
            def sign(self): ...
    """
    parcel = deploy(before).using(actor=ada).start()
    deploy(before.replace("def sign", "def hand_over").replace("manual=True", 'manual=True, renamed_from="sign"'))
    settings.TIMELINES = {**settings.TIMELINES, "CAN_CALL": "tests.calls.test_allowed.no_hand_over"}

    assert not may(ada, parcel, "hand_over")
    assert not may(ada, parcel, "sign")
    assert not may(ada, parcel, "hand_over[]")


def no_hand_over(timeline, step, *, user, session):
    return step != "hand_over"


def test_what_runs_by_itself_is_nobodys_to_call_from_outside(ada):
    signup = Signup.using(actor=ada).start(email="ada@example.org", password="correct horse")

    assert not may(ada, signup, "open_account")
    assert not may(ada, signup, "nothing")


def test_the_holder_of_a_link_calls_what_names_links_and_what_names_nobody(grace, boss):
    expense = approved(grace, boss)

    assert Client().post(path(expense.confirm.link())).status_code == 302
    assert Client().post(path(expense.file_away.link())).status_code == 302

    assert Expense.get(expense.pk).timeline.status == "completed"


def test_a_link_to_a_step_that_names_others_is_for_those(grace, boss, browser_of):
    expense = handed_in()
    expense.look_at.using(actor=grace)("fine")
    link = path(expense.approve.link())

    assert Client().get(link).status_code == 403
    assert Client().post(link).status_code == 403
    assert browser_of(grace).post(link).status_code == 403
    assert browser_of(boss).post(link).status_code == 302
    called = expense.timeline.events.get(type="StepCalled", step="approve")
    assert (called.actor_type, called.actor_label) == ("user", "boss")


def test_who_followed_a_link_may_look_and_not_call_what_comes_next(grace, boss):
    expense = approved(grace, boss)
    holder = Client()

    holder.post(path(expense.confirm.link()))
    page = holder.get(expense.get_absolute_url())

    assert page.status_code == 200
    assert page.context["calls"] == []
    assert not may(AnonymousUser(), expense, "hand_in", holder.session)


def test_who_is_asked_for_may_look_and_who_is_not_gets_404(ada, grace, boss, browser_of):
    expense = handed_in()
    address = expense.get_absolute_url()

    assert browser_of(grace).get(address).status_code == 200
    assert browser_of(boss).get(address).status_code == 404
    expense.look_at.using(actor=grace)("fine")
    assert browser_of(grace).get(address).status_code == 404
    assert browser_of(boss).get(address).status_code == 200


def late_for(expense: Expense, browser: Client, step: str = "look_at", page: str = "{}", **typed: str):
    """Send a form that was opened while the step waited still."""
    page = page.format(expense.get_absolute_url(), pk=expense.pk)
    form = {"timelines-step": step, "timelines-key": "0" * 32, "timelines-seen": "3", "note": "Looks fine to me."}
    return browser.post(page, form | typed)


@pytest.mark.parametrize("page", ["{}", "/expense/{pk}/look/"])
def test_the_late_one_of_several_is_told_that_the_step_is_done_and_keeps_what_was_typed(
    grace, browser_of, settings, page
):
    settings.ROOT_URLCONF = "tests.calls.urls"
    expense, late = handed_in(), browser_of(colleague_of(grace))
    assert late.get(page.format(expense.get_absolute_url(), pk=expense.pk)).status_code == 200
    expense.look_at.using(actor=grace)("fine")

    answer = late_for(expense, late, page=page)

    html = answer.content.decode()
    assert (answer.status_code, answer.context["notes"]) == (410, ["“look at” is done already."])
    assert 'value="Looks fine to me."' in html
    assert 'name="timelines-seen" value="3"' in html  # and not how far it is
    assert "pprove" not in html
    assert late.get(expense.get_absolute_url()).status_code == 404
    assert Expense.get(expense.pk).note == "fine"


def test_the_late_one_of_several_is_told_that_the_step_was_cancelled(grace, browser_of):
    expense = handed_in()
    expense.timeline.cancel(reason="They took it back.")

    answer = late_for(expense, browser_of(colleague_of(grace)))

    assert (answer.status_code, answer.context["notes"]) == (410, ["“look at” cannot be called: it is cancelled."])
    assert "took it back" not in answer.content.decode()


@pytest.mark.parametrize(
    "step", ["look_at", "approve", "hand_in", "tell", "nothing", "look_at[x]", "look_at@1", "\x00"]
)
def test_who_could_not_have_done_a_step_is_told_nothing_of_it(ada, grace, boss, browser_of, step):
    first, second, ours = handed_in(), handed_in(), browser_of(colleague_of(grace))
    first.look_at.using(actor=grace)("fine")
    second.timeline.cancel(reason="They took it back.")

    assert late_for(first, Client(), step).status_code == 404
    assert late_for(second, Client(), step).status_code == 404
    assert late_for(second, browser_of(boss), step).status_code == 404  # it never came to what is theirs
    if step != "look_at":
        assert late_for(first, ours, step).status_code == late_for(second, ours, step).status_code == 404


def test_a_site_that_says_who_may_see_says_so_to_the_late_one_of_several(grace, browser_of, settings):
    expense = handed_in()
    expense.look_at.using(actor=grace)("fine")
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": "tests.calls.test_api.nobody"}

    assert late_for(expense, browser_of(colleague_of(grace))).status_code == 404


def colleague_of(user: User) -> User:
    colleague = User.objects.create_user("lin")
    colleague.groups.set(user.groups.all())
    return colleague


def test_a_site_may_decide_otherwise(ada, grace, settings):
    expense = handed_in()
    settings.TIMELINES = {**settings.TIMELINES, "CAN_CALL": "tests.calls.test_allowed.only_grace"}

    assert may(grace, expense, "approve")
    assert not may(ada, expense, "look_at")
    with pytest.raises(NotAllowed):  # and still the step's own word counts
        expense.approve.using(actor=grace)()


def only_grace(timeline, step, *, user, session):
    return user.username == "grace"


def test_a_rule_that_answers_with_a_coroutine_lets_nobody_in(ada, deploy):
    parcel = deploy("""
        async def nobody(parcel, user):
            return False

        class Parcel(Workflow):
            @step
            def take(self): ...

            @step(after=take, manual=True, allowed=lambda parcel, user: nobody(parcel, user))
            def sign(self):
                ran["sign"] += 1
    """).start()
    drain()

    with pytest.raises(NoAnswer, match="A function in allowed= of 'sign' returned a coroutine"):
        parcel.sign.using(actor=ada)()
    with pytest.raises(TypeError):
        may(ada, parcel, "sign")
    assert (type(parcel).get(parcel.pk).sign.status, ran["sign"]) == ("waiting", 0)


def test_a_function_that_reads_a_row_that_is_gone_names_nobody_and_says_so_once(ada, boss, browser_of, caplog):
    boss.is_superuser = boss.is_staff = True
    boss.save()
    refund = Refund.start(owner=ada)
    ada.delete()

    with pytest.raises(NotAllowed, match=r"^boss may not call “confirm”\.$"):
        refund.confirm.using(actor=boss)()
    assert browser_of(boss).get(refund.get_absolute_url()).status_code == 200
    assert browser_of(boss).post(refund.get_absolute_url(), {"timelines-step": "confirm"}).status_code == 403
    assert Refund.get(refund.pk).confirm.status == "waiting"
    (said,) = (record.getMessage() for record in caplog.records if "'confirm'" in record.getMessage())
    assert said == (
        f"A function in allowed= of 'confirm' was not answered on timeline {refund.pk}, and names nobody there: "
        "DoesNotExist: User matching query does not exist."
    )


def test_a_function_that_reads_a_field_that_is_unset_names_nobody_and_others_are_let_in(ada, grace):
    refund = Refund.start(owner=ada)

    with pytest.raises(NotAllowed, match="ada may not call “receive”"):
        refund.receive.using(actor=ada)()
    assert not may(ada, refund, "receive")
    assert refund.receive.using(actor=grace)() == "completed"


def test_a_function_that_reads_a_field_of_another_type_names_nobody_and_shows_no_value(ada, deploy, caplog):
    before = """
        class Parcel(Workflow):
            owner: str

            @step
            def take(self, owner: str):
                self.owner = owner

            @step(after=take, manual=True, allowed=lambda parcel, user: user.pk == parcel.owner)
            def sign(self): ...
    """
    parcel = deploy(before).start(owner="somebody")

    now = deploy(before.replace("    owner: str", "    owner: int"))

    with pytest.raises(NotAllowed, match="ada may not call “sign”"):
        now.get(parcel.pk).sign.using(actor=ada)()
    assert f"'sign' was not answered on timeline {parcel.pk}" in caplog.text
    assert "somebody" not in caplog.text


@pytest.mark.parametrize("setting", ["CAN_VIEW", "CAN_CALL"])
def test_a_policy_that_answers_with_a_coroutine_lets_nobody_in(ada, settings, setting):
    expense = handed_in()
    settings.TIMELINES = {**settings.TIMELINES, setting: "tests.calls.test_allowed.nobody_yet"}
    asked = policy.may_call if setting == "CAN_CALL" else policy.may_view

    with pytest.raises(NoAnswer, match=f"{setting}, tests.calls.test_allowed.nobody_yet, returned a coroutine"):
        asked(*filter(None, [Timeline.objects.get(pk=expense.pk), "look_at" * (setting == "CAN_CALL"), ada]), None)


async def nobody_yet(timeline, step=None, *, user, session):
    return False


def path(link: str) -> str:
    return link.removeprefix("https://example.org")
