"""OKX's REST paths: limits per endpoint, instruments, books, trades, tickers.

Source: venues/okx.md section 6, 2026-08-22.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, Protocol

from datafacade.sim import okx_texts as texts
from datafacade.sim.digits import trimmed
from datafacade.sim.frames import Frame
from datafacade.sim.limits import SlidingWindow
from datafacade.sim.market import Market
from datafacade.sim.venue import Answer, Query, RestHandler
from datafacade.sim.windows import Window

ROOT: Final = "/api/v5"
SPAN_S: Final = 2.0
LIMITS: Final = {
    "public/time": 10,
    "public/instruments": 20,
    "market/ticker": 20,
    "market/tickers": 20,
    "market/books": 40,
    "market/trades": 100,
}
BOOK_LEVELS_MAX: Final = 400
TRADES_MAX: Final = 500


class Numbered(Protocol):
    """What REST needs of an instrument's chain."""

    window: Window
    last: int


class OkxRest:
    """The REST side of OKX."""

    def __init__(self, markets: Mapping[str, Market], chains: Mapping[str, Numbered]) -> None:
        self._markets = markets
        self._chains = chains
        self._windows: dict[str, SlidingWindow] = {}

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{ROOT}/public/time": lambda _: _data([{"ts": str(_now_ms())}]),
            f"{ROOT}/public/instruments": self._instruments,
            f"{ROOT}/market/books": self._books,
            f"{ROOT}/market/ticker": self._ticker,
            f"{ROOT}/market/tickers": self._tickers,
            f"{ROOT}/market/trades": self._trades,
        }

    def admit(self, path: str, query: Query) -> Answer | None:
        """Count a request in the window of its endpoint; return 429 beyond the limit."""
        name = path.removeprefix(f"{ROOT}/")
        limit = LIMITS.get(name, 20)
        key = f"{name}:{query.get('instType', '')}"
        if self._windows.setdefault(key, SlidingWindow(limit, SPAN_S)).admit(time.monotonic()):
            return None
        return _error("50011", "Too Many Requests", 429)

    def _instruments(self, query: Query) -> Answer:
        kind = query.get("instType")
        if not kind:
            return _error("50014", "Parameter instType can not be empty.", 400)
        if kind not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            return _error("51000", "Parameter instType error", 400)
        wanted = query.get("instId")
        rows = [
            texts.listing(market.instrument, code)
            for code, (symbol, market) in enumerate(self._markets.items())
            if kind == "SPOT" and wanted in (None, symbol)
        ]
        if wanted is not None and not rows:
            return _missing()
        return _data(rows)

    def _books(self, query: Query) -> Answer:
        symbol = query.get("instId", "")
        chain = self._chains.get(symbol)
        if chain is None:
            return _missing()
        size = query.get("sz", "1")
        if not size.isdigit() or not 0 < int(size) <= BOOK_LEVELS_MAX:
            return _error("51000", "Parameter sz error", 400)
        listed = self._markets[symbol].instrument
        book = chain.window.held.copy(int(size))
        row = {"ts": str(_now_ms()), "seqId": chain.last}
        sides = f'"asks":{texts.rows(listed, book.asks.top())},"bids":{texts.rows(listed, book.bids.top())}'
        body = f'{{"code":"0","msg":"","data":[{{{sides},{texts.dump(row)[1:-1]}}}]}}'
        frame = Frame(
            text="",
            topic="book",
            kind="snapshot",
            channel="books",
            symbol=symbol,
            sequence=chain.last,
            book=book,
        )
        return Answer(body=body, snapshot=frame)

    def _ticker(self, query: Query) -> Answer:
        market = self._markets.get(query.get("instId", ""))
        return _missing() if market is None else _data([texts.ticker(market, _now_ms())])

    def _tickers(self, query: Query) -> Answer:
        if query.get("instType") != "SPOT":
            return _data([])
        return _data([texts.ticker(market, _now_ms()) for market in self._markets.values()])

    def _trades(self, query: Query) -> Answer:
        market = self._markets.get(query.get("instId", ""))
        if market is None:
            return _missing()
        text = query.get("limit", "100")
        limit = min(int(text), TRADES_MAX) if text.isdigit() else 100
        listed = market.instrument
        rows = [
            {
                "instId": listed.venue_symbol,
                "side": trade.taker,
                "sz": trimmed(trade.quantity, listed.quantity_scale),
                "px": trimmed(trade.price, listed.price_scale),
                "source": "0",
                "tradeId": str(trade.trade_id),
                "ts": str(trade.ts_event // 1_000_000),
            }
            for trade in list(market.trades)[-limit:][::-1]
        ]
        return _data(rows)


def _data(rows: object) -> Answer:
    return Answer(body=texts.dump({"code": "0", "msg": "", "data": rows}))


def _error(code: str, message: str, status: int) -> Answer:
    return Answer(body=texts.dump({"code": code, "msg": message, "data": []}), status=status)


def _missing() -> Answer:
    """Return error 51001, which comes with HTTP 200."""
    return _error("51001", "Instrument ID does not exist", 200)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
