"""Rows B24, B25 and B30 of FAULTS 3.B, from outside the process: too little, and too much.

Timers are the product's own but for the silence of a whole connection, which is scaled by a fifth.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import pytest

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.story import Told, is_state
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import Bed, Plan, Row
from tests.chaos.harness.lively import PLACES
from tests.chaos.harness.pace import delays_ns
from tests.chaos.harness.pauses import ahead_of_others
from tests.chaos.harness.resources import MemorySampler
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

STALE_MS: Final = 5_000.0
STALE_FACTOR: Final = 20
BACK_MS: Final = 10_000.0
LINE_SCALE: Final = 0.2
CANARY_MS: Final = 5_000.0
BY_REST_MS: Final = 30_000 * LINE_SCALE
STALE: Final = types_pb2.STATE_STALE
SILENT: Final = types_pb2.STATE_REASON_SILENT
BURST_S: Final = 2.0
BURST_BYTES: Final = 64 * 2**20
CALM_S: Final = 2.0
CALM_FACTOR: Final = 2


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed whose streams are strange after 5 s of silence, as in the product."""
    feed = {"settled_ms": 500, "stale_ms": 5_000, "line_probe_ms": round(20_000 * LINE_SCALE)}
    plan = Plan(
        scale=1.0,
        rate=15,
        simulator=("--trade-ratio", "0.5"),
        service={"hot": {"feed": feed}},
        spares_dials=True,
    )
    made = Bed(tmp_path_factory.mktemp("silence"), plan)
    try:
        made.warm_up()
        yield made
        made.assert_invariants(made.topics)
        assert made.simulator.violations() == {}, "rules of venues were broken"
    finally:
        made.close()


def place(topic: Topic) -> dict[str, str]:
    """Return the selectors of a topic's market and channel."""
    product, spelling = PLACES[topic.venue]
    if topic.venue == "coinbase" and topic.channel == BOOK:
        product = "coinbase/advanced"
    symbol = spelling.format(topic.symbol.partition("-")[0])
    return {"venue": product, "symbol": symbol, "channel": "book" if topic.channel == BOOK else "trades"}


def patience_ms(told: Sequence[Told]) -> float:
    """Return how long a topic may be silent: 5 s, or 20 times the median of its last 200 intervals."""
    times = [one.update.ts_recv for one in told if one.is_topic_record and one.update.ts_recv][-201:]
    intervals = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    return max(STALE_MS, STALE_FACTOR * statistics.median(intervals) / 1e6)


def silent(row: Row, topic: Topic, since_ns: int) -> Told:
    """Wait until a topic is told to be silent."""
    return row.bed.probe.wait_for(
        topic,
        lambda one: is_state(one, STALE) and one.update.stream_state.reason == SILENT,
        since_ns=since_ns,
        within_s=3 * STALE_MS / 1000,
        what="is STALE, SILENT",
    )


@pytest.mark.proves("ROW-B24")
@pytest.mark.parametrize("channel", [BOOK, TRADES])
def test_mute_symbol_is_told_stale_in_its_own_time_and_asked_for_anew(bed: Bed, channel: int) -> None:
    muted = [one for one in bed.topics if one.channel == channel and one.symbol.startswith("BTC-")]
    with bed.row(f"B24 {muted[0]}", muted) as row:
        limits = {topic: patience_ms(bed.probe.of(topic)) for topic in muted}
        faults = {topic: bed.simulator.arm("mute", what="symbol", **place(topic)) for topic in muted}
        onsets = {topic: int(bed.simulator.applied(one)["first_mono_ns"]) for topic, one in faults.items()}
        for topic in muted:
            stale = silent(row, topic, onsets[topic])
            row.measure("STALE", max(limits.values()), onsets[topic], stale.t_mono_ns)
        since = time.monotonic_ns()
        for fault in faults.values():
            bed.simulator.end(fault)
        for topic in muted:
            back = row.back_live(topic, silent(row, topic, onsets[topic]))
            row.measure("LIVE again", BACK_MS, since, back.t_mono_ns)


@pytest.mark.proves("ROW-B24")
def test_quiet_and_halted_markets_raise_no_alarm(bed: Bed) -> None:
    with bed.row("B24 quiet", []) as row:
        bed.pace("BTC", 0)
        wait_s(1.6 * STALE_MS / 1000)
        told = [one for topic in bed.topics for one in bed.probe.of(topic) if one.t_mono_ns >= row.start_ns]
        assert [one.update for one in told if is_state(one)] == []
        bed.pace("BTC", bed.plan.rate)


@pytest.mark.proves("ROW-B25")
def test_connection_that_sends_nothing_but_signs_of_life_is_noticed_and_left(bed: Bed) -> None:
    with bed.row("B25", bed.topics) as row:
        faults = {}
        for product in bed.plan.products:
            faults[product] = bed.simulator.arm("mute", what="data", venue=product)
        for product, fault in faults.items():
            venue, _, kind = product.partition("/")
            name = f"{venue}-{kind}" if kind == "usdm" else venue
            channels = {"advanced": (BOOK,), "exchange": (TRADES,)}.get(kind, (BOOK, TRADES))
            topics = [one for one in bed.topics if one.venue == name and one.channel in channels]
            onset = int(bed.simulator.applied(fault)["first_mono_ns"])
            left = [row.left_live(topic, onset, within_s=3 * BY_REST_MS / 1000) for topic in topics]
            limit, way = (CANARY_MS, "canary") if venue == "binance" else (BY_REST_MS, "REST")
            row.measure(f"noticed by {way}", limit, onset, max(one.t_mono_ns for one in left))
        bed.simulator.end_all()
        bed.probe.wait_live(bed.topics, within_s=20)


@pytest.mark.alone
@pytest.mark.proves("ROW-B30")
def test_burst_loses_nothing_and_leaves_no_delay_behind(bed: Bed) -> None:
    processes = bed.simulator.process.pid, bed.service.pid, bed.probe.process.pid
    with bed.row("B30", []) as row, ahead_of_others(*processes):
        calm = wait_s(CALM_S)
        before = p99(bed, calm)
        with MemorySampler(bed.service.pid) as memory:
            fault = bed.simulator.arm("burst", factor=20, duration_ms=round(BURST_S * 1000))
            onset = int(bed.simulator.applied(fault)["first_mono_ns"])
            burst = onset, onset + round(BURST_S * 1e9)
            until(lambda: told_until(bed) > burst[1], within_s=BURST_S + COMES_S, what="the burst is told")
            during = p99(bed, burst)
            bed.simulator.over(fault, within_s=COMES_S)
            calm_ns, after = calm_again(bed, burst[1], before * CALM_FACTOR)
        row.measure("delays as before", CALM_S * 1000, burst[1], calm_ns)
        rate, usual = rate_of(bed, burst), rate_of(bed, calm)
        sys.stdout.write(
            f"B30: {rate:.0f} records/s, p99 before {before / 1e6:.1f} ms, during "
            f"{during / 1e6:.1f} ms, then {after / 1e6:.1f} ms, {memory.grown_bytes / 2**20:.1f} MiB more\n"
        )
        assert rate > 5 * usual, "no burst came: the row is vacuous"
        assert memory.grown_bytes <= BURST_BYTES
        assert [one for one in bed.probe.story.order if one.kind == "gap" and one.t_mono_ns >= burst[0]] == []
    bed.assert_invariants(bed.topics)


def told_until(bed: Bed) -> int:
    """Return when the probe was told something last."""
    bed.probe.news()
    return bed.probe.story.order[-1].t_mono_ns


def calm_again(bed: Bed, since_ns: int, limit_ns: int) -> tuple[int, int]:
    """Return the end of the first window from a time on whose delays are within a limit, and their p99.

    The times are those of the probe: it does not matter when somebody looks.
    """
    step_ns, last_ns, found = round(CALM_S / 4 * 1e9), round(3 * CALM_S * 1e9), 0
    for end_ns in range(since_ns + step_ns, since_ns + last_ns + 1, step_ns):
        until(lambda: told_until(bed) > end_ns, within_s=COMES_S, what="a window is told")  # noqa: B023
        found = p99(bed, (end_ns - step_ns, end_ns))
        if found <= limit_ns:
            return end_ns, found
    raise AssertionError(f"p99 is still {found / 1e6:.1f} ms")


def rate_of(bed: Bed, window: tuple[int, int]) -> float:
    """Return how many numbered records came a second in a window."""
    told = sum(
        1 for one in bed.probe.story.order if one.update.seq and window[0] <= one.t_mono_ns < window[1]
    )
    return told * 1e9 / (window[1] - window[0])


def wait_s(seconds: float) -> tuple[int, int]:
    """Let time pass; return when it began and ended."""
    start = time.monotonic_ns()
    until(lambda: time.monotonic_ns() - start > seconds * 1e9, within_s=seconds + 5, what="time passes")
    return start, time.monotonic_ns()


def p99(bed: Bed, window: tuple[int, int]) -> int:
    """Return the 99th percentile of the delays from the venue's stamp to the probe, ns."""
    delays = sorted(delays_ns(bed.probe.path, since_ns=window[0], until_ns=window[1]))
    assert len(delays) > 50, f"only {len(delays)} events"
    return delays[math.ceil(0.99 * len(delays)) - 1]
