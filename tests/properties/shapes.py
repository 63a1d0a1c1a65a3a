"""Workflows of any shape, as source text: what Hypothesis draws, and shows where something is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

HEAD = """
from tests.properties.bodies import TWICE, Errand, Leg, act, answers, asked, walk

class Parcel(Workflow):
    items: list[str]
    rounds: int = 0
    total: int = 0

    @step(retry=TWICE)
    def begin(self, items: list[str]):
        self.items = items
        act(self, "begin")
"""
KINDS = ("runs", "waits", "is called", "is told a secret", "walks", "has a child", "has a child")
WAITS = ("waits", "is called", "is told a secret")
PARAMETERS = {"is called": ", amount: int", "is told a secret": ", amount: int, pin: Secret[str]"}
AFTER = {"one": "{}", "all": "[{}]", "any": "any_of({})"}
DELIVERIES = st.sampled_from(["EXACTLY_ONCE", "EXACTLY_ONCE", "AT_LEAST_ONCE", "AT_MOST_ONCE"])


SPANS = ["timedelta(seconds=10)", "timedelta(seconds=60)", "lambda job: asked(timedelta(seconds=30))"]
REMIND = ["timedelta(seconds=20)", "[timedelta(seconds=10), timedelta(seconds=40)]", SPANS[-1]]


@st.composite
def workflows(draw: st.DrawFn) -> str:
    """Draw the source of a class."""
    source, made = HEAD, {"begin": False}  # of each step that is made, whether it has a deadline
    often = draw(st.sampled_from([2, 4]))  # of six; few steps with many options meet what many steps with few do not
    for number in range(1, draw(st.sampled_from([1, 2, 2, 3, 4, 5, 7])) + 1):
        text = _step(draw, f"step_{number}", made, often)
        source, made = source + text, {**made, f"step_{number}": "within=" in text}
    return source


def _step(draw: Any, name: str, made: Mapping[str, bool], often: int) -> str:
    """Draw one step that comes after some of those that were made. ``often``: of six, how many have an option."""

    def maybe(option: str, choices: Sequence[str], *, but: bool = False) -> str:
        return f", {option}={draw(st.sampled_from(choices))}" if draw(st.integers(1, 6)) > 6 - often and not but else ""

    kind, each = draw(st.sampled_from(KINDS)), maybe("each", ["'items'"])
    is_child, waits = kind == "has a child", kind in WAITS
    after, before_it = _after(draw, made)
    again = maybe("again", before_it, but=bool(each) or is_child)
    remind = maybe("remind", REMIND, but=not waits)
    options = f"after={after}, retry=TWICE{again}{each}{remind}" + maybe("within", SPANS)
    options += maybe("early", ["'keep'"], but=not waits) + maybe("delay", SPANS, but=waits)
    options += ", when=lambda job: job.rounds < 2" if again else maybe("when", ["lambda job: answers()"])
    options += maybe("at_once", ["1", "2"], but=not each)
    options += maybe("at_least", ["1"], but=not each) or maybe("at_most_failed", ["1"], but=not each)
    if is_child:
        return f"\n    {name} = subworkflow({draw(st.sampled_from(['Leg', 'Errand']))}, {options})\n"
    options += maybe("limit", ["1"]) + f", delivery={draw(DELIVERIES)}" + ", manual=True" * (kind == "waits")
    item = ", item: str" * bool(each)
    lines = [f"@step({options})", f"def {name}(self{item}{PARAMETERS.get(kind, '')}):"]
    lines += ["    self.rounds += 1"] * bool(again)
    lines += [f"    {'walk' if kind == 'walks' else 'act'}(self, '{name}'{', amount' * (kind in PARAMETERS)})"]
    if draw(st.booleans()):
        lines += [f"@{name}.undo", f"def un{name}(self{item}):", f"    act(self, 'un{name}')"]
    if remind:
        lines += [f"@{name}.reminder(delivery={draw(DELIVERIES)})"]
        lines += [f"def re{name}(self{item}):", f"    act(self, 're{name}')"]
    return "\n" + "".join(f"    {line}\n" for line in lines)


def _after(draw: Any, made: Mapping[str, bool]) -> tuple[str, list[str]]:
    """Draw what it comes after, and tell to which steps it may send the work back: those that lie before it in any case."""
    how = draw(st.sampled_from(["one", "one", "all", "any"]))
    steps = draw(st.lists(st.sampled_from([*made][-4:]), min_size=1, max_size=1 if how == "one" else 3, unique=True))
    outcomes = {step: ["", "", "", *[".failed"] * (step != "begin"), *[".overdue"] * made[step]] for step in steps}
    members = [step + draw(st.sampled_from(outcomes[step])) for step in steps]
    return AFTER[how].format(", ".join(members)), ["begin", *([] if how == "any" else steps)]
