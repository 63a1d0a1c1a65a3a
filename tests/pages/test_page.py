import re
import uuid

import pytest
from django.contrib.auth.models import Permission, User
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import Client

from django_timelines.models import Timeline
from django_timelines.outline import outline
from django_timelines.policy import remember
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import Workflow, step
from example_project.signup.workflows import Signup

from .stories import signed_up

pytestmark = pytest.mark.django_db


class Single(Workflow):
    """One step is all of it."""

    @step
    def begin(self): ...


def knows(client: Client, signup: Signup) -> Client:
    """Let this browser's session see the timeline."""
    session = client.session
    remember(session, [signup.pk.hex])
    session.save()
    return client


def test_the_page_says_in_words_where_each_step_stands(client, signup):
    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "Signup" in html
    assert "Waiting" in html
    assert "3 of 5 steps" in html
    assert "Waiting for “activate”, until" in html
    for title in ("Register", "Open account", "Send activation link", "Activate", "Start onboarding"):
        assert title in html
    assert '<progress value="3" max="5"' in html
    assert 'role="status" aria-live="polite"' in html


def test_what_comes_only_after_something_went_wrong_is_not_shown_before_it_did(client, signup):
    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "Expire" not in html
    assert "Nobody came" not in html


def test_a_cancelled_timeline_does_not_look_finished(client, signup):
    signup.timeline.cancel(reason="Not wanted any more.")

    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "3 of 5 steps" in html
    assert '<progress value="3" max="5"' in html
    assert "Expire" not in html


def test_the_title_holds_nothing_that_changes_while_the_page_is_open(client, signup):
    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "<title>Signup</title>" in html


def test_a_timeline_that_has_ended_says_so_and_is_not_loaded_again(client, signup):
    signup.activate()
    drain()

    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "Completed on" in html
    assert "5 of 5 steps" in html
    assert "data-timelines-ended" in html
    assert "http-equiv" not in html


def test_without_javascript_the_page_is_loaded_again_until_the_timeline_has_ended(client, signup):
    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html


def test_the_page_has_no_inline_script_or_style(client, signup):
    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "<style" not in html
    assert "style=" not in html
    assert "onclick" not in html
    assert html.count("<script") == 1
    assert '<script type="module" src="/static/django_timelines/live.js"></script>' in html


def test_style_and_script_carry_the_nonce_of_the_pages_policy():
    tags = Template("{% load timelines %}{% timelines_style %}{% timelines_script %}")

    with_nonce = re.findall(r"<(?:link|script) [^>]*>", tags.render(Context({"csp_nonce": "r4nd0m"})))

    assert [tag.count(' nonce="r4nd0m"') for tag in with_nonce] == [1, 1, 1]
    assert "nonce" not in tags.render(Context())


def test_whoever_began_it_in_this_browser_sees_it_and_another_browser_gets_404(client, signup):
    assert knows(client, signup).get(signup.get_absolute_url()).status_code == 200
    assert Client().get(signup.get_absolute_url()).status_code == 404


def test_an_unknown_timeline_and_somebody_elses_get_the_same_answer(client, signup):
    unknown = client.get(f"/timelines/{uuid.uuid4()}/")
    foreign = client.get(signup.get_absolute_url())

    assert (unknown.status_code, foreign.status_code) == (404, 404)
    assert unknown.content == foreign.content


def test_staff_need_the_permission_to_see_anybodys_timeline(client, signup):
    staff = User.objects.create_user("eve", is_staff=True)
    client.force_login(staff)
    assert client.get(signup.get_absolute_url()).status_code == 404

    staff.user_permissions.add(Permission.objects.get(codename="view_timeline"))

    assert client.get(signup.get_absolute_url()).status_code == 200


def test_the_page_works_when_the_class_is_gone_from_the_code(client, signup):
    Timeline.objects.filter(pk=signup.pk).update(workflow="signup.Gone")

    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "It cannot go on at the moment" in html
    assert "Send activation link" in html
    Timeline.objects.filter(pk=signup.pk).update(workflow="signup.Signup")


def test_an_app_may_bring_a_template_of_its_own(client, signup, settings, tmp_path):
    (tmp_path / "signup").mkdir()
    own = "{{ workflow.email }} {{ timeline.status }} {% for step in steps %}{{ step.title }}; {% endfor %}"
    (tmp_path / "signup" / "signup_timeline.html").write_text(own)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    text = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert text == "ada@example.org waiting Register; Open account; Send activation link; Activate; Start onboarding; "


def test_an_error_is_no_business_of_the_visitors(client, monkeypatch):
    def hostile(*args, **kwargs):
        raise OSError("<script>alert(1)</script>")

    monkeypatch.setattr("example_project.signup.workflows.send_mail", hostile)
    with recorded_errors():
        signup = signed_up()

    html = knows(client, signup).get(signup.get_absolute_url()).content.decode()

    assert "Retrying" in html
    assert "attempt 1 failed" in html
    assert "did not work yet; it is tried again at" in html
    assert "alert(1)" not in html
    assert "OSError" not in html
    assert "next attempt" in html


def test_a_step_that_is_not_due_yet_says_from_when_and_of_no_attempt(db, client, deploy):
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, delay=timedelta(days=3))
            def remind(self): ...
    """).start()
    drain()

    html = knows(client, parcel).get(parcel.get_absolute_url()).content.decode()

    assert "not before" in html
    assert "attempt" not in html


def test_the_tag_takes_a_workflow_object_or_a_timeline(signup):
    template = Template("{% load timelines %}{% timeline shown %}")

    from_object = template.render(Context({"shown": signup}))
    from_row = template.render(Context({"shown": signup.timeline}))

    assert from_object == from_row
    assert f'data-timelines-since="/timelines/{signup.pk}/since/"' in from_object
    assert (
        f'data-timelines-socket="/timelines/{signup.pk}/live/?language=en-us&amp;zone=America%2FChicago"' in from_object
    )
    assert f'data-timelines-sequence="{signup.timeline.head}"' in from_object


def test_without_the_live_app_the_page_polls(signup, settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_timelines.live"]

    html = Template("{% load timelines %}{% timeline shown %}").render(Context({"shown": signup}))

    assert "data-timelines-socket" not in html
    assert "data-timelines-since" in html


def test_a_page_counts_one_step_as_one():
    timeline = Single.start().timeline

    html = render_to_string("django_timelines/timeline.html", {"outline": outline(timeline)})

    assert " of 1 step</p>" in html
