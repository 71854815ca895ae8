"""Coinbase Advanced Trade on the wire.

Source: venues/coinbase.md part A, 2026-08-22. What is not modelled: candles, status, logins
(docs/simulator.md).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from datafacade.sim import coinbase_advanced_texts as texts
from datafacade.sim.books import Change
from datafacade.sim.coinbase_advanced_rest import AdvancedRest
from datafacade.sim.coinbase_times import go_time, rfc3339
from datafacade.sim.connection import Connection
from datafacade.sim.frames import Frame, Topic, trade_facts
from datafacade.sim.limits import ConnectionRules
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade
from datafacade.sim.venue import NotModelled, Surroundings

CHANNELS: Final[dict[str, Topic]] = {
    "heartbeats": "heartbeat",
    "level2": "book",
    "market_trades": "trades",
    "ticker": "ticker",
    "ticker_batch": "ticker",
    "candles": "ticker",
    "status": "ticker",
}
TRADES_NS: Final = 250_000_000
BEAT_NS: Final = 1_000_000_000
TICKER_BATCH_NS: Final = 5_000_000_000
QUIET_NS: Final = 75_000_000_000  # a connection without heartbeats and updates ends after 60 to 90 s
SNAPSHOT_TRADES: Final = 100
UPTIME_NS: Final = 912_345_678_901_234  # of the gateway when the simulator starts
RULES: Final = ConnectionRules(attempts=8, attempts_span_s=1, messages=8, subscribe_within_s=5)


@dataclass(slots=True)
class Session:
    """Subscribed products by channel, in the client's spelling."""

    channels: dict[str, dict[str, None]] = field(default_factory=dict)
    data_ns: int = field(default_factory=time.monotonic_ns)


class CoinbaseAdvanced:
    """Coinbase Advanced Trade market data."""

    def __init__(self, markets: Mapping[str, Market], around: Surroundings) -> None:
        self.product: ProductKey = "coinbase/advanced"
        self.rules = RULES
        self.markets = markets
        self._around = around
        self._sessions: dict[Connection, Session] = {}
        self._listeners: dict[tuple[str, str], dict[Connection, None]] = {}
        self._changes: dict[str, list[Change]] = {}  # of this tick, by symbol
        self._trades: dict[str, list[Trade]] = {}  # since the last batch, by symbol
        self._beats = 3_048
        self._snapshots = 0
        now = time.monotonic_ns()
        self._trades_due = self._beat_due = self._ticker_due = now
        self.rest = AdvancedRest(markets)

    def accepts(self, path: str) -> bool:
        """Grant the root path."""
        return urlsplit(path).path in ("", "/")

    def new_session(self, path: str) -> Session:
        """Return an empty session."""
        del path
        return Session()

    def opened(self, connection: Connection) -> None:
        """Wait for a subscription."""
        self._sessions[connection] = connection.session_as(Session)

    def closed(self, connection: Connection) -> None:
        """Forget all its subscriptions."""
        self._sessions.pop(connection, None)
        for listeners in self._listeners.values():
            listeners.pop(connection, None)

    # Subscriptions

    def _resolve(self, symbol: str) -> str | None:
        """Return the product that delivers ``symbol``: ``BTC-USDC`` is told as ``BTC-USD``."""
        if symbol in self.markets:
            return symbol
        alias = symbol.removesuffix("-USDC") + "-USD" if symbol.endswith("-USDC") else ""
        return alias if alias in self.markets else None

    def received(self, connection: Connection, text: str) -> None:
        """Answer a subscribe or unsubscribe."""
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("type") not in ("subscribe", "unsubscribe"):
            self._error(connection, "failure to subscribe", "invalid message")
            return
        channel, symbols = str(body.get("channel", "")), body.get("product_ids") or []
        if channel not in CHANNELS:
            self._error(connection, "failure to subscribe", "channel does not exist")
            return
        wanted = [str(symbol) for symbol in symbols] if isinstance(symbols, list) else []
        if body["type"] == "unsubscribe":
            self._unsubscribe(connection, channel, wanted)
            return
        unknown = [symbol for symbol in wanted if self._resolve(symbol) is None]
        if unknown:
            self._error(connection, "failure to subscribe", f"{unknown[0]} is not a valid product")
            return
        self._subscribe(connection, channel, wanted)

    def _subscribe(self, connection: Connection, channel: str, wanted: Sequence[str]) -> None:
        connection.has_subscribed = True
        delivered = [self._resolve(symbol) or symbol for symbol in wanted]
        for symbol in delivered or [""]:
            match self._around.subscription_fault(connection, symbol or None, channel, CHANNELS[channel]):
                case "no_ack":
                    return
                case "reject":
                    self._error(connection, "failure to subscribe", f"{symbol} is not a valid product")
                    return
        held = connection.session_as(Session).channels.setdefault(channel, {})
        held.update(dict.fromkeys(wanted or [channel]))
        self._snapshots += 1
        is_late = self._around.has_oddities and self._snapshots % 2 == 0  # data may come before the ack
        if not is_late:
            self._ack(connection)
        for symbol in delivered or [""]:
            self._listeners.setdefault((channel, symbol), {})[connection] = None
            if symbol:
                self._greet(connection, channel, self.markets[symbol])
        if is_late:
            self._ack(connection)

    def _unsubscribe(self, connection: Connection, channel: str, wanted: Sequence[str]) -> None:
        held = connection.session_as(Session).channels.get(channel, {})
        for symbol in list(wanted or held):
            held.pop(symbol, None)
            self._listeners.get((channel, self._resolve(symbol) or ""), {}).pop(connection, None)
        if not held:
            connection.session_as(Session).channels.pop(channel, None)
        self._ack(connection)

    def _ack(self, connection: Connection) -> None:
        """Tell the complete set of subscriptions; the message counts like any other."""
        channels = connection.session_as(Session).channels
        held = {channel: list(symbols) for channel, symbols in sorted(channels.items())}
        text = texts.envelope("subscriptions", texts.dump({"subscriptions": held}), time.time_ns())
        self._around.say(connection, text, channel="subscriptions", is_numbered=True)

    def _error(self, connection: Connection, message: str, reason: str) -> None:
        self._around.say(connection, texts.dump({"type": "error", "message": message, "reason": reason}))

    # Market data

    def _greet(self, connection: Connection, channel: str, market: Market) -> None:
        send = self._around.outlet.send
        if channel == "level2":
            send(connection, self._snapshot(market))
        elif channel == "market_trades":
            send(connection, self._trades_frame(market, "snapshot", list(market.trades)[-SNAPSHOT_TRADES:]))
        elif channel in ("ticker", "ticker_batch"):
            send(connection, self._ticker_frame(channel, market, "snapshot"))

    def _snapshot(self, market: Market) -> Frame:
        book = market.book
        rows: list[Change] = [("b", price, quantity) for price, quantity in book.bids.top()]
        rows += [("a", price, quantity) for price, quantity in book.asks.top()]
        event_time = texts.EPOCH if self._snapshots % 2 else rfc3339(time.time_ns())
        return self._level2_frame(market, "snapshot", rows, event_time, is_forced=True)

    def _level2_frame(
        self, market: Market, kind: str, rows: Sequence[Change], event_time: str, *, is_forced: bool = False
    ) -> Frame:
        listed, now_ns = market.instrument, time.time_ns()

        def encode(rows: Sequence[Change]) -> str:
            parts = [rows]
            if kind == "update" and self._around.has_oddities and now_ns % 7 == 0 and len(rows) > 1:
                parts = [rows[:1], rows[1:]]  # one frame may hold several events
            events = ",".join(texts.level2_event(listed, kind, part, event_time) for part in parts)
            return texts.envelope("l2_data", events, now_ns)

        key = f"{self.product}:{listed.venue_symbol}"
        return Frame(
            text=encode(rows),
            topic="book",
            kind="snapshot" if kind == "snapshot" else "update",
            channel="l2_data",
            symbol=listed.venue_symbol,
            is_numbered=True,
            rows=rows,
            encode=encode,
            book=market.book,
            digest=self._around.digester.take(key, market.book, is_forced=is_forced),
        )

    def changed(self, market: Market, changes: Sequence[Change], trades: Sequence[Trade]) -> None:
        """Tell the book at once; trades wait for their batch."""
        symbol = market.instrument.venue_symbol
        if trades:
            self._trades.setdefault(symbol, []).extend(trades)
            listeners = self._listeners.get(("ticker", symbol))
            if listeners:
                self._tell(listeners, self._ticker_frame("ticker", market, "update"))
        if changes:
            self._changes.setdefault(symbol, []).extend(changes)
            self._flush(market)

    def _flush(self, market: Market) -> None:
        """Send the changes that were not told yet."""
        symbol = market.instrument.venue_symbol
        rows = self._changes.pop(symbol, [])
        listeners = self._listeners.get(("level2", symbol))
        if not rows or not listeners:
            return
        if self._around.has_oddities and market.steps % 29 == 0:
            rows = [*rows, *_unknown_delete(market)]
        self._tell(listeners, self._level2_frame(market, "update", rows, rfc3339(time.time_ns())))

    def _trades_frame(self, market: Market, kind: str, trades: Sequence[Trade]) -> Frame:
        def tell(trades: Sequence[Trade]) -> str:
            event = texts.trades_event(market.instrument, kind, trades)
            return texts.envelope("market_trades", event, time.time_ns())

        return Frame(
            text=tell(trades),
            topic="trades",
            kind="snapshot" if kind == "snapshot" else "update",
            channel="market_trades",
            symbol=market.instrument.venue_symbol,
            is_numbered=True,
            trades=trade_facts(market, trades),
            traded=trades,
            tell=tell,
        )

    def _ticker_frame(self, channel: str, market: Market, kind: str) -> Frame:
        event = texts.ticker_event(market, kind, has_best=channel == "ticker")
        return Frame(
            text=texts.envelope(channel, event, time.time_ns()),
            topic="ticker",
            kind="snapshot" if kind == "snapshot" else "update",
            channel=channel,
            symbol=market.instrument.venue_symbol,
            is_numbered=True,
        )

    def _tell(self, listeners: Mapping[Connection, None], frame: Frame) -> None:
        now = time.monotonic_ns()
        for connection in list(listeners):
            connection.session_as(Session).data_ns = now
            self._around.outlet.send(connection, frame)

    def tick(self, now_ns: int) -> None:
        """Send trade batches, heartbeats and ticker batches that are due; end channels that fell silent."""
        if now_ns >= self._trades_due:
            self._trades_due = max(self._trades_due + TRADES_NS, now_ns)
            waiting, self._trades = self._trades, {}
            for symbol, trades in waiting.items():
                listeners = self._listeners.get(("market_trades", symbol))
                if listeners:
                    self._tell(listeners, self._trades_frame(self.markets[symbol], "update", trades))
        if now_ns >= self._beat_due:
            self._beat_due = max(self._beat_due + BEAT_NS, now_ns)
            self._beat(now_ns)
        if now_ns >= self._ticker_due:
            self._ticker_due = max(self._ticker_due + TICKER_BATCH_NS, now_ns)
            for symbol, market in self.markets.items():
                listeners = self._listeners.get(("ticker_batch", symbol))
                if listeners:
                    self._tell(listeners, self._ticker_frame("ticker_batch", market, "update"))

    def _beat(self, now_ns: int) -> None:
        self._beats += 1
        wall = time.time_ns()
        event = texts.dump(
            {"current_time": go_time(wall, UPTIME_NS + now_ns), "heartbeat_counter": self._beats}
        )
        frame = Frame(
            text=texts.envelope("heartbeats", event, wall),
            topic="heartbeat",
            kind="update",
            channel="heartbeats",
            is_numbered=True,
        )
        self._tell(self._listeners.get(("heartbeats", ""), {}), frame)
        for connection, session in list(self._sessions.items()):
            if session.channels and now_ns - session.data_ns > QUIET_NS:
                connection.close(1001, "no updates", "venue")

    # Verbs

    def announce_shutdown(self, connection: Connection) -> None:
        """Refuse: no such notice is known."""
        del connection
        raise NotModelled("coinbase/advanced gives no notice of a shutdown")

    def reset_sequence(self, symbol: str | None, connection: Connection | None) -> int:
        """Let ``sequence_num`` start at 0 again on one connection or all."""
        del symbol
        wanted = [connection] if connection is not None else list(self._sessions)
        for each in wanted:
            each.next_number = 0
        return len(wanted)

    def keep_alive(self, symbol: str | None) -> int:
        """Refuse: heartbeats do that here."""
        raise NotModelled(
            f"coinbase/advanced sends no keep-alive updates (asked for {symbol or 'all symbols'})"
        )


def _unknown_delete(market: Market) -> list[Change]:
    """Return the deletion of a price that nobody holds."""
    ladder = market.book.bids
    price = ladder.price_at(len(ladder) // 2) - 1
    return [] if price in ladder.quantities else [("b", price, 0)]
