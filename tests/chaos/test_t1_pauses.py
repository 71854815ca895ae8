"""Rows E19, H05, H06 and H07, from outside: a process loses its loop, its time, its clock."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from typing import Final

import pytest

from datafacade.check.names import TRADES, Topic
from datafacade.check.story import Told, is_state
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.chaos.harness.bed import SCALE, Bed, Plan
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.pace import p99, trade_ages_ms
from tests.chaos.harness.pauses import DutyCycle, WallClock, is_stopped, stopped
from tests.chaos.harness.resources import MemorySampler
from tests.chaos.harness.tier import INJECTIONS, IS_FULL
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

PRODUCTS: Final = ("binance/spot", "binance/usdm", "okx/public", "kraken/spot")
BLOCKED_MS: Final = 2_000  # of the failpoint
WATCHDOG_MS: Final = 1_000
GROWN_BYTES: Final = 64 * 2**20
SHARE: Final = 0.2  # of one CPU
STARVED_S: Final = 60.0 if IS_FULL else 6.0
NORMAL_MS: Final = 5_000
PAUSED_S: Final = 30.0 * SCALE
MARKED_MS: Final = 100
HOUR_S: Final = 3_600
STEPS_S: Final = (HOUR_S, -HOUR_S, -10, 30 * 24 * HOUR_S)  # of the wall clock, against the true one
FLAGGED_MS: Final = 1_000
ALIKE_NS: Final = 8 * 10**9  # less than the smallest step
SEEN: Final = 3  # records of each topic behind a pause or a step
NEWEST: Final = 10  # trades that tell whether all is as before
RECOVERED_MS: Final = 1_000


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> WallClock:
    """Return the wall clock of the bed's service."""
    return WallClock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory, clock: WallClock) -> Iterator[Bed]:
    """Return a bed whose loop can be blocked and whose wall clock can be stepped."""
    plan = Plan(
        products=PRODUCTS,
        bases=("BTC",),
        module="tests.chaos.harness.failpoint",
        variables=clock.variables,
        service={"hot": {"feed": {"settled_ms": 5_000}}},
    )
    made = Bed(tmp_path_factory.mktemp("pauses"), plan)
    try:
        yield made.warm_up()
    finally:
        made.close()


def dials(bed: Bed) -> dict[str, int]:
    """Return how often each venue was dialled."""
    return {product: int(bed.simulator.stats(product)["attempts"]) for product in PRODUCTS}


def since(bed: Bed, topic: Topic, start_ns: int) -> list[Told]:
    """Return what a topic told from a monotonic time on."""
    return [one for one in bed.probe.of(topic) if one.t_mono_ns >= start_ns]


def let_pass(seconds: float) -> None:
    """Let a window of time pass: it is the injection."""
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin >= seconds, within_s=seconds + 5, what="the window is over")


# E19


@pytest.mark.proves("ROW-E19")
def test_blocked_loop_loses_nothing_and_is_told_within_a_second(bed: Bed) -> None:
    before = dials(bed)
    with bed.row("E19", bed.topics) as row:
        for _ in range(INJECTIONS if IS_FULL else 2):
            with MemorySampler(bed.service.pid) as memory:
                onset = bed.service.signal(signal.SIGUSR1)
                bed.service.health(timeout_s=10)  # Python answers it, so the loop is free again
                free = time.monotonic_ns()
                assert free - onset >= 0.9 * BLOCKED_MS * 1e6, "the loop was not blocked"
                until(lambda: "LOOP_PAUSED" in bed.service.health().warnings, within_s=5, what="a warning")
                row.measure("watchdog", WATCHDOG_MS, free, time.monotonic_ns())
                for topic in bed.topics:
                    stale = bed.probe.wait_for(topic, is_stale, since_ns=onset, within_s=5, what="STALE")
                    row.measure("state, from the onset", BLOCKED_MS + WATCHDOG_MS, onset, stale.t_mono_ns)
                    wait_more(bed, topic, free)
            assert memory.grown_bytes <= GROWN_BYTES
            bed.probe.wait_live(bed.topics, within_s=COMES_S)
        gaps = [one for topic in bed.topics for one in since(bed, topic, row.start_ns) if one.kind == "gap"]
        assert not gaps, f"something was lost: {gaps[0].update}"
        assert dials(bed) == before, "a line was given up"


def is_stale(told: Told) -> bool:
    """Return whether a record says STALE."""
    return is_state(told, types_pb2.STATE_STALE)


def wait_more(bed: Bed, topic: Topic, start_ns: int) -> None:
    """Wait until a topic goes on."""
    until(lambda: len(since(bed, topic, start_ns)) >= SEEN, within_s=10, what=f"{topic} goes on")


# H05


@pytest.mark.proves("ROW-H05")
def test_a_fifth_of_a_processor_raises_no_alarm_and_is_forgotten_soon(bed: Bed) -> None:
    before = dials(bed)
    with bed.row("H05", []) as row:  # nothing may change its state
        control = ages(bed, row.start_ns, seconds=2.0)
        start = time.monotonic_ns()
        with DutyCycle(bed.service.pid, SHARE) as cycle:
            until(lambda: is_stopped(bed.service.pid), within_s=2, what="the service is stopped now and then")
            starved = ages(bed, start, seconds=STARVED_S)
        end = time.monotonic_ns()
        assert cycle.stopped_s >= 0.9 * (1 - SHARE) * STARVED_S * 0.9, f"stopped {cycle.stopped_s:.1f} s"
        limit = 2 * p99(control)
        until(lambda: fresh(bed, end, limit), within_s=3 * NORMAL_MS / 1000, what="as before")
        row.measure("normal", NORMAL_MS, end, time.monotonic_ns())
        assert dials(bed) == before, "a line was given up"
    sys.stdout.write(
        f"H05 stopped {cycle.stops} times, {cycle.stopped_s:.1f} s of {STARVED_S:g}; p99 of the age at the "
        f"client: {p99(control):.1f} ms before, {p99(starved):.1f} ms meanwhile\n"
    )


def ages(bed: Bed, start_ns: int, *, seconds: float = 0.0) -> list[float]:
    """Return how old trades were when the probe had them, ms, of those it got in a time from ``start_ns``."""
    let_pass(seconds)
    return trade_ages_ms(bed, start_ns, time.monotonic_ns())


def fresh(bed: Bed, start_ns: int, limit_ms: float) -> bool:
    """Return whether the newest trades came as quickly as before."""
    newest = ages(bed, start_ns)[-NEWEST:]
    return len(newest) == NEWEST and max(newest) <= limit_ms


# H06


@pytest.mark.proves("ROW-H06")
def test_after_a_pause_of_the_process_all_is_marked_stale_before_any_data(bed: Bed) -> None:
    with bed.row("H06", bed.topics) as row:
        for _ in range(INJECTIONS if IS_FULL else 1):
            with stopped(bed.service.pid):
                until(lambda: is_stopped(bed.service.pid), within_s=2, what="the service is stopped")
                let_pass(PAUSED_S)
                assert is_stopped(bed.service.pid)
                resumed, resumed_wall = time.monotonic_ns(), time.time_ns()
            for topic in bed.topics:
                first = first_behind(bed, topic, resumed_wall)
                assert is_stale(first), f"{topic}: {first.update}"
                row.measure("marked", MARKED_MS, resumed, first.t_mono_ns)
                row.back_live(topic, first)
            bed.settle()


def first_behind(bed: Bed, topic: Topic, resumed_wall_ns: int) -> Told:
    """Wait for the first that a topic tells after a pause; what was published before it lay in a buffer."""

    def look() -> Told | None:
        told = (one for one in bed.probe.of(topic) if one.update.seq)
        return next((one for one in told if one.update.ts_publish >= resumed_wall_ns), None)

    return until(look, within_s=COMES_S, what=f"{topic} tells something")


# H07: the last of this file, since later verdicts would compare stamps of the stepped clock


@pytest.mark.proves("ROW-H07")
def test_steps_of_the_wall_clock_disturb_nothing_and_are_flagged(bed: Bed, clock: WallClock) -> None:
    before = dials(bed)
    with bed.row("H07", []) as row:  # nothing may change its state
        assert "CLOCK_STEP" not in bed.service.health().warnings
        for seconds in (*STEPS_S, 0):
            stepped = clock.step_to(seconds)
            if seconds == STEPS_S[0]:  # the warning stands for five minutes
                until(lambda: "CLOCK_STEP" in bed.service.health().warnings, within_s=5, what="CLOCK_STEP")
                row.measure("flagged", FLAGGED_MS, stepped, time.monotonic_ns())
            for topic in bed.topics:
                wait_behind_step(bed, topic, stepped, seconds)
        assert dials(bed) == before, "a line was given up"
        for topic in bed.topics:
            assert not [one for one in since(bed, topic, row.start_ns) if one.kind == "gap"], topic
        verdicts = {one.invariant: one for one in bed.verdicts(bed.topics)}
        assert verdicts["I2"].holds, str(verdicts["I2"])
        assert verdicts["I3"].holds, str(verdicts["I3"])


def wait_behind_step(bed: Bed, topic: Topic, stepped_ns: int, seconds: int) -> None:
    """Wait until a topic goes on after a step, with stamps of the stepped clock: the proof of the fault."""

    def look() -> bool:
        told = [one for one in since(bed, topic, stepped_ns) if one.kind in ("book_delta", "trade")]
        shifts = [one.update.ts_recv - time.time_ns() - seconds * 10**9 for one in told]
        return sum(abs(shift) < ALIKE_NS for shift in shifts) >= SEEN

    until(look, within_s=10, what=f"{topic} goes on after a step to {seconds} s")


@pytest.mark.proves("ROW-H07")
@pytest.mark.parametrize("seconds", [30 * 24 * HOUR_S, -HOUR_S])
def test_backoff_and_positions_follow_the_monotonic_clock(bed: Bed, clock: WallClock, seconds: int) -> None:
    topic, figures = Topic("kraken", "BTC-USD", TRADES), Figures("H07", f"t_R at {seconds} s", RECOVERED_MS)
    position = bed.probe.of(topic)[-1].update
    clock.step_to(seconds)
    try:
        onset = time.monotonic_ns()
        bed.simulator.applied(bed.simulator.arm("rst", venue="kraken"))
        down = bed.probe.wait_for(topic, is_state, since_ns=onset, within_s=COMES_S, what="DOWN")
        back = bed.probe.wait_for(
            topic, lambda one: is_state(one, 3), since_ns=down.t_mono_ns, within_s=COMES_S, what="LIVE"
        )
        figures.add(back.t_mono_ns - onset)
        figures.check()
        assert resumed(bed, position) == stream_pb2.SUBSCRIPTION_PHASE_CAUGHT_UP
    finally:
        clock.step_to(0)
        bed.settle()


def resumed(bed: Bed, position: hot_pb2.Update) -> int:
    """Resume behind a record with a new probe; return the last phase that it was told."""
    request = bed.request(position.venue, [position.symbol], [position.channel])
    held = request.subscribe[0].resume.add()
    held.venue, held.symbol, held.channel = position.venue, position.symbol, position.channel
    held.epoch, held.seq = position.epoch, position.seq
    probe = bed.new_probe()
    try:
        probe.send(request)
        until(lambda: len(probe.statuses()) >= 2, within_s=COMES_S, what="RESUMED and CAUGHT_UP")
        return probe.statuses()[-1].phase
    finally:
        probe.close()
