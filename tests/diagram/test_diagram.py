"""What a diagram shows: of a class its steps and how they hang together, of a timeline where it stands on them."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from django.template.loader import render_to_string
from django.utils import translation

from django_timelines.diagram import Box, Diagram, as_file, diagram_of
from django_timelines.models import Timeline
from django_timelines.testing import drain, fail_step
from django_timelines.workflows import Workflow
from tests.shop.workflows import Bar, Draft, Fork, Jury, Order, Supper, Visit

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def of(shown: Any) -> Diagram:
    """Draw a class, or a workflow object's timeline as it is by now."""
    if isinstance(shown, type):
        return diagram_of(shown._declaration)
    fresh = type(shown).get(shown.pk)
    return diagram_of(fresh._declaration, fresh.timeline)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 (it is ours)


def boxes(shown: Any) -> dict[str, Box]:
    return {box.name: box for box in of(shown).boxes}


def walked(shown: Any) -> set[tuple[str, str]]:
    return {(one.route.arrow.source, one.route.arrow.target) for one in of(shown).arrows if one.is_walked}


def supper(*dishes: str) -> Supper:
    begun = Supper.start(guest="Ada", dishes=list(dishes))
    drain()
    return begun


@pytest.mark.parametrize("workflow", [Order, Fork, Visit, Bar, Jury, Supper, Draft])
def test_each_step_and_each_arrow_of_a_class_is_drawn(workflow: type[Workflow]) -> None:
    graph, diagram = workflow._declaration.graph, of(workflow)

    assert [box.name for box in diagram.boxes] == list(graph.nodes)
    assert {
        (arrow.route.arrow.source, arrow.route.arrow.target, arrow.route.arrow.outcome) for arrow in diagram.arrows
    } >= {(one.step, node.name, one.outcome) for node in graph.nodes.values() for one in node.after}


def test_a_class_says_what_kind_of_step_each_is() -> None:
    assert {box.name: box.word for box in of(Supper).boxes} == {
        "sit_down": "waits for a call",
        "bill": "begins Bill",
        "cooking": "for each of dishes",
        "apologise": "runs by itself",
        "thank": "waits for a call",
    }
    assert [box.name for box in of(Supper).boxes if box.is_nested] == ["bill", "cooking"]
    assert [box.name for box in of(Supper).boxes if box.has_items] == ["cooking"]
    assert [box.name for box in of(Draft).boxes if box.is_guarded] == ["send_back", "publish"]
    assert [box.name for box in of(Fork).boxes if box.is_any] == ["finish"]


def test_other_outcomes_and_what_is_sent_back_are_drawn_apart() -> None:
    assert [arrow.route.arrow.target for arrow in of(Fork).arrows if arrow.is_aside] == ["sorry"]
    assert [tab.word for tab in boxes(Fork)["left"].tabs] == ["failed"]
    assert [tab.word for tab in boxes(Visit)["arrive"].tabs] == ["overdue"]
    back = [arrow.route.arrow for arrow in of(Draft).arrows if arrow.is_back]
    assert [(arrow.source, arrow.target) for arrow in back] == [("send_back", "review")]


def test_each_box_says_all_of_it_in_words() -> None:
    assert boxes(Fork)["finish"].label == "Finish: runs by itself. After any of Join, Sorry"
    assert boxes(Fork)["sorry"].label == "Sorry: runs by itself. After Left failed"
    assert boxes(Draft)["send_back"].label == (
        "Send back: runs by itself. Only if its guard says so. After Review. Sends the work back to Review"
    )
    assert boxes(supper("soup"))["cooking"].label == (
        "Cooking: completed, 1 of 1. Begins Dish. For each of dishes. After Sit down"
    )


def test_a_timeline_shows_where_it_stands_and_the_way_that_it_took() -> None:
    order = Order.start("x")
    with fail_step("announce", ValueError("The printer is on fire.")):
        drain()

    assert {box.name: box.status for box in of(order).boxes} == {
        "place": "completed",
        "pack": "completed",
        "announce": "blocked",
        "pay": "upcoming",
        "send": "upcoming",
    }
    assert walked(order) == {("place", "pack"), ("pack", "announce")}


def test_the_way_over_another_outcome_is_walked() -> None:
    begun = Fork.start()
    with fail_step("left", ValueError("No.")):
        drain()

    assert walked(begun) == {("begin", "left"), ("begin", "right"), ("left", "sorry"), ("sorry", "finish")}
    assert boxes(begun)["join"].status == "not taken"


def test_the_way_back_is_walked_from_when_a_step_has_sent_the_work_back() -> None:
    draft = Draft.start(text="It was")
    before = of(draft)
    draft.review(verdict="dull")
    drain()

    assert not before.went_back
    assert walked(draft) == {("write", "review"), ("send_back", "review")}
    assert boxes(draft)["send_back"].label.endswith(
        "Round 2. Runs by itself. Only if its guard says so. After Review. Has sent the work back to Review"
    )
    assert "was sent back" in render_to_string("django_timelines/diagram.html", {"diagram": of(draft)})
    assert "was sent back" not in render_to_string("django_timelines/diagram.html", {"diagram": before})

    Draft.get(draft.pk).review(verdict="good")
    drain()

    assert walked(draft) == {
        ("write", "review"),
        ("send_back", "review"),
        ("review", "publish"),
        ("publish", "archive"),
    }


def test_a_persons_rewind_walks_no_way_back() -> None:
    draft = Draft.start(text="It was")
    draft.review(verdict="good")
    drain()
    draft.timeline.rewind(to="review", reason="It was dull after all.")

    assert boxes(draft)["review"].said_round == "round 2"
    assert not of(draft).went_back


def test_a_timeline_that_was_sent_back_before_this_was_noted_is_drawn_and_goes_on() -> None:
    draft = Draft.start(text="It was")
    draft.review(verdict="dull")
    drain()
    row = Timeline.objects.get(pk=draft.pk)
    row.state.pop("sent_back")
    row.save(update_fields=["state"])

    assert walked(draft) == {("write", "review")}
    assert boxes(draft)["send_back"].label.endswith("Sends the work back to Review")

    Draft.get(draft.pk).review(verdict="dull")
    drain()

    assert walked(draft) == {("write", "review"), ("send_back", "review")}


def test_the_way_back_stays_walked_when_its_steps_have_other_names(deploy: Any) -> None:
    source = """
        class Parcel(Workflow):
            @step
            def write(self): ...
            @step(after=write)
            def review(self, is_good: bool):
                self.is_good = is_good
            @step(after=review, when=lambda parcel: not parcel.is_good, again=review)
            def send_back(self): ...
            is_good: bool = False
    """
    parcel = deploy(source).start()
    drain()
    parcel.review(is_good=False)
    drain()

    renamed = (
        source.replace("def review", "def read").replace("=review", "=read").replace("def send_back", "def return_it")
    )
    renamed = renamed.replace("after=write", 'after=write, renamed_from="review"').replace(
        "again=read", 'again=read, renamed_from="send_back"'
    )
    parcel = deploy(renamed).get(parcel.pk)
    parcel.timeline.amend(reason="so that it is written down", is_good=True)

    assert walked(parcel) == {("write", "read"), ("return_it", "read")}


def test_items_are_counted_and_a_round_is_named() -> None:
    assert boxes(supper("soup", "fish"))["cooking"].word == "completed, 2 of 2"
    assert boxes(supper())["cooking"].word == "completed"
    draft = Draft.start(text="It was")
    draft.review(verdict="dull")
    drain()

    assert (boxes(draft)["review"].said_round, boxes(draft)["write"].said_round) == ("round 2", "")


def test_no_box_moves_while_a_timeline_goes_on() -> None:
    begun = Supper.start(guest="Ada", dishes=["soup", "fish"])
    before = of(begun)
    drain()

    assert [box.frame for box in of(begun).boxes] == [box.frame for box in before.boxes]


def test_a_file_stands_alone_and_is_valid() -> None:
    svg = as_file(of(supper("soup")))
    root = parsed(svg)

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in svg
    assert ".timelines-is-completed" in svg
    assert not [name for element in root.iter() for name in element.attrib if name == "style" or "href" in name]
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert root.get("aria-labelledby") in ids


def test_numbers_are_drawn_as_svg_has_them_in_any_language(settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    english = as_file(of(Jury))
    with translation.override("de"):
        german = as_file(of(Jury))

    assert german.count("translate(") == english.count("translate(")
    assert parsed(german).get("viewBox") == parsed(english).get("viewBox")
    assert "," not in (parsed(german).get("viewBox") or "")


def test_a_diagram_reads_nothing_but_the_row(django_assert_num_queries: Any) -> None:
    timeline = Timeline.objects.get(pk=supper("soup").pk)

    with django_assert_num_queries(0):
        as_file(diagram_of(Supper._declaration, timeline))
