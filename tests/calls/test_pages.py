"""The pages on which people begin workflows and call steps."""

import re
import uuid
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines.models import Timeline
from django_timelines.testing import drain
from django_timelines.views import TimelineView
from example_project.signup.workflows import Signup
from tests.shop.workflows import Order, Vault, plan, ran

from .urls import KindForm
from .workflows import Expense, Vote

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def routed(settings) -> None:
    settings.ROOT_URLCONF = "tests.calls.urls"


def sent(page, **typed: object) -> dict[str, object]:
    """Return what the browser sends from the first form of a page."""
    hidden = re.findall(r'<input type="hidden" name="(timelines-\w+)" value="([^"]*)">', page.content.decode())
    return {name: unescape(value) for name, value in hidden} | typed


def ordered(client: Client, customer: str = "ada") -> Order:
    """Order in this browser, by the page for a first try."""
    page = client.get("/timelines/start/shop.Order/")
    answer = client.post("/timelines/start/shop.Order/", sent(page, customer=customer, amount=1))
    drain()
    return Order.get(answer["Location"].strip("/").rpartition("/")[2])


@pytest.fixture
def order(client, settings) -> Order:
    """An order that waits for this browser to pay."""
    settings.DEBUG = True
    order = ordered(client)
    settings.DEBUG = False
    return order


def handed_in(client: Client) -> Expense:
    answer = client.post("/expense/", {"owner": "ada", "amount": "5"})
    return Expense.get(answer["Location"].strip("/").rpartition("/")[2])


# Beginning


def test_a_start_that_is_not_unique_leads_to_the_other_those_who_may_see_it(client, settings):
    settings.DEBUG = True
    url = "/timelines/start/workflows.Moving/"
    first = client.post(url, {"address": "Main Street 1"})["Location"]

    mine, anothers = (browser.post(url, {"address": "Main Street 1"}) for browser in (client, Client()))

    for page in (mine, anothers):
        assert "There is a “Moving” of the same address under way already." in page.content.decode()
    assert f'<a href="{first}">See the one that is under way</a>' in mine.content.decode()
    assert first not in anothers.content.decode()


def test_a_form_is_sent_and_its_timelines_page_follows(client):
    page = client.get("/expense/")
    answer = client.post("/expense/", sent(page, owner="ada", amount="5"))

    assert page.status_code == 200
    assert "Somebody hands in a bill" in page.content.decode()
    assert page.context["hint"] == "Keep the bill."
    expense = Expense.timelines.get().subject
    assert (answer.status_code, answer["Location"]) == (302, expense.get_absolute_url())
    assert (expense.owner, expense.amount) == ("ada", 5)
    assert client.get(answer["Location"]).status_code == 200


def test_what_a_form_or_the_step_says_no_to_is_shown_where_it_was_typed(client):
    wrong = client.post("/expense/", {"owner": "", "amount": "many"})
    too_much = client.post("/expense/", {"owner": "ada", "amount": "2000"})

    assert wrong.context["form"].errors == {"owner": ["This field is required."], "amount": ["Enter a whole number."]}
    assert too_much.context["form"].errors == {"amount": ["That is too much."]}
    assert 'value="2000"' in too_much.content.decode()
    assert "<title>Error: Expense</title>" in too_much.content.decode()
    assert not Expense.timelines.exists()


def test_the_same_form_sent_twice_begins_one(client):
    form = sent(client.get("/expense/"), owner="ada", amount="5")

    first = client.post("/expense/", form)
    client.cookies.clear()
    second = client.post("/expense/", form)  # sent before the first answer came: without its cookie

    assert first["Location"] == second["Location"]
    assert Expense.timelines.count() == 1
    assert client.get(second["Location"]).status_code == 200


def test_a_form_that_was_sent_and_changed_asks_once_more(client):
    form = sent(client.get("/expense/"), owner="ada", amount="5")
    client.post("/expense/", form)

    asked = client.post("/expense/", form | {"amount": "6"})
    again = client.post("/expense/", sent(asked, owner="ada", amount="6"))

    assert asked.context["form"].non_field_errors() == [
        "This form was sent already. Send it again to begin another time."
    ]
    assert again.status_code == 302
    assert Expense.timelines.count() == 2


def test_a_key_that_is_none_of_ours_finds_nobody_elses_timeline(client):
    Expense.using(key="order-17").start(owner="ada", amount=5)

    client.post("/expense/", {"owner": "ada", "amount": "5", "timelines-key": "order-17"})

    assert Expense.timelines.count() == 2


def test_what_the_address_says_is_not_asked_for(client):
    page = client.get("/expense/of/grace/")
    client.post("/expense/of/grace/", sent(page, amount="5", owner="somebody else"))

    assert list(page.context["form"].fields) == ["amount"]
    assert page.context["owner"] == "grace"
    assert Expense.timelines.get().subject.owner == "grace"


def test_an_address_of_a_row_that_is_not_there_is_404(client):
    assert client.get("/everything/of/99/").status_code == 404
    assert client.post("/everything/of/99/", {}).status_code == 404


def test_the_page_for_a_first_try_is_there_with_debug_and_for_whom_it_names(client, settings, grace, browser_of):
    assert client.get("/timelines/start/shop.Order/").status_code == 404
    assert client.get("/timelines/start/no.Such/").status_code == 404
    assert client.post("/timelines/start/shop.Order/", {"customer": "ada"}).status_code == 404
    assert client.get("/timelines/start/workflows.Guarded/").status_code == 404
    assert browser_of(grace).get("/timelines/start/workflows.Guarded/").status_code == 200
    staff = User.objects.create_superuser("staff")
    assert browser_of(staff).get("/timelines/start/shop.Order/").status_code == 200

    settings.DEBUG = True

    assert client.get("/timelines/start/shop.Order/").status_code == 200
    assert client.get("/timelines/start/workflows.Guarded/").status_code == 404


def test_a_password_is_neither_shown_nor_kept(client, settings):
    settings.DEBUG = True
    page = client.get("/timelines/start/shop.Vault/")

    wrong = client.post("/timelines/start/shop.Vault/", sent(page, owner="", code="open sesame"))
    client.post("/timelines/start/shop.Vault/", sent(page, owner="ada", code="open sesame"))

    assert re.search(r'<input type="password" name="code"[^>]*autocomplete="off"', page.content.decode())
    assert "open sesame" not in wrong.content.decode()
    assert "open sesame" not in str([event.data for event in Vault.timelines.get().events.all()])


# Calling


def test_the_page_shows_the_form_of_the_step_that_waits_for_this_visitor(client, order):
    page = client.get(order.get_absolute_url())

    (call,) = page.context["calls"]
    assert (call.run, call.title, call.about) == ("pay", "Pay", "The customer pays.")
    assert f'<form class="timelines-call" id="{call.id}" method="post"' in page.content.decode()
    assert re.search(r'<input type="number" name="amount"[^>]* required', page.content.decode())


def test_somebody_who_only_looks_sees_no_form(client, order):
    viewer = Client()
    viewer.get(order.timeline.link().removeprefix("https://example.org"))

    page = viewer.get(order.get_absolute_url())

    assert page.status_code == 200
    assert page.context["calls"] == []
    assert "<form" not in page.content.decode()


def test_a_form_that_is_sent_calls_the_step_and_leads_to_the_page(client, order):
    address = order.get_absolute_url()

    answer = client.post(address, sent(client.get(address), amount="5"))

    assert (answer.status_code, answer["Location"]) == (302, address)
    assert Order.get(order.pk).pay.status == "completed"
    assert Order.get(order.pk).notes == ["paid 5"]
    assert client.get(address).context["calls"] == []


def test_a_double_click_has_one_effect_and_the_same_answer(client, order):
    address = order.get_absolute_url()
    form = sent(client.get(address), amount="5")

    answers = [client.post(address, form) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert ran["pay"] == 1


def test_what_the_step_says_no_to_is_shown_with_what_was_typed(client, order):
    address = order.get_absolute_url()

    answer = client.post(address, sent(client.get(address), amount="-5"))
    mended = client.post(address, sent(answer, amount="5"))

    assert answer.status_code == 200
    assert "An amount is at least nought." in answer.content.decode()
    assert 'value="-5"' in answer.content.decode()
    assert mended.status_code == 302


def test_a_call_that_takes_what_another_timeline_has_leads_to_that_one(client, settings):
    settings.DEBUG = True
    first, second = (
        client.post("/timelines/start/workflows.Booth/", {"who": who})["Location"] for who in ("Ada", "Bob")
    )
    client.post(first, sent(client.get(first), number=7))

    page = client.post(second, sent(client.get(second), number=7)).content.decode()

    assert "There is a “Booth” of the same number under way already." in page
    assert f'<a href="{first}">See the one that is under way</a>' in page


def test_what_a_worker_said_no_to_is_said_and_what_somebody_typed_is_not_shown(client, order, place):
    place(pay="rq:default")
    address = order.get_absolute_url()
    Order.get(order.pk).pay(-5)
    drain()

    page = client.get(address)
    mended = client.post(address, sent(page, amount="5"))

    assert page.context["call"].errors == ("An amount is at least nought.",)
    assert page.context["form"]["amount"].value() is None
    assert mended.status_code == 302
    drain()
    assert Order.get(order.pk).pay.status == "completed"


@pytest.mark.django_db(transaction=True)  # an effect outside is not run in somebody's transaction
def test_what_is_mended_is_not_taken_for_stale_though_the_first_try_is_an_event(client, settings):
    settings.DEBUG = True
    address = client.post("/timelines/start/workflows.Notice/", {"text": "Hello"})["Location"]

    wrong = client.post(address, sent(client.get(address), to="nobody"))
    mended = client.post(address, sent(wrong, to="ada"))

    assert wrong.context["form"].non_field_errors() == ["Nobody does not read."]
    assert mended.status_code == 302


def test_a_second_tab_is_told_what_was_done_in_the_first(client, order):
    address = order.get_absolute_url()
    first, second = sent(client.get(address), amount="5"), sent(client.get(address), amount="7")
    client.post(address, first)

    answer = client.post(address, second)

    assert answer.status_code == 410
    assert answer.context["notes"] == ["“pay” is done already.", "“pay” was done meanwhile."]
    assert Order.get(order.pk).notes == ["paid 5"]
    assert ran["pay"] == 1


def test_a_page_of_an_earlier_round_is_told_and_keeps_what_was_typed(client, order):
    address = order.get_absolute_url()
    stale = sent(client.get(address), amount="5")
    Order.get(order.pk).timeline.rewind(to="announce", reason="The announcement was wrong.")
    drain()

    answer = client.post(address, stale)
    again = client.post(address, sent(answer, amount="5"))

    assert answer.status_code == 409
    assert "<title>Error: " in answer.content.decode()
    assert answer.context["notes"][:2] == [
        "“pay” has changed since you saw it.",
        "It was sent back to “announce” meanwhile.",
    ]
    assert 'value="5"' in answer.content.decode()
    assert again.status_code == 302
    assert ran["pay"] == 1


def test_what_a_worker_said_no_to_is_shown_again_to_whoever_typed_it(client, order, place):
    place(pay="rq:default")
    address = order.get_absolute_url()
    client.post(address, sent(client.get(address), amount="-5"))
    drain()

    page = client.get(address)

    assert page.context["call"].errors == ("An amount is at least nought.",)
    assert page.context["form"]["amount"].value() == -5


RENAMED = """
    class Parcel(Workflow):
        amount: int = 0

        @step
        def take(self, cups: list[str]):
            self.cups = cups

        @step(after=take)
        def pay(self, amount: int):
            self.amount = amount

        @step(after=take, each="cups")
        def fill(self, cup: str, amount: int): ...

        cups: list[str] = []
"""


@pytest.mark.parametrize(("run", "now"), [("pay", "settle"), ("fill[latte]", "pour[latte]")])
def test_a_form_that_was_opened_before_its_step_was_renamed_is_taken_and_asked_for_again_if_it_is_wrong(
    admin_client, deploy, run, now
):
    cup = deploy(RENAMED).start(cups=["latte"])
    address = f"/timelines/{cup.pk}/"
    assert f'value="{run}"' in admin_client.get(address).content.decode()
    released = RENAMED.replace("def pay", "def settle").replace("after=take)", 'after=take, renamed_from="pay")')
    released = released.replace("def fill", "def pour").replace('cups")', 'cups", renamed_from="fill")')
    released = deploy(released)

    wrong = admin_client.post(address, {"timelines-step": run, "amount": "many"})
    right = admin_client.post(address, {"timelines-step": run, "amount": "5"})

    assert (wrong.status_code, right.status_code) == (200, 302)
    assert f'<input type="hidden" name="timelines-step" value="{now}">' in wrong.content.decode()
    assert 'value="many"' in wrong.content.decode()
    step, _bracket, item = now.rstrip("]").partition("[")
    called = getattr(released.get(cup.pk), step)
    assert (called[item] if item else called).status == "completed"


def test_what_others_wrote_at_the_same_moment_is_said_and_what_was_typed_stays(client, order, others_write):
    address, link = f"/timelines/{order.pk}/", order.pay.link().removeprefix("https://example.org")
    typed = {"timelines-step": "pay", "amount": "73"}

    with others_write():
        answers = [client.post(address, typed), client.post(link, typed)]

    for answer in answers:
        assert answer.status_code == 409
        assert "Send it again." in answer.content.decode()
        assert 'value="73"' in answer.content.decode()
    assert client.post(address, typed).status_code == 302


def test_what_went_on_elsewhere_does_not_make_a_form_stale(client, order):
    address = order.get_absolute_url()
    form = sent(client.get(address), amount="5")
    Order.get(order.pk).timeline.amend(reason="A typing mistake.", customer="Ada")

    assert client.post(address, form).status_code == 302


def test_a_step_that_comes_back_shows_what_it_was_called_with_to_whoever_did(client, order, admin_client):
    address = order.get_absolute_url()
    client.post(address, sent(client.get(address), amount="5"))
    Timeline.objects.get(pk=order.pk).rewind(to="pay", reason="Paid too little.")

    pages = client.get(address), admin_client.get(address)

    assert [page.context["form"]["amount"].value() for page in pages] == [5, None]
    assert Order.get(order.pk).pay.status == "waiting"


@pytest.mark.parametrize("step", ["", "pack", "nothing", "pay[x]", "x" * 5000, "\x00"])
def test_a_step_that_is_not_the_visitors_is_refused_and_nothing_happens(client, order, step):
    address, head = order.get_absolute_url(), order.timeline.head

    answer = client.post(address, {"timelines-step": step, "amount": "5"})

    assert answer.status_code in (403, 404, 409)
    assert answer.context["notes"] != []
    assert Timeline.objects.get(pk=order.pk).head == head


@pytest.mark.parametrize("seen", ["", "x", "-1", "٣", "9" * 5000])
def test_a_malformed_word_of_what_was_seen_is_none(client, order, seen):
    address = order.get_absolute_url()

    answer = client.post(address, {"timelines-step": "pay", "amount": "5", "timelines-seen": seen})

    assert answer.status_code == 302


def test_a_timeline_is_nobody_elses_to_post_to(order):
    assert Client().post(order.get_absolute_url(), {"timelines-step": "pay", "amount": "5"}).status_code == 404


def test_a_form_is_sent_from_our_page_only_whatever_the_sites_middleware(client, order, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name]
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    address = order.get_absolute_url()

    assert strict.post(address, {"timelines-step": "pay", "amount": "5"}).status_code == 403
    assert Order.get(order.pk).pay.status == "waiting"


def test_an_unexpected_error_is_not_the_visitors_business(client, order, recorded_errors):
    def breaks(workflow) -> None:
        raise RuntimeError("<script>alert(1)</script>")

    plan["pay"] = breaks
    address = order.get_absolute_url()

    answer = client.post(address, sent(client.get(address), amount="5"), follow=True)

    assert answer.status_code == 200
    assert "alert(1)" not in answer.content.decode()
    assert "did not work yet" in answer.content.decode()


def test_a_page_with_something_to_fill_in_is_not_loaded_again_without_javascript(client, order):
    address = order.get_absolute_url()
    assert "http-equiv" not in client.get(address).content.decode()

    Order.get(order.pk).timeline.pause(reason="Inventory.")
    signup = Signup.start(email="ada@example.org", password="correct horse")
    session = client.session
    session["django_timelines"] = [signup.pk.hex]
    session.save()

    assert "http-equiv" in client.get(signup.get_absolute_url()).content.decode()


# Templates and views of one's own


def test_the_template_is_named_after_the_step_that_waits(client, order, settings, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "order_pay.html").write_text("pay {{ form.amount.name }} of {{ workflow.customer }}")
    (tmp_path / "shop" / "order_timeline.html").write_text("where it stands: {{ outline.word }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    address = order.get_absolute_url()

    waiting = client.get(address).content.decode()
    Order.get(order.pk).pay(5)

    assert waiting == "pay amount of ada"
    assert client.get(address).content.decode() == "where it stands: running"


def test_a_timelines_page_at_an_address_of_ones_own_is_of_its_workflow_only(client, order):
    expense = handed_in(client)

    assert client.get(f"/expense/{expense.pk}/").status_code == 200
    assert client.get(f"/expense/{order.pk}/").status_code == 404
    assert client.get(f"/expense/{uuid.uuid4()}/").status_code == 404


def test_a_step_has_a_page_of_its_own(client, grace, browser_of):
    expense = handed_in(client)
    address = f"/expense/{expense.pk}/look/"
    member = browser_of(grace)

    page = member.get(address)
    rude = member.post(address, sent(page, note="rude"))
    done = member.post(address, sent(rude, note="fine"), follow=True)

    assert "<h1>Look at</h1>" in page.content.decode()
    assert rude.context["form"].non_field_errors() == ["Be kind."]
    assert done.redirect_chain == [("/timelines/", 302)]  # where it stands now is no longer theirs to see
    assert done.status_code == 200
    assert Expense.get(expense.pk).note == "fine"


def test_a_template_of_a_step_may_draw_the_timeline_whichever_view_it_is_drawn_by(
    client, grace, browser_of, settings, tmp_path
):
    app, name = Expense._declaration.label.lower().split(".")
    (tmp_path / app).mkdir()
    (tmp_path / app / f"{name}_look_at.html").write_text(
        "{% load timelines %}{% timeline outline %}{{ steps.0.title }}{{ more_calls|length }}{{ call.form.note.name }}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    address = f"/expense/{handed_in(client).pk}/"
    member = browser_of(grace)

    both = [member.get(address).content.decode(), member.get(f"{address}look/").content.decode()]

    for page in both:
        assert "timelines-step" in page
        assert page.endswith("Hand in0note")


def test_the_page_of_a_step_that_is_not_the_visitors_leads_to_where_things_stand(client, grace, browser_of):
    expense = handed_in(client)
    address = f"/expense/{expense.pk}/look/"

    assert client.get(address)["Location"] == expense.get_absolute_url()
    refused = client.post(address, {"note": "fine"})
    assert (refused.status_code, refused.context["notes"]) == (403, ["“look at” is not yours to call."])


def test_the_page_of_a_step_shows_and_checks_the_form_that_it_was_given(client, grace, browser_of):
    address = f"/expense/{handed_in(client).pk}/kindly/"
    member = browser_of(grace)

    page = member.get(address)
    answer = member.post(address, sent(page, note="fine"))

    assert 'minlength="20"' in page.content.decode()
    assert answer.context["form"].errors == {"note": ["Say more."]}


def test_the_page_of_a_step_that_is_done_for_each_item_is_of_the_one_in_its_address(client):
    begun = client.post("/vote/", {"guests": '["Ada", "Bob/Cy"]'})
    vote = Vote.get(begun["Location"].strip("/").rpartition("/")[2])
    address = f"/vote/{vote.pk}/vote/Bob/Cy/"

    page = client.get(address)
    client.post(address, sent(page, votes=3))

    assert "Bob/Cy" in page.content.decode()
    vote = Vote.get(vote.pk)
    assert (vote.votes, vote.vote["Ada"].status, vote.vote["Bob/Cy"].status) == (3, "waiting", "completed")
    assert (
        client.get(address)["Location"] == client.get(f"/vote/{vote.pk}/vote/Nobody/")["Location"] == begun["Location"]
    )


def test_one_form_for_all_steps_of_a_timelines_page_is_refused():
    with pytest.raises(TypeError, match="invalid keyword 'form_class'"):
        TimelineView.as_view(workflow=Expense, form_class=KindForm)


def test_a_site_that_asks_everybody_to_log_in_does_so_where_a_workflow_begins_and_for_no_timeline(client, settings):
    expense = handed_in(client)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    same = Client()  # the other has its middleware already
    same.cookies = client.cookies

    begins = same.get("/expense/")
    moves_on = same.get(f"/expense/{expense.pk}/look/", follow=True)

    assert begins["Location"].startswith("/accounts/login/")
    assert moves_on.redirect_chain == [(expense.get_absolute_url(), 302)]
    assert moves_on.status_code == 200
