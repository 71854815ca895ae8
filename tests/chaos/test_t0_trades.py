"""Rows of FAULTS 3.B about trades, in virtual time: frames of the documents in, encoded records out."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Final

import pytest

from datafacade.check.names import TRADES
from datafacade.check.story import Told
from datafacade.v1 import hot_pb2, market_pb2, stream_pb2, types_pb2
from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.line import MS, TAKE_BYTES, Line
from tests.chaos.virtual.scripts import SCRIPTS
from tests.chaos.virtual.tape import SECOND, Tape, Trade

pytestmark = pytest.mark.chaos

BACKFILLED: Final = types_pb2.UPDATE_FLAG_BACKFILLED
BAD_TICK: Final = types_pb2.UPDATE_FLAG_BAD_TICK
BAD_TS: Final = types_pb2.UPDATE_FLAG_BAD_TS
KLINES: Final = types_pb2.CHANNEL_KLINES
COUNTED: Final = ("binance", "binance-usdm", "coinbase", "kraken")  # their trade ids have no holes
FORWARD: Final = ("binance", "kraken")  # their REST pages run from the oldest on
QUIET: Final = {"liveness_ms": 10_000_000, "ping_ms": 0}
HOUR: Final = 3_600_000_000_000


class Bed:
    """A line that follows the trades of one market, and the market's tape."""

    def __init__(self, name: str) -> None:
        script = SCRIPTS[name]()
        self.symbol = script.symbols[0]
        self.tape = Tape(script, self.symbol)
        self.line = Line(script, channels=(TRADES,), rest=self.tape.rest, figures=QUIET).open()

    def happen(self, count: int = 1, *, is_told: bool = True) -> list[Trade]:
        """Let trades happen, and the venue tell them unless they get lost."""
        self.line.clock.advance(count * MS)
        trades = self.tape.trades(count, self.line.wall_ns)
        if is_told:
            self.line.say(*self.tape.frames(trades))
        return trades

    def told(self, *kinds: str) -> list[Told]:
        """Return what the topic told."""
        return self.line.told(self.symbol, *kinds, channel=TRADES)

    def ids(self) -> list[int]:
        """Return the ids of all trades that were told, in order."""
        return [one.update.trade.trade_id for one in self.told("trade")]

    def gaps(self) -> list[stream_pb2.Gap]:
        """Return the gap records."""
        return [one.update.gap for one in self.told("gap")]

    def reconnect(self) -> None:
        """Lose the connection and open another."""
        self.line.is_open = False
        self.line.do(self.line.feed.on_closed(1006, ""))
        self.line.open()


def state_of(gap: stream_pb2.Gap) -> str:
    """Return the state of a gap in one word."""
    return stream_pb2.GapState.Name(gap.state).removeprefix("GAP_STATE_")


@pytest.mark.proves("ROW-B23")
@pytest.mark.parametrize("name", SCRIPTS)
def test_trades_that_the_venue_repeats_after_a_resubscribe_are_told_once(name: str) -> None:
    bed = Bed(name)
    first = bed.happen(300)
    bed.reconnect()
    if isinstance(bed.line.script, Coinbase):
        bed.line.say(bed.tape.batch("snapshot", first[-100:]))
    bed.line.say(*bed.tape.frames(first[-250:]))
    bed.happen(5)
    bed.line.say(*bed.tape.frames(first[-20:]))
    bed.line.wait(1_000)
    assert bed.ids() == sorted(bed.tape.known)
    assert not bed.gaps() or name == "okx", "ids that join up leave no gap"
    assert {state_of(gap) for gap in bed.gaps()[1:]} <= {"FILLED"}


@pytest.mark.proves("ROW-B23")
@pytest.mark.parametrize("name", SCRIPTS)
def test_trades_that_an_earlier_start_told_are_not_told_again(name: str) -> None:
    bed = Bed(name)
    past = bed.happen(50, is_told=False)
    told = past[29]
    bed.line.do(bed.line.feed.subscribe(bed.symbol, TRADES, told=(told.id, told.ts)))
    bed.line.say(*bed.tape.frames(past[10:]))
    assert bed.ids() == [one.id for one in past[30:]]
    bed.line.say(*bed.tape.frames(past[10:]))
    bed.happen(3)
    assert bed.ids() == [*range(past[30].id, bed.tape.next_id)]


@pytest.mark.proves("ROW-B23")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_venue_that_counts_anew_after_a_restart_is_believed(name: str) -> None:
    bed = Bed(name)
    told = bed.happen(1, is_told=False)[0]
    bed.line.do(bed.line.feed.subscribe(bed.symbol, TRADES, told=(told.id + 5_000, told.ts)))
    fresh = bed.happen(3)
    assert bed.ids() == [one.id for one in fresh]


@pytest.mark.proves("ROW-B22")
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("missing", [1, 100])
def test_missing_trades_are_told_before_the_next_one_and_filled_within_five_seconds(
    name: str, missing: int
) -> None:
    bed = Bed(name)
    bed.happen(10)
    lost = bed.happen(missing, is_told=False)
    if name == "okx":  # its ids jump legally: only a lost connection tells that trades may be missing
        bed.reconnect()
    shows = bed.happen(3)
    opened, *rest = bed.told("gap", "trade")[10:]
    assert opened.kind == "gap"
    assert state_of(opened.update.gap) == "OPEN"
    if name in COUNTED:
        gap = opened.update.gap
        assert (gap.venue_sequence_first, gap.venue_sequence_last) == (lost[0].id, lost[-1].id)
        assert gap.count == missing
    assert [one.update.trade.trade_id for one in rest] == [one.id for one in shows]
    t_shown = bed.line.clock.monotonic_ns()
    bed.line.wait(5_000)
    news = [one for one in bed.told() if one.update.flags & BACKFILLED]
    found = [one.update.trade.trade_id for one in news]
    assert (found if name in FORWARD else sorted(found)) == [one.id for one in lost]
    closed = bed.told("gap")[-1]
    assert closed.t_mono_ns - t_shown <= 5_000 * MS
    assert closed.update.gap.gap_id == opened.update.gap.gap_id
    assert (state_of(closed.update.gap), closed.update.gap.filled) == ("FILLED", missing)
    assert sorted(bed.ids()) == sorted(bed.tape.known)
    assert opened.update.seq < news[0].update.seq < closed.update.seq


@pytest.mark.proves("ROW-B22")
@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("seed", range(3))
def test_every_sixth_trade_missing_is_filled_whole(name: str, seed: int) -> None:
    bed, chance = Bed(name), random.Random(seed)
    bed.happen(1)
    for _ in range(400):
        bed.happen(is_told=chance.random() > 0.17)
        bed.line.clock.advance(9 * MS)
    bed.happen(1)
    bed.line.wait(5_000)
    assert sorted(bed.ids()) == sorted(bed.tape.known)
    assert len(set(bed.ids())) == len(bed.ids())
    states = [state_of(gap) for gap in bed.gaps()]
    assert states.count("OPEN") == states.count("FILLED") > 30
    assert set(states) == {"OPEN", "FILLED"}
    assert len(bed.tape.requests) <= 60, "holes are asked for together"
    told = sum((Decimal("0.25") for _ in bed.ids()), Decimal(0))
    assert told == len(bed.tape.known) * Decimal("0.25"), "volumes add up"


@pytest.mark.proves("ROW-B22")
@pytest.mark.parametrize("name", SCRIPTS)
def test_trades_that_nobody_knows_any_more_are_lost_aloud(name: str) -> None:
    bed = Bed(name)
    bed.happen(10)
    for one in bed.happen(7, is_told=False):
        del bed.tape.known[one.id]
    if name == "okx":
        bed.reconnect()
    bed.happen(3)
    bed.line.wait(6_000)
    opened, closed = bed.gaps()
    assert (state_of(opened), state_of(closed), closed.filled) == ("OPEN", "LOST", 0)
    assert len(bed.ids()) == 13


@pytest.mark.proves("ROW-B22")
@pytest.mark.parametrize("name", COUNTED)
def test_venue_whose_rest_is_down_leaves_the_gap_lost_and_the_stream_alive(name: str) -> None:
    bed = Bed(name)
    bed.tape.is_down = True
    bed.happen(10)
    bed.happen(7, is_told=False)
    bed.happen(3)
    bed.line.wait(6_000)
    bed.happen(2)
    opened, closed = bed.gaps()
    assert (state_of(opened), state_of(closed)) == ("OPEN", "LOST")
    assert len(bed.ids()) == 15
    assert 2 <= len(bed.tape.requests) <= 12


@pytest.mark.proves("ROW-B22")
@pytest.mark.parametrize("name", SCRIPTS)
def test_trades_missed_over_a_reconnect_are_filled(name: str) -> None:
    bed = Bed(name)
    bed.happen(20)
    bed.line.is_open = False
    bed.line.do(bed.line.feed.on_closed(1006, ""))
    lost = bed.happen(40, is_told=False)
    bed.line.wait(3_000)
    assert bed.line.is_open
    bed.happen(5)
    bed.line.wait(5_000)
    assert sorted(bed.ids()) == sorted(bed.tape.known)
    opened, closed = bed.gaps()
    assert opened.cause == stream_pb2.GAP_CAUSE_DISCONNECT
    assert (state_of(opened), state_of(closed), closed.filled) == ("OPEN", "FILLED", len(lost))


@pytest.mark.proves("ROW-B22")
def test_trades_that_coinbase_repeats_fill_the_hole_of_a_reconnect_without_a_request() -> None:
    bed = Bed("coinbase")
    bed.happen(20)
    bed.reconnect()
    bed.happen(30, is_told=False)
    newest = list(bed.tape.known.values())[-40:]
    bed.line.say(bed.tape.batch("snapshot", newest))
    bed.happen(5)
    bed.line.wait(1_000)
    assert bed.ids() == sorted(bed.tape.known)
    assert [state_of(gap) for gap in bed.gaps()] == ["OPEN", "FILLED"]
    assert not bed.tape.requests


class Bars:
    """A subscriber of the 1-minute klines of a bed's market."""

    def __init__(self, bed: Bed) -> None:
        self.line = bed.line
        self.final: list[market_pb2.Kline] = []
        self.subscriber = self.line.hub.subscriber()
        self.line.hub.attach(
            self.subscriber,
            self.line.script.venue,
            self.line.script.canonical(bed.symbol),
            KLINES,
            "1m",
            start="next",
            wall_ns=self.line.wall_ns,
            request_id=1,
            subscription_id=2,
            requested_symbol=bed.symbol,
        )
        self.line.do(self.line.feed.subscribe(bed.symbol, KLINES, "1m"))

    def wait(self, seconds: int) -> None:
        """Let time pass and read what closes in it."""
        for _ in range(seconds):
            self.line.wait(1_000)
            now = self.line.clock.monotonic_ns()
            while (taken := self.line.hub.take(self.subscriber, TAKE_BYTES, monotonic_ns=now))[0]:
                updates = hot_pb2.HotSubscribeResponse.FromString(taken[0]).updates
                bars = [one.kline for one in updates if one.WhichOneof("payload") == "kline"]
                self.final += [bar for bar in bars if bar.state == market_pb2.KLINE_STATE_FINAL]


@pytest.mark.proves("ROW-B20")
@pytest.mark.parametrize("name", ["binance", "okx", "kraken", "coinbase"])
def test_ticks_outside_all_reason_are_flagged_and_told_and_enter_no_bar(name: str) -> None:
    bed = Bed(name)
    bars = Bars(bed)
    bars.wait(61 - bed.line.wall_ns // SECOND % 60)
    bed.happen(1)
    bars.wait(60)  # the bar that begins now is whole
    odd = [("0", "1"), ("-1", "1"), ("100500000", "1"), ("100.5", "-0.5"), ("0.0001005", "1")]
    true = [("100.5", "0.25"), ("80.4", "0.5"), ("96.48", "0.5"), ("100.5", "0.25")]  # 20 % in a second
    mixed = [row for pair in zip(true, odd, strict=False) for row in pair] + odd[len(true) :]
    for at, (price, quantity) in enumerate(mixed):
        bed.line.clock.advance(200 * MS)
        bed.line.say(bed.tape.frame(bed.tape.trade(bed.line.wall_ns, price, quantity)))
        assert len(bed.ids()) == at + 2, "every one is told"
    flagged = [one.update for one in bed.told("trade") if one.update.flags & BAD_TICK]
    assert len(flagged) == len(odd)
    bars.wait(62)
    bar = bars.final[-1]
    assert bar.trade_count == len(true)
    assert Decimal(bar.volume) == Decimal("1.5")
    expected = sum(Decimal(price) * Decimal(quantity) for price, quantity in true) / Decimal("1.5")
    assert abs(Decimal(bar.vwap) / expected - 1) < Decimal("1e-9")


@pytest.mark.proves("ROW-B21")
@pytest.mark.parametrize("name", ["binance", "okx", "kraken", "coinbase"])
def test_venue_times_outside_all_reason_are_flagged_and_bars_use_the_receive_time(name: str) -> None:
    bed = Bed(name)
    bars = Bars(bed)
    bars.wait(61 - bed.line.wall_ns // SECOND % 60)
    bed.happen(1)
    bars.wait(70)
    start = bed.line.wall_ns
    times = [0, HOUR, -HOUR, 2 * 10**9, -2 * 10**9, -start + start // 1_000]  # the last one: in a wrong unit
    for off in times:
        bed.line.clock.advance(100 * MS)
        one = bed.tape.trade(bed.line.wall_ns)
        bed.line.say(bed.tape.frame(one._replace(ts=one.ts + off)))
    told = [one.update for one in bed.told("trade")[1:]]
    assert [bool(one.flags & BAD_TS) for one in told] == [False, True, True, False, False, True]
    assert all(start < one.ts_recv <= bed.line.wall_ns for one in told)
    bars.wait(62)
    bar = bars.final[-1]
    assert bar.trade_count == len(times)
    bed.happen(1)
    assert not bed.told("trade")[-1].update.flags & BAD_TS


@pytest.mark.proves("ROW-B21")
def test_stepped_wall_clock_makes_no_venue_time_bad() -> None:
    bed = Bed("binance")
    line, stepped = bed.line, 0
    bed.happen(3)
    for step_s in (3_600, -7_200, -10, 30 * 86_400):
        stepped += step_s * 10**9
        line.clock.set(line.wall_ns + step_s * 10**9, line.clock.monotonic_ns())
        one = bed.tape.trade(line.wall_ns)
        line.say(bed.tape.frame(one._replace(ts=one.ts - stepped)))  # the venue knows nothing of it
    assert not [one for one in bed.told("trade") if one.update.flags & BAD_TS]
    assert line.feed.stats()["clock_steps"] == 4
    assert line.is_open
