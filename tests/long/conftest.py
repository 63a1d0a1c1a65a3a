"""Long steps, with a clock that lets them look at each batch."""

import pytest

from django_timelines import conf

from .workflows import letters, trouble, walked


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step look after each batch, however quick; no batch ends by the clock."""
    monkeypatch.setattr(conf, "LOOK_EVERY", 0)
    monkeypatch.setattr(conf, "SHOW_EVERY", 0)
    monkeypatch.setattr(conf, "LONGEST_BATCH", 60)
    walked.clear()
    trouble.clear()
    letters.clear()
