"""OKX's REST paths: limits per endpoint, instruments, books, trades, tickers.

Source: venues/okx.md section 6, 2026-08-22.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from datafacade.sim import okx_texts as texts
from datafacade.sim.frames import Frame
from datafacade.sim.limits import Budget, SlidingWindow
from datafacade.sim.market import Market
from datafacade.sim.okx_funding import OkxFunding
from datafacade.sim.okx_history import OkxHistory, data, error, missing
from datafacade.sim.venue import Answer, Query, RestHandler, Weights
from datafacade.sim.windows import Window

ROOT: Final = "/api/v5"
SPAN_S: Final = 2.0
LIMITS: Final = {
    "public/time": 10,
    "public/instruments": 20,
    "market/ticker": 20,
    "market/tickers": 20,
    "market/books": 40,
    "market/books-full": 10,
    "market/trades": 100,
    "market/history-trades": 20,
    "market/candles": 40,
    "market/history-candles": 20,
    "public/funding-rate": 10,
    "public/funding-rate-history": 10,
}
PER_INSTRUMENT: Final = ("public/funding-rate", "public/funding-rate-history")
BOOK_LEVELS_MAX: Final = 400
FULL_LEVELS_MAX: Final = 5_000


class Numbered(Protocol):
    """What REST needs of an instrument's chain."""

    window: Window
    last: int


class OkxRest:
    """The REST side of OKX."""

    product: Final = "okx/public"

    def __init__(self, markets: Mapping[str, Market], chains: Mapping[str, Numbered]) -> None:
        self._markets = markets
        self._chains = chains
        self._history = OkxHistory(markets)
        self._funding = OkxFunding(markets)
        self._limit: int | None = None  # of every endpoint, instead of its own
        self._windows: dict[str, SlidingWindow] = {}
        self.weights = Weights()

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{ROOT}/public/time": lambda _: data([{"ts": str(_now_ms())}]),
            f"{ROOT}/public/instruments": self._instruments,
            f"{ROOT}/market/books": self._books,
            f"{ROOT}/market/ticker": self._ticker,
            f"{ROOT}/market/tickers": self._tickers,
            f"{ROOT}/market/books-full": self._books_full,
            **self._history.routes(ROOT),
            **self._funding.routes(ROOT),
        }

    def admit(self, path: str, query: Query) -> Answer | None:
        """Count a request in the window of its endpoint; return 429 beyond the limit."""
        name = path.removeprefix(f"{ROOT}/")
        limit = self._limit or LIMITS.get(name, 20)
        told_apart = query.get("instId" if name in PER_INSTRUMENT else "instType", "")
        key = f"{name}:{told_apart}"
        if self._windows.setdefault(key, SlidingWindow(limit, SPAN_S)).admit(time.monotonic()):
            return None
        return replace(error("50011", "Too Many Requests", 429), breaks="rest_rate")

    def not_found(self, path: str) -> Answer:
        """Answer an unknown path."""
        return error("404", f"Not Found: {path[:100]}", 404)

    def budgets(self) -> Mapping[str, Budget]:
        """Return the window of each endpoint that was asked."""
        now = time.monotonic()
        return {name: window.budget(now) for name, window in self._windows.items()}

    def limit(self, limit: float) -> None:
        """Admit ``limit`` requests in 2 s to each endpoint."""
        self._limit = max(1, int(limit))
        self._windows.clear()

    def _instruments(self, query: Query) -> Answer:
        kind = query.get("instType")
        if not kind:
            return error("50014", "Parameter instType can not be empty.", 400)
        if kind not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            return error("51000", "Parameter instType error", 400)
        wanted = query.get("instId")
        rows = [
            texts.listing(market.instrument, code)
            for code, (symbol, market) in enumerate(self._markets.items())
            if kind == "SPOT" and wanted in (None, symbol)
        ]
        if kind == "SWAP":
            rows = self._funding.listings(wanted)
        if wanted is not None and not rows:
            return missing()
        return data(rows)

    def _books(self, query: Query) -> Answer:
        symbol = query.get("instId", "")
        chain = self._chains.get(symbol)
        if chain is None:
            return missing()
        size = query.get("sz", "1")
        if not size.isdigit() or not 0 < int(size) <= BOOK_LEVELS_MAX:
            return error("51000", "Parameter sz error", 400)
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

    def _books_full(self, query: Query) -> Answer:
        symbol = query.get("instId", "")
        market = self._markets.get(symbol)
        if market is None:
            return missing()
        size = query.get("sz", "1")
        if not size.isdigit() or not 0 < int(size) <= FULL_LEVELS_MAX:
            return error("51000", "Parameter sz error", 400)
        book = market.book.copy(int(size))
        rows = {
            name: [row[:2] + row[3:] for row in json.loads(texts.rows(market.instrument, ladder.top()))]
            for name, ladder in (("asks", book.asks), ("bids", book.bids))
        }
        frame = Frame(text="", topic="book", kind="snapshot", channel="books-full", symbol=symbol, book=book)
        return Answer(body=data([{**rows, "ts": str(_now_ms())}]).body, snapshot=frame)

    def _ticker(self, query: Query) -> Answer:
        market = self._markets.get(query.get("instId", ""))
        return missing() if market is None else data([texts.ticker(market, _now_ms())])

    def _tickers(self, query: Query) -> Answer:
        if query.get("instType") != "SPOT":
            return data([])
        return data([texts.ticker(market, _now_ms()) for market in self._markets.values()])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
