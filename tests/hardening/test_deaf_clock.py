"""A clock that cannot ring, because its machine does not serve or does not reach Redis, does not keep the others from ringing."""

import select
import socket
from datetime import timedelta

import django_rq
import pytest
from django_rq.settings import QUEUES

from django_timelines.engine import bells, clock
from django_timelines.models import Run
from django_timelines.placements import Bell, embedded, rq
from django_timelines.testing import travel
from django_timelines.testing.patching import wrapped
from tests.shop.here import HERE
from tests.shop.workflows import Order

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_clock_that_does_not_serve_leaves_the_embedded_bells_to_one_that_does(monkeypatch):
    Order.start(customer="ann")  # pack is due, at the embedded worker of a process that is gone
    serving = embedded.EmbeddedWorker()
    monkeypatch.setattr(embedded, "worker", serving)
    rung = []

    for _ in range(20):  # seconds, in each of which a clock that does not serve looks first
        travel(timedelta(seconds=1))
        serving._pid = 0
        clock.tick(HERE)
        serving._pid = embedded.os.getpid()
        clock.tick(HERE)
        bells._silent_until.clear()
        while not serving.bells.empty():
            rung.append(serving.bells.get())

    assert [bell.step for bell in rung][:1] == ["pack"]


def test_what_a_clock_could_not_ring_stays_as_it_was():
    Order.start(customer="ann")  # nobody serves here
    before = Run.objects.values("fence", "rings", "ring", "placement").get()

    with travel(timedelta(seconds=6)):
        assert clock.tick(HERE) == 1

    assert Run.objects.values("fence", "rings", "ring", "placement").get() == before


@pytest.mark.redis
def test_a_clock_that_dies_as_it_rings_delays_the_bell_to_the_next_ring(place):
    place(background="rq:default")
    queue = django_rq.get_queue("default")
    Order.start(customer="ann")
    queue.empty()

    def dies(bell):
        raise SystemExit

    travel(timedelta(seconds=6))
    with wrapped(bells, "ring", lambda ring: dies), pytest.raises(SystemExit):
        clock.tick(HERE)
    clock.tick(HERE)
    assert queue.job_ids == []
    travel(timedelta(seconds=11))
    clock.tick(HERE)

    assert len(queue.job_ids) == 1
    queue.empty()


UNTIMED = {
    "socket_timeout": None,
    "socket_connect_timeout": None,
}  # as with sentinels, and by default before redis-py 8
SHORT = dict.fromkeys(UNTIMED, 0.05)


@pytest.mark.parametrize("given", [UNTIMED, SHORT], ids=["without timeouts", "with the site's own"])
def test_a_redis_that_neither_answers_nor_refuses_is_given_up_at_the_second_try(given, monkeypatch):
    monkeypatch.setattr(rq, "PATIENCE", SHORT, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        config = {"HOST": "127.0.0.1", "PORT": mute.getsockname()[1], "REDIS_CLIENT_KWARGS": given}
        monkeypatch.setitem(QUEUES, "mute", config)

        assert not bells.ring(Bell("0" * 32, "pack", "", 1, HERE, "rq:mute"))
        tries = 0
        while select.select([mute], [], [], 0)[0]:
            mute.accept()[0].close()
            tries += 1

    assert tries == 2
