"""Rows E01 and E02, from outside the process: clients that are slower than what they asked for.

One market gives some 1,000 updates a second in three topics. The service's bounds are scaled as its timers.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # there are no types

from datafacade.check.names import BOOK, Topic
from datafacade.check.probe import ProbeReader
from datafacade.check.story import Told
from datafacade.v1 import stream_pb2
from tests.chaos.harness.bed import MS, SCALE, Bed, Plan
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.pace import ages_ns, delays_ns, handled, holes, owed_bytes_max, wall_ahead_ns
from tests.chaos.harness.pauses import ahead_of_others
from tests.chaos.harness.probe import ProbeProcess, subscription
from tests.chaos.harness.resources import MemorySampler
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_clients import followers

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SYMBOL: Final = "BTC-USD"
TOP: Final = 3
TICKER: Final = 5
CHANNELS: Final = (BOOK, TOP, TICKER)  # LATEST unless another delivery is asked for
TOPICS: Final = [Topic("kraken", SYMBOL, channel) for channel in CHANNELS]
QUIET_STEPS_S: Final = 20
STEPS_S: Final = 400  # of the market, which gives 1,000 updates a second
HANDLED_S: Final = 10.0
SETTLE_S: Final = 2.0  # what was sent before the first acknowledgement cannot be taken back
WINDOW_S: Final = 2.0
ROUNDS: Final = 2
AGE_MS: Final = 1_000.0
OWED_BYTES: Final = 4 * 2**20
CONFLATES_MS: Final = 250 * 3  # from the last acknowledgement to the last data
FOREIGN_BYTES: Final = 128 * 1024  # 64 KiB in each transport
GROWN_BYTES: Final = 8 * 2**20
OTHERS_RATIO: Final = 1.2
LAG_MS: Final = 30_000 * SCALE
BLOCKED_MS: Final = 10_000 * SCALE
KEEPS_UP: Final = stream_pb2.DELIVERY_CAUSE_KEEPS_UP


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed with one lively market."""
    service = {
        "hub": {"lag_sec_max": LAG_MS / 1_000},
        "server": {"blocked_write_sec_max": BLOCKED_MS / 1_000},
    }
    plan = Plan(products=("kraken/spot",), bases=("BTC",), rate=QUIET_STEPS_S, service=service)
    made = Bed(tmp_path_factory.mktemp("delivery"), plan)
    try:
        yield made.warm_up(settles=False)
        made.assert_invariants(made.topics)
    finally:
        made.close()


@contextlib.contextmanager
def reader(bed: Bed, name: str, *more: str) -> Iterator[ProbeProcess]:
    """Run a client that can be steered; it follows the market."""
    path = bed.folder / f"{name}.bin"
    made = ProbeProcess(bed.service.address, path, module="tests.chaos.harness.reader", more=more)
    try:
        made.send(subscription(["kraken"], [SYMBOL], CHANNELS))
        yield made
    finally:
        made.close()


def wait_reads(client: ProbeProcess) -> None:
    """Wait until a client reads data of all topics."""
    until(lambda: all(len(client.of(topic)) > 20 for topic in TOPICS), within_s=20, what="it reads")


def wait_acks(client: ProbeProcess) -> None:
    """Wait until a client has acknowledged something."""
    until(lambda: bool(handled(client.path)), within_s=20, what="it acknowledges")


def wait_keeps_up(client: ProbeProcess) -> None:
    """Wait until a client was told of all topics that nothing is skipped any more."""

    def look() -> bool:
        told = [[one.update for one in client.of(topic) if one.kind == "delivery_change"] for topic in TOPICS]
        return all(changes and changes[-1].delivery_change.cause == KEEPS_UP for changes in told)

    until(look, within_s=20, what="it keeps up again")


def wait_s(seconds: float) -> tuple[int, int]:
    """Let a window of time pass; return when it began and ended."""
    start = time.monotonic_ns()
    until(
        lambda: time.monotonic_ns() - start > seconds * 1e9, within_s=seconds + 5, what="the window is over"
    )
    return start, time.monotonic_ns()


def delays(clients: Sequence[ProbeProcess], window: tuple[int, int]) -> int:
    """Return the 99th percentile of the delays of some clients in a window."""
    found = [delays_ns(one.path, since_ns=window[0], until_ns=window[1]) for one in clients]
    values = sorted(itertools.chain.from_iterable(found))
    assert len(values) > 500, f"only {len(values)} values"
    return values[math.ceil(0.99 * len(values)) - 1]


@pytest.mark.proves("ROW-E01")
def test_client_that_handles_ten_of_a_thousand_has_fresh_data_and_delays_nobody(bed: Bed) -> None:
    ages = Figures("E01", "age at the client", AGE_MS)
    ratios = Figures("E01", "others' p99, permille of control", OTHERS_RATIO * 1_000)
    with bed.row("E01", TOPICS), contextlib.ExitStack() as stack:
        fast = [stack.enter_context(reader(bed, f"fast-{number}", "--ack")) for number in range(2)]
        for one in fast:
            wait_reads(one)
        compared = bed.simulator.process, bed.probe.process, *(one.process for one in fast)
        stack.enter_context(ahead_of_others(bed.service.pid, *(one.pid for one in compared)))
        for number in range(ROUNDS):
            bed.simulator.arm("pace", steps_per_s=STEPS_S)
            control = delays(fast, wait_s(WINDOW_S))
            bed.simulator.arm("pace", steps_per_s=0)
            with reader(bed, f"slow-{number}", "--ack", "--updates-per-s", str(HANDLED_S)) as slow:
                wait_acks(slow)
                stack.enter_context(ahead_of_others(slow.process.pid))
                bed.simulator.arm("pace", steps_per_s=STEPS_S)
                wait_s(SETTLE_S)
                window = wait_s(WINDOW_S)
                bed.simulator.arm("pace", steps_per_s=QUIET_STEPS_S)
                slow.tell("fast")
                ratios.add(delays(fast, window) * 1_000_000_000 // control)
                wait_keeps_up(slow)
                assert_slow(slow, window, ages)
    for figures in (ages, ratios):
        figures.check()


def assert_slow(slow: ProbeProcess, window: tuple[int, int], ages: Figures) -> None:
    """Hold what a slow client is owed: fresh data, few bytes, and the count of all that it did not get."""
    found = list(ages_ns(slow.path, since_ns=window[0], until_ns=window[1]))
    window_s = (window[1] - window[0]) / 1e9  # as long as it was: who waits for its end may wake late
    assert WINDOW_S * HANDLED_S / 3 <= len(found) <= window_s * HANDLED_S + 1
    for age in found:
        ages.add(age)
    owed = owed_bytes_max(slow.path)
    left_out, told = holes(slow.story, TOPICS)
    sys.stdout.write(
        f"E01: {len(found)} events in {WINDOW_S} s, owed {owed} B at most, skipped {told.total()}\n"
    )
    assert owed <= OWED_BYTES
    assert left_out == told
    assert told.total() > 1_000  # it was too slow: else the row is vacuous


@pytest.mark.proves("ROW-E02")
def test_client_that_stops_reading_is_conflated_and_cut_with_positions(bed: Bed) -> None:
    cuts = {"acked": Figures("E02", "cut without acknowledgement", LAG_MS)}
    cuts["foreign"] = Figures("E02", "cut in a blocked write", BLOCKED_MS)
    with bed.row("E02", TOPICS), contextlib.ExitStack() as stack:
        stays = stack.enter_context(reader(bed, "stays", "--ack"))
        wait_reads(stays)
        with MemorySampler(bed.service.pid) as control:
            wait_s(WINDOW_S)
        acked = [stack.enter_context(reader(bed, f"acked-{number}", "--ack")) for number in range(3)]
        foreign = [stack.enter_context(reader(bed, f"foreign-{number}")) for number in range(2)]
        clients = [*foreign, *acked]  # in the order of their ends
        for one in clients:
            wait_reads(one)
        bed.simulator.arm("pace", steps_per_s=STEPS_S)
        wait_s(1)
        count = followers(bed)
        held = time.monotonic_ns()  # before any of them stops: nobody may be cut sooner than this allows
        for one in clients:
            one.tell("hold")
        with MemorySampler(bed.service.pid) as memory:
            for number, one in enumerate(clients, 1):
                left = count - number * len(TOPICS)
                until(lambda: followers(bed) <= left, within_s=60 * SCALE, what=f"{number} are cut")  # noqa: B023
                cuts["foreign" if one in foreign else "acked"].add(time.monotonic_ns() - held)
        bed.simulator.arm("pace", steps_per_s=QUIET_STEPS_S)
        acked_ns = {one.path: last_ack_ns(one) for one in acked}
        for one in clients:
            one.tell("go")
            until(one.end, within_s=COMES_S, what="it learns that it was cut")
        grown = memory.grown_bytes - control.grown_bytes
        sys.stdout.write(f"E02: memory {grown} B above control\n")
        assert grown <= GROWN_BYTES
        for one in acked:
            assert_cut(one, acked_ns[one.path])
        for one in foreign:
            assert (one.end() or {})["code"] != "OK"
            assert sum(later.update.ByteSize() for later in behind_hold(one)) <= FOREIGN_BYTES
        assert stays.end() is None
    for figures in cuts.values():
        assert min(figures.values) >= figures.limit_ms  # never before its time
        figures.check()


def behind_hold(client: ProbeProcess) -> list[Told]:
    """Return what a client has read since it stopped, by its own log: it is told to a moment before."""
    client.news()
    held_ns = next(one.t_mono_ns for one in ProbeReader(client.path).news() if one.kind == "h")
    return [one for one in client.story.order if one.t_mono_ns > held_ns]


def last_ack_ns(client: ProbeProcess) -> int:
    """Return when a client acknowledged last, by its own log: it stops a moment after it is told to."""
    return handled(client.path)[-1].done_ns


def assert_cut(client: ProbeProcess, acked_ns: int) -> None:
    """Hold what a client that was cut learns: why, where it stands, and all that it did not get.

    Args:
        client: That was held.
        acked_ns: When it acknowledged last.
    """
    end = client.end() or {}
    assert end["code"] == "RESOURCE_EXHAUSTED", end
    status = status_pb2.Status.FromString(base64.b64decode(end["details"]))
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.reason == "SLOW_READER"
    for topic in TOPICS:
        seq = max(one.update.seq for one in client.of(topic))
        assert info.metadata[f"{topic.venue}/{topic.symbol}/{topic.channel}/"] == str(seq)
    last = max(one.update.ts_publish for one in client.story.order if one.update.seq)
    assert last <= acked_ns + wall_ahead_ns(client.path) + CONFLATES_MS * MS
    left_out, told = holes(client.story, TOPICS)
    assert left_out == told
    heads = {one.update.gap.seq_last for topic in TOPICS for one in client.of(topic) if one.kind == "gap"}
    assert heads, "no Gap tells what it lost"
