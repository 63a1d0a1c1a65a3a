from datetime import timedelta

import pytest
from django.test import Client
from django.test.utils import override_script_prefix

from django_timelines.models import Timeline
from django_timelines.testing import drain, travel
from example_project.signup.workflows import Signup

from .stories import path_in_mail, signed_up

pytestmark = pytest.mark.django_db


def key_in(response) -> str:
    """Return the key of the form on the page, as the browser sends it."""
    return response.context["call"].key


def path(link: str) -> str:
    return link.removeprefix("https://example.org")


@pytest.mark.parametrize("prefix", ["/", "/app/", "/50%/"])  # of a worker, and of requests
def test_a_link_leads_below_base_url_whoever_makes_it(settings, signup, prefix):
    settings.TIMELINES = {"BASE_URL": "https://example.org/app/"}

    with override_script_prefix(prefix):
        links = [signup.activate.link(), signup.timeline.link()]
        assert signup.get_absolute_url() == f"{prefix.replace('%', '%25')}timelines/{signup.pk}/"

    assert links[0].startswith("https://example.org/app/timelines/call/")
    assert links[1].startswith("https://example.org/app/timelines/open/")


def test_looking_at_a_link_spends_nothing(client, signup):
    head = signup.timeline.head

    first, second = client.get(path_in_mail()), client.head(path_in_mail())

    assert (first.status_code, second.status_code) == (200, 200)
    assert "The visitor follows the link." in first.content.decode()
    assert '<button class="timelines-button" type="submit">Activate</button>' in first.content.decode()
    assert Timeline.objects.get(pk=signup.pk).head == head


def test_pressing_the_button_calls_the_step_and_leads_to_the_timelines_page(client, signup):
    key = key_in(client.get(path_in_mail()))

    answer = client.post(path_in_mail(), {"timelines-key": key})

    assert answer.status_code == 302
    assert answer["Location"] == f"/timelines/{signup.pk}/"
    assert client.get(answer["Location"]).status_code == 200
    called = signup.timeline.events.get(type="StepCalled", step="activate")
    assert (called.actor_type, called.actor_label) == ("link", "link")
    assert Signup.get(signup.pk).activate.status == "completed"


def test_a_site_that_keeps_no_sessions_calls_the_step_and_says_so_at_the_link(client, signup, settings):
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if one.endswith(("CommonMiddleware", "ActorMiddleware"))]

    answer = client.post(path_in_mail())

    assert (answer.status_code, answer["Location"]) == (302, path_in_mail())
    assert Signup.get(signup.pk).activate.status == "completed"
    assert "“activate” is done already." in client.get(path_in_mail()).content.decode()
    assert client.get(signup.timeline.link().removeprefix("https://example.org")).status_code == 302
    assert client.get(signup.get_absolute_url()).status_code == 404


def test_a_double_click_has_one_effect_and_the_same_answer(client, signup):
    key = key_in(client.get(path_in_mail()))

    first = client.post(path_in_mail(), {"timelines-key": key})
    second = Client().post(
        path_in_mail(), {"timelines-key": key}
    )  # sent before the first answer came: without its cookie

    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    assert signup.timeline.events.filter(type="StepCalled", step="activate").count() == 1


def test_a_used_link_says_so_and_shows_its_next_holder_nothing(client, signup):
    client.post(path_in_mail(), {"timelines-key": key_in(client.get(path_in_mail()))})
    stranger = Client()

    seen = stranger.get(path_in_mail())
    pressed = stranger.post(path_in_mail())

    assert (seen.status_code, pressed.status_code) == (410, 410)
    assert "“activate” is done already." in seen.content.decode()
    assert signup.get_absolute_url() not in seen.content.decode()
    assert stranger.get(signup.get_absolute_url()).status_code == 404


def test_a_used_link_leads_whoever_used_it_to_the_page(client, signup):
    client.post(path_in_mail(), {"timelines-key": key_in(client.get(path_in_mail()))})

    answer = client.get(path_in_mail())

    assert answer.status_code == 410
    assert f'<a href="{signup.get_absolute_url()}">' in answer.content.decode()


def test_an_expired_link_says_so_before_the_clock_has_settled_the_step(client, signup):
    with travel(timedelta(days=3)):
        seen, pressed = client.get(path_in_mail()), client.post(path_in_mail())

    assert (seen.status_code, pressed.status_code) == (410, 410)
    assert "has run out" in seen.content.decode()
    assert not signup.timeline.events.filter(type="StepCalled", step="activate").exists()


def test_an_expired_link_says_so_after_the_clock_has_settled_the_step(client, signup):
    with travel(timedelta(days=3)):
        drain()

        answer = client.get(path_in_mail())

    assert answer.status_code == 410
    assert "The time for “activate” has run out." in answer.content.decode()


@pytest.mark.parametrize("token", ["x", "WyJhIl0:1tX:abc", "%00", "a" * 5000])
def test_a_forged_link_says_so(client, token):
    for answer in (client.get(f"/timelines/call/{token}/"), client.post(f"/timelines/call/{token}/")):
        assert answer.status_code == 404
        assert "This link is not one of ours" in answer.content.decode()
    assert "This link is not one of ours" in client.get(f"/timelines/open/{token}/").content.decode()


def test_a_view_link_does_not_pass_for_a_call_link(client, signup):
    token = signup.timeline.link().rstrip("/").rpartition("/")[2]

    assert client.post(f"/timelines/call/{token}/").status_code == 404


def test_a_link_to_what_is_gone_says_so(client, signup):
    Timeline.objects.filter(pk=signup.pk).delete()

    answer = client.get(path_in_mail())

    assert answer.status_code == 404
    assert "This link leads to something that is not there any more." in answer.content.decode()


def test_a_link_of_a_cancelled_timeline_says_why_it_cannot_be_followed(client, signup):
    signup.timeline.cancel(reason="a test")

    answer = client.post(path_in_mail())

    assert answer.status_code == 410
    assert "cancelled" in answer.content.decode()


def test_a_call_that_comes_through_a_link_too_early_is_kept(client):
    signup = Signup.start(email="ada@example.org", password="correct horse")

    answer = client.post(path(signup.activate.link()))
    again = Client().get(path(signup.activate.link()))
    drain()

    assert answer.status_code == 302
    assert again.status_code == 409
    assert Signup.get(signup.pk).activate.status == "completed"


def test_a_link_is_pressed_on_its_own_page_only(signup):
    strict = Client(enforce_csrf_checks=True)
    page = strict.get(path_in_mail())
    token = page.cookies["csrftoken"].value

    assert strict.post(path_in_mail(), {"timelines-key": key_in(page)}).status_code == 403
    assert strict.post(path_in_mail(), {"timelines-key": key_in(page), "csrfmiddlewaretoken": token}).status_code == 302


def test_the_address_of_a_link_is_neither_stored_nor_sent_to_other_sites(client, signup):
    for answer in (client.get(path_in_mail()), client.get(path(signup.timeline.link()))):
        assert answer["Referrer-Policy"] == "same-origin"
        assert "no-store" in answer["Cache-Control"]


def test_the_holder_of_a_view_link_sees_the_timeline_from_then_on(client, signup):
    answer = client.get(path(signup.timeline.link()))

    assert answer.status_code == 302
    assert answer["Location"] == signup.get_absolute_url()
    assert client.get(signup.get_absolute_url()).status_code == 200


def test_a_link_shows_one_timeline_only(client, signup):
    other = signed_up("grace@example.org")

    client.get(path(signup.timeline.link()))

    assert client.get(other.get_absolute_url()).status_code == 404
