"""Kraken spot WebSocket v2 on the wire.

Source: venues/kraken.md, 2026-05-27. What is not modelled: ohlc, level 3, v1, futures (docs/simulator.md).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import urlsplit

from datafacade.sim import kraken_texts as texts
from datafacade.sim.books import Change, kraken_checksum_of
from datafacade.sim.connection import Connection
from datafacade.sim.frames import Frame, Kind, Topic, trade_facts
from datafacade.sim.kraken_requests import Asked, Refusal, ack, parse, refusal
from datafacade.sim.kraken_rest import KrakenRest
from datafacade.sim.kraken_times import stamp
from datafacade.sim.limits import ConnectionRules
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade
from datafacade.sim.venue import NotModelled, Surroundings
from datafacade.sim.windows import Window, vacant_price

TOPICS: Final[dict[str, Topic]] = {
    "book": "book",
    "trade": "trades",
    "ticker": "ticker",
    "instrument": "control",
    "status": "control",
}
BEAT_NS: Final = 1_000_000_000
SNAPSHOT_TRADES: Final = 50
RULES: Final = ConnectionRules(attempts=150, attempts_span_s=600, ban_s=600, idle_s=60)


@dataclass(slots=True)
class Session:
    """Subscriptions: (channel, symbol) with its depth or trigger."""

    held: dict[tuple[str, str], Asked] = field(default_factory=dict)


class Kraken:
    """Kraken spot market data."""

    def __init__(self, markets: Mapping[str, Market], around: Surroundings, *, seed: int) -> None:
        self.product: ProductKey = "kraken/spot"
        self.rules = RULES
        self.markets = markets
        self._around = around
        self._random = Random(f"{seed}:kraken-style")
        self._ids = Random(f"{seed}:kraken-connections")
        self._sessions: dict[Connection, Session] = {}
        self._windows: dict[tuple[str, int], Window] = {}
        self._books: dict[tuple[str, int], dict[Connection, None]] = {}
        self._listeners: dict[tuple[str, str], dict[Connection, None]] = {}
        self._best: dict[str, tuple[int, int]] = {}
        self.rest = KrakenRest(markets)

    # Connections

    def accepts(self, path: str) -> bool:
        """Grant the v2 path."""
        return urlsplit(path).path == "/v2"

    def new_session(self, path: str) -> Session:
        """Return an empty session."""
        del path
        return Session()

    def opened(self, connection: Connection) -> None:
        """Send the status, whose connection id exceeds 2^63."""
        self._sessions[connection] = connection.session_as(Session)
        number = 2**63 + self._ids.randrange(2**62)
        body = {"api_version": "v2", "connection_id": number, "system": "online", "version": "2.0.0"}
        self._around.say(connection, texts.dump({"channel": "status", "type": "update", "data": [body]}))

    def closed(self, connection: Connection) -> None:
        """Forget all its subscriptions."""
        self._sessions.pop(connection, None)
        for listeners in (*self._listeners.values(), *self._books.values()):
            listeners.pop(connection, None)
        self._drop_windows()

    def _drop_windows(self) -> None:
        """Forget the windows that nobody looks through any more."""
        for key in [key for key, listeners in self._books.items() if not listeners]:
            del self._books[key], self._windows[key]

    # Requests

    def received(self, connection: Connection, text: str) -> None:
        """Answer a ping, subscribe or unsubscribe."""
        time_in = stamp(time.time_ns())
        try:
            request = parse(text)
        except Refusal as refused:
            self._around.say(connection, refusal(refused, time_in))
            return
        if request.method == "ping":
            tail = f'"time_in":"{time_in}","time_out":"{stamp(time.time_ns())}"'
            id_ = "" if request.id is None else f'"req_id":{request.id},'
            text = f'{{"method":"pong",{id_}{tail}}}'
            self._around.outlet.send(
                connection, Frame(text=text, topic="heartbeat", kind="notice", channel="pong")
            )
            return
        for asked in request.items:
            if request.method == "subscribe":
                self._subscribe(connection, asked, request.id, time_in)
            else:
                self._unsubscribe(connection, asked, request.id, time_in)

    def _subscribe(self, connection: Connection, asked: Asked, id_: int | None, time_in: str) -> None:
        fault = self._around.subscription_fault(
            connection, asked.symbol or None, asked.channel, TOPICS.get(asked.channel, "control")
        )
        if fault == "no_ack":
            return
        problem = self._problem(connection, asked)
        if fault == "reject":
            problem = f"Currency pair not supported {asked.symbol}"
        if problem is not None:
            refused = Refusal(problem, method="subscribe", symbol=asked.symbol, id_=id_)
            self._around.say(connection, refusal(refused, time_in))
            return
        key = (asked.channel, asked.symbol)
        connection.session_as(Session).held[key] = asked
        connection.has_subscribed = True
        self._around.say(connection, ack("subscribe", asked, id_, time_in), channel=asked.channel)
        self._greet(connection, asked)

    def _problem(self, connection: Connection, asked: Asked) -> str | None:
        if asked.channel not in TOPICS:
            return f"Channel not supported {asked.channel}"
        if asked.channel in ("instrument", "status"):
            return None
        if asked.symbol not in self.markets:
            return f"Currency pair not supported {asked.symbol}"
        if asked.channel == "book" and not asked.has_legal_depth():
            return "Subscription depth not supported"
        if (asked.channel, asked.symbol) in connection.session_as(Session).held:
            return "Already subscribed"
        return None

    def _unsubscribe(self, connection: Connection, asked: Asked, id_: int | None, time_in: str) -> None:
        key = (asked.channel, asked.symbol)
        held = connection.session_as(Session).held.get(key)
        if held is None or (asked.channel == "book" and held.depth != asked.depth):
            refused = Refusal("Subscription Not Found", method="unsubscribe", symbol=asked.symbol, id_=id_)
            self._around.say(connection, refusal(refused, time_in))
            return
        del connection.session_as(Session).held[key]
        self._listeners.get(key, {}).pop(connection, None)
        self._books.get((asked.symbol, asked.depth), {}).pop(connection, None)
        self._drop_windows()
        self._around.say(connection, ack("unsubscribe", asked, id_, time_in), channel=asked.channel)

    def _greet(self, connection: Connection, asked: Asked) -> None:
        """Send the snapshot of a new subscription."""
        send = self._around.outlet.send
        if asked.channel == "instrument":
            self._around.say(connection, texts.instruments(list(self.markets.values())), channel="instrument")
            return
        market = self.markets.get(asked.symbol)
        if market is None:
            return
        if asked.channel == "book":
            key = (asked.symbol, asked.depth)
            window = self._windows.setdefault(key, Window(market.book, asked.depth, "silent"))
            self._books.setdefault(key, {})[connection] = None
            if asked.has_snapshot:
                send(connection, self._book_frame(market, window, "snapshot", window.snapshot()))
            return
        self._listeners.setdefault((asked.channel, asked.symbol), {})[connection] = None
        if asked.channel == "ticker" and asked.has_snapshot:
            send(connection, self._ticker_frame(market, "snapshot"))
        elif asked.channel == "trade" and asked.has_snapshot:
            send(connection, self._trade_frame(market, "snapshot", list(market.trades)[-SNAPSHOT_TRADES:]))

    # Market data

    def _style(self) -> texts.Style:
        return self._random.choice(texts.STYLES) if self._around.has_oddities else "trimmed"

    def _book_frame(self, market: Market, window: Window, kind: Kind, rows: Sequence[Change]) -> Frame:
        listed, held = market.instrument, window.held
        checksum, now, style = kraken_checksum_of(held), stamp(time.time_ns()), self._style()

        def encode(rows: Sequence[Change]) -> str:
            return texts.book(listed, kind, rows, checksum=checksum, stamp=now, style=style)

        key = f"{self.product}:{listed.venue_symbol}:{window.depth}"
        digest = self._around.digester.take(key, held, is_forced=kind == "snapshot")
        return Frame(
            text=encode(rows),
            topic="book",
            kind=kind,
            channel="book",
            symbol=listed.venue_symbol,
            rows=rows,
            encode=encode,
            book=held,
            digest=None if digest is None else {"depth": window.depth, "checksum": checksum, **digest},
        )

    def changed(self, market: Market, changes: Sequence[Change], trades: Sequence[Trade]) -> None:
        """Tell everything at once."""
        symbol = market.instrument.venue_symbol
        if trades:
            self._tell_trades(market, trades)
        for (name, depth), listeners in self._books.items():
            if name != symbol or not changes:
                continue
            window = self._windows[name, depth]
            rows = window.advance()
            if rows:
                rows = self._noise(window, rows)
                frame = self._book_frame(market, window, "update", rows)
                self._around.outlet.broadcast(list(listeners), frame)
        best = (market.book.bids.price_at(0), market.book.asks.price_at(0))
        is_moved = best != self._best.get(symbol)
        self._best[symbol] = best
        if is_moved or trades:
            self._tell_ticker(market, is_moved=is_moved, has_traded=bool(trades))

    def _noise(self, window: Window, rows: list[Change]) -> list[Change]:
        """Add what a client must bear: a deletion of an unknown price, a price told twice in one message."""
        if not self._around.has_oddities or self._random.random() > 0.08:
            return rows
        side, price, quantity = rows[-1]
        if self._random.random() < 0.5 and quantity:
            return [*rows[:-1], (side, price, quantity * 2 + 1), (side, price, quantity)]
        vacant = vacant_price(window.held.side(side), price)
        taken = {(s, p) for s, p, _ in rows}
        is_known = vacant is None or (side, vacant) in taken or vacant in window.source.side(side).quantities
        return rows if is_known or vacant is None else [(side, vacant, 0), *rows]

    def _trade_frame(self, market: Market, kind: Kind, trades: Sequence[Trade]) -> Frame:
        listed, style = market.instrument, self._style()

        def tell(trades: Sequence[Trade]) -> str:
            rows = ",".join(texts.trade(listed, trade, stamp(trade.ts_event), style) for trade in trades)
            return f'{{"channel":"trade","type":"{kind}","data":[{rows}]}}'

        return Frame(
            text=tell(trades),
            topic="trades",
            kind=kind,
            channel="trade",
            symbol=listed.venue_symbol,
            sequence=[trade.trade_id for trade in trades],
            trades=trade_facts(market, trades),
            traded=trades,
            tell=tell,
        )

    def _ticker_frame(self, market: Market, kind: Kind) -> Frame:
        text = texts.ticker(market, kind, stamp(time.time_ns()))
        return Frame(
            text=text, topic="ticker", kind=kind, channel="ticker", symbol=market.instrument.venue_symbol
        )

    def _tell_ticker(self, market: Market, *, is_moved: bool, has_traded: bool) -> None:
        key = ("ticker", market.instrument.venue_symbol)
        listeners = self._listeners.get(key)
        if not listeners:
            return
        frame = self._ticker_frame(market, "update")
        for connection in list(listeners):
            is_bbo = connection.session_as(Session).held[key].trigger == "bbo"
            if is_moved if is_bbo else has_traded:
                self._around.outlet.send(connection, frame)

    def _tell_trades(self, market: Market, trades: Sequence[Trade]) -> None:
        listeners = self._listeners.get(("trade", market.instrument.venue_symbol))
        if listeners:
            self._around.outlet.broadcast(list(listeners), self._trade_frame(market, "update", trades))

    def tick(self, now_ns: int) -> None:
        """Send a heartbeat to each subscriber who got nothing for a second."""
        for connection, session in list(self._sessions.items()):
            if session.held and now_ns - connection.sent_ns >= BEAT_NS:
                frame = Frame(
                    text='{"channel":"heartbeat"}', topic="heartbeat", kind="update", channel="heartbeat"
                )
                self._around.outlet.send(connection, frame)

    # Verbs

    def announce_shutdown(self, connection: Connection) -> None:
        """Send the status ``maintenance``, which comes before one."""
        body = {
            "api_version": "v2",
            "connection_id": 2**63 + connection.id,
            "system": "maintenance",
            "version": "2.0.0",
        }
        self._around.say(connection, texts.dump({"channel": "status", "type": "update", "data": [body]}))

    def reset_sequence(self, symbol: str | None, connection: Connection | None) -> int:
        """Refuse: there are no sequence numbers."""
        del symbol, connection
        raise NotModelled("kraken/spot has no sequence numbers")

    def keep_alive(self, symbol: str | None) -> int:
        """Refuse: heartbeats do that here."""
        raise NotModelled(f"kraken/spot sends no keep-alive updates (asked for {symbol or 'all symbols'})")
