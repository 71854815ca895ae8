"""Rows of FAULTS 3.B about trades, from outside the process: missing, repeated and impossible ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import pytest

from datafacade.check.names import BOOK, Topic
from datafacade.check.story import Told, follow
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.chaos.harness.bed import Plan, Row
from tests.chaos.harness.lively import OFTEN, LivelyBed
from tests.chaos.harness.probe import ProbeProcess
from tests.chaos.harness.reckoning import invented
from tests.chaos.harness.tier import INJECTIONS
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

FILLED_MS: Final = 5_000.0
MOVES_NS: Final = 400_000_000
COUNTED: Final = ("binance", "binance-usdm", "coinbase", "kraken")  # every trade has the next number
OPEN: Final = stream_pb2.GAP_STATE_OPEN
FILLED: Final = stream_pb2.GAP_STATE_FILLED
BAD_TICK: Final = types_pb2.UPDATE_FLAG_BAD_TICK
BAD_TS: Final = types_pb2.UPDATE_FLAG_BAD_TS
BACKFILLED: Final = types_pb2.UPDATE_FLAG_BACKFILLED


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivelyBed]:
    """Return a bed in which missing trades have 5 s to be found, as in the product."""
    plan = Plan(
        rate=10,
        simulator=OFTEN,
        service={"hot": {"feed": {"backfill_ms": 25_000, "settled_ms": 5_000}}},
    )
    made = LivelyBed(tmp_path_factory.mktemp("data"), plan)
    try:
        made.warm_up()
        yield made
        assert made.simulator.violations() == {}, "rules of venues were broken"
    finally:
        made.close()


def counted(bed: LivelyBed, base: str = "BTC") -> list[Topic]:
    """Return the trades whose numbers have no holes."""
    return [topic for topic in bed.trades if topic.venue in COUNTED and topic.symbol.startswith(f"{base}-")]


def withheld(bed: LivelyBed, fault: int, topic: Topic, times: int) -> list[int]:
    """Wait until trades were withheld; return their numbers, as the truth log has them."""
    since = int(bed.simulator.applied(fault, times=times, within_s=20)["armed_mono_ns"])
    applied = bed.simulator.truth_until(time.monotonic_ns()).applied
    ours = [one for one in applied if one.topic == topic and one.t_mono_ns >= since]
    return sorted(number for one in ours if one.verb == "missing_trades" for number in one.trade_ids)


def gaps_over(told: Sequence[Told], numbers: Sequence[int]) -> list[Told]:
    """Return the gap records about some trades; none before each of these is in one."""
    gaps = [one for one in told if one.kind == "gap" and any(map(span(one).__contains__, numbers))]
    return gaps if all(any(number in span(one) for one in gaps) for number in numbers) else []


def span(gap: Told) -> range:
    """Return the trades that a gap record is about."""
    return range(gap.update.gap.venue_sequence_first, gap.update.gap.venue_sequence_last + 1)


def assert_filled(bed: LivelyBed, row: Row, topic: Topic, numbers: Sequence[int], since_ns: int) -> None:
    """Hold that the gap stands before what shows it, names what is missing, and is closed with all of it."""

    def closed() -> list[Told] | None:
        news = gaps_over(bed.of(topic, "gap", since_ns=since_ns), numbers)
        opened = {one.update.gap.gap_id for one in news if one.update.gap.state == OPEN}
        done = {one.update.gap.gap_id for one in news if one.update.gap.state != OPEN}
        return news if opened and opened == done else None

    news = until(closed, within_s=3 * FILLED_MS / 1000, what=f"{topic}: the gaps are closed")
    told = bed.of(topic, "gap", "trade", since_ns=since_ns)
    truth = bed.simulator.truth_until(time.monotonic_ns())
    frames = truth.of(topic)
    unknowable = {
        number for number in numbers if not truth.trades[topic][number].is_market
    }  # REST omits them
    for gap in (one for one in news if one.update.gap.state == OPEN):
        last = span(gap)[-1]
        shows = next(one for one in told if one.kind == "trade" and one.update.trade.trade_id > last)
        assert told.index(gap) < told.index(shows)
        sent = next(frame for frame in frames if any(trade["id"] > last for trade in frame.trades))
        end = next(one for one in news if one.update.gap.gap_id == gap.update.gap.gap_id and one is not gap)
        if unknowable & {*span(gap)}:
            continue
        assert end.update.gap.state == FILLED, end.update
        row.measure("filled", FILLED_MS, sent.t_mono_ns, end.t_mono_ns)
    back = {one.update.trade.trade_id for one in told if one.update.flags & BACKFILLED}
    assert set(numbers) - unknowable <= back


@pytest.mark.proves("ROW-B22")
@pytest.mark.parametrize("missing", [1, 100])
def test_missing_trades_are_told_at_once_and_filled_within_five_seconds(bed: LivelyBed, missing: int) -> None:
    topics = counted(bed)
    begin = time.time_ns()
    with bed.row(f"B22 {missing}", topics) as row:
        if missing > 1:
            bed.pace("BTC", 100)
        for _ in range(INJECTIONS if missing == 1 else max(1, INJECTIONS // 5)):
            since = time.monotonic_ns()
            faults = {
                topic: bed.simulator.arm("missing_trades", count=missing, **bed.place(topic))
                for topic in topics
            }
            for topic, fault in faults.items():
                numbers = withheld(bed, fault, topic, missing)
                assert len(numbers) == missing
                assert_filled(bed, row, topic, numbers, since)
        bed.pace("BTC", bed.plan.rate)
    assert_reckoned(bed, begin)


@pytest.mark.proves("ROW-B22")
def test_every_sixth_trade_missing_is_filled_and_the_volumes_add_up(bed: LivelyBed) -> None:
    topics = counted(bed, "ETH")
    begin = time.time_ns()
    with bed.row("B22 17 %", topics) as row:
        since = time.monotonic_ns()
        faults = {
            topic: bed.simulator.arm("missing_trades", ratio=0.17, duration_ms=3_000, **bed.place(topic))
            for topic in topics
        }
        for topic, fault in faults.items():
            bed.simulator.over(fault, within_s=COMES_S)
            assert_filled(bed, row, topic, withheld(bed, fault, topic, 1), since)
    assert_reckoned(bed, begin)


def assert_reckoned(bed: LivelyBed, begin_wall_ns: int) -> None:
    """Hold that klines and announced losses are together what was traded, in every market."""
    window = bed.window(begin_wall_ns)
    found = bed.reckonings(bed.trades, window)
    sys.stdout.write(
        "".join(f"{one}\n" for one in found if not one.adds_up or one.announced or one.incomplete)
    )
    assert [str(one) for one in found if not one.adds_up] == []
    assert all(one.klines for one in found)
    assert [what for one in bed.klines for what in invented(bed.probe.story, one, window)] == []
    bed.assert_invariants([*bed.trades, *bed.klines])


@pytest.mark.proves("ROW-B23")
def test_trades_that_venues_repeat_are_told_once(bed: LivelyBed) -> None:
    with bed.row("B23", bed.topics):
        since = time.monotonic_ns()
        for _ in range(INJECTIONS):
            fault = bed.simulator.arm("repeat_trades", n=50)
            bed.simulator.applied(fault, times=len(bed.trades))
        fault = bed.simulator.arm("repeat_on_subscribe", n=50, ms=100)
        bed.simulator.arm("rst")
        bed.simulator.applied(fault, times=len(bed.trades))
        repeated = dict.fromkeys(bed.trades, 0)
        sent = bed.simulator.truth_until(time.monotonic_ns()).sent
        seen: dict[Topic, set[int]] = {topic: set() for topic in bed.trades}
        for frame in (one for one in sent if one.topic in repeated):
            numbers = {trade["id"] for trade in frame.trades}
            if frame.t_mono_ns > since:
                repeated[frame.topic] += len(numbers & seen[frame.topic])
            seen[frame.topic] |= numbers
        sys.stdout.write(f"B23 repeated: {', '.join(f'{topic} {n}' for topic, n in repeated.items())}\n")
        assert all(number >= 20 * INJECTIONS for number in repeated.values()), repeated
    bed.assert_invariants(bed.trades)  # I2: none came twice


ODD_TICKS: Final = ("price_zero", "price_negative", "price_huge", "quantity_negative")
ODD_TIMES: Final = ("time_ahead", "time_behind")


@pytest.mark.proves("ROW-B20")
@pytest.mark.proves("ROW-B21")
@pytest.mark.parametrize(("kinds", "flag"), [(ODD_TICKS, BAD_TICK), (ODD_TIMES, BAD_TS)])
def test_impossible_numbers_are_told_and_flagged_and_bend_no_kline(
    bed: LivelyBed, kinds: Sequence[str], flag: int
) -> None:
    topics = [topic for topic in bed.trades if topic.symbol.startswith("ETH-")]
    begin = time.time_ns()
    with bed.row(f"{'B20' if flag == BAD_TICK else 'B21'}", topics):
        odd: dict[Topic, set[int]] = {topic: set() for topic in topics}
        for kind in kinds:
            faults = {
                topic: bed.simulator.arm("odd_numbers", kind=kind, channel="trades", **bed.place(topic))
                for topic in topics
            }
            for fault in faults.values():
                bed.simulator.applied(fault)
        applied = bed.simulator.truth_until(time.monotonic_ns()).applied
        for one in applied:
            if one.verb == "odd_numbers" and one.topic in odd and one.t_wall_ns >= begin:
                odd[one.topic] |= set(one.trade_ids)
        for topic, numbers in odd.items():
            assert len(numbers) >= len(kinds)
            told = until(partial(come, bed, topic, numbers), within_s=COMES_S, what=f"{topic}: told")
            flagged = {
                number for number, update in told.items() if update.flags & flag and number >= min(numbers)
            }
            assert flagged == numbers, f"{topic}: {flagged ^ numbers}"
            assert all(begin < told[number].ts_recv < time.time_ns() for number in numbers)
    assert_reckoned(bed, begin)


def come(bed: LivelyBed, topic: Topic, numbers: set[int]) -> dict[int, hot_pb2.Update] | None:
    """Return the trades of a topic by number once some of them are there."""
    told = {one.update.trade.trade_id: one.update for one in bed.of(topic, "trade")}
    return told if numbers <= told.keys() else None


@pytest.mark.proves("ROW-B09")
def test_limited_books_equal_the_best_levels_of_the_venues_and_keep_no_ghost(bed: LivelyBed) -> None:
    depth = 10
    places = {
        topic: bed.place(topic)
        for topic in (
            Topic(venue, bed.symbols(venue)[0], BOOK, str(depth)) for venue in ("binance", "okx", "kraken")
        )
    }
    probe = bed.new_probe()
    try:
        for number, topic in enumerate(places, 1):
            item = hot_pb2.Subscription(
                subscription_id=number,
                venues=[topic.venue],
                symbols=[topic.symbol],
                channels=[types_pb2.CHANNEL_BOOK_L2],
                variants=[topic.variant],
            )
            probe.send(hot_pb2.HotSubscribeRequest(request_id=number, subscribe=[item]))
        probe.wait_live(list(places), within_s=COMES_S)
        for _ in range(INJECTIONS):
            until(moves(time.monotonic_ns()), within_s=2, what="the market moves")
            bed.pace("BTC", 0)
            for topic, place in places.items():
                assert_equals_truth(bed, probe, topic, place, depth)
            bed.pace("BTC", 100)
        for topic in places:
            left, back = returned(probe.of(topic))
            sys.stdout.write(f"B09 {topic}: {left} levels left, {back} of them came back\n")
            assert left
            assert back, "no level came back: the row is vacuous"
    finally:
        bed.pace("BTC", bed.plan.rate)
        probe.close()


def moves(since_ns: int) -> Callable[[], bool]:
    """Return what tells whether the market had time to move."""
    return lambda: time.monotonic_ns() - since_ns > MOVES_NS


def assert_equals_truth(
    bed: LivelyBed, probe: ProbeProcess, topic: Topic, place: dict[str, str], depth: int
) -> None:
    """Hold that a copy equals the true book of a market that stands still."""
    query = f"venue={topic.venue}&symbol={place['symbol']}&depth={depth}"

    def look() -> bool:
        true = bed.simulator.ask("GET", f"/truth/book?{query}")["sha256"]
        *_, last = follow(probe.of(topic))
        return bool(last.book.sha256(depth) == true and last.book.sha256(2 * depth) == true)

    until(look, within_s=COMES_S, what=f"{topic}: equal to the truth")


def returned(told: Sequence[Told]) -> tuple[int, int]:
    """Return how many prices left a limited book, and how many of them came back."""
    gone: set[int] = set()
    back: set[int] = set()
    for one in told:
        if one.kind == "book_delta":
            delta = one.update.book_delta
            for prices, quantities in (
                (delta.bid_prices, delta.bid_quantities),
                (delta.ask_prices, delta.ask_quantities),
            ):
                for price, quantity in zip(prices, quantities, strict=True):
                    if quantity:
                        back |= {price} & gone
                    else:
                        gone.add(price)
    return len(gone), len(back)
