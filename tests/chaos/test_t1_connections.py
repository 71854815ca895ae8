"""Rows of FAULTS 3.A, from outside the process: connections that end, flap, or break the protocol."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Final

import pytest

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.story import Told
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import ALL, Bed, Row
from tests.chaos.harness.tier import INJECTIONS
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

DETECTED_MS: Final = 100
RECOVERED_MS: Final = 1_000
COUNTED: Final = ("binance", "coinbase", "kraken")  # every trade has the next number
BACKFILLED: Final = types_pb2.UPDATE_FLAG_BACKFILLED


def topics_of(bed: Bed, product: str) -> list[Topic]:
    """Return what a connection carries: Coinbase has one for books and one for trades."""
    venue, _, kind = product.partition("/")
    name = f"{venue}-{kind}" if kind in ("usdm", "coinm") else venue
    channels = {"advanced": (BOOK,), "exchange": (TRADES,)}.get(kind, (BOOK, TRADES))
    return [topic for topic in bed.topics if topic.venue == name and topic.channel in channels]


def cut(bed: Bed, product: str, verb: str, **options: object) -> int:
    """End the connections of a product; return the onset."""
    fault = bed.simulator.arm(verb, venue=product, **options)
    return int(bed.simulator.applied(fault)["first_mono_ns"])


def recover(row: Row, topics: Sequence[Topic], onset_ns: int) -> list[tuple[Told, Told]]:
    """Measure detection and recovery of each topic; return the records that mark them."""
    marks = []
    for topic in topics:
        left = row.left_live(topic, onset_ns)
        assert left.update.stream_state.state == types_pb2.STATE_DOWN
        back = row.back_live(topic, left)
        row.measure("t_D", DETECTED_MS, onset_ns, left.t_mono_ns)
        row.measure("t_R", RECOVERED_MS, onset_ns, back.t_mono_ns)
        marks.append((left, back))
    return marks


def assert_gaps_are_the_holes(bed: Bed, topics: Sequence[Topic], since_ns: int) -> int:
    """Hold that each Gap of trades names exactly the ids that are missing; return how many were missing."""
    missing = 0
    for topic in topics:
        if topic.channel != TRADES or topic.venue not in COUNTED:
            continue
        told = [one for one in bed.probe.of(topic) if one.t_mono_ns >= since_ns]
        live = [
            (at, one.update.trade.trade_id)
            for at, one in enumerate(told)
            if one.kind == "trade" and not one.update.flags & BACKFILLED
        ]
        for at, one in enumerate(told):
            if one.kind != "gap" or one.update.gap.gap_id != one.update.seq:
                continue  # not the first word about a gap, but what became of it
            before = [trade_id for place, trade_id in live if place < at]
            behind = next(trade_id for place, trade_id in live if place > at)
            gap = one.update.gap
            assert gap.venue_sequence_last + 1 == behind
            assert not before or gap.venue_sequence_first - 1 == before[-1]
            assert gap.count == gap.venue_sequence_last - gap.venue_sequence_first + 1
            missing += gap.count
    return missing


@pytest.mark.proves("ROW-A01")
def test_reset_is_told_and_healed_and_every_hole_named(bed: Bed) -> None:
    with bed.row("A01", bed.topics) as row:
        for _ in range(INJECTIONS):
            onsets = {product: cut(bed, product, "rst") for product in ALL}
            for product, onset in onsets.items():
                for left, _ in recover(row, topics_of(bed, product), onset):
                    assert left.update.stream_state.reason == types_pb2.STATE_REASON_CONNECTION_CLOSED
            bed.settle()
    assert_gaps_are_the_holes(bed, bed.topics, row.start_ns)
    until(
        lambda: min(reconnects(bed)) >= INJECTIONS, within_s=COMES_S, what=f"{INJECTIONS} reconnects of each"
    )


def reconnects(bed: Bed) -> list[int]:
    """Return how often each venue was connected anew, as Health tells; a busy feed tells its last counts."""
    return [venue.counts.reconnects for venue in bed.service.health().venues]


@pytest.mark.proves("ROW-A01")
def test_reset_of_one_venue_leaves_the_others_alone(bed: Bed) -> None:
    topics = topics_of(bed, "kraken/spot")
    with bed.row("A01 alone", topics) as row:
        recover(row, topics, cut(bed, "kraken/spot", "rst"))


CODES: Final = (
    1000,
    1001,
    1011,
    1012,
    1013,
    None,
)  # None: the end of TCP without a close frame, which is 1006


@pytest.mark.proves("ROW-A02")
def test_close_code_stands_in_the_state_and_the_stream_heals(bed: Bed) -> None:
    seen: dict[int, int] = {}
    with bed.row("A02", bed.topics) as row:
        for turn in range(max(INJECTIONS, len(CODES))):
            onsets: dict[str, tuple[int | None, int]] = {}
            for place, product in enumerate(ALL):  # each turn gives each connection another end
                code = CODES[(turn + place) % len(CODES)]
                verb: dict[str, object] = {"code": code, "reason": "restart"} if code else {}
                onsets[product] = (code, cut(bed, product, "close" if code else "eof", **verb))
            for product, (code, onset) in onsets.items():
                for left, _ in recover(row, topics_of(bed, product), onset):
                    assert left.update.stream_state.close_code == (code or 1006)
                seen[code or 1006] = seen.get(code or 1006, 0) + 1
            bed.settle()
    assert sorted(seen) == [1000, 1001, 1006, 1011, 1012, 1013]
    assert min(seen.values()) >= INJECTIONS
    assert_gaps_are_the_holes(bed, bed.topics, row.start_ns)


@pytest.mark.proves("REQ-B5")
@pytest.mark.proves("ROW-A12")
def test_flapping_venue_is_dialled_less_and_less(bed: Bed) -> None:
    topics = topics_of(bed, "kraken/spot")
    span_s = 8.0  # 40 s of the product's time
    with bed.row("A12", topics) as row:
        flap = bed.simulator.arm("flap", venue="kraken", ms=40, count=100)
        onset = cut(bed, "kraken/spot", "rst")
        bed.simulator.applied(flap, times=4, within_s=span_s)
        until_ns = onset + int(span_s * 1e9)
        while time.monotonic_ns() < until_ns:
            time.sleep(0.05)
        attempts = bed.simulator.stats("kraken/spot")["attempts_mono_ns"]
        times = [at for at in attempts if onset <= at < until_ns]
        pauses = [(later - earlier) / 1e9 / bed.plan.scale for earlier, later in itertools.pairwise(times)]
        assert 5 <= len(times) <= 12, f"{len(times)} attempts in 40 s of the product's time"
        assert pauses[-1] > 4, f"a short life reset the backoff: {pauses}"
        bed.simulator.end_all()
        bed.probe.wait_live(topics, within_s=20)
        del row
    assert bed.simulator.violations() == {}
