"""Rows of FAULTS 3.D about klines, from outside the process: late trades, holes, boundaries."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import pytest

from datafacade.check.names import TRADES, Topic
from datafacade.check.story import Told
from datafacade.v1 import market_pb2, stream_pb2
from tests.chaos.harness.bed import SCALE, Plan, Row
from tests.chaos.harness.lively import OFTEN, VARIANT, LivelyBed
from tests.chaos.harness.reckoning import SECOND_NS, invented, klines_of, last_words
from tests.chaos.harness.tier import INJECTIONS
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

MS: Final = 1_000_000
LATE_MS: Final = 2_000 * SCALE  # so long behind its end a kline takes a late trade
CLOSE_MS: Final = 250 * SCALE
REVISED_MS: Final = 50.0  # from the late trade to its kline, above what the market waits
LOST_MS: Final = 5_000 * SCALE
TRIES_MAX: Final = 5  # until a delayed trade comes behind the last word of its kline
COUNTED: Final = ("binance", "coinbase", "kraken")
LOST: Final = stream_pb2.GAP_STATE_LOST
FINAL: Final = market_pb2.KLINE_STATE_FINAL
COMPLETE: Final = market_pb2.COMPLETENESS_COMPLETE
INCOMPLETE: Final = market_pb2.COMPLETENESS_INCOMPLETE
UNKNOWN: Final = market_pb2.COMPLETENESS_UNKNOWN


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivelyBed]:
    """Return a bed of lively markets whose klines of one second are followed."""
    plan = Plan(
        products=("binance/spot", "okx/public", "coinbase/advanced", "coinbase/exchange", "kraken/spot"),
        rate=20,
        simulator=OFTEN,
        service={"hot": {"feed": {"settled_ms": 5_000}}},
    )
    made = LivelyBed(tmp_path_factory.mktemp("klines"), plan)
    try:
        made.warm_up()
        yield made
        assert made.simulator.violations() == {}, "rules of venues were broken"
    finally:
        made.close()


def markets(bed: LivelyBed, base: str) -> list[Topic]:
    """Return the trades of an asset where each has the next number."""
    return [one for one in bed.trades if one.venue in COUNTED and one.symbol.startswith(f"{base}-")]


def assert_reckoned(
    bed: LivelyBed,
    begin_wall_ns: int,
    *,
    disordered: Sequence[Topic] = (),
    late: Mapping[Topic, set[int]] | None = None,
) -> range:
    """Hold that klines, announced losses and late trades are together what was traded.

    Args:
        bed: With the markets.
        begin_wall_ns: From when on.
        disordered: Trades that the venue itself told in disorder.
        late: Trades that came too late for their kline.
    """
    window = bed.window(begin_wall_ns)
    found = bed.reckonings(bed.trades, window, late=late or {})
    sys.stdout.write("".join(f"{one}\n" for one in found))
    assert [str(one) for one in found if not one.adds_up] == []
    assert [what for one in bed.klines for what in invented(bed.probe.story, one, window)] == []
    ordered = [one for one in bed.trades if one not in disordered]
    bed.assert_invariants([*ordered, *bed.klines])  # I4: what is complete equals the market's own sums
    return window


def kline_of(bed: LivelyBed, trades: Topic, ts_event: int) -> list[Told]:
    """Return all that was told of the kline of an instant, once it is final."""
    ts_open = ts_event - ts_event % SECOND_NS
    told = bed.of(klines_of(trades, VARIANT), "kline")
    return [one for one in told if one.update.kline.ts_open == ts_open and one.update.kline.state == FINAL]


@pytest.mark.proves("ROW-D10")
def test_klines_of_quiet_seconds_are_complete_aligned_and_told_once(bed: LivelyBed) -> None:
    begin = time.time_ns() + SECOND_NS
    with bed.row("D10", []):
        until(lambda: time.time_ns() > begin + 3 * SECOND_NS, within_s=6, what="three seconds pass")
    window = assert_reckoned(bed, begin)
    for topic in bed.klines:
        words = last_words(bed.of(topic, "kline"), window)
        wanted = UNKNOWN if topic.venue == "okx" else COMPLETE
        assert len(words) == len(window) // SECOND_NS, topic
        assert_revised_as_due(bed, Topic(topic.venue, topic.symbol, TRADES), words)
        for one in words.values():
            kline = one.update.kline
            assert kline.completeness == wanted, one.update
            assert (kline.ts_open % SECOND_NS, kline.ts_close) == (0, kline.ts_open + SECOND_NS)


def assert_revised_as_due(
    bed: LivelyBed, trades: Topic, words: Mapping[int, Told], *, too_late: Collection[int] = ()
) -> None:
    """Hold that a kline was issued again if, and only if, trades of its second came behind its last word.

    On a busy machine a trade may do so without a fault: the order of the records tells.
    """
    told = bed.of(trades, "trade")
    for opened, one in words.items():
        first = kline_of(bed, trades, opened)[0].update.kline
        behind = [
            trade.update.trade.trade_id
            for trade in told
            if trade.update.seq > first.trades_seq_last and opened <= trade.update.ts_event < first.ts_close
        ]
        due = set(behind) - set(too_late)
        assert bool(due) <= one.update.kline.revision <= len(due), f"{one.update}, behind it: {due}"


@pytest.mark.proves("ROW-D08")
def test_trade_that_comes_soon_after_its_kline_revises_it(bed: LivelyBed) -> None:
    topics = markets(bed, "BTC")
    begin = time.time_ns()
    with bed.row("D08 soon", topics) as row:
        bed.pace("BTC", 80)
        for _ in range(INJECTIONS):
            # sooner than REST is asked for what the next trade shows to be missing, and later than the
            # kline's first last word, which comes up to 100 ms behind the end of the second
            revise(row, bed, dict.fromkeys(topics, 180.0), at_ms=930)
        bed.pace("BTC", bed.plan.rate)
    assert_reckoned(bed, begin)


def revise(row: Row, bed: LivelyBed, delays_ms: Mapping[Topic, float], *, at_ms: int) -> Counter[Topic]:
    """Let one trade of each market come behind the last word of its kline; return the tries that it took.

    Where the bed missed the end of the second, the trade came before that word: that was no injection.
    """
    left, tries = dict(delays_ms), Counter[Topic]()
    while left:
        assert max(tries.values(), default=0) < TRIES_MAX, (
            f"never final before its trade: vacuous at {[*left]}"
        )
        for topic, trade in delay_one(bed, left, at_ms=at_ms).items():
            tries[topic] += 1
            if measure_revision(row, bed, topic, trade):
                del left[topic]
    return tries


def measure_revision(row: Row, bed: LivelyBed, topic: Topic, trade: Told) -> bool:
    """Measure from a late trade to the word of its kline that has it, which revises one without it.

    Returns False if that word was the first one: the trade was not late.

    On a busy machine others of its second come late too, before it or in its turn: so the word that has it
    need not be the first revision, but it is the next one, and has every trade that was told since.
    """

    def look() -> list[Told] | None:
        found = kline_of(bed, topic, trade.update.ts_event)
        has_it = [one.update.kline.trades_seq_last >= trade.update.seq for one in found]
        return found[: has_it.index(True) + 1] if any(has_it) else None

    *before, revised = until(look, within_s=COMES_S, what=f"{topic}: the kline is issued again")
    if not before:
        return False
    assert [one.update.kline.revision for one in [*before, revised]] == list(range(len(before) + 1))
    last, now = before[-1].update.kline, revised.update.kline
    added = [
        one
        for one in bed.of(topic, "trade")
        if last.trades_seq_last < one.update.seq <= now.trades_seq_last
        and now.ts_open <= one.update.ts_event < now.ts_close
    ]
    assert now.trade_count == last.trade_count + len(added)
    row.measure("revised", REVISED_MS, trade.t_mono_ns, revised.t_mono_ns)
    return True


def is_trade(number: int, told: Told) -> bool:
    """Tell whether a record is one certain trade."""
    return told.kind == "trade" and told.update.trade.trade_id == number


def delay_one(bed: LivelyBed, delays_ms: Mapping[Topic, float], *, at_ms: int) -> dict[Topic, Told]:
    """Let one trade of each market come late; return them as they were told.

    Args:
        bed: With the markets.
        delays_ms: How late, by their trades.
        at_ms: Where in its second the market trades it, at the earliest.
    """
    until(
        lambda: 0 <= time.time_ns() // MS % 1_000 - at_ms < 30, within_s=3, what="the second comes to its end"
    )
    armed = time.monotonic_ns()
    faults = {
        topic: bed.simulator.arm("late_trades", ms=ms, count=1, **bed.place(topic))
        for topic, ms in delays_ms.items()
    }
    told = {}
    for topic, fault in faults.items():
        bed.simulator.applied(fault)
        applied = bed.simulator.truth_until(time.monotonic_ns()).applied
        (number,) = next(one.trade_ids for one in applied if one.topic == topic and one.t_mono_ns >= armed)
        told[topic] = bed.probe.wait_for(
            topic,
            partial(is_trade, number),
            since_ns=armed,
            within_s=COMES_S,
            what=f"late trade {number}",
        )
    return told


@pytest.mark.proves("ROW-D09")
@pytest.mark.proves("ROW-B22")
def test_klines_over_trades_that_are_lost_are_incomplete_and_invent_nothing(bed: LivelyBed) -> None:
    topics = markets(bed, "ETH")
    begin = time.time_ns()
    with bed.row("D09", topics) as row:
        since = time.monotonic_ns()
        faults = {}
        for _ in range(INJECTIONS):
            for topic in topics:
                place = bed.place(topic)
                faults[bed.simulator.arm("missing_trades", count=2, is_in_rest=False, **place)] = topic
            for fault in faults:
                bed.simulator.applied(fault, times=2)
        for topic in topics:
            gaps = until(partial(lost, bed, topic, since), within_s=COMES_S, what=f"{topic}: LOST")
            missing = {number for gap in gaps for number in range(gap[0], gap[1] + 1)}
            rows = bed.rows(topic)
            assert len(missing) == 2 * INJECTIONS
            harmed = {rows[number].ts_event // SECOND_NS * SECOND_NS for number in missing}
            for opened, closed in pairs(bed, topic, since):
                row.measure("lost", LOST_MS, opened.t_mono_ns, closed.t_mono_ns)
            window = bed.window(begin)
            words = last_words(bed.of(klines_of(topic, VARIANT), "kline"), window)
            incomplete = {at for at, one in words.items() if one.update.kline.completeness == INCOMPLETE}
            assert harmed & set(words) <= incomplete
            sys.stdout.write(f"D09 {topic}: {len(harmed)} s lack trades, {len(incomplete)} incomplete\n")
    assert_reckoned(bed, begin)


def pairs(bed: LivelyBed, topic: Topic, since_ns: int) -> list[tuple[Told, Told]]:
    """Return where each gap was opened, and where it was closed."""
    told = bed.of(topic, "gap", since_ns=since_ns)
    by_id: dict[int, list[Told]] = {}
    for one in told:
        by_id.setdefault(one.update.gap.gap_id, []).append(one)
    return [(opened, closed) for opened, closed in by_id.values()]


def lost(bed: LivelyBed, topic: Topic, since_ns: int) -> list[tuple[int, int]] | None:
    """Return what the gaps of a topic name, once all of them are closed as lost."""
    told = [one.update.gap for one in bed.of(topic, "gap", since_ns=since_ns)]
    opened = {gap.gap_id for gap in told}
    closed = [gap for gap in told if gap.state == LOST]
    if len(closed) < len(opened) or sum(gap.count for gap in closed) < 2 * INJECTIONS:
        return None
    return [(gap.venue_sequence_first, gap.venue_sequence_last) for gap in closed]


@pytest.mark.proves("ROW-D09")
def test_klines_over_a_lost_connection_are_incomplete_until_the_trades_are_found(bed: LivelyBed) -> None:
    topics = [one for one in bed.topics if one.venue == "binance"]
    trades = markets(bed, "BTC")[0]
    begin = time.time_ns()
    with bed.row("D09 connection", topics):
        for _ in range(INJECTIONS):
            until(lambda: 0 <= time.time_ns() // MS % 1_000 - 900 < 30, within_s=3, what="a second ends")
            at = time.time_ns()
            fault = bed.simulator.arm("rst", venue="binance")
            bed.simulator.applied(fault)
            kline = klines_of(trades, VARIANT)
            until(lambda: is_whole(bed, kline, at), within_s=COMES_S, what=f"{kline}: COMPLETE again")  # noqa: B023
            words = kline_of(bed, trades, at)
            assert words[-1].update.kline.revision == len({one.update.kline.revision for one in words}) - 1
    assert_reckoned(bed, begin)


def is_whole(bed: LivelyBed, kline: Topic, at_ns: int) -> bool:
    """Tell whether the newest word about a second is that nothing is missing."""
    told = kline_of(bed, Topic(kline.venue, kline.symbol, TRADES), at_ns)
    return bool(told) and told[-1].update.kline.completeness == COMPLETE


@pytest.mark.proves("ROW-D08")
def test_venue_that_numbers_nothing_tells_late_trades_and_the_sums_still_add_up(bed: LivelyBed) -> None:
    soon, beyond = [one for one in bed.trades if one.venue == "okx"]  # elsewhere REST has it before
    late: dict[Topic, set[int]] = {beyond: set()}
    tries = Counter({beyond: INJECTIONS})
    begin = time.time_ns()
    with bed.row("D08 OKX", []) as row:
        bed.simulator.applied(bed.simulator.arm("pace", venue="okx", steps_per_s=60))
        for _ in range(INJECTIONS):
            told = delay_one(bed, {beyond: LATE_MS + 250}, at_ms=800)
            late[beyond].add(told[beyond].update.trade.trade_id)
            tries += revise(row, bed, {soon: 300}, at_ms=800)
        bed.simulator.arm("pace", venue="okx", steps_per_s=bed.plan.rate)
    window = assert_reckoned(bed, begin, disordered=[soon, beyond], late=late)
    for topic in (soon, beyond):
        told_ids = [one.update.trade.trade_id for one in bed.of(topic, "trade", since_ns=row.start_ns)]
        behind = {number for at, number in enumerate(told_ids) if at and number < max(told_ids[:at])}
        assert len(behind) == tries[topic], "each is told behind younger ones, as it came"
        assert late.get(topic, behind) == behind
        words = last_words(bed.of(klines_of(topic, VARIANT), "kline"), window)
        assert_revised_as_due(bed, topic, words, too_late=late.get(topic, ()))
