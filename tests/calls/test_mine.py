"""What waits for me: a queryset, and a page."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_timelines.exceptions import NotAllowed, Unknown
from django_timelines.testing import drain, travel
from django_timelines.workflows import Workflow, step
from example_project.signup.workflows import Signup
from tests.shop.workflows import Order, Poll, Supper

from .conftest import mine
from .workflows import Expense, Refund

pytestmark = pytest.mark.django_db


class Review(Workflow):
    """The team has a while."""

    @step
    def ask(self, days: int):
        """Somebody asks."""

    @step(after=ask, manual=True, within=timedelta(days=2), allowed="group:team")
    def answer(self):
        """The team answers."""


def test_a_timeline_waits_once_however_many_items_do():
    poll = Poll.start(people=["ada", "bob", "cy"])

    assert list(Poll.timelines.waiting_for("answer")) == [poll.timeline]


def test_a_step_that_waits_for_the_timeline_that_it_began_waits_for_no_call():
    supper = Supper.start(guest="Ada", dishes=[])
    drain()

    assert Supper.get(supper.pk).bill.status == "waiting"
    assert not Supper.timelines.waiting_for("bill").exists()


def test_a_step_that_is_overdue_and_may_still_be_done_waits_for_its_call(grace):
    late, done = Review.start(days=2), Review.start(days=2)
    with travel(timedelta(days=2, hours=1)):
        drain()
        done.answer.using(actor=grace)()

        assert Review.get(late.pk).answer.status == "overdue"
        assert [row.pk for row in Review.timelines.waiting_for("answer")] == [late.pk]


def test_a_step_is_found_by_the_name_that_it_has_now_and_by_the_one_before(deploy):
    before = """
        class Parcel(Workflow):
            @step
            def take(self): ...

            @step(after=take, manual=True)
            def sign(self): ...
    """
    parcel = deploy(before).start()
    drain()
    now = deploy(before.replace("def sign", "def confirm").replace("manual=True", 'manual=True, renamed_from="sign"'))

    with pytest.raises(Unknown, match=r"^shop.Parcel has no step 'sing'. Known: take, confirm\.") as unknown:
        now.timelines.waiting_for("sing")
    assert unknown.value.reason == "unknown_step"
    assert [[row.pk for row in now.timelines.waiting_for(name)] for name in ("sign", "confirm")] == [[parcel.pk]] * 2


def test_it_is_what_names_the_user_and_what_the_user_began(ada, grace, boss):
    expense = Expense.using(actor=boss).start(owner="ada", amount=5)
    order = Order.using(actor=ada).start("ada")
    Order.using(actor=grace).start("grace")
    assert mine(ada) == [str(expense.pk)]
    assert mine(grace) == [str(expense.pk)]
    assert mine(boss) == []

    drain()
    expense.look_at.using(actor=grace)("fine")

    assert mine(ada) == [str(order.pk)]
    assert mine(boss) == [str(expense.pk)]
    assert mine(AnonymousUser()) == []


def test_a_function_is_asked_for_each_timeline(ada, boss):
    his = Expense.using(actor=boss).start(owner="ada", amount=5)
    Expense.using(actor=boss).start(owner="somebody else", amount=5)

    assert mine(ada) == [str(his.pk)]


def test_a_function_that_cannot_be_answered_keeps_the_others_from_nobodys_list(ada, boss, browser_of):
    grace = User.objects.create_user("grace")
    Refund.start(owner=ada)
    his = Refund.start(owner=boss)
    ada.delete()

    assert mine(grace) == []
    assert mine(boss) == [str(his.pk)]
    assert "Confirm</a>" in browser_of(boss).get("/timelines/").content.decode()


def test_what_is_somebodys_link_to_follow_is_nobodys_work(ada):
    Signup.using(actor=ada).start(email="ada@example.org", password="correct horse")
    drain()

    assert mine(ada) == []


def test_who_has_left_has_no_work(grace, boss):
    Expense.using(actor=boss).start(owner="grace", amount=5)
    User.objects.filter(pk=grace.pk).update(is_active=False)

    assert mine(User.objects.get(pk=grace.pk)) == []


def test_what_is_overdue_comes_first_and_then_what_has_the_least_time(grace):
    without = Expense.start(owner="x", amount=5)
    late = Review.start(days=2)
    with travel(timedelta(days=1)):
        later = Review.start(days=2)
    with travel(timedelta(days=2, hours=1)):
        assert mine(grace) == [str(late.pk), str(later.pk), str(without.pk)]  # before the clock has said so
        drain()

        assert Review.get(late.pk).answer.status == "overdue"
        assert mine(grace) == [str(late.pk), str(later.pk), str(without.pk)]
        late.answer.using(actor=grace)()
        assert mine(grace) == [str(later.pk), str(without.pk)]


def test_of_a_class_only_its_own_are_asked_for(grace):
    Expense.start(owner="x", amount=5)
    review = Review.start(days=2)

    assert [row.pk for row in Review.timelines.waiting_for_me(grace)] == [review.pk]


def test_an_ended_or_cancelled_timeline_waits_for_nobody(grace):
    review = Review.start(days=2)
    review.timeline.cancel(reason="Not wanted any more.")

    assert mine(grace) == []


def test_the_page_names_each_step_and_leads_to_its_timeline(grace, browser_of):
    review, expense = Review.start(days=2), Expense.start(owner="x", amount=5)

    with travel(timedelta(days=3)):
        html = browser_of(grace).get("/timelines/").content.decode()

    assert f'<a href="{review.get_absolute_url()}">Answer</a>' in html
    assert f'<a href="{expense.get_absolute_url()}">Look at</a>' in html
    assert html.index("Answer") < html.index("Look at")
    assert html.count("Overdue since") == 1


def test_the_groups_of_a_user_are_read_once_however_many_timelines_wait(grace, browser_of):
    for _ in range(3):
        Review.start(days=2)

    with CaptureQueriesContext(connection) as queries:
        html = browser_of(grace).get("/timelines/").content.decode()

    assert html.count("Answer") == 3
    assert sum('FROM "auth_group" INNER JOIN' in query["sql"].replace("`", '"') for query in queries) == 1


def test_who_has_left_a_group_is_refused_though_a_page_has_let_them_in(grace):
    review = Review.start(days=2)
    assert mine(grace) == [str(review.pk)]
    grace.groups.clear()

    with pytest.raises(NotAllowed):
        review.answer.using(actor=grace)()


def test_the_page_is_for_whoever_is_logged_in(client, ada, browser_of):
    assert client.get("/timelines/").status_code == 302
    assert "Nothing does." in browser_of(ada).get("/timelines/").content.decode()


def test_the_page_comes_in_parts(grace, browser_of, monkeypatch):
    monkeypatch.setattr("django_timelines.views.MyWorkView.paginate_by", 2)
    for _ in range(3):
        Review.start(days=2)

    first, second = (browser_of(grace).get(f"/timelines/?page={page}").content.decode() for page in (1, 2))

    assert (first.count("Answer"), second.count("Answer")) == (2, 1)
    assert 'rel="next" href="?page=2"' in first
