"""The list of workflows, and the page of one."""

import re
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from django_timelines import registry
from django_timelines.engine import clock
from django_timelines.engine.pause import pause_all
from django_timelines.models import Timeline
from django_timelines.testing import drain
from tests.shop.here import HERE

from .conftest import LIST, a_parcel, page_of, text_of
from .workflows import Gift, Parcel

pytestmark = pytest.mark.django_db(transaction=True)
WORKFLOWS = f"{LIST}workflows/"
PARCEL = f"{WORKFLOWS}workflows.Parcel/"


def row_of(text: str, label: str) -> str:
    """Return the row of a workflow or of a step in a page, without what is between its words."""
    row = next(row for row in re.findall("<tr.*?</tr>", text, re.DOTALL) if label in row)
    return " ".join(re.sub("<[^>]+>", " ", row).replace("\u2013", "-").split())


def test_the_list_says_what_a_workflow_is_and_how_many_of_its_timelines_have_not_ended(root: Client) -> None:
    for trouble in ("The scales are broken.", "", ""):
        a_parcel(trouble)

    text = text_of(root, WORKFLOWS)

    said = (
        "Parcel workflows.Parcel A parcel is packed, weighed and handed over. Blocked 1 Waiting 2 All of them : Parcel"
    )
    assert row_of(text, "workflows.Parcel<") == said
    assert f'<a href="{PARCEL}">Parcel</a>' in text
    assert f'href="{LIST}?workflow=workflows.Parcel&amp;status=waiting"' in text
    assert row_of(text, "workflows.Gift<").endswith("- All of them : Gift")


def test_what_has_ended_is_not_counted(root: Client) -> None:
    parcel = a_parcel()
    parcel.hand_over()
    drain()

    assert "- All of them" in row_of(text_of(root, WORKFLOWS), "workflows.Parcel<")


def test_the_list_has_a_workflow_that_only_open_timelines_still_have(root: Client, forgotten: Timeline) -> None:
    text = text_of(root, WORKFLOWS)

    assert "The code no longer has it. Waiting 1" in row_of(text, "workflows.Forgotten<")
    assert f"{WORKFLOWS}workflows.Forgotten/" not in text
    assert root.get(f"{WORKFLOWS}workflows.Forgotten/").status_code == 404


def test_many_workflows_and_timelines_cost_as_many_queries_as_none(root: Client, django_assert_num_queries) -> None:
    with django_assert_num_queries(4):
        root.get(WORKFLOWS)
    a_parcel()
    Gift.start(receiver=User.objects.get(), card="")

    with django_assert_num_queries(4) as queries:
        root.get(WORKFLOWS)
    counts = [query["sql"] for query in queries.captured_queries if "COUNT" in query["sql"]]
    assert len(counts) == 1


def test_the_page_of_a_workflow_shows_what_it_declares_and_what_is_open_on_each_step(root: Client) -> None:
    for trouble in ("The scales are broken.", "", ""):
        a_parcel(trouble)

    text = text_of(root, PARCEL)

    assert "<p>A parcel is packed, weighed and handed over.</p>" in text
    assert row_of(text, ">Pack<") == "Pack Somebody packs it. waits for a call - inline retries: embedded"
    assert row_of(text, ">Weigh<") == "Weigh The scales say what it weighs. runs by itself Blocked 1 embedded"
    assert row_of(text, ">Hand over<").startswith("Hand over A courier takes it. waits for a call Waiting 2")
    assert f'href="{LIST}?workflow=workflows.Parcel&amp;step=hand_over"' in text


def test_the_diagram_of_a_workflow_says_what_is_open_as_text(root: Client) -> None:
    for trouble in ("The scales are broken.", "", ""):
        a_parcel(trouble)

    text = text_of(root, PARCEL)

    assert '<a href="#step-2" aria-label="Weigh: 1 blocked. Runs by itself. After Pack">' in text
    assert '<a href="#step-4" aria-label="Hand over: 2 waiting. Waits for a call. After Stick">' in text
    assert '<a href="#step-3" aria-label="Stick: runs by itself. After Weigh">' in text
    assert '<g role="listitem" class="timelines-box timelines-is-blocked"' in text
    assert ">2 waiting</text>" in text


@override_settings(TIMELINES={"PLACEMENT": {"workflows.Parcel.thank": "inline"}})
def test_a_placement_is_the_one_that_is_configured_now(root: Client) -> None:
    assert row_of(text_of(root, PARCEL), ">Thank<").endswith("inline retries: embedded")


def test_a_step_that_begins_a_timeline_leads_to_its_workflow(root: Client) -> None:
    text = text_of(root, f"{WORKFLOWS}coffee.Order/")

    assert f'begins <a href="{WORKFLOWS}coffee.Payment/">Payment</a>' in text


def test_a_step_with_items_says_of_what(root: Client) -> None:
    said = row_of(text_of(root, f"{WORKFLOWS}coffee.Build/"), ">Make<")

    assert "runs by itself, for each of drinks" in said


def test_the_page_of_a_workflow_has_its_pauses_and_the_pause(staff) -> None:
    client, nobody = staff("view", "pause"), staff("view", name="bob")
    assert f'href="{LIST}pause_all/?workflow=workflows.Parcel"' in text_of(client, PARCEL)
    assert "pause_all" not in text_of(nobody, PARCEL)

    pause_all("no parcels today", "workflows.Parcel")

    assert "no parcels today" in text_of(client, PARCEL)
    assert "resume_all/?workflow=workflows.Parcel" in text_of(client, PARCEL)
    assert "pause_all" not in text_of(client, PARCEL)
    assert "no parcels today" in text_of(nobody, PARCEL)
    assert "no parcels today" not in text_of(client, f"{WORKFLOWS}workflows.Gift/")
    assert "no parcels today" in text_of(client, WORKFLOWS)


def test_only_who_may_view_timelines_sees_workflows(staff, root: Client) -> None:
    client = staff("retry")

    assert client.get(WORKFLOWS).status_code == 403
    assert client.get(PARCEL).status_code == 403
    assert root.get(f"{WORKFLOWS}workflows.Parcels/").status_code == 404


def no_secret(timeline: Timeline, *, user: User, session: object) -> bool:
    """Hide parcels, as a policy that is asked for each timeline may."""
    return timeline.workflow != "workflows.Parcel"


def test_a_policy_of_the_sites_own_keeps_the_numbers_from_all_but_superusers(staff, root: Client, settings) -> None:
    a_parcel("The scales are broken.")
    client = staff("view")
    assert "Blocked 1" in row_of(text_of(client, WORKFLOWS), "workflows.Parcel<")

    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": f"{__name__}.no_secret"}

    assert row_of(text_of(client, WORKFLOWS), "workflows.Parcel<").endswith("handed over. All of them : Parcel")
    assert row_of(text_of(client, PARCEL), ">Weigh<").endswith("runs by itself embedded")
    for page in (WORKFLOWS, PARCEL):
        text = text_of(client, page)
        assert "how many there are is shown to superusers" in text
        assert not re.search("(?i)blocked", text)
        assert "timelines-count" not in text
    assert "Blocked 1" in row_of(text_of(root, WORKFLOWS), "workflows.Parcel<")
    assert "Blocked 1" in row_of(text_of(root, PARCEL), ">Weigh<")


def test_a_workflow_that_only_open_timelines_still_have_is_not_named_where_these_may_be_hidden(
    staff, forgotten: Timeline, settings
) -> None:
    client = staff("view")
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": f"{__name__}.no_secret"}

    assert "workflows.Forgotten" not in text_of(client, WORKFLOWS)


def test_the_list_of_timelines_and_the_page_of_one_lead_to_the_workflows(root: Client) -> None:
    parcel = a_parcel()

    assert f'href="{WORKFLOWS}"' in text_of(root, LIST)
    assert f'<a href="{PARCEL}">Parcel</a>' in text_of(root, page_of(parcel))


def test_the_list_of_timelines_finds_those_on_which_a_step_is_open(root: Client) -> None:
    blocked, waiting = a_parcel("The scales are broken."), a_parcel()

    def found(step: str) -> list[object]:
        return [
            row.pk for row in root.get(LIST, {"workflow": "workflows.Parcel", "step": step}).context["cl"].result_list
        ]

    assert found("weigh") == [blocked.pk]
    assert found("hand_over") == [waiting.pk]
    assert found("thank") == []
    assert found("nonsense") == []
    assert found("\x00") == []


def test_a_step_is_offered_once_a_workflow_is_chosen(root: Client) -> None:
    a_parcel()

    assert "By open step" not in text_of(root, LIST)
    assert "By open step" in text_of(root, f"{LIST}?workflow=workflows.Parcel")


def test_timelines_that_began_under_an_earlier_name_count_and_are_found(root: Client, monkeypatch) -> None:
    parcel = a_parcel()
    Timeline.objects.filter(pk=parcel.pk).update(workflow="workflows.Box")
    renamed = replace(Parcel._declaration, names=("workflows.Parcel", "workflows.Box"))
    monkeypatch.setitem(registry._declarations, "workflows.Parcel", renamed)
    monkeypatch.setitem(registry._aliases, "workflows.Box", "workflows.Parcel")

    assert "Waiting 1" in row_of(text_of(root, WORKFLOWS), "workflows.Parcel<")
    assert "Waiting 1" in row_of(text_of(root, PARCEL), ">Hand over<")
    for filters in ({"workflow": "workflows.Parcel"}, {"workflow": "workflows.Parcel", "step": "hand_over"}):
        assert [row.pk for row in root.get(LIST, filters).context["cl"].result_list] == [parcel.pk]


def test_the_page_of_a_workflow_has_its_schedules_for_those_who_may_see_them(root: Client, staff, deploy) -> None:
    workflow = deploy(
        """
        @schedule("0 12 * * *", tz="UTC", name="noon")
        class Digest(Workflow):
            @step
            def post(self):
                ran["post"] += 1
    """,
        name="Digest",
    )
    url = f"{WORKFLOWS}{workflow._declaration.label}/"
    assert row_of(text_of(root, url), "0 12 * * *") == "0 12 * * * (UTC) noon No clock has looked at it yet. -"

    clock.tick(HERE)

    assert row_of(text_of(root, url), "0 12 * * *").startswith("0 12 * * * (UTC) noon On ")
    assert "0 12 * * *" not in text_of(staff("view", name="bob"), url)
