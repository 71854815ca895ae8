"""Topics of a variant, in virtual time: limited books and klines, made of the channel's own topic."""

from __future__ import annotations

import hashlib
import random
from itertools import pairwise
from typing import Final, Literal

import pytest

from datafacade._core import Feed, parse_variant
from datafacade.client.mirror import Mirror
from datafacade.v1 import hot_pb2, market_pb2, types_pb2
from tests.chaos.virtual.binance import Binance
from tests.chaos.virtual.line import EPOCH, MS, TAKE_BYTES, Line
from tests.chaos.virtual.okx import Okx
from tests.chaos.virtual.script import Script, dump
from tests.chaos.virtual.scripts import SCRIPTS

pytestmark = pytest.mark.chaos

TRADES: Final = types_pb2.CHANNEL_TRADES
BOOK: Final = types_pb2.CHANNEL_BOOK_L2
KLINES: Final = types_pb2.CHANNEL_KLINES
FINAL: Final = market_pb2.KLINE_STATE_FINAL
QUIET: Final = {"liveness_ms": 10_000_000, "ping_ms": 0}  # nobody minds silence
COMPLETE: Final = market_pb2.COMPLETENESS_COMPLETE
INCOMPLETE: Final = market_pb2.COMPLETENESS_INCOMPLETE


class Reader:
    """A subscriber of one topic."""

    def __init__(
        self, line: Line, symbol: str, channel: int, variant: str, *, start: Literal["next", "cut"] = "next"
    ) -> None:
        self.line, self.symbol, self.channel, self.variant = line, symbol, channel, variant
        self.subscriber = line.hub.subscriber()
        line.hub.attach(
            self.subscriber,
            line.script.venue,
            line.script.canonical(symbol),
            channel,
            variant,
            start=start,
            wall_ns=line.wall_ns,
            request_id=1,
            subscription_id=1,
            requested_symbol=symbol,
        )
        self.told: list[hot_pb2.Update] = []
        self.unread: list[hot_pb2.Update] = []

    def follow(self) -> Reader:
        """Let the feed follow the topic."""
        self.line.do(self.line.feed.subscribe(self.symbol, self.channel, self.variant))
        return self

    def leave(self) -> None:
        """Let the feed leave the topic."""
        self.line.do(self.line.feed.unsubscribe(self.symbol, self.channel, self.variant))

    def read(self) -> None:
        """Read what was told, as a client that keeps up."""
        self.line.do(self.line.feed.serve_cuts(self.line.hub.cuts_wanted()))
        now = self.line.clock.monotonic_ns()
        while (taken := self.line.hub.take(self.subscriber, TAKE_BYTES, monotonic_ns=now))[0]:
            self.unread += hot_pb2.HotSubscribeResponse.FromString(taken[0]).updates

    def take(self, kind: str = "") -> list[hot_pb2.Update]:
        """Return what was told since the last call."""
        self.read()
        news, self.unread = self.unread, []
        self.told += news
        assert {one.variant for one in news} <= {self.variant}
        return [one for one in news if not kind or one.WhichOneof("payload") == kind]

    def until(self, ms: int, interval_ms: int = 60_000) -> None:
        """Let time pass until the clock stands so many ms behind the begin of an interval."""
        left = (ms - self.line.wall_ns // MS) % interval_ms
        while left > 0:
            step = min(left, 5_000)
            self.line.wait(step)
            self.read()
            left -= step


class Limited:
    """A client's copy of a limited book."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.mirror = Mirror(reader.line.script.venue)
        self.checked = 0

    def read(self) -> list[str]:
        """Take what was told; the mirror raises where a number, a hash or an array does not fit."""
        kinds: list[str] = []
        for one in self.reader.take():
            kind = one.WhichOneof("payload") or ""
            kinds.append(kind)
            match kind:
                case "book_snapshot":
                    self.mirror.on_snapshot(one)
                case "book_delta":
                    self.mirror.on_delta(one)
                case "checkpoint":
                    assert one.checkpoint.levels == int(self.reader.variant)
                    self.mirror.on_checkpoint(one)
                    self.checked += 1
        return kinds

    def equals_truth(self) -> bool:
        """Tell whether the copy is the best levels of the venue's book."""
        depth, line = int(self.reader.variant), self.reader.line
        truth = line.script.markets[self.reader.symbol].book(depth).text()
        return self.mirror.sha256() == sha256(truth)


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@pytest.mark.proves("ROW-B09")
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("variant", ["10", "25", "500"])
def test_limited_book_is_the_best_of_the_venues_book(name: str, variant: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script)
    symbol = script.symbols[0]
    limited = Limited(Reader(line, symbol, BOOK, variant).follow())
    line.live()
    limited.read()
    for _ in range(200):
        line.change(symbol)
        limited.read()
        assert limited.equals_truth()
    line.wait(1_500)
    line.change(symbol)
    line.wait(1_500)
    limited.read()
    assert limited.checked >= 2
    assert limited.mirror.hashes_checked == limited.checked
    assert line.equals_truth(symbol)


def test_change_beyond_the_depth_is_no_record_and_the_chain_joins_all_the_same() -> None:
    script = Binance()
    line = Line(script).live()
    symbol = script.symbols[0]
    limited = Limited(Reader(line, symbol, BOOK, "10").follow())
    limited.read()
    market = script.markets[symbol]
    beyond = market.top()[-1]
    assert not beyond.is_bid
    line.tell(symbol, beyond._replace(quantity=beyond.quantity + 1))
    assert limited.read() == []
    inside = next(change for change in market.top(10) if change.is_bid)
    line.tell(symbol, inside._replace(quantity=inside.quantity + 1))
    assert limited.read() == ["book_delta"]
    assert limited.mirror.links_checked == 1
    assert limited.equals_truth()


@pytest.mark.parametrize("name", SCRIPTS)
def test_limited_book_that_joins_a_live_one_begins_at_once(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    line.change(symbol)
    limited = Limited(Reader(line, symbol, BOOK, "25").follow())
    kinds = limited.read()
    assert kinds[:4] == ["subscription_status", "book_snapshot", "stream_state", "checkpoint"]
    second = Limited(Reader(line, symbol, BOOK, "25", start="cut"))
    second.read()
    line.change(symbol)
    for one in (limited, second):
        one.read()
        assert one.equals_truth()


@pytest.mark.parametrize("name", SCRIPTS)
def test_limited_book_shares_the_fate_of_the_whole_one(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script)
    symbol = script.symbols[0]
    limited = Limited(Reader(line, symbol, BOOK, "10").follow())
    line.live()
    line.change(symbol)
    line.do(line.feed.on_closed(1006, ""))
    line.wait(1_000)
    for _ in range(40):
        line.change(symbol)
        line.wait(100)
        if line.is_live(symbol):
            break
    limited.read()
    assert limited.equals_truth()
    states = [one.stream_state.state for one in limited.reader.told if one.HasField("stream_state")]
    assert types_pb2.STATE_DOWN in states
    assert states[-1] == types_pb2.STATE_LIVE
    gaps = [one.gap for one in limited.reader.told if one.HasField("gap") and one.gap.scope == 1]
    assert len(gaps) == 1
    seqs = [one.seq for one in limited.reader.told if one.WhichOneof("payload") in {"book_delta", "gap"}]
    assert seqs == sorted(set(seqs))


def test_whole_book_stays_when_the_limited_one_is_left() -> None:
    script = Binance()
    line = Line(script).live()
    symbol = script.symbols[0]
    limited = Reader(line, symbol, BOOK, "10").follow()
    limited.take()
    before = len(line.of("send"))
    limited.leave()
    assert [one.stream_state.reason for one in limited.take("stream_state")] == [
        types_pb2.STATE_REASON_UNSUBSCRIBED
    ]
    assert len(line.of("send")) == before
    line.change(symbol)
    assert line.equals_truth(symbol)
    assert limited.take() == []


class Trades:
    """A venue's trades of one symbol, numbered without holes, with a taker's side."""

    def __init__(self, line: Line, symbol: str) -> None:
        self.line, self.symbol, self.id = line, symbol, 100

    def text(self, price: str, quantity: str, *, is_buy: bool = True, ms: int | None = None) -> str:
        """Return the next trade's frame."""
        self.id += 1
        now = self.line.wall_ns // MS
        if self.line.script.venue == "okx":
            data = {"instId": self.symbol, "tradeId": str(self.id), "px": price, "sz": quantity}
            data |= {"side": "buy" if is_buy else "sell", "ts": str(now if ms is None else ms), "count": "1"}
            return dump({"arg": {"channel": "trades", "instId": self.symbol}, "data": [data]})
        row = {"e": "trade", "E": now, "s": self.symbol, "t": self.id, "p": price, "q": quantity}
        row |= {"T": now if ms is None else ms, "m": not is_buy, "M": True}
        return dump({"stream": f"{self.symbol.lower()}@trade", "data": row})

    def say(self, price: str, quantity: str, *, is_buy: bool = True, ms: int | None = None) -> None:
        """Tell the next trade."""
        self.line.say(self.text(price, quantity, is_buy=is_buy, ms=ms))


def kline_line(script: Script | None = None, variant: str = "1m") -> tuple[Line, Reader, Trades]:
    line = Line(script or Binance(), channels=(), figures=QUIET)
    symbol = line.script.symbols[0]
    reader = Reader(line, symbol, KLINES, variant).follow()
    line.open()
    line.wait(500)
    return line, reader, Trades(line, symbol)


def finals(told: list[hot_pb2.Update]) -> list[market_pb2.Kline]:
    return [one.kline for one in told if one.HasField("kline") and one.kline.state == FINAL]


def last_issues(told: list[hot_pb2.Update]) -> list[market_pb2.Kline]:
    """Return each bar as it was told last, in the order of their opens."""
    bars = {kline.ts_open: kline for kline in finals(told)}
    return [bars[ts_open] for ts_open in sorted(bars)]


def test_klines_want_the_venues_trades_and_close_by_time() -> None:
    line, reader, trades = kline_line()
    assert any('"btcusdt@trade"' in command[1] for command in line.of("send"))
    reader.until(40_000)
    rows = Reader(line, trades.symbol, TRADES, "")
    trades.say("100.00", "1")
    reader.until(10)
    for price, quantity, is_buy in (("101.5", "2", True), ("103", "1", False), ("99.5", "0.5", True)):
        trades.say(price, quantity, is_buy=is_buy)
    seqs = [one.seq for one in rows.take("trade")]
    reader.until(240)
    assert finals(reader.take()) == []
    reader.until(300)
    (first,) = finals(reader.take())
    assert (first.completeness, first.trade_count) == (INCOMPLETE, 1)  # it began in its middle
    reader.until(240)
    assert finals(reader.take()) == []
    reader.until(300)
    news = finals(reader.take())
    assert len(news) == 1
    kline = news[0]
    assert kline.completeness == COMPLETE
    assert (kline.ts_close - kline.ts_open) == 60_000 * MS
    assert kline.ts_open % (60_000 * MS) == 0
    assert (kline.trade_count, kline.revision) == (3, 0)
    assert (kline.volume, kline.quote_volume, kline.taker_buy_volume) == ("3.5", "355.75", "2.5")
    assert (kline.trades_seq_first, kline.trades_seq_last) == (seqs[-3], seqs[-1])


def test_late_trade_issues_the_kline_again() -> None:
    line, reader, trades = kline_line()
    reader.until(59_000)
    trades.say("100.00", "1")
    reader.until(300)
    trades.say("100.00", "1")
    assert len(finals(reader.take())) == 1
    line.wait(500)
    trades.say("105.00", "2", ms=line.wall_ns // MS // 60_000 * 60_000 - 1)
    revised = finals(reader.take())
    assert [(kline.revision, kline.trade_count, kline.volume) for kline in revised] == [(1, 2, "3")]


def test_bars_close_also_while_the_connection_is_down_and_say_that_they_are_not_whole() -> None:
    line, reader, trades = kline_line(variant="1s")
    trades.say("100.00", "1")
    line.wait(1_300)
    trades.say("100.00", "1")
    reader.until(100, 1_000)
    trades.say("100.00", "1")
    before = last_issues(reader.take())
    line.do(line.feed.on_closed(1006, ""))
    for _ in range(40):  # nobody dials
        line.clock.advance(50 * MS)
        line.do(line.feed.on_tick())
    news = last_issues(reader.take())
    assert [kline.completeness for kline in before] == [INCOMPLETE]
    assert [kline.completeness for kline in news[-1:]] == [INCOMPLETE]
    assert news[-1].ts_close < line.wall_ns


def test_hole_in_the_trades_makes_its_bars_incomplete_and_no_others() -> None:
    line, reader, trades = kline_line(variant="1s")
    for second in range(6):
        trades.say("100.00", "1")
        trades.id += 5 * (second == 2)  # five trades are lost between the third and the fourth second
        line.wait(1_000)
    line.wait(2_000)
    whole = [kline.completeness == COMPLETE for kline in last_issues(reader.take())]
    assert whole == [False, True, False, False, True, True]


def test_trades_that_joined_over_a_reconnect_leave_the_bars_whole() -> None:
    line, reader, trades = kline_line(variant="1s")
    trades.say("100.00", "1")
    reader.until(100, 1_000)
    trades.say("100.00", "1")
    line.do(line.feed.on_closed(1006, ""))
    line.wait(300)
    assert line.is_open
    trades.say("101.00", "1")
    line.wait(2_500)
    assert [kline.completeness for kline in last_issues(reader.take())] == [INCOMPLETE, COMPLETE]


def test_bar_of_trades_already_followed_is_whole_from_its_begin() -> None:
    line = Line(Binance(), channels=(TRADES,), figures=QUIET)
    symbol = line.script.symbols[0]
    line.open()
    line.wait(500)
    trades = Trades(line, symbol)
    other = Reader(line, symbol, TRADES, "")
    other.until(59_000)
    trades.say("100.00", "1")
    other.until(1_000)
    reader = Reader(line, symbol, KLINES, "1m").follow()
    trades.say("101.00", "1")
    reader.until(500)
    assert [kline.completeness for kline in finals(reader.take())] == [COMPLETE]


def test_venue_without_trade_count_never_claims_completeness() -> None:
    line, reader, trades = kline_line(Okx(), "1s")
    for _ in range(3):
        trades.say("100.00", "1")
        line.wait(1_000)
    line.wait(1_000)
    completeness = [kline.completeness for kline in finals(reader.take())]
    assert completeness == [INCOMPLETE, market_pb2.COMPLETENESS_UNKNOWN, market_pb2.COMPLETENESS_UNKNOWN]


def test_trades_and_book_stay_when_the_last_klines_are_left() -> None:
    line = Line(Binance(), channels=(BOOK, TRADES)).live()
    symbol = line.script.symbols[0]
    reader = Reader(line, symbol, KLINES, "1m").follow()
    trades = Trades(line, symbol)
    trades.say("100.00", "1")
    sent = len(line.of("send"))
    reader.leave()
    assert reader.take("stream_state")[-1].stream_state.reason == types_pb2.STATE_REASON_UNSUBSCRIBED
    trades.say("101.00", "1")
    assert len(line.told(symbol, "trade", channel=TRADES)) == 2
    line.change(symbol)
    assert line.equals_truth(symbol)
    assert len(line.of("send")) == sent
    assert {
        (row["channel"], row["variant"]) for row in line.feed.topics() if row["symbol"] == "BTC-USDT"
    } == {
        (BOOK, ""),
        (TRADES, ""),
    }


def test_trades_serve_klines_after_their_own_subscriber_left() -> None:
    line, reader, trades = kline_line(variant="5t")
    symbol = trades.symbol
    line.do(line.feed.subscribe(symbol, TRADES))
    line.do(line.feed.unsubscribe(symbol, TRADES))
    for price in ("1", "2", "3", "4", "5", "6"):
        trades.say(price, "1")
    (kline,) = finals(reader.take())
    assert (kline.trade_count, kline.volume) == (5, "5")
    sent = len(line.of("send"))
    reader.leave()
    line.wait(1_000)
    assert any("UNSUBSCRIBE" in command[1] for command in line.of("send")[sent:])
    assert [row for row in line.feed.topics() if row["symbol"] == "BTC-USDT"] == []


def test_bars_equal_the_naive_sums_of_random_trades() -> None:
    chance = random.Random(7)
    line, reader, trades = kline_line(variant="1s")
    naive: dict[int, list[tuple[int, int]]] = {}
    reader.until(0, 1_000)
    for _ in range(600):
        line.wait(chance.choice([0, 0, 10, 30]))
        price, quantity = chance.randrange(10_000, 10_100), chance.randrange(1, 50)
        trades.say(f"{price / 100:.2f}", f"0.{quantity:02d}")
        naive.setdefault((line.wall_ns // MS) // 1_000, []).append((price, quantity))
    line.wait(3_000)
    told = {kline.ts_open // (1_000 * MS): kline for kline in finals(reader.take())}
    assert set(told) == set(naive)
    for second, rows in naive.items():
        prices, kline = [price for price, _ in rows], told[second]
        assert (kline.open, kline.high, kline.low, kline.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert kline.trade_count == len(rows)
        assert round(float(kline.volume) * 100) == sum(quantity for _, quantity in rows)
    seqs = [one.seq for one in reader.told if one.HasField("kline")]
    assert all(after == before + 1 for before, after in pairwise(seqs))


def test_variant_has_one_canonical_text() -> None:
    assert parse_variant(KLINES, "") == "1m"
    assert parse_variant(KLINES, "3600s") == "1h"
    assert parse_variant(BOOK, "25") == "25"
    for channel, text in ((KLINES, "2w"), (BOOK, "7"), (TRADES, "1m"), (99, "")):
        with pytest.raises(ValueError, match=r"variant|channel"):
            parse_variant(channel, text)


def test_klines_of_a_feed_are_named_canonically() -> None:
    line, _, _ = kline_line(variant="60s")
    assert isinstance(line.feed, Feed)
    assert EPOCH > 0
    assert ("BTC-USDT", KLINES, "1m") in {
        (row["symbol"], row["channel"], row["variant"]) for row in line.feed.topics()
    }
