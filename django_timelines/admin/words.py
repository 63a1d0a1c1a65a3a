"""How the admin names things for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.text import camel_case_to_spaces, capfirst, slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import moments, registry, store
from ..models import Run, Timeline
from ..outline import title_of
from ..state import Runs, StepStatus, run_key, split_key, type_state

SHORT_ID = 18  # of a UUIDv7: its time and 12 random bits; the list finds a timeline by it
NAMED_RUNS = 3  # in a row of the list


def workflow_title(label: str) -> str:
    """Return a workflow's name as people read it, also when the code no longer has it."""
    declaration = registry.find(label)
    return declaration.title if declaration else camel_case_to_spaces(label.rpartition(".")[2]).capitalize()


def timeline_title(timeline: Timeline) -> str:
    """Return a short name: the workflow, and the key or the beginning of the id."""
    return f"{workflow_title(timeline.workflow)} {timeline.key or str(timeline.id)[:SHORT_ID]}"


def step_title(step: str, item: str = "", round: int = 0) -> str:
    """Return a run's name as people read it: "Send activation link", "Charge, round 1" for one of an earlier round."""
    title = run_key(title_of(step), item)
    return _("%(step)s, round %(round)d") % {"step": title, "round": round} if round else title


def run_title(state: type_state, key: str) -> str:
    """Return a run's name with its round, where its step has had more than one: "Charge, round 1"."""
    step, item, round = split_key(key)
    runs: Runs = state["runs"]
    run = {} if runs.lacks(key) else runs.get(key, {})
    if step not in state.get("rounds", {}):
        return step_title(step, item)
    return step_title(step, item, round or run.get("round", 1))


def lease_of(run: Run) -> str:
    """Say who holds a run and until when; empty if nobody does. ``run.lease`` is there or is not."""
    leases = store.leases(run.timeline.using, [run.pk])
    if run.pk not in leases:
        return ""
    return held(run, live=bool(leases[run.pk]))


def held(run: Run, *, live: bool) -> str:
    """Say who holds a run's lease, and until when."""
    words = {"holder": run.lease.holder.rpartition(" ")[0] or run.lease.holder, "expires": moment(run.lease.expires)}
    sentence = _("held by %(holder)s until %(expires)s") if live else _("held by %(holder)s; ran out %(expires)s")
    return sentence % words


def event_title(type: str) -> str:
    """Return an event's type in words: "Step completed"."""
    return _(camel_case_to_spaces(type).capitalize())


def badge(status: str) -> SafeString:
    """Return a status as a coloured word: the word says it all, the colour only helps to find it."""
    return format_html('<span class="timelines-badge timelines-{}">{}</span>', slugify(status), capfirst(_(status)))


def worker(label: str) -> SafeString:
    """Return who did something as html: in a narrow column, "embedded@web-1:31426" breaks behind the @, and not in its number."""
    return SafeString(escape(label).replace("@", "@<wbr>"))


def moment(at: datetime | None) -> str:
    """Return a time in the reader's time zone."""
    return date_format(timezone.localtime(at), "DATETIME_FORMAT") if at else ""


def exactly(at: datetime) -> str:
    """Return a time to the millisecond, for what happened within one minute."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'DATE_FORMAT')}, {local:%H:%M:%S}.{local.microsecond // 1000:03}"


def moment_of(text: object) -> str:
    """Return a time that an event or a state holds as text."""
    try:
        return moment(moments.from_text(str(text)))
    except ValueError:
        return str(text)


def stands(runs: Iterable[Run]) -> str:
    """Say in one line where a timeline stands, from its open runs alone, of which the first are there."""
    runs = list(runs)
    named = [_stands(run) for run in runs[:NAMED_RUNS]]
    if more := (getattr(runs[0], "open", len(runs)) if runs else 0) - len(named):
        named.append(ngettext("%(count)d more", "%(count)d more", more) % {"count": more})
    return " · ".join(named)


def _stands(run: Run) -> str:
    words = {"step": step_title(run.step, run.item), "attempt": run.attempt}
    words |= {"until": moment(run.until), "due": moment(run.due)}
    match run.status:
        case StepStatus.WAITING if run.until:
            sentence = _("%(step)s waits for a call until %(until)s")
        case StepStatus.WAITING:
            sentence = _("%(step)s waits for a call")
        case StepStatus.OVERDUE:
            sentence = _("%(step)s is overdue since %(until)s")
        case StepStatus.BLOCKED:
            sentence = _("%(step)s is blocked after attempt %(attempt)s")
        case StepStatus.RETRYING if run.due and not run.attempt:  # a long step
            sentence = _("%(step)s goes on at %(due)s")
        case StepStatus.RETRYING if run.due:
            sentence = _("%(step)s is retried at %(due)s, after attempt %(attempt)s")
        case StepStatus.RUNNING:
            sentence = _("%(step)s is being executed, attempt %(attempt)s")
        case _:
            sentence = _("%(step)s is due")
    return sentence % words
