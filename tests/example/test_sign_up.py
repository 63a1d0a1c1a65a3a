"""The sign-up page and the account page."""

from __future__ import annotations

import re
import uuid

from django.contrib.auth.models import User
from django.test import Client

from django_timelines.models import Timeline
from django_timelines.testing import drain
from example_project.signup.workflows import Signup

TOKEN = "0b7c1f6e-4a57-4d5c-9d4b-3f1a2e8c9d10"
FORM = {"email": "ann@example.org", "password": "long enough", "token": TOKEN}


def test_a_form_with_errors_shows_them_and_begins_nothing(visitor: Client) -> None:
    answer = visitor.post("/sign-up/", FORM | {"email": "nobody", "password": "short"})

    assert answer.context["form"].errors == {
        "email": ["Enter a valid email address."],
        "password": ["Ensure this value has at least 8 characters (it has 5)."],
    }
    assert not Timeline.objects.exists()


def test_a_wrong_form_says_so_in_its_title_and_leads_to_the_first_wrong_field(visitor: Client) -> None:
    fresh = visitor.get("/sign-up/").content.decode()
    wrong = visitor.post("/sign-up/", FORM | {"password": "short"}).content.decode()

    assert "<title>Sign up" in fresh
    assert "autofocus" not in fresh
    assert "<title>Error: Sign up" in wrong
    assert re.findall(r'<input[^>]* name="(\w+)"[^>]* autofocus', wrong) == ["password"]


def test_an_address_that_is_taken_is_an_error_of_the_form(visitor: Client) -> None:
    User.objects.create_user("ann@example.org")

    answer = visitor.post("/sign-up/", FORM)

    assert answer.context["form"].non_field_errors() == ["This address is taken."]
    assert not Timeline.objects.exists()


def test_a_form_that_is_sent_twice_is_one_sign_up(visitor: Client) -> None:
    first = visitor.post("/sign-up/", FORM)
    second = visitor.post("/sign-up/", FORM)

    assert first["Location"] == second["Location"] == Signup.get(key=TOKEN).get_absolute_url()
    assert Timeline.objects.count() == 1
    assert User.objects.count() == 1


def test_of_two_clicks_the_second_answer_leads_to_the_timeline_without_the_first_ones_cookie(visitor: Client) -> None:
    visitor.post("/sign-up/", FORM)
    visitor.cookies.clear()

    second = visitor.post("/sign-up/", FORM)

    assert visitor.get(second["Location"]).status_code == 200


def test_a_form_that_was_sent_and_changed_asks_once_more_and_then_is_another_sign_up(visitor: Client) -> None:
    visitor.post("/sign-up/", FORM)

    asked = visitor.post("/sign-up/", FORM | {"email": "bob@example.org"})
    token = asked.context["form"]["token"].value()
    visitor.post("/sign-up/", FORM | {"email": "bob@example.org", "token": token})

    assert asked.context["form"].non_field_errors() == [
        "This form was sent already. Send it again for another sign-up."
    ]
    assert token != TOKEN
    assert set(User.objects.values_list("username", flat=True)) == {"ann@example.org", "bob@example.org"}


def test_the_account_is_there_once_the_visitor_has_followed_the_link(visitor: Client) -> None:
    timeline = visitor.post("/sign-up/", FORM)["Location"]
    drain()
    signup = Signup.get(key=TOKEN)
    before = visitor.get(f"/account/{signup.pk}/")

    signup.activate()
    drain()
    after = visitor.get(f"/account/{signup.pk}/")

    assert before.status_code == 302
    assert before["Location"] == timeline
    assert "Welcome, ann@example.org" in after.content.decode()
    assert "First steps" in after.content.decode()


def test_the_title_of_a_sign_up_holds_nothing_that_changes_while_the_page_is_open(visitor: Client) -> None:
    page = visitor.post("/sign-up/", FORM, follow=True)

    assert "<title>Your sign-up · django_timelines</title>" in page.content.decode()


def test_an_account_is_nobody_elses_to_see(visitor: Client) -> None:
    visitor.post("/sign-up/", FORM)
    drain()
    signup = Signup.get(key=TOKEN)
    signup.activate()
    visitor.cookies.clear()

    theirs = visitor.get(f"/account/{signup.pk}/")
    unknown = visitor.get(f"/account/{uuid.UUID(int=7)}/")

    assert theirs.status_code == 404
    assert unknown.status_code == 404
