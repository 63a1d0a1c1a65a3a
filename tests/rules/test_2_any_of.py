"""Rule 2: ``any_of`` goes on with the first that is done; those of the others that nobody has begun are then not taken."""

from typing import Any

import pytest

from django_timelines.testing import drain, recorded_errors
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_member_that_has_not_had_its_turn_is_not_taken_nor_is_what_comes_after_it(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, manual=True)
            def fetch(self): ...

            @step(after=post, manual=True)
            def weigh(self): ...

            @step(after=weigh)
            def carry(self):
                ran["carry"] += 1

            @step(after=carry)
            def ring_the_door(self): ...

            @step(after=any_of(fetch, carry))
            def thank(self): ...
    """).start()
    drain()

    parcel.fetch()
    drain()
    parcel = type(parcel).get(parcel.pk)
    assert [parcel.carry.status, parcel.ring_the_door.status, parcel.thank.status] == ["not taken"] * 2 + ["completed"]
    parcel.weigh()
    drain()

    assert (type(parcel).get(parcel.pk).timeline.status, ran["carry"]) == ("completed", 0)


def test_in_a_new_round_what_is_done_again_decides_and_not_what_was_done_before(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, manual=True)
            def fetch(self): ...

            @step(after=post, manual=True)
            def weigh(self): ...

            @step(after=weigh)
            def carry(self):
                ran["carry"] += 1

            @step(after=any_of(fetch, carry))
            def thank(self):
                ran["thank"] += 1

            @step(after=thank, manual=True)
            def file_away(self): ...
    """).start()
    drain()
    parcel.weigh()
    parcel.fetch()
    drain()
    parcel = type(parcel).get(parcel.pk)
    assert (parcel.carry.status, parcel.thank.status) == ("not taken", "completed")

    parcel.timeline.rewind(to="weigh", reason="wrong scales")
    parcel = type(parcel).get(parcel.pk)
    assert (parcel.fetch.status, parcel.carry.status, parcel.thank.status) == ("completed", "upcoming", "upcoming")
    parcel.weigh()
    drain()

    parcel = type(parcel).get(parcel.pk)
    assert (parcel.carry.status, parcel.thank.status, ran["carry"], ran["thank"]) == ("completed", "completed", 1, 2)


def test_the_items_of_a_member_that_nobody_has_begun_are_not_taken(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, each="people", manual=True)
            def sign(self, person: str):
                if person == "Bob":
                    raise OSError("The pen is gone.")

            @step(after=post, manual=True)
            def leave_it(self): ...

            @step(after=any_of(sign, leave_it))
            def thank(self): ...
    """).start(["Ada", "Bob", "Cy", "Di"])
    drain()
    parcel.sign["Ada"]()
    with recorded_errors():
        parcel.sign["Bob"]()

    parcel.leave_it()
    drain()

    parcel = type(parcel).get(parcel.pk)
    now = {person: str(parcel.sign[person].status) for person in ("Ada", "Bob", "Cy", "Di")}
    assert now == {"Ada": "completed", "Bob": "retrying", "Cy": "not taken", "Di": "not taken"}
    assert (parcel.thank.status, parcel.timeline.status) == ("completed", "running")


def test_items_that_nobody_has_begun_keep_no_timeline_from_its_end(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, each="people", at_once=1, manual=True)
            def sign(self, person: str): ...

            @step(after=post, manual=True)
            def leave_it(self): ...

            @step(after=any_of(sign, leave_it))
            def thank(self): ...
    """).start(["Ada", "Bob", "Cy"])
    drain()

    parcel.leave_it()
    drain()

    parcel = type(parcel).get(parcel.pk)
    assert (parcel.sign.status, parcel.timeline.status) == ("not taken", "completed")


def test_what_was_done_before_waits_for_all_that_is_done_again(deploy: Any) -> None:
    workflow = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, manual=True)
            def fetch(self): ...

            @step(after=post, manual=True)
            def weigh(self): ...

            @step(after=weigh, when=lambda parcel: False)
            def never(self): ...

            @step(after=weigh, manual=True)
            def carry(self): ...

            @step(after=any_of(fetch, never, carry))
            def thank(self): ...

            @step(after=thank, manual=True)
            def file_away(self): ...
    """)
    parcel = workflow.start()
    drain()
    for step in ("weigh", "fetch"):
        getattr(workflow.get(parcel.pk), step)()
        drain()
    workflow.get(parcel.pk).timeline.rewind(to="weigh", reason="again")
    workflow.get(parcel.pk).weigh()
    drain()

    now = workflow.get(parcel.pk)
    assert (now.never.status, now.carry.status, now.thank.status) == ("not taken", "waiting", "upcoming")
    now.carry()
    drain()
    assert workflow.get(parcel.pk).thank.status == "completed"
