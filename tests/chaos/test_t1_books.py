"""Rows of FAULTS 3.B, from outside the process: books that lose, doubt or cross, and get whole again."""

from __future__ import annotations

import itertools
from typing import Final

import grpc
import pytest

from datafacade.check.names import BOOK, Topic
from datafacade.check.story import Told, is_state
from datafacade.check.truth import Sent
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import MS, QUOTES, Bed, Row
from tests.chaos.harness.tier import INJECTIONS
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_connections import cut, topics_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SEEN_MS: Final = 50
QUICK_TRIES: Final = 5
SLOW_MS: Final = 15_000  # from the answer to one of the later tries to the next
RTT_MS: Final = 50
RESYNC: Final = types_pb2.STATE_RESYNC
REASON: Final = types_pb2.StateReason


def frame_behind(bed: Bed, topic: Topic, after_ns: int) -> Sent:
    """Wait for the first frame of a topic that the simulator sent after a time; the log comes in tenths."""

    def look() -> Sent | None:
        return next(
            (frame for frame in bed.simulator.read_truth().of(topic) if frame.t_mono_ns > after_ns), None
        )

    return until(look, within_s=COMES_S, what=f"{topic}: the next frame")


def harmed_frame(bed: Bed, topic: Topic, fault: int) -> Sent:
    """Wait for the frame that a fault damaged."""

    def look() -> Sent | None:
        return next((frame for frame in bed.simulator.read_truth().of(topic) if frame.fault == fault), None)

    return until(look, within_s=COMES_S, what=f"{topic}: the damaged frame")


def heal(row: Row, topic: Topic, since_ns: int, reason: int, *, live_ms: float) -> tuple[Told, Told]:
    """Measure how a book leaves LIVE and comes back; in between only what belongs there is told."""
    left = row.left_live(topic, since_ns)
    back = row.back_live(topic, left)
    assert left.update.stream_state.state == RESYNC
    assert left.update.stream_state.reason == reason, REASON.Name(left.update.stream_state.reason)
    row.measure("out of LIVE", SEEN_MS, since_ns, left.t_mono_ns)
    row.measure("LIVE again", live_ms, since_ns, back.t_mono_ns)
    between = [one.kind for one in row.between(topic, left, back)]
    assert "book_delta" not in between
    assert between.count("book_snapshot") == 1
    assert between.count("gap") == 1
    assert between.index("gap") < between.index("book_snapshot")
    return left, back


def drop(bed: Bed, topic: Topic, venue: str, symbol: str) -> int:
    """Lose one book message; return when the next one left, which shows it (Coinbase: when it was lost)."""
    fault = bed.simulator.arm("drop", venue=venue, symbol=symbol)
    lost = int(bed.simulator.applied(fault)["first_mono_ns"])
    return lost if topic.venue == "coinbase" else frame_behind(bed, topic, lost).t_mono_ns


@pytest.mark.proves("ROW-B01")
@pytest.mark.parametrize(("venue", "place"), [("binance", "binance/spot"), ("binance-usdm", "binance/usdm")])
def test_binance_book_without_one_change_is_not_live(bed: Bed, venue: str, place: str) -> None:
    topic = Topic(venue, "BTC-USDT", BOOK)
    with bed.row(f"B01 {venue}", [topic]) as row:
        bed.simulator.arm("slow_rest", venue=place, ms=RTT_MS, path="depth", count=1_000)
        for _ in range(INJECTIONS):
            shown = drop(bed, topic, place, "BTCUSDT")
            heal(row, topic, shown, REASON.Value("STATE_REASON_SEQUENCE_GAP"), live_ms=1_000)
            bed.probe.wait_live([topic], within_s=COMES_S)


@pytest.mark.proves("ROW-B01")
@pytest.mark.proves("REQ-A5")
def test_read_of_a_broken_book_is_refused(bed: Bed) -> None:
    topic = Topic("binance", "BTC-USDT", BOOK)
    with bed.row("B01 read", [topic]) as row:
        assert bed.service.book("binance", "BTC-USDT").state == types_pb2.STATE_LIVE  # the control
        bed.simulator.arm("slow_rest", venue="binance/spot", ms=700, path="depth", count=1_000)
        left = row.left_live(topic, drop(bed, topic, "binance/spot", "BTCUSDT"))
        with pytest.raises(grpc.RpcError) as refused:
            bed.service.book("binance", "BTC-USDT")
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert bed.service.book("binance", "ETH-USDT").state == types_pb2.STATE_LIVE
        row.back_live(topic, left)
        assert bed.service.book("binance", "BTC-USDT").state == types_pb2.STATE_LIVE


@pytest.mark.proves("ROW-B02")
def test_okx_book_with_a_broken_chain_is_subscribed_anew(bed: Bed) -> None:
    topic = Topic("okx", "ETH-USDT", BOOK)
    with bed.row("B02", [topic]) as row:
        for _ in range(INJECTIONS):
            shown = drop(bed, topic, "okx", "ETH-USDT")
            heal(row, topic, shown, REASON.Value("STATE_REASON_SEQUENCE_GAP"), live_ms=1_000)
            bed.probe.wait_live([topic], within_s=COMES_S)
    snapshots = [frame for frame in bed.simulator.read_truth().of(topic) if frame.kind == "snapshot"]
    assert len([frame for frame in snapshots if frame.t_mono_ns > row.start_ns]) == INJECTIONS


@pytest.mark.proves("ROW-B07")
@pytest.mark.parametrize("verb", ["corrupt", "wrong_checksum"])
def test_kraken_book_whose_checksum_differs_is_broken_at_that_message(bed: Bed, verb: str) -> None:
    topic = Topic("kraken", "BTC-USD", BOOK)
    with bed.row(f"B07 {verb}", [topic]) as row:
        for _ in range(INJECTIONS):
            fault = bed.simulator.arm(verb, venue="kraken", symbol="BTC/USD")
            bed.simulator.applied(fault)
            shown = harmed_frame(bed, topic, fault).t_mono_ns
            heal(row, topic, shown, REASON.Value("STATE_REASON_CHECKSUM_MISMATCH"), live_ms=2_000)
            bed.probe.wait_live([topic], within_s=COMES_S)


@pytest.mark.proves("ROW-B10")
@pytest.mark.parametrize("channel", ["book", "heartbeat"])
def test_coinbase_connection_that_lost_a_number_makes_all_its_books_anew(bed: Bed, channel: str) -> None:
    topics = [Topic("coinbase", symbol, BOOK) for symbol in bed.symbols("coinbase")]
    selectors = {"symbol": "BTC-USD"} if channel == "book" else {}
    with bed.row(f"B10 {channel}", topics) as row:
        for _ in range(INJECTIONS):
            fault = bed.simulator.arm("drop", venue="coinbase/advanced", channel=channel, **selectors)
            lost = int(bed.simulator.applied(fault)["first_mono_ns"])
            shown = min(frame_behind(bed, topic, lost).t_mono_ns for topic in topics)
            for topic in topics:
                left = row.left_live(topic, lost)
                back = row.back_live(topic, left)
                assert left.update.stream_state.reason == REASON.Value("STATE_REASON_SEQUENCE_GAP")
                row.measure("out of LIVE", SEEN_MS, shown, left.t_mono_ns)
                row.measure("LIVE again", 2_000, shown, back.t_mono_ns)
            bed.settle()


@pytest.mark.proves("ROW-B13")
def test_stale_snapshots_are_fetched_until_one_is_good(bed: Bed) -> None:
    topics = [
        Topic(venue, symbol, BOOK) for venue in ("binance", "binance-usdm") for symbol in bed.symbols(venue)
    ]
    tries = 10
    limit_ms = 16_000 * bed.plan.scale
    with bed.row("B13", topics) as row:
        faults, lefts = {}, {}
        for topic in topics:
            place = "binance/spot" if topic.venue == "binance" else "binance/usdm"
            symbol = topic.symbol.replace("-", "")
            faults[topic] = bed.simulator.arm("stale_snapshot", venue=place, symbol=symbol, count=tries)
            lefts[topic] = row.left_live(topic, drop(bed, topic, place, symbol))
        for topic in topics:
            bed.simulator.applied(faults[topic], times=tries, within_s=60 * bed.plan.scale + 30)
            back = row.back_live(topic, lefts[topic], within_s=limit_ms / 1000 * 3)
            stale = [
                one.t_mono_ns
                for one in bed.simulator.truth_until(back.t_mono_ns).applied
                if (one.verb, one.topic) == ("stale_snapshot", topic)
            ]
            assert len(stale) == tries
            for now, then in itertools.pairwise(stale[QUICK_TRIES - 1 :]):
                assert then - now >= SLOW_MS * bed.plan.scale * MS
                row.measure("refetched", limit_ms, now, then)
            # The next one is good: not LIVE before, whenever the loop comes to look at this book.
            assert back.t_mono_ns > stale[-1], "LIVE by a stale snapshot"
            row.measure("LIVE after a good snapshot", limit_ms, stale[-1], back.t_mono_ns)
            states = [one for one in row.between(topic, lefts[topic], back) if is_state(one)]
            assert all(one.update.stream_state.state == RESYNC for one in states)
            reasons = {one.update.stream_state.reason for one in states}
            assert REASON.Value("STATE_REASON_SNAPSHOT_UNUSABLE") in reasons


def is_rejected(told: Told) -> bool:
    """Tell whether a record says REJECTED."""
    return is_state(told, types_pb2.STATE_REJECTED)


CROSSABLE: Final = (  # Kraken's checksum breaks first
    ("binance/spot", "BTC-USDT"),
    ("binance/usdm", "BTC-USDT"),
    ("okx/public", "BTC-USDT"),
    ("coinbase/advanced", "BTC-USD"),
)


@pytest.mark.proves("ROW-B16")
@pytest.mark.parametrize(("product", "symbol"), CROSSABLE)
def test_crossed_book_leaves_live_at_once_and_is_fetched_anew(bed: Bed, product: str, symbol: str) -> None:
    venue, _, kind = product.partition("/")
    topic = Topic(f"{venue}-{kind}" if kind == "usdm" else venue, symbol, BOOK)
    others = [Topic("coinbase", name, BOOK) for name in bed.symbols("coinbase")]
    with bed.row(f"B16 {topic.venue}", others if venue == "coinbase" else [topic]) as row:
        for _ in range(INJECTIONS if topic.venue == "binance" else 1):
            fault = bed.simulator.arm("suppress_delete", venue=product, symbol=symbol, levels=10)
            bed.simulator.applied(fault)
            shown = harmed_frame(bed, topic, fault).t_mono_ns
            left = row.left_live(topic, shown)
            back = row.back_live(topic, left)
            row.measure("crossed and LIVE again", 2_000 + 1_000 * bed.plan.scale, shown, back.t_mono_ns)
            assert left.update.stream_state.reason == REASON.Value("STATE_REASON_CROSSED")
            between = [one.kind for one in row.between(topic, left, back)]
            assert "book_delta" not in between
            assert between.index("gap") < between.index("book_snapshot")
            bed.simulator.over(fault, within_s=4)  # the hidden deletions stay hidden for 2 s
            bed.probe.wait_live([topic], within_s=COMES_S)
            # What stayed hidden without crossing nobody can notice: a hole makes the book anew.
            left = row.left_live(topic, drop(bed, topic, product, symbol))
            row.back_live(topic, left)


@pytest.mark.proves("ROW-B29")
@pytest.mark.parametrize("product", ["binance/spot", "okx/public", "coinbase/advanced", "kraken/spot"])
def test_refused_symbol_of_a_batch_harms_no_other(bed: Bed, product: str) -> None:
    venue = product.partition("/")[0]
    quote = QUOTES[venue]
    good = [Topic(venue, f"{base}-{quote}", BOOK) for base in ("DOGE", "LTC")]
    bad = Topic(venue, f"LINK-{quote}", BOOK)
    beside = topics_of(bed, product)
    with bed.row(f"B29 {venue}", [*good, bad, *beside]) as row:
        probe = bed.new_probe()
        try:
            probe.send(bed.request(venue, [good[0].symbol, bad.symbol, good[1].symbol], [BOOK]))
            probe.wait_live([*good, bad], within_s=COMES_S)
            fault = bed.simulator.arm("reject", venue=product, symbol=bad.symbol, count=100)
            since = cut(bed, product, "rst")  # the new connection asks for all of them in one batch
            refused = probe.wait_for(bad, is_rejected, since_ns=since, within_s=COMES_S, what="refused")
            row.measure("refused", 5_000, since, refused.t_mono_ns)
            bed.simulator.applied(fault)
            assert refused.update.stream_state.reason == REASON.Value("STATE_REASON_VENUE_REJECTED")
            probe.wait_live(good, within_s=COMES_S)
            bed.probe.wait_live(beside, within_s=COMES_S)
            for topic in good:
                assert not [one for one in probe.of(topic) if is_rejected(one)]
            row.compare(probe, good)
        finally:
            probe.close()
