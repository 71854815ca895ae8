"""The breaker opens exactly when it should, probes one at a time, waits longer when a probe fails."""

from random import Random

import pytest
from hypothesis import given, settings
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


@pytest.mark.proves("ROW-C02")
@given(probes=st.lists(st.one_of(st.none(), st.integers(0, 19)), min_size=3, max_size=3))
def test_half_open_lasts_ten_seconds_at_most_while_calls_come(probes: list[int | None]) -> None:
    """A call each tenth of a second; each probe hangs (None) or succeeds after so many tenths."""
    made, clock = breaker()
    fail(made, 5)
    clock.advance(60)
    ends_in: int | None = None
    for _ in range(100):
        if ends_in == 0:
            made.success()
            ends_in = None
        if made.admit():
            ends_in = probes.pop(0) if probes else 0
        elif ends_in is not None:
            ends_in -= 1
        clock.advance(0.1)
        if made.state() is not BreakerState.HALF_OPEN:
            return
    raise AssertionError("still half open after 10 s")


@pytest.mark.proves("ROW-C02")
def test_a_probe_that_hangs_is_told_as_a_failure_although_nobody_asks_for_another() -> None:
    made, clock = breaker()
    fail(made, 5)
    clock.advance(60)
    assert made.admit()
    clock.advance(10)
    assert made.state() is BreakerState.OPEN
    assert made.wait_ms() == 112_000  # 120 s from the moment at which the probe was given up


def test_an_answer_from_before_the_opening_says_nothing_about_the_probe() -> None:
    made, clock = breaker()
    old = made.admit()
    fail(made, 5)
    clock.advance(60)
    probe = made.admit()
    for verdict in (made.success, made.failure, made.abandon):
        verdict(old)
        assert made.state() is BreakerState.HALF_OPEN
        assert not made.admit()  # the probe is still under way
    made.success(probe)
    assert made.admit()


class Model(RuleBasedStateMachine):
    """Against any order of calls, verdicts and pauses: the breaker stands where FAULTS 1.3 says.

    The model is the rule read aloud: 5 failures in a row open it for 60 s, doubling to 600; then one probe at
    a time, 2 s each, three good ones close it, a bad one opens it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.clock = breaker()
        self.calls: list[tuple[int, str]] = []  # ticket, era in which it was admitted
        self.era = "closed 0"
        self.failures = 0
        self.successes = 0
        self.wait_s = 60
        self.retry_at = 0.0
        self.probe_until = 0.0  # 0: none is under way
        self.now = 0.0
        self.probes = 0

    @rule(tenths=st.one_of(st.integers(1, 30), st.sampled_from([599, 600, 601, 1_200, 6_000])))
    def time_passes(self, tenths: int) -> None:
        self.clock.advance(tenths / 10)
        self.now = round(self.now + tenths / 10, 1)
        if self.probe_until and self.now >= self.probe_until:
            self._probe_failed(self.probe_until)

    @rule()
    def call(self) -> None:
        ticket = self.breaker.admit()
        if self.era.startswith("closed"):
            assert ticket
            self.calls.append((ticket, self.era))
        elif self.now < self.retry_at or self.probe_until:
            assert not ticket
        else:
            assert ticket
            if self.era.startswith("open"):
                self.successes = 0
            self.probes += 1
            self.era = f"probe {self.probes}"
            self.probe_until = round(self.now + 2, 1)
            self.calls.append((ticket, self.era))

    @rule(verdict=st.sampled_from(["success", "failure", "abandon"]), which=st.integers(0, 100))
    @precondition(lambda self: self.calls)
    def a_call_ends(self, verdict: str, which: int) -> None:
        ticket, era = self.calls.pop(which % len(self.calls))
        getattr(self.breaker, verdict)(ticket)
        if era != self.era or (era.startswith("probe") and not self.probe_until):
            return
        if era.startswith("closed"):
            self._closed_call_ended(verdict)
        elif verdict == "failure":
            self._probe_failed(self.now)
        else:
            self.probe_until = 0.0
            if verdict == "success":
                self.failures = 0
                self.successes += 1
                if self.successes == 3:
                    self.era, self.wait_s = f"closed {self.probes}", 60

    def _closed_call_ended(self, verdict: str) -> None:
        if verdict == "success":
            self.failures = 0
        elif verdict == "failure":
            self.failures += 1
            if self.failures == 5:
                self._open(self.now)

    def _probe_failed(self, at: float) -> None:
        self.failures += 1
        self.wait_s = min(2 * self.wait_s, 600)
        self._open(at)

    def _open(self, at: float) -> None:
        self.era, self.retry_at, self.probe_until = f"open {at}", round(at + self.wait_s, 1), 0.0

    @invariant()
    def it_stands_where_the_rule_says(self) -> None:
        if self.era.startswith("closed"):
            expected = BreakerState.CLOSED
        elif self.era.startswith("open") and self.now < self.retry_at:
            expected = BreakerState.OPEN
        else:
            expected = BreakerState.HALF_OPEN
        assert self.breaker.state() is expected
        assert self.breaker.failures == self.failures

    @invariant()
    def it_says_how_long_no_call_may_pass(self) -> None:
        until = self.retry_at if self.era.startswith("open") else self.probe_until
        assert self.breaker.wait_ms() == pytest.approx(max(0.0, until - self.now) * 1_000, abs=1)


@pytest.mark.proves("ROW-C01")
@pytest.mark.proves("ROW-C02")
class TestBreakerAgainstItsModel(Model.TestCase):  # type: ignore[misc,valid-type]
    """Runs the machine."""

    settings = settings(max_examples=200, stateful_step_count=60)
