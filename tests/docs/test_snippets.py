"""Readme and tutorial, followed by a reader in an empty directory."""

from __future__ import annotations

import doctest
import io
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.test import RequestFactory
from django.utils.module_loading import import_string

from django_timelines import registry
from django_timelines.actors import acting, of_user
from django_timelines.checks import check_settings
from django_timelines.models import Timeline
from django_timelines.moments import now
from django_timelines.testing import assert_holds, drain, given, recorded_errors, travel
from tests.live.sockets import PATIENCE, Socket
from tests.shop.models import Entry
from tests.shop.workflows import Order, Paid, plan

from .snippets import ROOT, Reader, blocks
from .stories import GREETING

README, DOCS = ROOT / "README.md", ROOT / "docs"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Somebody in an empty directory."""
    return Reader(tmp_path, search=str(ROOT))


@pytest.fixture
def shown_workflows(db: None) -> Iterator[dict[str, Any]]:
    """Where a page's workflows are declared: in an app, until the test is over."""
    before = dict(registry._declarations)
    for name in ("Payment", "Order"):
        registry._declarations.pop(f"coffee.{name}")
    yield {"__name__": "example_project.coffee.workflows", "drain": drain}
    registry._declarations.clear()
    registry._declarations.update(before)


@pytest.fixture
def show(db: None) -> Iterator[Callable[..., dict[str, Any]]]:
    """Run the block of a how-to in which these words stand; its workflows are forgotten when the test is over."""
    before = dict(registry._declarations)

    def show(page: str, words: str, **names: Any) -> dict[str, Any]:
        block = next(text for _language, text in blocks(DOCS / "howto" / page) if words in text)
        shown = {"__name__": "shown", **names}  # a label of its own: tests have workflows.Signup
        exec(compile(block, page, "exec", dont_inherit=True), shown)  # noqa: S102 (the page is ours)
        return shown

    yield show
    registry._declarations.clear()
    registry._declarations.update(before)


def test_who_follows_the_readme_is_greeted(reader: Reader) -> None:
    reader.follow(README)

    assert "Greeted." in reader.run("-c", GREETING)


def test_who_follows_the_tutorial_has_a_sign_up_page_and_its_tests(reader: Reader) -> None:
    reader.follow(DOCS / "tutorial.md")
    tests = [text for language, text in blocks(DOCS / "howto" / "test-workflows.md") if language == "python"]
    reader.write("signup/tests_of_the_how_to.py", "\n".join(tests))

    assert "Ran 16 tests" in reader.run("manage.py", "test", "signup", "--pattern", "tests*.py")
    by_pytest = ("-m", "pytest", "-p", "django_timelines.pytest_plugin", "signup/tests_of_the_how_to.py")
    assert "13 passed" in reader.run(*by_pytest)


def test_the_events_of_the_how_to_about_stories_are_named_in_the_order_in_which_they_are_appended(db: None) -> None:
    found = re.search(r"`then\((.*)\)` names events", (DOCS / "howto" / "test-workflows.md").read_text())
    assert found
    plan["pay"] = lambda order: order.record(Paid(amount=5))

    events = eval(f"[{found[1]}]", {"Paid": Paid})  # noqa: S307 (the page is ours)

    assert len(events) == 2
    given(Order).upto("pay").when("pay", amount=5).then(*events)


def test_the_readme_shows_the_workflow_of_the_example_project() -> None:
    shown = next(text for _language, text in blocks(README) if text.startswith("class Signup"))

    assert shown in (ROOT / "example_project" / "signup" / "workflows.py").read_text()


def test_the_policy_of_the_how_to_lets_the_user_see_whom_the_sign_up_is_about() -> None:
    block = next(text for _language, text in blocks(DOCS / "howto" / "live-pages.md") if "signup/policy.py" in text)
    shown: dict[str, Any] = {}

    exec(block, shown)  # noqa: S102 (the page is ours)
    timeline = Timeline(state={"fields": {"user": 7}})

    assert shown["owner_or_default"](timeline, user=User(pk=7, username="ada"), session={})
    assert not shown["owner_or_default"](timeline, user=User(pk=8, username="eve"), session={})
    assert not shown["owner_or_default"](timeline, user=AnonymousUser(), session={})


def test_the_sessions_of_the_how_to_about_items_and_children_are_answered_as_it_says(shown_workflows: Any) -> None:
    for language, text in blocks(DOCS / "howto" / "many-and-others.md"):
        if language == "python":
            exec(compile(text, language, "exec", dont_inherit=True), shown_workflows)  # noqa: S102 (the page is ours)
        elif language == "pycon":
            test = doctest.DocTestParser().get_doctest(text, shown_workflows, "session", "session", 0)
            said = io.StringIO()
            with recorded_errors():
                doctest.DocTestRunner().run(test, out=said.write, clear_globs=False)
            assert said.getvalue() == ""
            shown_workflows.update(test.globs)
    assert_holds()


def test_the_policy_of_the_how_to_lets_whom_the_order_is_for_call_its_steps(db: None) -> None:
    block = next(text for _language, text in blocks(DOCS / "howto" / "let-people-in.md") if "orders/policy.py" in text)
    shown: dict[str, Any] = {}

    exec(block, shown)  # noqa: S102 (the page is ours)
    timeline = Order.start("ada").timeline
    timeline.state["fields"]["owner"] = 7

    assert shown["owner_or_default"](timeline, "pay", user=User(pk=7, username="ada"), session={})
    assert not shown["owner_or_default"](timeline, "pay", user=User(pk=8, username="eve"), session={})
    assert not shown["owner_or_default"](timeline, "pay", user=AnonymousUser(), session={})


def test_the_production_settings_of_the_readme_pass_the_checks_and_leave_no_connection_open(settings: Any) -> None:
    block = next(text for _language, text in blocks(README) if "RQ_QUEUES" in text)
    shown: dict[str, Any] = {"INSTALLED_APPS": [], "DATABASES": {"default": {}}}

    exec(block, shown)  # noqa: S102 (the page is ours)
    settings.RQ_QUEUES, settings.TIMELINES = shown["RQ_QUEUES"], shown["TIMELINES"]
    layer = shown["CHANNEL_LAYERS"]["default"]

    assert check_settings() == []
    assert import_string(layer["BACKEND"])(**layer["CONFIG"])
    assert "CONN_MAX_AGE" not in shown["DATABASES"]["default"]  # no request under ASGI takes up what another leaves


def test_the_subclass_of_the_concepts_charges_and_is_undone_in_its_own_way(show: Any) -> None:
    yearly = show("../concepts.md", "class Yearly")["Yearly"]
    donation = yearly.start(amount=10)
    drain()
    paid = yearly.get(donation.pk).paid
    yearly.get(donation.pk).timeline.cancel(reason="mistaken", compensate=True)
    drain()

    assert yearly._declaration.defaults()["amount"] == 20
    assert (paid, yearly.get(donation.pk).paid) == (120, 0)


def test_the_contract_of_the_how_to_reminds_twice_and_then_goes_to_the_boss(show: Any, mailoutbox: list[Any]) -> None:
    shown = show("let-people-in.md", "class Contract")
    for name in ("ada", "boss"):
        User.objects.create_user(name, f"{name}@example.org")
    contract = shown["Contract"].start(reviewer=User.objects.get(username="ada"))

    for day in (0, 2.1, 4.1, 6.1, 8.1):
        with travel(timedelta(days=day)):
            drain()

    assert [mail.to for mail in mailoutbox] == [["ada@example.org"]] * 2 + [["boss@example.org"]]
    with travel(timedelta(days=10.1)):
        drain()
    assert shown["Contract"].get(contract.pk).lapse.status == "completed"


def test_the_contract_of_the_how_to_that_nobody_has_any_more_reminds_whom_it_was_for(
    show: Any, mailoutbox: list[Any]
) -> None:
    declared = show("let-people-in.md", "class Contract")["Contract"]
    contract = declared.start(reviewer=User.objects.create_user("ada", "ada@example.org"))
    drain()
    declared.get(contract.pk).review.assign(None)

    with travel(timedelta(days=2.1)):
        drain()

    assert [mail.to for mail in mailoutbox] == [["ada@example.org"]]


def test_the_booking_of_the_how_to_reminds_a_day_before_and_may_be_confirmed_for_as_long_as_it_says(show: Any) -> None:
    declared = show("keep-time.md", "class Booking")["Booking"]
    pk = declared.start(begins=now() + timedelta(days=5), notice=3).pk

    said = []
    for day in (0, 3.1, 4.1):
        with travel(timedelta(days=day)):
            drain()
        said.append((declared.get(pk).confirm.status, declared.get(pk).remind.status))

    assert said == [("waiting", "due"), ("overdue", "due"), ("overdue", "completed")]


def test_the_view_of_the_how_to_leads_to_the_first_sign_up_only_who_began_it(show: Any, settings: Any) -> None:
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [("django.template.loaders.locmem.Loader", {"signup/form.html": "{{ form.errors }}"})]
            },
        }
    ]
    shown = show("limit.md", "class Signup")
    view = show("limit.md", "def sign_up", Signup=shown["Signup"])["sign_up"]

    def sign_up(user: Any) -> Any:
        request = RequestFactory().post("/", {"email": "ada@example.org"})
        request.user, request.session = user, {}
        with acting(of_user(user)):
            return view(request)

    ada = User.objects.create_user("ada")
    first = sign_up(ada)

    assert first.status_code == 302
    assert sign_up(ada).url == first.url
    refused = sign_up(AnonymousUser())
    pk = str(shown["Signup"].timelines.get().pk)
    assert (refused.status_code, "errorlist" in refused.text, pk in refused.text) == (200, True, False)


@pytest.mark.django_db(transaction=True)
def test_the_consumer_of_the_how_to_lets_nobody_pay_but_whose_order_it_is(show: Any) -> None:
    shown = show("use-async.md", "class Till")
    ada, eve = (User.objects.create_user(name) for name in ("ada", "eve"))
    order = str(shown["Order"].start(owner=ada).pk)

    async def pay(user: Any, order: str) -> dict[str, Any]:
        socket = Socket(shown["Till"].as_asgi(), "/")
        socket.scope["user"] = user
        await socket.connect(timeout=PATIENCE)
        await socket.send_json_to({"order": order, "id": uuid.uuid4().hex, "amount": 5})
        said = await socket.frame()
        await socket.disconnect()
        return said

    assert async_to_sync(pay)(eve, order) == {"refused": "not_allowed"}
    assert async_to_sync(pay)(AnonymousUser(), order) == {"refused": "not_allowed"}
    assert async_to_sync(pay)(ada, "nowhere") == {"refused": "unknown_timeline"}
    assert async_to_sync(pay)(ada, order) == {"outcome": "completed"}


def test_a_service_without_a_session_calls_a_step_once_by_the_view_of_the_how_to(show: Any) -> None:
    paid = show("use-the-api.md", "csrf_exempt", __name__="tests.shop.views", __package__="tests.shop")["paid"]
    order = given(Order).upto("pay").workflow

    def post(**event: Any) -> Any:
        return paid(RequestFactory().post("/paid/", event, content_type="application/json"))

    first = {"order": str(order.pk), "id": "evt_1", "amount": 5}
    assert [post(**first).status_code for _ in range(2)] == [204, 204]
    refused = post(**first | {"id": "evt_2", "amount": 6})

    assert (refused.status_code, refused.content) == (409, b'{"reason": "settled"}')


def test_the_router_of_the_how_to_about_going_live_keeps_timelines_and_what_steps_write_together(show: Any) -> None:
    router = show("go-live.md", "class Router")["Router"]()

    assert [router.db_for_write(model) for model in (Timeline, Entry, User)] == ["timelines", "timelines", None]
    assert [router.allow_migrate(db, "django_timelines") for db in ("timelines", "default")] == [True, False]
    assert [router.allow_migrate(db, "auth") for db in ("timelines", "default")] == [False, True]
