"""Workers and bells for races, without a queue in between."""

from __future__ import annotations

from typing import Any

from django_timelines.actors import Actor, ActorType
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Held, Runner
from django_timelines.models import Run
from tests.races.workflows import Till
from tests.shop.here import HERE


def worker(name: str) -> Runner:
    """Return somebody who executes one attempt: its second is over before it could go on with the next."""
    return Runner(Actor(ActorType.WORKER, name, name), "embedded", HERE, since=float("-inf"))


def bell_of(till: Till, step: str) -> dict[str, Any]:
    """Return the bell of a due step as a placement is given it."""
    run = Run.objects.using(HERE).get(timeline=till.pk, step=step)
    return {
        "timeline": till.pk.hex,
        "step": step,
        "item": "",
        "fence": run.fence,
        "using": HERE,
        "placement": "embedded",
    }


def claimed(till: Till, step: str, name: str) -> Held | None:
    """Claim the due attempt of a step for a worker of this name."""
    return claim(till.pk, (step, ""), bell_of(till, step)["fence"], worker(name))
