"""How far a long step is: noted with the run, drawn for whoever looks, told to pages now and then."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import tracemalloc
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.template.loader import render_to_string
from django.test import Client

from django_timelines import conf
from django_timelines.admin.words import stands
from django_timelines.engine.beside import beside
from django_timelines.live.hub import Hub, hub, wake_for_progress
from django_timelines.live.layer import PROGRESS, hint, read_hint
from django_timelines.live.threads import in_thread
from django_timelines.models import Run, Timeline
from django_timelines.outline import outline
from django_timelines.policy import remember
from django_timelines.progress import Progress
from django_timelines.signals import progressed
from django_timelines.testing import drain, recorded_errors
from tests.live.test_hub import Notebook
from tests.shop.here import HERE
from tests.shop.models import Entry

from .workflows import Freely, Load, Outside, Post, letters, trouble, walked

PATIENCE = 20  # seconds
transactional = pytest.mark.django_db(transaction=True, databases="__all__")


def stored(pk: Any) -> dict[str, Any] | None:
    progress = Run.objects.filter(progress__isnull=False).filter(timeline=pk).values_list("progress", flat=True).first()
    return {name: progress[name] for name in ("done", "total", "message")} if progress else None


def drawn(pk: Any) -> str:
    html = render_to_string("django_timelines/timeline.html", {"outline": outline(Timeline.objects.get(pk=pk))})
    return " ".join(html.split())


def half_way(workflow: Any = Post, item: int = 4) -> Any:
    """Return a timeline whose long step failed at this item."""
    trouble[item] = lambda body: (_ for _ in ()).throw(PermissionError("closed"))
    begun = workflow.start()
    with recorded_errors():
        drain()
    return begun


# What is noted


@transactional
@pytest.mark.parametrize("workflow", [Load, Post])
def test_who_looks_while_it_runs_sees_how_far_it_is(workflow: Any) -> None:
    seen: list[Any] = []
    trouble[6] = lambda body: seen.extend((stored(body.pk), drawn(body.pk)))
    workflow.start()
    drain()

    assert seen[0] == {"done": 6, "total": 10, "message": ""}
    assert 'value="60" max="100" aria-label="Progress of “' in seen[1]
    assert "<p>60 % · 6 of 10 · " in seen[1]
    assert Run.objects.filter(progress__isnull=False).count() == 0


@transactional
def test_of_what_has_no_length_only_the_count_is_shown() -> None:
    seen: list[Any] = []
    walked["send"] = lambda: iter(range(10))
    trouble[6] = lambda body: seen.append(drawn(body.pk))
    Post.start()
    drain()

    assert '<progress aria-label="Progress of “Send”"></progress>' in seen[0]
    assert "<p>6 · " in seen[0]


@transactional
def test_a_step_that_failed_shows_where_it_stands_without_a_rate() -> None:
    post = half_way()

    assert "<p>40 % · 4 of 10</p>" in drawn(post.pk)


@transactional
def test_a_step_that_goes_on_later_does_not_speak_of_an_attempt_that_counts_as_none() -> None:
    post = half_way()

    assert "“send” failed on its way (PermissionError: closed) and goes on there at" in str(post.timeline.explain())
    assert "“send” did not get further yet; it goes on at" in post.timeline.explain().public
    assert "Send goes on at" in stands(Run.objects.all())
    assert "attempt 0" not in drawn(post.pk)


@transactional
def test_an_earlier_event_has_no_progress_of_today() -> None:
    post = half_way()
    timeline = Timeline.objects.get(pk=post.pk)
    timeline.state = Post.get(post.pk, at=timeline.head - 1)._snapshot.state

    assert outline(timeline).lines[1].progress is None


@transactional
def test_the_terminal_and_the_admin_show_it(admin_client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    post = half_way()

    call_command("timelines", "show", str(post.pk))
    page = admin_client.get(f"/admin/django_timelines/timeline/{post.pk}/change/").content.decode()

    assert "40 %, 4 of 10" in capsys.readouterr().out
    assert 'value="40" max="100" aria-label="Progress of “Send”"' in page


@transactional
def test_a_body_says_itself_how_far_it_is() -> None:
    seen: list[Any] = []

    def work(outside: Any) -> None:
        outside.progress(30, 120, "Fetching")
        seen.append(stored(outside.pk))
        outside.progress(60)
        seen.append(stored(outside.pk))
        seen.append(Run.objects.get(timeline=outside.pk).cursor)

    trouble["go"] = work
    Outside.start()
    drain()

    assert seen == [
        {"done": 30, "total": 120, "message": "Fetching"},
        {"done": 60, "total": None, "message": ""},
        None,
    ]


@transactional
def test_what_a_body_says_in_a_loop_takes_the_place_of_the_count() -> None:
    seen: list[Any] = []

    def say(post: Any) -> None:
        seen.append(stored(post.pk))
        post.progress(post.sent * 100, 1_000, "bytes")

    for item in range(10):
        trouble[item] = say
    Post.start()
    drain()

    assert seen[4] == {"done": 400, "total": 1_000, "message": "bytes"}  # what the batch before it has noted


@transactional
def test_an_exactly_once_body_is_seen_before_it_commits_where_the_database_can() -> None:
    seen: list[Any] = []

    def work(freely: Any) -> None:
        Entry.objects.create(text="not committed")
        freely.progress(3, 4)
        connection = connections.create_connection(HERE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT progress FROM django_timelines_run WHERE progress IS NOT NULL")
            seen.append(cursor.fetchone())
        connection.close()

    trouble["go"] = work
    freely = Freely.start()
    drain()

    if connections[HERE].vendor == "sqlite":  # the body is its one writer
        assert seen == [None]
    else:
        (progress,) = seen[0]
        assert (progress if isinstance(progress, dict) else json.loads(progress))["done"] == 3
    assert Freely.get(freely.pk).go.status == "completed"


@transactional
def test_progress_that_cannot_be_noted_is_not_tried_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "SHOW_EVERY", 60)
    tried: list[Any] = []

    def is_busy(*noted: Any) -> bool:
        tried.append(noted)
        return False

    def work(freely: Any) -> None:
        for done in range(100):
            freely.progress(done, 100)

    monkeypatch.setattr(beside, "is_needed", lambda: True)
    monkeypatch.setattr(beside, "note", is_busy)
    trouble["go"] = work
    Freely.start()
    drain()

    assert len(tried) == 1


@transactional
def test_who_lost_the_attempt_is_told_when_it_says_how_far_it_is() -> None:
    def work(outside: Any) -> None:
        letters.append("begun")
        if len(letters) == 1:
            Outside.get(outside.pk).go.retry(reason="it hangs", force=True)
        outside.progress(1)
        letters.append("went on")

    trouble["go"] = work
    outside = Outside.start()
    drain()

    assert letters == ["begun", "begun", "went on"]
    assert Outside.get(outside.pk).go.status == "completed"


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("wrong", [(-1,), (float("nan"),), (1, float("inf")), (1, 2, "a\x00b")])
def test_what_is_no_progress_fails_the_step_and_says_so(wrong: Any) -> None:
    trouble["go"] = lambda outside: outside.progress(*wrong)
    outside = Outside.start()
    with recorded_errors():
        drain()

    error = Timeline.objects.get(pk=outside.pk).state["runs"]["go"]["error"]
    assert error["type"] == "TypeError"
    assert error["message"].startswith("progress(")


# How pages are told


@transactional
def test_pages_are_told_now_and_then_however_many_batches_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def note(sender: Any, **kwargs: Any) -> None:
        told.append(kwargs["timeline"])

    progressed.connect(note)
    try:
        monkeypatch.setattr(conf, "SHOW_EVERY", 3_600)
        post = Post.start()
        drain()
    finally:
        progressed.disconnect(note)

    assert told == [post.pk]


@transactional
def test_a_page_that_polls_is_answered_while_a_long_step_goes_on(client: Client) -> None:
    answers: list[Any] = []
    session = client.session

    def poll(post: Any) -> None:
        remember(session, [post.pk.hex])
        session.save()
        client.cookies["sessionid"] = session.session_key
        head = Timeline.objects.get(pk=post.pk).head
        answers.append(client.get(f"/timelines/{post.pk}/since/?after={head}"))

    trouble[1], trouble[4] = poll, poll
    post = Post.start()
    drain()
    trouble.clear()
    poll(post)

    assert [answer.status_code for answer in answers] == [200, 200, 204]
    assert "4 of 10" in answers[1].json()["html"]


@transactional
def test_sockets_that_have_seen_every_event_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_timelines.live.hub.REDRAW", math.inf)  # which would come too late to be progress
    post = half_way()
    head = Timeline.objects.get(pk=post.pk).head

    async def story() -> list[tuple[int, str]]:
        watching, socket = hub(), Notebook(head)
        watching.join(post.pk, socket)
        while watching.watched[post.pk].pushing is not None:
            await asyncio.sleep(0)
        await in_thread(wake_for_progress, timeline=post.pk, using=HERE)
        await asyncio.wait_for(socket.told.wait(), PATIENCE)
        watching.leave(post.pk, socket)
        return socket.got

    ((sequence, frame),) = asyncio.run(story())
    assert sequence == head
    assert "4 of 10" in json.loads(frame)["html"]


@transactional
def test_a_hint_of_progress_comes_through_the_layer_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_timelines.live.hub.REDRAW", math.inf)
    post = half_way()

    assert read_hint(hint(post.pk, PROGRESS)) == (post.pk, PROGRESS)

    async def story() -> list[tuple[int, str]]:
        watching, socket = Hub(), Notebook(10_000)
        watching.join(post.pk, socket)
        watching.heard(post.pk, PROGRESS)
        await asyncio.wait_for(socket.told.wait(), PATIENCE)
        watching.leave(post.pk, socket)
        return socket.got

    assert len(asyncio.run(story())) == 1


# In words


@pytest.mark.parametrize(
    ("progress", "percent", "words"),
    [
        (Progress(370, 1000, "", 120), 37, ["370 of 1,000", "120 per second", "about 5 seconds left"]),
        (Progress(999, 1000, "", 0.5), 99, ["999 of 1,000", "30 per minute", "about 2 seconds left"]),
        (Progress(1000, 1000, "", 1), 100, ["1,000 of 1,000", "1 per second", ""]),
        (Progress(1200, 1000, "", 1), 100, ["1,200 of 1,000", "1 per second", ""]),
        (Progress(5, None, "", 1), None, ["5", "1 per second", ""]),
        (Progress(0, 0, "", 0), None, ["0 of 0", "", ""]),
        (Progress(1.5, 4, "", 0.0001), 37, ["1.5 of 4", "", "about 7 hours left"]),
        (Progress(1, 100, "", 0.2), 1, ["1 of 100", "12 per minute", "about 8 minutes left"]),
    ],
)
def test_progress_is_said_roughly(progress: Progress, percent: int | None, words: list[str]) -> None:
    assert progress.percent == percent
    assert [progress.count, progress.speed, progress.left] == words


# Memory


@transactional
def test_memory_stays_flat_however_many_items_there_are() -> None:
    marks: list[int] = []

    def mark() -> None:
        gc.collect()
        marks.append(tracemalloc.get_traced_memory()[0])

    def walk(freely: Any) -> None:
        mark()
        for item in freely.iterate(({"name": f"Contact {n}", "email": "x" * 50} for n in range(20_000)), batch=500):
            freely.seen += 1
            if item["name"] == "Contact 19999":
                mark()

    trouble["go"] = walk
    freely = Freely.start()
    tracemalloc.start()
    try:
        drain()
    finally:
        tracemalloc.stop()

    assert Freely.get(freely.pk).seen == 20_000
    assert marks[1] - marks[0] < 1_000_000  # bytes; the items alone are more than 4 MB
