"""Rows A16 and A23, from outside the process: what venues answer to a subscription, and how large."""

from __future__ import annotations

import time
from typing import Final

import pytest

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.story import Told, is_state
from datafacade.check.truth import Applied, Sent
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import MS, QUOTES, Bed, Row
from tests.chaos.harness.pace import p99
from tests.chaos.harness.tier import IS_FULL
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

VENUES: Final = ("binance", "okx", "coinbase", "kraken")
BOOKS: Final = {
    "binance": "binance/spot",
    "okx": "okx/public",
    "coinbase": "coinbase/advanced",
    "kraken": "kraken/spot",
}
REASON: Final = types_pb2.StateReason
GIVEN_UP_S: Final = 20.0
TRIES: Final = 3
ACK_MS: Final = 5_000  # for the answer to each
AGAIN_MS: Final = 15_000  # from giving up to the next try, at least
AGAIN_MS_MAX: Final = 16_000
OTHERS_MS: Final = 50


def is_rejected(told: Told) -> bool:
    """Tell whether a record says REJECTED or DOWN: the item is given up."""
    return is_state(told, types_pb2.STATE_REJECTED, types_pb2.STATE_DOWN)


@pytest.mark.proves("ROW-A23")
@pytest.mark.parametrize(
    ("verb", "base", "reason", "venues"),
    [
        ("no_ack", "SOL", "ACK_TIMEOUT", VENUES),
        ("reject", "XRP", "VENUE_REJECTED", VENUES),
        ("ack_and_silence", "ADA", "NO_DATA", ("okx", "coinbase", "kraken")),  # Binance: issue B
    ],
)
def test_item_without_answer_or_data_is_given_up_alone(
    bed: Bed, verb: str, base: str, reason: str, venues: tuple[str, ...]
) -> None:
    """A refusal is for good. After silence there are three tries, then REJECTED, then one more each 15 s."""
    hit = [Topic(venue, f"{base}-{QUOTES[venue]}", BOOK) for venue in venues]
    beside = [Topic(venue, f"DOGE-{QUOTES[venue]}", BOOK) for venue in venues]
    limit_ms = GIVEN_UP_S * 1_000 * bed.plan.scale
    with bed.row(f"A23 {verb}", [*hit, *beside]) as row:
        faults = {
            topic: bed.simulator.arm(verb, venue=BOOKS[topic.venue], symbol=topic.symbol, count=100)
            for topic in hit
        }
        probe = bed.new_probe()
        try:
            since = time.monotonic_ns()
            for number, topic in enumerate(hit, 1):
                symbols = [topic.symbol, f"DOGE-{QUOTES[topic.venue]}"]
                probe.send(bed.request(topic.venue, symbols, [BOOK], number=number))
            for topic in hit:
                given_up = probe.wait_for(topic, is_rejected, since_ns=since, within_s=30, what="given up")
                assert given_up.update.stream_state.reason == REASON.Value(f"STATE_REASON_{reason}")
                row.measure("given up", limit_ms, since, given_up.t_mono_ns)
                if verb == "reject":
                    tries = len(tries_at(bed, verb, topic))
                    # Binance refuses a batch as a whole: if it was in one, it is then asked for alone.
                    assert tries in ((1, 2) if topic.venue == "binance" else (1,))
                else:
                    measure_patience(row, verb, topic, since, given_up)
            probe.wait_live(beside, within_s=COMES_S)
            if verb != "reject":  # what the venue did not refuse comes back once it answers
                for fault in faults.values():
                    bed.simulator.end(fault)
                probe.wait_live(hit, within_s=COMES_S)
            row.compare(probe, beside)
        finally:
            probe.close()


def measure_patience(row: Row, verb: str, topic: Topic, since_ns: int, given_up: Told) -> None:
    """Hold that three tries were given their time, and measure from giving up to the next one."""
    bed, scaled = row.bed, row.bed.plan.scale * MS
    until(lambda: len(tries_at(bed, verb, topic)) > TRIES, within_s=GIVEN_UP_S, what=f"{topic}: asked again")
    *_, again = tries = tries_at(bed, verb, topic)[: TRIES + 1]
    assert sum(one.t_mono_ns <= given_up.t_mono_ns for one in tries) == TRIES
    assert given_up.t_mono_ns - since_ns >= TRIES * ACK_MS * scaled, "an answer was due still"
    assert again.t_wall_ns - given_up.update.ts_publish >= AGAIN_MS * scaled, "asked again too early"
    row.measure("asked again", AGAIN_MS_MAX * bed.plan.scale, given_up.t_mono_ns, again.t_mono_ns)


def tries_at(bed: Bed, verb: str, topic: Topic) -> list[Applied]:
    """Return the subscriptions of a topic that met a fault so far."""
    applied = bed.simulator.truth_until(time.monotonic_ns()).applied
    return [one for one in applied if (one.verb, one.topic) == (verb, topic)]


def latencies(bed: Bed, topic: Topic, since_ns: int, until_ns: int) -> list[int]:
    """Return how long frames of a topic took from the simulator's socket to the probe, ns."""
    sent: dict[int, Sent] = {}
    for frame in bed.simulator.read_truth().of(topic):
        if since_ns <= frame.t_mono_ns <= until_ns and frame.sequence is not None:
            sent[frame.sequence] = frame
    found = []
    for one in bed.probe.of(topic):
        frame_sent = sent.get(one.update.venue_sequence)
        if one.kind == "book_delta" and frame_sent is not None:
            found.append(one.t_mono_ns - frame_sent.t_mono_ns)
    return found


@pytest.mark.proves("ROW-A16")
def test_huge_snapshot_is_taken_and_delays_no_other_venue(bed: Bed) -> None:
    mib = 24 if IS_FULL else 8
    others = [Topic(venue, "BTC-USDT", BOOK) for venue in ("binance", "binance-usdm", "okx")]
    huge = Topic("coinbase", "LINK-USD", BOOK)
    coinbase = [topic for topic in bed.topics if topic.venue == "coinbase" and topic.channel == BOOK]
    with bed.row("A16", [huge, *coinbase]) as row:
        start = time.monotonic_ns()
        until(lambda: len(latencies(bed, others[0], start, 1 << 63)) > 20, within_s=COMES_S, what="control")
        control = [value for topic in others for value in latencies(bed, topic, start, 1 << 63)]
        fault = bed.simulator.arm("huge_snapshot", venue="coinbase/advanced", symbol="LINK-USD", mib=mib)
        probe = bed.new_probe()
        try:
            since = time.monotonic_ns()
            probe.send(bed.request("coinbase", ["LINK-USD"], [BOOK]))
            bed.simulator.applied(fault, within_s=20)
            probe.wait_live([huge], within_s=30)
            logged = until(
                lambda: [one for one in bed.simulator.read_truth().of(huge) if one.fault == fault],
                within_s=COMES_S,
                what="logged",
            )
            assert [one.kind for one in logged] == ["snapshot"]
            until(lambda: len(probe.of(huge)) > 10, within_s=COMES_S, what="changes behind the snapshot")
            live = time.monotonic_ns()
            row.compare(probe, [huge])
            checkpoint = next(one for one in probe.of(huge) if one.kind == "checkpoint").update.checkpoint
            assert checkpoint.bid_levels + checkpoint.ask_levels > 20_000
        finally:
            probe.close()
        values = [value for topic in others for value in latencies(bed, topic, since, live)]
        assert values
        row.measure("p99 of others, control", OTHERS_MS, 0, round(p99(control)))
        row.measure("p99 of others beside the parse", OTHERS_MS, 0, round(p99(values)))


@pytest.mark.proves("REQ-A15")
def test_last_subscriber_that_leaves_ends_the_venue_subscription(bed: Bed) -> None:
    topic = Topic("kraken", "LTC-USD", TRADES)
    probe = bed.new_probe()
    try:
        probe.send(bed.request("kraken", ["LTC-USD"], [TRADES]))
        probe.wait_live([topic], within_s=COMES_S)
        until(lambda: bed.simulator.read_truth().of(topic), within_s=30, what="the venue sends it")
    finally:
        probe.kill()
        probe.close()
    linger_s = 30 * bed.plan.scale
    gone = time.monotonic_ns() + int((linger_s + 3) * 1e9)
    until(lambda: time.monotonic_ns() > gone, within_s=linger_s + 5, what="the linger is over")
    late = [frame for frame in bed.simulator.read_truth().of(topic) if frame.t_mono_ns > gone - 1_000_000_000]
    assert not late
