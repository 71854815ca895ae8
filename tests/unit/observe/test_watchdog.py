"""Pauses and steps of the clock are noticed, and told for five minutes."""

import pytest

from datafacade.clock import NS_PER_S
from datafacade.observe.watchdog import BEAT_S, WARN_NS, Watchdog
from tests.unit.fakes import ManualClock

BEAT_NS = int(BEAT_S * NS_PER_S)


def beats(watchdog: Watchdog, clock: ManualClock, *, count: int, step_ns: int = BEAT_NS) -> None:
    for _ in range(count):
        clock.advance(step_ns / NS_PER_S)
        watchdog.beat()


def test_a_loop_that_beats_in_time_warns_of_nothing() -> None:
    clock = ManualClock(wall_ns=NS_PER_S)
    watchdog = Watchdog(clock)
    beats(watchdog, clock, count=1_000)
    assert watchdog.warnings() == []


@pytest.mark.proves("ROW-E19")
def test_a_pause_of_more_than_a_second_is_told_for_five_minutes() -> None:
    clock = ManualClock(wall_ns=NS_PER_S)
    watchdog = Watchdog(clock)
    beats(watchdog, clock, count=1, step_ns=BEAT_NS + NS_PER_S)
    assert watchdog.warnings() == ["LOOP_PAUSED"]
    beats(watchdog, clock, count=WARN_NS // BEAT_NS)
    assert watchdog.warnings() == []


@pytest.mark.proves("ROW-H07")
@pytest.mark.parametrize("step_s", [3_600, -3_600, -10, 30 * 86_400])
def test_a_step_of_the_wall_clock_is_told_and_is_no_pause(step_s: int) -> None:
    clock = ManualClock(wall_ns=NS_PER_S)
    watchdog = Watchdog(clock)
    clock.wall += step_s * NS_PER_S
    beats(watchdog, clock, count=1)
    assert watchdog.warnings() == ["CLOCK_STEP"]


@pytest.mark.proves("ROW-H07")
def test_slewing_is_no_step() -> None:
    clock = ManualClock(wall_ns=NS_PER_S)
    watchdog = Watchdog(clock)
    for _ in range(1_000):
        clock.wall += NS_PER_S // 2_000
        beats(watchdog, clock, count=1)
    assert watchdog.warnings() == []
