"""OKX API v5 on the wire: the public path, and trades-all on the business path.

Source: venues/okx.md, 2026-08-22. What is not modelled: candles, funding, login, call auctions
(docs/simulator.md).
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from datafacade.sim import okx_texts as texts
from datafacade.sim.books import Change
from datafacade.sim.connection import Connection
from datafacade.sim.digits import trimmed
from datafacade.sim.frames import Frame, Topic, trade_facts
from datafacade.sim.limits import ConnectionRules, SlidingWindow
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.okx_chain import Chain, checksum_of, new_chain
from datafacade.sim.okx_rest import OkxRest
from datafacade.sim.tape import Trade
from datafacade.sim.venue import NotModelled, Surroundings

PUBLIC: Final = "/ws/v5/public"
BUSINESS: Final = "/ws/v5/business"
CHANNELS: Final[dict[str, dict[str, Topic]]] = {
    PUBLIC: {"books": "book", "books5": "book", "bbo-tbt": "ticker", "trades": "trades", "tickers": "ticker"},
    BUSINESS: {"trades-all": "trades"},
}
NEEDS_LOGIN: Final = frozenset({"books-l2-tbt", "books50-l2-tbt"})
BOOK_NS: Final = 100_000_000
KEEP_ALIVE_NS: Final = 60_000_000_000
OPERATIONS_PER_HOUR: Final = 480
ARGS_BYTES_MAX: Final = 65_536
RESET_TO: Final = 1_000  # the number after a maintenance reset
RULES: Final = ConnectionRules(attempts=3, attempts_span_s=1, idle_s=30, lifetime_s=None)


@dataclass(slots=True)
class Session:
    """What one connection asked for."""

    path: str
    connection_id: str
    operations: SlidingWindow = field(default_factory=lambda: SlidingWindow(OPERATIONS_PER_HOUR, 3_600))
    args: dict[tuple[str, str], None] = field(default_factory=dict)


class Okx:
    """OKX public market data."""

    def __init__(
        self, markets: Mapping[str, Market], around: Surroundings, *, seed: int, has_checksum: bool = False
    ) -> None:
        self.product: ProductKey = "okx/public"
        self.rules = RULES
        self.markets = markets
        self._around = around
        self._has_checksum = has_checksum
        self._chains = {symbol: new_chain(market, seed) for symbol, market in markets.items()}
        self._listeners: dict[tuple[str, str], dict[Connection, None]] = {}
        self._ids = itertools.count(0xA4D3AE55)
        self._book_due = self._ticker_due = time.monotonic_ns()
        self.rest = OkxRest(markets, dict(self._chains))

    # Connections

    def accepts(self, path: str) -> bool:
        """Grant the public and the business path."""
        return urlsplit(path).path in CHANNELS

    def new_session(self, path: str) -> Session:
        """Return the session of a path."""
        return Session(urlsplit(path).path, f"{next(self._ids):08x}")

    def opened(self, connection: Connection) -> None:
        """Stay silent: OKX greets nobody."""

    def closed(self, connection: Connection) -> None:
        """Forget all its subscriptions."""
        for channel, symbol in list(connection.session_as(Session).args):
            self._listeners.get((channel, symbol), {}).pop(connection, None)

    # Operations

    def received(self, connection: Connection, text: str) -> None:
        """Answer the text ping or an operation."""
        if text == "ping":
            self._around.outlet.send(
                connection, Frame(text="pong", topic="heartbeat", kind="notice", channel="pong")
            )
            return
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("args", []), list):
            self._error(connection, "60012", f"Invalid request: {text[:200]}", None)
            return
        operation, id_ = body.get("op"), body.get("id")
        if operation not in ("subscribe", "unsubscribe"):
            self._error(connection, "60019", f"Invalid op: {operation}", id_)
            return
        session = connection.session_as(Session)
        if not session.operations.admit(time.monotonic()):
            self._around.stats.violation(self.product, "operations")
            self._error(connection, "60014", "Requests too frequent", id_)
            return
        if len(text) > ARGS_BYTES_MAX:
            connection.close(1009, "request frame too long", "venue")
            return
        for item in body.get("args", []):
            arg = item if isinstance(item, dict) else {}
            self._operate(connection, str(operation), arg, id_)

    def _operate(self, connection: Connection, operation: str, arg: dict[str, object], id_: object) -> None:
        channel, symbol = str(arg.get("channel", "")), str(arg.get("instId", ""))
        session = connection.session_as(Session)
        key = (channel, symbol)
        if operation == "unsubscribe":
            session.args.pop(key, None)
            self._listeners.get(key, {}).pop(connection, None)
            self._ack(connection, operation, key, id_)
            return
        topic = CHANNELS[session.path].get(channel)
        if channel in NEEDS_LOGIN:
            self._error(connection, "64003", "Your trading fee tier doesn't meet the requirement.", id_)
            return
        if topic is None or symbol not in self.markets:
            self._error(connection, "60018", texts.wrong(channel, symbol), id_)
            return
        fault = self._around.subscription_fault(connection, symbol, channel, topic)
        if fault == "no_ack":
            return
        if fault == "reject":
            self._error(connection, "60018", texts.wrong(channel, symbol), id_)
            return
        self._ack(connection, operation, key, id_)
        session.args[key] = None
        connection.has_subscribed = True
        self._listeners.setdefault(key, {})[connection] = None
        self._greet(connection, channel, self._chains[symbol])

    def _ack(self, connection: Connection, event: str, key: tuple[str, str], id_: object) -> None:
        head = f'"id":{json.dumps(id_)},' if id_ is not None else ""
        id_text = connection.session_as(Session).connection_id
        text = f'{{{head}"event":"{event}","arg":{texts.arg(*key)},"connId":"{id_text}"}}'
        self._around.say(connection, text, channel=key[0])

    def _error(self, connection: Connection, code: str, message: str, id_: object) -> None:
        body: dict[str, object] = {} if id_ is None else {"id": id_}
        id_text = connection.session_as(Session).connection_id
        body |= {"event": "error", "code": code, "msg": message, "connId": id_text}
        self._around.say(connection, texts.dump(body))

    # Market data

    def _greet(self, connection: Connection, channel: str, chain: Chain) -> None:
        """Send what a new subscriber gets at once."""
        if channel == "books":
            frame = self._book_frame(chain, "snapshot", chain.window.snapshot(), previous=-1, is_forced=True)
            self._around.outlet.send(connection, frame)
        elif channel in ("books5", "bbo-tbt"):
            self._around.outlet.send(connection, self._top_frame(chain, channel, kind="snapshot"))
        elif channel == "tickers":
            self._around.outlet.send(connection, self._ticker_frame(chain.market))

    def changed(self, market: Market, changes: Sequence[Change], trades: Sequence[Trade]) -> None:
        """Tell best prices and trades at once; the book waits for its tick."""
        symbol = market.instrument.venue_symbol
        chain = self._chains[symbol]
        if changes:
            chain.is_dirty = True
        book = market.book
        best = (*book.bids.top(1), *book.asks.top(1))
        if best != chain.best:
            chain.best = best
            chain.advance()
            listeners = self._listeners.get(("bbo-tbt", symbol))
            if listeners:
                self._around.outlet.broadcast(
                    list(listeners), self._top_frame(chain, "bbo-tbt", kind="update")
                )
        if trades:
            self._tell_trades(chain, trades)

    def _tell_trades(self, chain: Chain, trades: Sequence[Trade]) -> None:
        market = chain.market
        for channel, groups in (
            ("trades", texts.merged(trades)),
            ("trades-all", [[trade] for trade in trades]),
        ):
            listeners = self._listeners.get((channel, market.instrument.venue_symbol))
            if not listeners:
                continue
            for group in groups:
                self._around.outlet.broadcast(list(listeners), self._trade_frame(chain, channel, group))

    def _trade_frame(self, chain: Chain, channel: str, group: Sequence[Trade]) -> Frame:
        """Return the message of matches that the channel tells as one row."""
        market, sequence = chain.market, chain.sequence

        def tell(group: Sequence[Trade]) -> str:
            return texts.trade_message(channel, market.instrument, group, sequence)

        facts = trade_facts(market, group[-1:])
        total = sum(trade.quantity for trade in group)
        facts[0]["quantity"] = trimmed(total, market.instrument.quantity_scale)
        facts[0]["count"] = len(group)
        return Frame(
            text=tell(group),
            topic="trades",
            kind="update",
            channel=channel,
            symbol=market.instrument.venue_symbol,
            sequence=[group[-1].trade_id],
            trades=facts,
            traded=group,
            tell=tell,
        )

    def tick(self, now_ns: int) -> None:
        """Send the book changes, keep-alives and tickers that are due."""
        if now_ns >= self._book_due:
            self._book_due = max(self._book_due + BOOK_NS, now_ns)
            for chain in self._chains.values():
                self._tell_book(chain, now_ns)
        if now_ns >= self._ticker_due:
            self._ticker_due = max(self._ticker_due + 2 * BOOK_NS, now_ns)
            for symbol, market in self.markets.items():
                listeners = self._listeners.get(("tickers", symbol))
                if listeners:
                    self._around.outlet.broadcast(list(listeners), self._ticker_frame(market))

    def _tell_book(self, chain: Chain, now_ns: int) -> None:
        symbol = chain.market.instrument.venue_symbol
        changes = chain.window.advance() if chain.is_dirty else []
        chain.is_dirty = False
        if not changes:
            if now_ns - chain.told_ns >= KEEP_ALIVE_NS:
                self._send_book(chain, [], chain.last)
            return
        if self._around.has_oddities:
            changes += chain.noise(changes)
        self._send_book(chain, changes, chain.advance())
        listeners = self._listeners.get(("books5", symbol))
        if listeners:
            self._around.outlet.broadcast(list(listeners), self._top_frame(chain, "books5", kind="update"))

    def _send_book(self, chain: Chain, changes: Sequence[Change], sequence: int) -> None:
        previous, chain.last = chain.last, sequence
        chain.told_ns = time.monotonic_ns()
        listeners = self._listeners.get(("books", chain.market.instrument.venue_symbol))
        if listeners:
            frame = self._book_frame(chain, "update", changes, previous=previous)
            self._around.outlet.broadcast(list(listeners), frame)

    def _book_frame(
        self, chain: Chain, action: str, changes: Sequence[Change], *, previous: int, is_forced: bool = False
    ) -> Frame:
        listed, held = chain.market.instrument, chain.window.held
        ts_ms = time.time_ns() // 1_000_000
        checksum = checksum_of(held) if self._has_checksum else 0
        sequence = chain.last

        def encode(rows: Sequence[Change]) -> str:
            return texts.book_message(
                "books",
                listed,
                action,
                rows,
                ts_ms=ts_ms,
                checksum=checksum,
                previous=previous,
                sequence=sequence,
            )

        key = f"{self.product}:{listed.venue_symbol}"
        return Frame(
            text=encode(changes),
            topic="book",
            kind="snapshot" if action == "snapshot" else "update",
            channel="books",
            symbol=listed.venue_symbol,
            sequence=sequence,
            rows=changes,
            encode=encode,
            book=held,
            digest=self._around.digester.take(key, held, is_forced=is_forced),
        )

    def _top_frame(self, chain: Chain, channel: str, *, kind: str) -> Frame:
        market = chain.market
        book, depth = (market.book, 1) if channel == "bbo-tbt" else (chain.window.held, 5)
        ts_ms = time.time_ns() // 1_000_000
        text = texts.top_message(
            channel, market.instrument, book, depth, ts_ms=ts_ms, sequence=chain.sequence
        )
        return Frame(
            text=text,
            topic=CHANNELS[PUBLIC][channel],
            kind="snapshot" if kind == "snapshot" else "update",
            channel=channel,
            symbol=market.instrument.venue_symbol,
            sequence=chain.sequence,
        )

    def _ticker_frame(self, market: Market) -> Frame:
        symbol = market.instrument.venue_symbol
        data = texts.dump(texts.ticker(market, time.time_ns() // 1_000_000))
        text = f'{{"arg":{texts.arg("tickers", symbol)},"data":[{data}]}}'
        return Frame(text=text, topic="ticker", kind="update", channel="tickers", symbol=symbol)

    # Verbs

    def announce_shutdown(self, connection: Connection) -> None:
        """Send the notice 64008."""
        message = "The connection will soon be closed for a service upgrade. Please reconnect."
        id_text = connection.session_as(Session).connection_id
        body = {"event": "notice", "code": "64008", "msg": message, "connId": id_text}
        self._around.say(connection, texts.dump(body))

    def reset_sequence(self, symbol: str | None, connection: Connection | None) -> int:
        """Send an update that is numbered low while its chain is intact, as after maintenance."""
        del connection
        chains = self._wanted(symbol)
        for chain in chains:
            changes = chain.window.advance()
            chain.is_dirty = False
            chain.sequence = max(1, min(RESET_TO, chain.last - 1))
            self._send_book(chain, changes, chain.sequence)
        return len(chains)

    def keep_alive(self, symbol: str | None) -> int:
        """Send empty updates whose seqId equals their prevSeqId."""
        chains = self._wanted(symbol)
        for chain in chains:
            self._send_book(chain, [], chain.last)
        return len(chains)

    def _wanted(self, symbol: str | None) -> list[Chain]:
        chains = [chain for name, chain in self._chains.items() if symbol is None or symbol.upper() == name]
        if not chains:
            raise NotModelled(f"okx: unknown symbol {symbol}")
        return chains
