"""``timelines graph``: the steps as the class declares them, and where a timeline stands."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError

from django_timelines.workflows import Limit, Workflow, step

from .conftest import a_blocked_order, type_ask, type_say

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_class_is_drawn_as_text(say: type_say) -> None:
    assert say("graph", "shop.Order").splitlines() == [
        "shop.Order",
        "  place     begins          waits for a call",
        "  pack      after place",
        "  announce  after pack      at least once",
        "  pay       after announce  waits for a call",
        "  send      after pay       at most once",
    ]


def test_outcomes_joins_guards_and_deadlines_are_drawn(say: type_say) -> None:
    fork, visit = say("graph", "shop.Fork"), say("graph", "shop.Visit")

    assert "  sorry   after left.failed\n" in fork
    assert "  join    after left, right\n" in fork
    assert "  finish  after join or sorry\n" in fork
    assert "  arrive   after invite          waits for a call, within 3 days\n" in visit
    assert "  welcome  after arrive          guarded\n" in visit


def test_rounds_limits_and_what_is_said_of_people_are_drawn(say: type_say, ask: type_ask) -> None:
    class Audit(Workflow):
        owner: User

        @step
        def begin(self, owner: User) -> None:
            self.owner = owner

        @step(after=begin, assigned="owner", remind=timedelta(days=2), limit=3)
        def weigh(self, grams: int) -> None: ...

        @weigh.reminder
        def nudge(self) -> None: ...

        @step(after=weigh, remind=[timedelta(days=1), timedelta(days=3)], limit=Limit(1, per="owner"))
        def judge(self, verdict: str) -> None: ...

        @judge.reminder
        def nudge_again(self) -> None: ...

        @step(after=judge, manual=True, assigned=lambda audit: audit.owner, again=weigh)
        def give_back(self) -> None: ...

    assert say("graph", Audit._declaration.label).splitlines()[1:] == [
        "  begin      begins       waits for a call",
        "  weigh      after begin  waits for a call, assigned to owner, reminds every 2 days, limited to 3 at once",
        "  judge      after weigh  waits for a call, reminds after 1 day, 3 days, limited to 1 at once for each value",
        "  give_back  after judge  waits for a call, assigned as its function says, then again from weigh",
    ]
    assert ask("graph", Audit._declaration.label)["steps"][1]["notes"] == [
        "waits for a call",
        "assigned to owner",
        "reminds every 2 days",
        "limited to 3 at once",
    ]


def test_a_class_is_drawn_for_mermaid(say: type_say) -> None:
    assert say("graph", "shop.Fork", "--format", "mermaid").splitlines() == [
        "flowchart TD",
        '    step_begin["begin"]',
        '    step_left["left"]',
        '    step_right["right"]',
        '    step_sorry["sorry"]',
        '    step_join["join"]',
        '    step_finish["finish"]',
        "    step_begin --> step_left",
        "    step_begin --> step_right",
        "    step_left -.->|failed| step_sorry",
        "    step_left --> step_join",
        "    step_right --> step_join",
        "    step_join -->|or| step_finish",
        "    step_sorry -->|or| step_finish",
    ]


def test_a_timeline_is_drawn_with_where_it_stands(say: type_say, ask: type_ask) -> None:
    order = a_blocked_order()

    assert say("graph", str(order.pk)).splitlines()[:4] == [
        f"shop.Order {order.pk}, blocked",
        "  place     completed  begins          waits for a call",
        "  pack      completed  after place",
        "  announce  blocked    after pack      at least once",
    ]
    drawn = say("graph", str(order.pk), "--format", "mermaid")
    assert '    step_announce["announce"]:::needs_a_person\n' in drawn
    assert '    step_pay(["pay"])\n' in drawn
    assert "    classDef needs_a_person " in drawn
    assert [step["status"] for step in ask("graph", str(order.pk))["steps"]] == [
        "completed",
        "completed",
        "blocked",
        "upcoming",
        "upcoming",
    ]


def test_items_and_other_timelines_are_drawn(say: type_say, ask: type_ask) -> None:
    assert say("graph", "shop.Supper").splitlines()[2:4] == [
        "  bill       after sit_down       begins shop.Bill",
        "  cooking    after sit_down       begins shop.Dish, for each of dishes",
    ]
    assert say("graph", "shop.Supper", "--format", "mermaid").splitlines()[2:4] == [
        '    step_bill[["bill: shop.Bill"]]',
        '    step_cooking[["cooking: shop.Dish, each of dishes"]]',
    ]
    assert "  deliver  after fill  for each of cups, 2 at once\n" in say("graph", "shop.Tray")
    jury = say("graph", "shop.Jury")
    assert "  vote      after convene      for each of members by name, 2 are enough, waits for a call\n" in jury
    assert '    step_make["make, each of drinks"]\n' in say("graph", "shop.Bar", "--format", "mermaid")
    cooking = ask("graph", "shop.Supper")["steps"][2]
    assert (cooking["begins"], cooking["each"]["field"], cooking["each"]["at_once"]) == ("shop.Dish", "dishes", None)


def test_programs_are_given_the_graph(ask: type_ask) -> None:
    steps = ask("graph", "shop.Visit")["steps"]

    assert steps[2] == {
        "step": "forget",
        "after": [{"step": "arrive", "outcome": "overdue"}],
        "joins": "all",
        "waits": False,
        "within": None,
        "delivery": "exactly once",
        "each": None,
        "begins": None,
        "notes": [],
    }
    assert steps[1]["within"] == 259200.0


def test_a_class_or_a_timeline_is_drawn_as_svg(say: type_say, ask: type_ask) -> None:
    order = a_blocked_order()

    declared, stands = say("graph", "shop.Order", "--format", "svg"), say("graph", str(order.pk), "--format", "svg")

    assert declared.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert declared.endswith("</svg>\n")
    assert 'aria-label="Announce: runs by itself. After Pack"' in declared
    assert 'class="timelines-box timelines-is-blocked"' in stands
    assert 'aria-label="Announce: blocked. Runs by itself. After Pack"' in stands
    assert ask("graph", "shop.Order", "--format", "svg")["svg"] + "\n" == declared


def test_an_unknown_class_names_those_that_there_are(say: type_say) -> None:
    with pytest.raises(CommandError, match=r"There is no workflow 'shop.Odrer' in the code\. Known: "):
        say("graph", "shop.Odrer")
