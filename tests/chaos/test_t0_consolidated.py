"""Best bid and offer over venues, in virtual time: who has it, who is left out and why, on change only."""

from __future__ import annotations

import random
from typing import Final

import pytest

from datafacade._core import Clock, Consolidator, Feed, Hub
from datafacade.v1 import book_pb2, hot_pb2, types_pb2
from tests.chaos.virtual.binance import Binance
from tests.chaos.virtual.line import EPOCH, MS, START_MONO, START_WALL, TAKE_BYTES
from tests.chaos.virtual.script import dump

pytestmark = pytest.mark.chaos

TOP: Final = types_pb2.CHANNEL_TOP_OF_BOOK
JOINT: Final = types_pb2.CHANNEL_CONSOLIDATED_TOP
SYMBOL: Final = "BTC-USDT"


class Joined:
    """Binance spot and OKX behind one consolidator, and a subscriber of what it says."""

    def __init__(self) -> None:
        self.clock = Clock.manual(START_WALL, START_MONO)
        self.hub = Hub(epoch=EPOCH)
        self.consolidator = Consolidator(self.hub, self.clock, epoch=EPOCH)
        self.feeds = {name: self.made(*name.split("/")) for name in ("binance/spot", "okx/public")}
        self.number = 0
        self.subscriber = self.hub.subscriber()
        self.hub.attach(
            self.subscriber,
            "consolidated",
            SYMBOL,
            JOINT,
            "",
            start="next",
            wall_ns=START_WALL,
            request_id=1,
            subscription_id=1,
            requested_symbol=SYMBOL,
        )
        self.told: list[hot_pb2.Update] = []

    def made(self, venue: str, product: str) -> Feed:
        feed = Feed(
            venue=venue,
            product=product,
            hub=self.hub,
            clock=self.clock,
            epoch=EPOCH,
            figures=[("liveness_ms", 10_000_000), ("ping_ms", 0)],
            consolidator=self.consolidator,
        )
        if venue == "okx":
            row = {
                "instType": "SPOT",
                "instId": SYMBOL,
                "baseCcy": "BTC",
                "quoteCcy": "USDT",
                "state": "live",
            }
            row |= {"tickSz": "0.1", "lotSz": "0.00000001", "minSz": "0.00001"}
            feed.add_instruments(dump({"code": "0", "msg": "", "data": [row]}).encode())
            feed.subscribe(SYMBOL, TOP)
        else:
            feed.add_instruments(Binance().instruments())
            feed.subscribe("BTCUSDT", TOP)
        feed.start()
        return feed

    def follow(self, *venues: str) -> Joined:
        self.consolidator.follow(SYMBOL, list(venues) or ["okx", "binance"])
        return self

    def opened(self) -> Joined:
        for feed in self.feeds.values():
            feed.on_opened()
        return self

    def binance(self, bid: str, bid_qty: str, ask: str, ask_qty: str) -> None:
        self.clock.advance(MS)
        self.number += 1
        data = {"u": self.number, "s": "BTCUSDT", "b": bid, "B": bid_qty, "a": ask, "A": ask_qty}
        frame = dump({"stream": "btcusdt@bookTicker", "data": data})
        self.feeds["binance/spot"].on_frame(frame.encode(), self.clock.wall_ns())

    def okx(self, bid: str, bid_qty: str, ask: str, ask_qty: str) -> None:
        self.clock.advance(MS)
        self.number += 1
        data = {"asks": [[ask, ask_qty, "0", "1"]], "bids": [[bid, bid_qty, "0", "1"]]}
        data |= {"ts": str(self.clock.wall_ns() // MS), "seqId": self.number}  # type: ignore[dict-item]
        frame = dump({"arg": {"channel": "bbo-tbt", "instId": SYMBOL}, "data": [data]})
        self.feeds["okx/public"].on_frame(frame.encode(), self.clock.wall_ns())

    def take(self) -> list[hot_pb2.Update]:
        news: list[hot_pb2.Update] = []
        now = self.clock.monotonic_ns()
        while (taken := self.hub.take(self.subscriber, TAKE_BYTES, monotonic_ns=now))[0]:
            news += hot_pb2.HotSubscribeResponse.FromString(taken[0]).updates
        self.told += news
        return news

    def tops(self) -> list[hot_pb2.Update]:
        """Return the tops told since the last call."""
        return [one for one in self.take() if one.HasField("consolidated_top")]


def side(update: hot_pb2.Update, quote: book_pb2.ConsolidatedQuote) -> tuple[str, float, float]:
    price, quantity = 10.0**update.price_exponent, 10.0**update.quantity_exponent
    return quote.venue, round(quote.price * price, 8), round(quote.quantity * quantity, 8)


def out(update: hot_pb2.Update) -> dict[str, str]:
    return {one.venue: one.reason for one in update.consolidated_top.left_out}


def test_each_side_names_its_venue_and_times() -> None:
    joined = Joined().opened().follow()
    joined.binance("100", "1", "102", "2")
    at_binance = joined.clock.wall_ns()
    joined.okx("99", "3", "101.5", "4")
    last = joined.tops()[-1]
    top = last.consolidated_top
    assert side(last, top.bid) == ("binance", 100.0, 1.0)
    assert side(last, top.ask) == ("okx", 101.5, 4.0)
    assert out(last) == {}
    assert (top.bid.ts_event, top.bid.ts_recv) == (0, at_binance)
    assert top.ask.ts_recv == joined.clock.wall_ns()
    assert top.ask.ts_event == joined.clock.wall_ns() // MS * MS
    assert (last.venue, last.symbol, last.channel) == ("consolidated", SYMBOL, JOINT)


def test_top_is_told_on_change_only() -> None:
    joined = Joined().opened().follow()
    joined.binance("100", "1", "102", "2")
    joined.okx("99", "1", "103", "1")
    joined.take()
    joined.okx("98", "5", "104", "5")  # worse on both sides: nothing changes
    joined.binance("100", "1", "102", "2")  # said again
    assert joined.take() == []
    joined.binance("100", "1.5", "102", "2")
    assert len(joined.tops()) == 1


def test_equal_prices_prefer_the_larger_quantity_then_the_name() -> None:
    joined = Joined().opened().follow()
    joined.binance("100", "1", "102", "2")
    joined.okx("100.0", "3", "102.0", "2")
    last = joined.tops()[-1]
    assert side(last, last.consolidated_top.bid) == ("okx", 100.0, 3.0)
    assert side(last, last.consolidated_top.ask) == ("binance", 102.0, 2.0)


def test_venue_that_may_not_be_used_is_left_out_with_its_reason() -> None:
    joined = Joined().opened().follow()
    joined.binance("100", "1", "102", "2")
    joined.okx("101", "1", "103", "1")
    assert out(joined.tops()[-1]) == {}
    joined.okx("104", "1", "103", "1")
    crossed = joined.tops()[-1]
    assert out(crossed) == {"okx": "CROSSED"}
    assert side(crossed, crossed.consolidated_top.bid)[0] == "binance"
    joined.okx("101", "1", "103", "1")
    assert out(joined.tops()[-1]) == {}
    joined.feeds["okx/public"].on_closed(1006)
    assert out(joined.tops()[-1]) == {"okx": "DOWN"}
    joined.feeds["binance/spot"].on_closed(1006)
    last = joined.take()[-2:]
    assert out(last[0]) == {"binance": "DOWN", "okx": "DOWN"}
    assert not last[0].consolidated_top.HasField("bid")
    assert last[1].stream_state.state == types_pb2.STATE_STALE


def test_price_from_before_a_reconnect_never_comes_back() -> None:
    joined = Joined().opened().follow()
    joined.binance("100", "1", "102", "2")
    joined.okx("101", "1", "103", "1")
    joined.take()
    feed = joined.feeds["okx/public"]
    feed.on_closed(1006)
    feed.on_opened()
    ack = {"event": "subscribe", "arg": {"channel": "bbo-tbt", "instId": SYMBOL}, "connId": "a"}
    feed.on_frame(dump(ack).encode(), joined.clock.wall_ns())
    assert all(one.consolidated_top.bid.venue == "binance" for one in joined.tops())
    joined.okx("101", "1", "103", "1")
    assert joined.tops()[-1].consolidated_top.bid.venue == "okx"


def test_top_over_venues_may_be_crossed_since_that_is_news() -> None:
    joined = Joined().opened().follow()
    joined.binance("100", "1", "101", "2")
    joined.okx("102", "1", "103", "1")
    last = joined.tops()[-1]
    assert side(last, last.consolidated_top.bid) == ("okx", 102.0, 1.0)
    assert side(last, last.consolidated_top.ask) == ("binance", 101.0, 2.0)
    assert out(last) == {}


def test_follow_after_the_prices_came_tells_them_at_once() -> None:
    joined = Joined().opened()
    joined.binance("100", "1", "102", "2")
    joined.follow()
    joined.clock.advance(50 * MS)
    for feed in joined.feeds.values():
        feed.on_tick()
    last = joined.tops()[-1]
    assert side(last, last.consolidated_top.bid) == ("binance", 100.0, 1.0)
    assert out(last) == {"okx": "SYNCING"}


def test_venue_that_no_feed_follows_is_named() -> None:
    joined = Joined().opened().follow("binance", "kraken")
    joined.binance("100", "1", "102", "2")
    joined.okx("101", "1", "101.5", "1")  # no part of this symbol
    last = joined.tops()[-1]
    assert out(last) == {"kraken": "NOT_FOLLOWED"}
    assert side(last, last.consolidated_top.bid)[0] == "binance"


def test_topic_has_states_beats_when_silent_and_ends() -> None:
    joined = Joined().opened().follow()
    joined.binance("100", "1", "102", "2")
    states = [one.stream_state.state for one in joined.take() if one.HasField("stream_state")]
    assert states[0] == types_pb2.STATE_SYNCING
    assert states[-1] == types_pb2.STATE_LIVE
    for _ in range(3):  # at once it would be a pause
        joined.clock.advance(550 * MS)
        for feed in joined.feeds.values():
            feed.on_tick()
    assert len([one for one in joined.take() if one.HasField("heartbeat")]) == 1
    joined.consolidator.leave(SYMBOL)
    assert [one.stream_state.reason for one in joined.take()] == [types_pb2.STATE_REASON_UNSUBSCRIBED]
    joined.binance("105", "1", "106", "2")
    assert joined.take() == []
    seqs = [
        one.seq for one in joined.told if one.HasField("consolidated_top") or one.HasField("stream_state")
    ]
    assert seqs == list(range(1, len(seqs) + 1))


def test_consolidated_top_equals_the_naive_best_of_random_quotes() -> None:
    chance = random.Random(11)
    joined = Joined().opened().follow()
    held: dict[str, tuple[float, float, float, float]] = {}
    for _ in range(500):
        bid, ask = sorted(chance.sample(range(1_000, 1_030), 2))
        quantities = chance.randrange(1, 9), chance.randrange(1, 9)
        venue = chance.choice(("binance", "okx"))
        getattr(joined, venue)(f"{bid / 10}", str(quantities[0]), f"{ask / 10}", str(quantities[1]))
        held[venue] = (bid / 10, float(quantities[0]), ask / 10, float(quantities[1]))
        joined.tops()
        told = [one for one in joined.told if one.HasField("consolidated_top")][-1]
        bids = sorted((-row[0], -row[1], name) for name, row in held.items())
        asks = sorted((row[2], -row[3], name) for name, row in held.items())
        assert side(told, told.consolidated_top.bid) == (bids[0][2], -bids[0][0], -bids[0][1])
        assert side(told, told.consolidated_top.ask) == (asks[0][2], asks[0][0], -asks[0][1])
