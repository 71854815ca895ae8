"""Binance on the wire: spot, and with other settings USD-M and COIN-M futures (binance_futures.py).

Source: venues/binance.md, 2026-07-21. What is not modelled: klines, SBE, user data (docs/simulator.md).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from datafacade.sim.binance_control import PROPERTIES, Refused, Request, parse, result
from datafacade.sim.binance_depth import Batch, DepthState
from datafacade.sim.binance_futures import MARKET_KIND, ODD_KIND, odd_price
from datafacade.sim.binance_rest import BinanceRest
from datafacade.sim.binance_settings import Session, Settings, belongs, topic_of
from datafacade.sim.binance_texts import Writer
from datafacade.sim.books import Book, Change
from datafacade.sim.connection import Connection
from datafacade.sim.frames import Frame, trade_facts
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade
from datafacade.sim.venue import NotModelled, Surroundings

Item = TypeVar("Item")
FAST_NS: Final = 100_000_000
SLOW_NS: Final = 1_000_000_000
STREAMS_MAX: Final = 1_024
JUMP: Final = 1_000  # update ids left out by a sequence reset
LATE_ACK_S: Final = 0.12  # every third ack comes after data, as users of the venue have seen


class Binance:
    """One flavour of Binance."""

    def __init__(self, settings: Settings, markets: Mapping[str, Market], around: Surroundings) -> None:
        self.settings = settings
        self.product: ProductKey = settings.product
        self.rules = settings.rules
        self.markets = markets
        self._around = around
        self._writer = Writer(settings.flavour)
        is_contiguous = settings.flavour == "spot"
        self.depths = {symbol: DepthState(market, is_contiguous) for symbol, market in markets.items()}
        self._listeners: dict[str, dict[Connection, None]] = {}
        self._subscribes = 0
        self._fast_due = self._slow_due = time.monotonic_ns()
        self.rest = BinanceRest(
            settings.flavour, settings.rest_root, settings.weight_limit, self.depths, around
        )

    # Connections

    def accepts(self, path: str) -> bool:
        """Grant the raw and combined paths of every route."""
        bare = urlsplit(path).path
        return any(
            bare in (f"{route}/ws", f"{route}/stream") or bare.startswith(f"{route}/ws/")
            for route in self.settings.routes
        )

    def new_session(self, path: str) -> Session:
        """Return the session that the URL asks for, its streams not yet subscribed."""
        bare = urlsplit(path).path
        route = next(r for r in sorted(self.settings.routes, reverse=True) if bare.startswith(f"{r}/"))
        query = parse_qs(urlsplit(path).query)
        is_micro = query.get("timeUnit", [""])[0].upper() == "MICROSECOND"
        return Session(route, is_combined=bare == f"{route}/stream", is_micro=is_micro)

    def opened(self, connection: Connection) -> None:
        """Subscribe the streams of the URL."""
        session = connection.session_as(Session)
        parts = urlsplit(connection.path)
        if session.is_combined:
            wanted = parse_qs(parts.query).get("streams", [""])[0].split("/")
        else:
            wanted = unquote(parts.path).removeprefix(f"{session.route}/ws").strip("/").split("/")
        for stream in wanted:
            if stream:
                self._subscribe(connection, stream)

    def closed(self, connection: Connection) -> None:
        """Forget all its streams."""
        for stream in list(connection.session_as(Session).streams):
            self._unsubscribe(connection, stream)

    def _subscribe(self, connection: Connection, stream: str) -> None:
        session = connection.session_as(Session)
        session.streams[stream] = None
        connection.has_subscribed = True
        if belongs(session.route, stream):
            self._listeners.setdefault(stream, {})[connection] = None

    def _unsubscribe(self, connection: Connection, stream: str) -> None:
        connection.session_as(Session).streams.pop(stream, None)
        listeners = self._listeners.get(stream, {})
        listeners.pop(connection, None)
        if not listeners:
            self._listeners.pop(stream, None)

    # Control messages

    def received(self, connection: Connection, text: str) -> None:
        """Answer a control message."""
        try:
            request = parse(text)
            answers = {"SUBSCRIBE": self._on_subscribe, "UNSUBSCRIBE": self._on_unsubscribe}
            answer = answers.get(request.method, self._on_query)(connection, request)
        except Refused as refused:
            answer = refused.text
        if answer is not None:
            self._around.say(connection, answer)

    def _on_subscribe(self, connection: Connection, request: Request) -> str | None:
        streams = [str(stream) for stream in request.params]
        if len(connection.session_as(Session).streams) + len(streams) > STREAMS_MAX:
            self._around.stats.violation(self.product, "streams")
            raise Refused(2, "Invalid request: too many parameters", request.id, has_id=True)
        for stream in streams:
            symbol, _, kind = stream.partition("@")
            topic = topic_of(stream)
            match self._around.subscription_fault(connection, symbol.upper(), kind, topic):
                case "no_ack":
                    return None
                case "reject":
                    raise Refused(2, f"Invalid request: rejected stream {stream}", request.id, has_id=True)
        for stream in streams:
            self._subscribe(connection, stream)
        self._subscribes += 1
        answer = result(None, request.id)
        if self._around.has_oddities and self._subscribes % 3 == 0:
            asyncio.get_running_loop().call_later(LATE_ACK_S, self._around.say, connection, answer)
            return None
        return answer

    def _on_unsubscribe(self, connection: Connection, request: Request) -> str:
        for stream in request.params:
            self._unsubscribe(connection, str(stream))
        return result(None, request.id)

    def _on_query(self, connection: Connection, request: Request) -> str:
        session = connection.session_as(Session)
        if request.method == "LIST_SUBSCRIPTIONS":
            return result(list(session.streams), request.id)
        name = request.params[0] if request.params else None
        if name not in PROPERTIES:
            raise Refused(0, "Unknown property", request.id, has_id=True)
        if request.method == "GET_PROPERTY":
            return result(session.is_combined, request.id)
        value = request.params[1] if len(request.params) > 1 else None
        if not isinstance(value, bool):
            raise Refused(1, "Invalid value type: expected Boolean")
        session.is_combined = value
        return result(None, request.id)

    # Market data

    def changed(self, market: Market, changes: Sequence[Change], trades: Sequence[Trade]) -> None:
        """Collect depth changes; tell trades and best prices at once."""
        symbol = market.instrument.venue_symbol
        depth = self.depths[symbol]
        depth.add(list(changes))
        self._tell_trades(market, trades)
        book = market.book
        if not book.bids.prices or not book.asks.prices:
            return
        best = (*book.bids.top(1), *book.asks.top(1))
        if best != depth.best:
            depth.best = best
            self._publish(market, "bookTicker", partial(self._writer.best, market), sequence=market.update_id)

    def _tell_trades(self, market: Market, trades: Sequence[Trade]) -> None:
        listed, writer = market.instrument, self._writer
        for trade in trades:
            is_odd = not market.tape.counts(trade)
            kind = ODD_KIND if is_odd else MARKET_KIND
            told = replace(trade, price=odd_price(trade)) if is_odd else trade
            facts = [{**trade_facts(market, [told])[0], "kind": kind}]

            def tell(stamp: int, trades: Sequence[Trade], kind: str = kind) -> str:
                traded = trades[0].ts_event // (1_000_000 if stamp < 10**14 else 1_000)
                return writer.trade(listed, trades[0], stamp, traded, kind=kind)

            self._publish(
                market, "trade", None, sequence=[trade.trade_id], trades=facts, traded=[told], tell=tell
            )
        if trades and self._listeners.get(f"{listed.venue_symbol.lower()}@aggTrade"):
            for price in dict.fromkeys(trade.price for trade in trades):
                same = [trade for trade in trades if trade.price == price]

                def aggregate(stamp: int, trades: Sequence[Trade]) -> str:
                    traded = trades[0].ts_event // (1_000_000 if stamp < 10**14 else 1_000)
                    return writer.aggregate(listed, trades, stamp, traded)

                ids, facts = [trade.trade_id for trade in same], trade_facts(market, same)
                self._publish(
                    market, "aggTrade", None, sequence=ids, trades=facts, traded=same, tell=aggregate
                )

    def tick(self, now_ns: int) -> None:
        """Send the batches and tickers that are due."""
        if now_ns >= self._fast_due:
            self._fast_due = max(self._fast_due + FAST_NS, now_ns)
            for symbol, depth in self.depths.items():
                batch = depth.take_fast()
                if batch is not None:
                    self._tell_depth(symbol, batch, "depth@100ms")
                    self._tell_partial(symbol, "@100ms")
        if now_ns >= self._slow_due:
            self._slow_due = max(self._slow_due + SLOW_NS, now_ns)
            for symbol, depth in self.depths.items():
                batch = depth.slow.take()
                if batch is not None:
                    self._tell_depth(symbol, batch, "depth")
                    self._tell_partial(symbol, "")
                market = self.markets[symbol]
                self._publish(market, "ticker", partial(self._writer.ticker, market, is_mini=False))
                self._publish(market, "miniTicker", partial(self._writer.ticker, market, is_mini=True))

    def _tell_depth(self, symbol: str, batch: Batch, kind: str) -> None:
        market = self.markets[symbol]
        if not self._listeners.get(f"{symbol.lower()}@{kind}"):
            return

        def encode(stamp: int, rows: Sequence[Change]) -> str:
            return self._writer.depth(market.instrument, batch, rows, stamp)

        digest = self._digest(symbol, market, kind)
        self._publish(
            market,
            kind,
            lambda stamp: encode(stamp, batch.rows),
            sequence=batch.last,
            rows=batch.rows,
            encode=encode,
            book=market.book,
            digest=digest,
        )

    def _digest(self, symbol: str, market: Market, kind: str) -> Mapping[str, object] | None:
        """Return the digest of the true book and of each cut view, if due."""
        if kind != "depth@100ms":
            return None
        key = f"{self.product}:{symbol}"
        is_full = self._around.digester.is_full_due(key)
        digest = self._around.digester.take(key, market.book)
        views = [view for view in self.depths[symbol].views if not view.is_whole]
        if digest is None or not is_full or not views:
            return digest
        told = [
            {
                "last_update_id": view.last_update_id,
                "limit": view.limit,
                "bids": len(view.book.bids),
                "asks": len(view.book.asks),
                "book_sha256": view.book.sha256(),
            }
            for view in views
        ]
        return {**digest, "views": told}

    def _tell_partial(self, symbol: str, speed: str) -> None:
        market = self.markets[symbol]
        for count in (5, 10, 20):
            stream = f"{symbol.lower()}@depth{count}{speed}"
            if self._listeners.get(stream):
                write = partial(self._write_partial, market, count)
                self._publish(market, f"depth{count}{speed}", write, sequence=market.update_id)

    def _write_partial(self, market: Market, count: int, stamp: int) -> str:
        del stamp  # partial depth tells no time
        return self._writer.partial(market, count)

    def _publish(
        self,
        market: Market,
        kind: str,
        write: Callable[[int], str] | None,
        *,
        sequence: int | Sequence[int] | None = None,
        rows: Sequence[Change] | None = None,
        encode: Callable[[int, Sequence[Change]], str] | None = None,
        book: Book | None = None,
        digest: Mapping[str, object] | None = None,
        trades: Sequence[Mapping[str, object]] | None = None,
        traded: Sequence[Trade] = (),
        tell: Callable[[int, Sequence[Trade]], str] | None = None,
    ) -> None:
        """Send one event of ``<symbol>@<kind>`` to all subscribers, in each one's wrapping and time unit."""
        symbol = market.instrument.venue_symbol
        stream = f"{symbol.lower()}@{kind}"
        listeners = self._listeners.get(stream)
        if not listeners:
            return
        now = time.time_ns()
        frames: dict[tuple[bool, bool], Frame] = {}
        for connection in list(listeners):
            session = connection.session_as(Session)
            variant = (session.is_combined, session.is_micro)
            if variant not in frames:
                stamp = now // (1_000 if session.is_micro else 1_000_000)
                wrap = partial(_wrap, stream) if session.is_combined else str
                text = write(stamp) if write else tell(stamp, traded) if tell else ""
                frames[variant] = Frame(
                    text=wrap(text),
                    topic=topic_of(stream),
                    kind="update",
                    channel=kind,
                    symbol=symbol,
                    sequence=sequence,
                    rows=rows,
                    encode=_encoder(wrap, encode, stamp) if encode else None,
                    book=book,
                    digest=digest,
                    trades=trades,
                    traded=traded or None,
                    tell=_encoder(wrap, tell, stamp) if tell else None,
                )
            self._around.outlet.send(connection, frames[variant])

    # Verbs

    def announce_shutdown(self, connection: Connection) -> None:
        """Send ``serverShutdown``."""
        event = f'{{"e":"serverShutdown","E":{time.time_ns() // 1_000_000}}}'
        is_combined = connection.session_as(Session).is_combined
        self._around.say(connection, _wrap("!serverShutdown", event) if is_combined else event)

    def reset_sequence(self, symbol: str | None, connection: Connection | None) -> int:
        """Let the update counter jump ahead, which is a gap for every client."""
        del connection
        wanted = [m for name, m in self.markets.items() if symbol is None or symbol.upper() == name]
        for market in wanted:
            self.depths[market.instrument.venue_symbol].skip(JUMP)
        return len(wanted)

    def keep_alive(self, symbol: str | None) -> int:
        """Refuse: Binance is silent when nothing changes."""
        raise NotModelled(f"binance sends no keep-alive updates (asked for {symbol or 'all symbols'})")


def _wrap(stream: str, text: str) -> str:
    return f'{{"stream":"{stream}","data":{text}}}'


def _encoder(
    wrap: Callable[[str], str], encode: Callable[[int, Sequence[Item]], str], stamp: int
) -> Callable[[Sequence[Item]], str]:
    return lambda items: wrap(encode(stamp, items))
