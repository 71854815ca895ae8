"""The breaker opens exactly when it should, probes one at a time, waits longer when a probe fails."""

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from datafacade.config import Breaker as Figures
from datafacade.guard.breaker import Breaker, BreakerState
from tests.unit.fakes import ManualClock


def breaker() -> tuple[Breaker, ManualClock]:
    clock = ManualClock()
    return Breaker(Figures(open_jitter_ratio=0.0), clock=clock, random=Random(1)), clock


def fail(made: Breaker, times: int) -> None:
    for _ in range(times):
        assert made.admit()
        made.failure()


@pytest.mark.proves("REQ-R5")
@pytest.mark.proves("ROW-C01")
def test_it_opens_after_exactly_five_failures_in_a_row() -> None:
    made, _ = breaker()
    fail(made, 4)
    made.admit()
    made.success()
    fail(made, 4)
    assert made.state() is BreakerState.CLOSED
    fail(made, 1)
    assert made.state() is BreakerState.OPEN
    assert not made.admit()
    assert made.wait_ms() == 60_000


@pytest.mark.proves("REQ-R5")
def test_three_good_probes_close_it() -> None:
    made, clock = breaker()
    fail(made, 5)
    clock.advance(60)
    assert made.state() is BreakerState.HALF_OPEN
    for _ in range(3):
        assert made.state() is BreakerState.HALF_OPEN
        assert made.admit()
        assert not made.admit()  # one at a time
        made.success()
    assert made.state() is BreakerState.CLOSED


def test_each_failed_probe_doubles_the_wait_up_to_ten_minutes() -> None:
    made, clock = breaker()
    fail(made, 5)
    waits = []
    for _ in range(6):
        waits.append(made.wait_ms() / 1000)
        clock.advance(made.wait_ms() / 1000)
        fail(made, 1)
    assert waits == [60, 120, 240, 480, 600, 600]


def test_closing_forgets_the_longer_wait() -> None:
    made, clock = breaker()
    fail(made, 5)
    clock.advance(60)
    fail(made, 1)
    clock.advance(120)
    for _ in range(3):
        made.admit()
        made.success()
    fail(made, 5)
    assert made.wait_ms() == 60_000


@pytest.mark.proves("ROW-C02")
def test_a_probe_that_never_returns_counts_as_failure_after_two_seconds() -> None:
    made, clock = breaker()
    fail(made, 5)
    clock.advance(60)
    assert made.admit()
    clock.advance(1.9)
    assert not made.admit()
    assert made.state() is BreakerState.HALF_OPEN
    clock.advance(0.1)
    assert not made.admit()
    assert made.wait_ms() == 120_000


def test_an_abandoned_probe_makes_room_for_the_next() -> None:
    made, clock = breaker()
    fail(made, 5)
    clock.advance(60)
    assert made.admit()
    made.abandon()
    assert made.admit()


@pytest.mark.parametrize("seed", range(20))
def test_jitter_stays_within_ten_percent(seed: int) -> None:
    made = Breaker(Figures(), clock=ManualClock(), random=Random(seed))
    fail(made, 5)
    assert 54_000 <= made.wait_ms() <= 66_000


class Model(RuleBasedStateMachine):
    """Against any order of events: calls pass only where the rules of FAULTS 1.3 let them."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.clock = breaker()
        self.in_flight = False
        self.failures = 0

    @rule(seconds=st.floats(0, 700))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    @precondition(lambda self: not self.in_flight)
    def call(self) -> None:
        was_open = self.breaker.state() is BreakerState.OPEN
        self.in_flight = self.breaker.admit()
        assert not (was_open and self.in_flight)

    @rule(ok=st.booleans())
    @precondition(lambda self: self.in_flight)
    def finish(self, ok: bool) -> None:
        self.in_flight = False
        before = self.breaker.state()
        if ok:
            self.breaker.success()
            self.failures = 0
            assert self.breaker.state() is not BreakerState.OPEN
        else:
            self.breaker.failure()
            self.failures += 1
            must_open = before is BreakerState.HALF_OPEN or self.failures >= 5
            assert (self.breaker.state() is BreakerState.OPEN) == must_open

    @invariant()
    def an_open_breaker_says_until_when(self) -> None:
        assert (self.breaker.state() is BreakerState.OPEN) <= (self.breaker.wait_ms() > 0)


Model.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
test_model = pytest.mark.proves("ROW-C01")(Model.TestCase)
