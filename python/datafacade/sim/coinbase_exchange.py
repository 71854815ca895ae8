"""Coinbase Exchange on the wire.

Source: venues/coinbase.md part B, 2026-08-22; a recording of 2021-04. What is not modelled: full, level3,
auctions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final
from urllib.parse import urlsplit

from datafacade.sim import coinbase_exchange_texts as texts
from datafacade.sim.books import Change, net
from datafacade.sim.coinbase_exchange_rest import ExchangeRest
from datafacade.sim.coinbase_times import rfc3339
from datafacade.sim.connection import Connection
from datafacade.sim.frames import Frame, Kind, Topic, trade_facts
from datafacade.sim.limits import ConnectionRules
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade
from datafacade.sim.venue import NotModelled, Surroundings

TOPICS: Final[dict[str, Topic]] = {
    "level2_50": "book",
    "matches": "trades",
    "ticker": "ticker",
    "ticker_batch": "ticker",
    "heartbeat": "heartbeat",
    "status": "control",
}
CANONICAL: Final = {"level2_batch": "level2_50"}  # the ack tells another name than was asked for
NEEDS_LOGIN: Final = frozenset({"level2", "full", "level3", "user", "balance"})
BATCH_NS: Final = 50_000_000
BEAT_NS: Final = 1_000_000_000
RULES: Final = ConnectionRules(attempts=20, attempts_span_s=1, messages=100, subscribe_within_s=5)


@dataclass(slots=True)
class Session:
    """Subscribed products by canonical channel name."""

    channels: dict[str, dict[str, None]] = field(default_factory=dict)


@dataclass(slots=True)
class Feed:
    """What is told of one product."""

    market: Market
    sequence: int  # of the product, told by matches, tickers and heartbeats
    changes: list[Change] = field(default_factory=list)  # since the last batch


class CoinbaseExchange:
    """Coinbase Exchange market data."""

    def __init__(self, markets: Mapping[str, Market], around: Surroundings, *, seed: int) -> None:
        self.product: ProductKey = "coinbase/exchange"
        self.rules = RULES
        self.markets = markets
        self._around = around
        start = Random(f"{seed}:exchange-sequence")
        self._feeds = {
            symbol: Feed(market, start.randrange(10**8, 10**11)) for symbol, market in markets.items()
        }
        self._listeners: dict[tuple[str, str], dict[Connection, None]] = {}
        self._batch_due = self._beat_due = time.monotonic_ns()
        self.rest = ExchangeRest(markets, dict(self._feeds))

    def accepts(self, path: str) -> bool:
        """Grant the root path."""
        return urlsplit(path).path in ("", "/")

    def new_session(self, path: str) -> Session:
        """Return an empty session."""
        del path
        return Session()

    def opened(self, connection: Connection) -> None:
        """Wait for a subscription."""

    def closed(self, connection: Connection) -> None:
        """Forget all its subscriptions."""
        for listeners in self._listeners.values():
            listeners.pop(connection, None)

    # Subscriptions

    def received(self, connection: Connection, text: str) -> None:
        """Answer a subscribe or unsubscribe."""
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("type") not in ("subscribe", "unsubscribe"):
            self._error(
                connection,
                "Malformed JSON" if body is None else "Type has to be either subscribe or unsubscribe",
            )
            return
        wanted = _wanted(body)
        fault = self._refusal(wanted)
        if fault is not None:
            self._error(connection, fault)
            return
        is_subscribe = body["type"] == "subscribe"
        held = connection.session_as(Session).channels
        fresh: list[tuple[str, str]] = []
        for channel, symbol in wanted:
            if is_subscribe:
                match self._around.subscription_fault(connection, symbol, channel, TOPICS[channel]):
                    case "no_ack":
                        return
                    case "reject":
                        self._error(connection, f"{symbol} is not a valid product")
                        return
                self._flush(self._feeds[symbol])  # what happened before belongs into the snapshot
                held.setdefault(channel, {})[symbol] = None
                self._listeners.setdefault((channel, symbol), {})[connection] = None
                fresh.append((channel, symbol))
            else:
                held.get(channel, {}).pop(symbol, None)
                self._listeners.get((channel, symbol), {}).pop(connection, None)
        connection.has_subscribed = connection.has_subscribed or bool(fresh)
        self._ack(connection)
        for channel, symbol in fresh:
            self._greet(connection, channel, self._feeds[symbol])

    def _refusal(self, wanted: Sequence[tuple[str, str]]) -> str | None:
        for channel, symbol in wanted:
            if channel in NEEDS_LOGIN:
                return f"{channel} requires authentication"
            if channel not in TOPICS:
                return f"{channel} is not a valid channel"
            if symbol not in self.markets:
                return f"{symbol} is not a valid product"
        return None if wanted else "no channels given"

    def _ack(self, connection: Connection) -> None:
        held = connection.session_as(Session).channels
        rows = [
            {"name": channel, "product_ids": list(symbols)} for channel, symbols in held.items() if symbols
        ]
        self._around.say(
            connection, texts.dump({"type": "subscriptions", "channels": rows}), channel="subscriptions"
        )

    def _error(self, connection: Connection, reason: str) -> None:
        self._around.say(
            connection, texts.dump({"type": "error", "message": "Failed to subscribe", "reason": reason})
        )

    def _greet(self, connection: Connection, channel: str, feed: Feed) -> None:
        market = feed.market
        send = self._around.outlet.send
        if channel == "level2_50":
            send(connection, self._book_frame(feed, "snapshot", _levels(market)))
        elif channel == "matches" and market.trades:
            trade = market.trades[-1]
            text = texts.match("last_match", market.instrument, trade, feed.sequence)
            send(
                connection,
                self._frame(market, text, "matches", "snapshot", sequence=[trade.trade_id], trades=[trade]),
            )
        elif channel.startswith("ticker") and market.trades:
            send(connection, self._ticker_frame(feed, market.trades[-1]))

    # Market data

    def _frame(
        self,
        market: Market,
        text: str,
        channel: str,
        kind: Kind,
        *,
        sequence: int | Sequence[int] | None = None,
        trades: Sequence[Trade] | None = None,
    ) -> Frame:
        return Frame(
            text=text,
            topic=TOPICS[channel],
            kind=kind,
            channel=channel,
            symbol=market.instrument.venue_symbol,
            sequence=sequence,
            trades=None if trades is None else trade_facts(market, trades),
        )

    def _book_frame(self, feed: Feed, kind: Kind, rows: Sequence[Change]) -> Frame:
        market, listed = feed.market, feed.market.instrument
        now = rfc3339(time.time_ns())

        def encode(rows: Sequence[Change]) -> str:
            return texts.snapshot(listed, rows) if kind == "snapshot" else texts.l2update(listed, rows, now)

        key = f"{self.product}:{listed.venue_symbol}"
        return Frame(
            text=encode(rows),
            topic="book",
            kind=kind,
            channel="level2_50",
            symbol=listed.venue_symbol,
            rows=rows,
            encode=encode,
            book=market.book,
            digest=self._around.digester.take(key, market.book, is_forced=kind == "snapshot"),
        )

    def _ticker_frame(self, feed: Feed, trade: Trade) -> Frame:
        text = texts.ticker(feed.market, trade, feed.sequence)
        return self._frame(feed.market, text, "ticker", "update", sequence=[trade.trade_id])

    def _match_frame(self, feed: Feed, trade: Trade) -> Frame:
        market, sequence = feed.market, feed.sequence

        def tell(trades: Sequence[Trade]) -> str:
            return texts.match("match", market.instrument, trades[0], sequence)

        frame = self._frame(
            market, tell([trade]), "matches", "update", sequence=[trade.trade_id], trades=[trade]
        )
        return replace(frame, traded=[trade], tell=tell)

    def changed(self, market: Market, changes: Sequence[Change], trades: Sequence[Trade]) -> None:
        """Tell trades at once; the book waits for its 50 ms batch."""
        symbol = market.instrument.venue_symbol
        feed = self._feeds[symbol]
        feed.changes.extend(changes)
        feed.sequence += len(changes) + len(trades)
        for trade in trades:
            listeners = self._listeners.get(("matches", symbol))
            if listeners:
                self._around.outlet.broadcast(list(listeners), self._match_frame(feed, trade))
            listeners = self._listeners.get(("ticker", symbol))
            if listeners:
                self._around.outlet.broadcast(list(listeners), self._ticker_frame(feed, trade))

    def _flush(self, feed: Feed) -> None:
        """Send the changes that were not told yet, in one message."""
        rows, feed.changes = net(feed.changes), []
        listeners = self._listeners.get(("level2_50", feed.market.instrument.venue_symbol))
        if rows and listeners:
            self._around.outlet.broadcast(list(listeners), self._book_frame(feed, "update", rows))

    def tick(self, now_ns: int) -> None:
        """Send the batches and heartbeats that are due."""
        if now_ns >= self._batch_due:
            self._batch_due = max(self._batch_due + BATCH_NS, now_ns)
            for feed in self._feeds.values():
                self._flush(feed)
        if now_ns >= self._beat_due:
            self._beat_due = max(self._beat_due + BEAT_NS, now_ns)
            now = rfc3339(time.time_ns())
            for symbol, feed in self._feeds.items():
                listeners = self._listeners.get(("heartbeat", symbol))
                if listeners:
                    last = feed.market.trade_id
                    text = texts.heartbeat(symbol, feed.sequence, last, now)
                    frame = self._frame(feed.market, text, "heartbeat", "update", sequence=feed.sequence)
                    self._around.outlet.broadcast(list(listeners), frame)

    # Verbs

    def announce_shutdown(self, connection: Connection) -> None:
        """Refuse: no such notice is known."""
        del connection
        raise NotModelled("coinbase/exchange gives no notice of a shutdown")

    def reset_sequence(self, symbol: str | None, connection: Connection | None) -> int:
        """Refuse: the level 2 feed has no sequence numbers."""
        del symbol, connection
        raise NotModelled("coinbase/exchange has no sequence numbers on its level 2 feed")

    def keep_alive(self, symbol: str | None) -> int:
        """Refuse: heartbeats do that here."""
        raise NotModelled(
            f"coinbase/exchange sends no keep-alive updates (asked for {symbol or 'all symbols'})"
        )


def _wanted(body: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the (canonical channel, product) pairs of a request; a channel may bring its own products."""
    shared = body.get("product_ids") or []
    pairs: list[tuple[str, str]] = []
    channels = body.get("channels") or []
    for item in channels if isinstance(channels, list) else []:
        name = item.get("name") if isinstance(item, dict) else item
        symbols = (item.get("product_ids") or shared) if isinstance(item, dict) else shared
        channel = CANONICAL.get(str(name), str(name))
        pairs += [(channel, str(symbol)) for symbol in (symbols if isinstance(symbols, list) else [])]
    return pairs


def _levels(market: Market) -> list[Change]:
    """Return the whole book as changes."""
    rows: list[Change] = [("b", price, quantity) for price, quantity in market.book.bids.top()]
    return rows + [("a", price, quantity) for price, quantity in market.book.asks.top()]
