"""For any graph: boxes stand in order and apart from one another, and each arrow is drawn, past the boxes of others."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from django_timelines.drawing import AGAIN, Arrow, Drawing, Frame, Size, draw
from django_timelines.drawing.places import settled
from django_timelines.drawing.text import cut, width, wrapped

type_graph = tuple[dict[str, Size], list[Arrow]]
DRAWN_ELSEWHERE = """
from django_timelines.drawing import Arrow, Size, draw
names = [f"s{n}" for n in range(30)]
arrows = [Arrow(names[n // k], names[n], "failed" if n % 7 == k else "done") for n in range(3, 30) for k in (2, 3)]
print(draw(dict.fromkeys(names, Size(150, 46, 8, 8)), arrows))
"""


@st.composite
def graphs(draw: st.DrawFn, most: int = 14) -> type_graph:
    names = [f"s{number}" for number in range(draw(st.integers(1, most)))]
    sizes = {name: Size(draw(st.sampled_from([100, 160])), draw(st.sampled_from([46, 62])), 8, 8) for name in names}
    arrows, before = [], {names[0]: {names[0]}}
    for number, name in enumerate(names[1:], 1):
        sources = draw(st.lists(st.sampled_from(names[:number]), min_size=1, max_size=3, unique=True))
        arrows += [
            Arrow(source, name, draw(st.sampled_from(["done", "done", "failed", "overdue"]))) for source in sources
        ]
        before[name] = {name}.union(*(before[source] for source in sources))
        if draw(st.integers(0, 5)) == 0:
            arrows.append(Arrow(name, draw(st.sampled_from(sorted(before[name]))), AGAIN))
    return sizes, arrows


def points(line: str) -> Iterator[tuple[float, float]]:
    """Return points all along the ``d`` of a path, near enough to one another that no box has room between them."""
    x = y = 0.0
    for command, text in re.findall(r"([MLVCQ])([^MLVCQ]*)", line):
        numbers = [float(one) for one in re.findall(r"-?[\d.]+", text)]
        if command == "V":
            numbers = [x, *numbers]
        control = [(x, y), *zip(numbers[::2], numbers[1::2], strict=True)]
        for step in range(1, 21) if command != "M" else ():
            yield _on_the_curve(control, step / 20)
        x, y = control[-1]


def _on_the_curve(control: list[tuple[float, float]], t: float) -> tuple[float, float]:
    while len(control) > 1:
        control = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for a, b in pairwise(control)]
    return control[0]


def is_inside(box: Frame, x: float, y: float) -> bool:
    return box.x + 1 < x < box.right - 1 and box.y + 1 < y < box.bottom - 1


def overlap(one: Frame, other: Frame) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


@given(graphs())
@settings(max_examples=60)
def test_no_two_boxes_overlap_and_all_is_within_the_drawing(graph: type_graph) -> None:
    drawing = draw(*graph)

    assert set(drawing.frames) == set(graph[0])
    assert not [pair for pair in combinations(drawing.frames.values(), 2) if overlap(*pair)]
    for box in drawing.frames.values():
        assert 0 <= box.x < box.right <= drawing.width
        assert 0 <= box.y < box.bottom <= drawing.height
    for route in drawing.routes:
        assert all(0 < x < drawing.width and 0 < y < drawing.height for x, y in points(route.line))


@given(graphs())
@settings(max_examples=60)
def test_each_arrow_is_drawn_once_from_its_source_to_its_target(graph: type_graph) -> None:
    drawing = draw(*graph)

    assert sorted(map(repr, (route.arrow for route in drawing.routes))) == sorted(map(repr, dict.fromkeys(graph[1])))
    for route in drawing.routes:
        source, target = drawing.frames[route.arrow.source], drawing.frames[route.arrow.target]
        x, y = (float(number) for number in re.findall(r"-?[\d.]+", route.line)[:2])
        tip_x, tip_y = (float(number) for number in re.findall(r"-?[\d.]+", route.head)[2:4])
        if route.arrow.outcome == AGAIN:
            assert abs(x - source.right) < 0.1
            assert source.y < y < source.bottom
            assert abs(tip_x - target.right) < 0.1
            assert target.y < tip_y < target.bottom
        else:
            assert source.x <= x <= source.right
            assert 0 <= y - source.bottom <= 8.1
            assert abs(tip_x - target.middle) < 0.1
            assert abs(tip_y - (target.y - 8)) < 0.1


@given(graphs())
@settings(max_examples=60)
def test_a_box_stands_below_all_that_it_comes_after(graph: type_graph) -> None:
    frames = draw(*graph).frames

    for arrow in graph[1]:
        if arrow.outcome != AGAIN:
            assert frames[arrow.source].bottom < frames[arrow.target].y


@given(graphs())
@settings(max_examples=60)
def test_no_arrow_goes_through_a_box(graph: type_graph) -> None:
    drawing = draw(*graph)

    for route in drawing.routes:
        line = list(points(route.line))
        for name, box in drawing.frames.items():
            assert not [point for point in line if is_inside(box, *point)], (route.arrow, name)


def test_the_same_graph_gives_the_same_drawing_in_any_process() -> None:
    drawn = {
        subprocess.run(
            [sys.executable, "-c", DRAWN_ELSEWHERE],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(drawn) == 1


def test_two_hundred_boxes_are_drawn() -> None:
    names = [f"s{number}" for number in range(200)]
    after = [Arrow(names[max(0, number - far)], names[number]) for number in range(1, 200) for far in (1, 5, 40)]

    drawing = draw(dict.fromkeys(names, Size(150, 46)), after)

    assert len(drawing.frames) == 200
    assert len(drawing.routes) == len(set(after))


def test_what_comes_after_one_another_stands_in_one_line() -> None:
    names = [f"s{number}" for number in range(40)]

    frames = draw(dict.fromkeys(names, Size(150, 46)), [Arrow(*pair) for pair in pairwise(names)]).frames

    assert {frame.x for frame in frames.values()} == {12}


def test_what_comes_after_another_outcome_stands_beside_the_way() -> None:
    arrows = [Arrow("pay", "sorry", "failed"), Arrow("pay", "send"), Arrow("begin", "pay")]

    drawing = draw(dict.fromkeys(["begin", "pay", "sorry", "send"], Size(150, 46)), arrows)

    assert drawing.frames["begin"].x == drawing.frames["pay"].x == drawing.frames["send"].x
    assert drawing.frames["sorry"].x > drawing.frames["send"].right
    assert drawing.ports["pay", "failed"] > 0
    assert drawing.ports["pay", "done"] == 0


def test_what_goes_aside_leaves_on_its_side_of_the_way_on() -> None:
    arrows = [Arrow("begin", "pay"), Arrow("begin", "make"), Arrow("pay", "sorry", "failed"), Arrow("pay", "send")]
    arrows.append(Arrow("make", "send"))

    drawing = draw(dict.fromkeys(["begin", "pay", "make", "sorry", "send"], Size(200, 46)), arrows)

    assert drawing.frames["sorry"].x < drawing.frames["send"].x
    assert drawing.ports["pay", "failed"] < 0


def test_arrows_do_not_cross_where_they_need_not() -> None:
    arrows = [Arrow("begin", name) for name in "abc"] + [Arrow("a", "z"), Arrow("b", "y"), Arrow("c", "x")]

    frames = draw(dict.fromkeys(["begin", *"abcxyz"], Size(100, 46)), arrows).frames

    assert sorted("abc", key=lambda name: frames[name].x) == ["a", "b", "c"]
    assert sorted("xyz", key=lambda name: frames[name].x) == ["z", "y", "x"]


def test_two_beside_one_another_fit_on_a_phone() -> None:
    arrows = [Arrow("place", "pay"), Arrow("place", "make"), Arrow("pay", "hand_over"), Arrow("make", "hand_over")]
    arrows.append(Arrow("pay", "sorry", "failed"))

    drawing = draw(dict.fromkeys(["place", "pay", "make", "hand_over", "sorry"], Size(150, 46)), arrows)

    assert drawing.width <= 356


def test_many_beside_one_another_have_rows_of_about_the_same_length() -> None:
    names = [f"s{number}" for number in range(12)]
    arrows = [Arrow("begin", name) for name in names] + [Arrow(name, "end") for name in names]

    frames = draw(dict.fromkeys(["begin", *names, "end"], Size(150, 46)), arrows).frames

    rows = Counter(frames[name].y for name in names)
    assert list(rows.values()) == [4, 4, 4]
    assert frames["end"].y > max(rows)


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw({}, []) == Drawing(12, 12, {}, [], {})


@given(
    st.lists(
        st.tuples(st.floats(-500, 500), st.sampled_from([1e-6, 1.0, 50.0]), st.floats(1, 90)), min_size=1, max_size=9
    )
)
def test_places_are_apart_and_within_bounds(spots: list[tuple[float, float, float]]) -> None:
    wanted, weights, apart = (list(column) for column in zip(*spots, strict=True))
    most = sum(apart[1:]) + 40

    places = settled(wanted, weights, apart[1:], 0, most)

    assert all(b - a >= gap - 1e-6 for a, b, gap in zip(places, places[1:], apart[1:], strict=False))
    assert places[0] >= 0
    assert places[-1] <= most + 1e-6


def test_what_has_room_stands_where_it_wants_to() -> None:
    assert settled([10, 200, 300], [1, 1, 1], [50, 50], 0, 400) == [10, 200, 300]
    assert settled([100, 100], [1, 1], [50], 0, 400) == [75, 125]


@given(st.text(min_size=1, max_size=60), st.floats(60, 200))
def test_a_text_fits_its_room(text: str, room: float) -> None:
    assert all(width(line, 13) <= room for line in wrapped(text, room, 13))
    assert width(cut(text, room, 13), 13) <= room


def test_a_long_name_is_broken_between_words_and_then_cut() -> None:
    assert wrapped("Pay", 90, 13) == ("Pay",)
    assert wrapped("Send activation link", 110, 13) == ("Send", "activation link")
    assert wrapped("Underwriter signs off on the whole application", 110, 13)[1].endswith("…")
