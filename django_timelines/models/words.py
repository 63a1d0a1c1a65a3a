"""The words for where things stand, spelled out for ``makemessages``: elsewhere they come from their enums."""

from __future__ import annotations

from django.utils.translation import gettext_noop

WORDS = (
    gettext_noop("running"),
    gettext_noop("waiting"),
    gettext_noop("blocked"),
    gettext_noop("paused"),
    gettext_noop("cancelling"),
    gettext_noop("completed"),
    gettext_noop("failed"),
    gettext_noop("cancelled"),
    gettext_noop("upcoming"),
    gettext_noop("due"),
    gettext_noop("retrying"),
    gettext_noop("skipped"),
    gettext_noop("overdue"),
    gettext_noop("not taken"),
    gettext_noop("not reached"),
    gettext_noop("kept"),
    gettext_noop("unsettled"),
    gettext_noop("started"),
    gettext_noop("refused"),
    gettext_noop("queued"),
)
