"""How long a dead worker's step waits, and when a bell is rung again: worked out. ``tests.chaos.punctual`` measures it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from django_timelines import conf
from django_timelines.engine.bells import next_ring
from django_timelines.engine.clock import LONGEST_SLEEP

CLAIMED = datetime(2026, 11, 22, tzinfo=UTC)
HEARTBEAT = timedelta(seconds=20)


@given(
    killed=st.timedeltas(timedelta(0), timedelta(hours=2)),
    wrong=st.timedeltas(timedelta(seconds=-10), timedelta(seconds=10)),
)
def test_a_dead_workers_step_is_rescued_within_75_seconds_by_a_clock_that_is_wrong_by_ten(
    killed: timedelta, wrong: timedelta
) -> None:
    """All times are the database's. ``wrong``: how far the clock process is ahead of it."""
    died, look = CLAIMED + killed, CLAIMED + conf.lease() - wrong
    while look < (leased_until := _leased_until(look, died)):
        look = leased_until

    assert look + timedelta(seconds=LONGEST_SLEEP) - died <= timedelta(seconds=75)


def _leased_until(at: datetime, died: datetime) -> datetime:
    beats = (min(at, died) - CLAIMED) // HEARTBEAT
    return CLAIMED + beats * HEARTBEAT + conf.lease()


@given(rings=st.integers(0, 10_000))
def test_what_nobody_picks_up_is_rung_for_after_5_seconds_doubling_to_5_minutes(rings: int) -> None:
    waits = [(next_ring(n, CLAIMED) - CLAIMED).total_seconds() for n in (*range(8), rings)]

    assert waits[:8] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert 5 <= waits[8] <= 300
