"""Coinbase Advanced Trade's public REST paths.

Source: venues/coinbase.md section A6, 2026-08-22.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from datafacade.sim import coinbase_advanced_texts as texts
from datafacade.sim.books import Level
from datafacade.sim.coinbase_times import rfc3339
from datafacade.sim.digits import trimmed
from datafacade.sim.frames import Frame
from datafacade.sim.history import Page
from datafacade.sim.intervals import SECOND_NS, minutes
from datafacade.sim.limits import Budget, SlidingWindow
from datafacade.sim.market import Market
from datafacade.sim.venue import Answer, Query, RestHandler, Weights, page_answer

ROOT: Final = "/api/v3/brokerage"
REQUESTS_PER_S: Final = 10
CACHE_S: Final = 1.0
TRADES_MAX: Final = 1_000
CANDLES_MAX: Final = 350
GRANULARITIES: Final = {
    "ONE_MINUTE": minutes(1),
    "FIVE_MINUTE": minutes(5),
    "FIFTEEN_MINUTE": minutes(15),
    "THIRTY_MINUTE": minutes(30),
    "ONE_HOUR": minutes(60),
    "TWO_HOUR": minutes(120),
    "FOUR_HOUR": minutes(240),
    "SIX_HOUR": minutes(360),
    "ONE_DAY": minutes(1_440),
}


class AdvancedRest:
    """The REST side of Coinbase Advanced Trade."""

    product: Final = "coinbase/advanced"

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._markets = markets
        self._window = SlidingWindow(REQUESTS_PER_S, 1.0)
        self._cache: dict[str, tuple[float, Answer]] = {}
        self.weights = Weights()

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path; order books come from a cache of 1 s, as at the venue's edge."""
        return {
            f"{ROOT}/time": self._time,
            f"{ROOT}/market/products": self._products,
            f"{ROOT}/market/products/{{product_id}}": self._product,
            f"{ROOT}/market/products/{{product_id}}/ticker": self._ticker,
            f"{ROOT}/market/products/{{product_id}}/candles": self._candles,
            f"{ROOT}/market/product_book": lambda query: self._cached("book", query, self._book),
        }

    def admit(self, path: str, query: Query) -> Answer | None:
        """Admit ten requests a second."""
        del path, query
        if self._window.admit(time.monotonic()):
            return None
        body = texts.dump({"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]})
        return Answer(body=body, status=429, breaks="rest_rate")

    def not_found(self, path: str) -> Answer:
        """Answer an unknown path."""
        return self._error("NOT_FOUND", f"unknown path of {len(path)} signs", 404)

    def budgets(self) -> Mapping[str, Budget]:
        """Return the requests of the last second."""
        return {"address": self._window.budget(time.monotonic())}

    def limit(self, limit: float) -> None:
        """Admit ``limit`` requests in any second."""
        self._window = SlidingWindow(int(limit), 1.0)

    def _error(self, name: str, details: str, status: int) -> Answer:
        """Return an error in the venue's shape."""
        return Answer(
            body=texts.dump({"error": name, "error_details": details, "message": details}), status=status
        )

    def _cached(self, name: str, query: Query, make: Callable[[Query], Answer]) -> Answer:
        key = f"{name}:{sorted(query.items())}"
        now = time.monotonic()
        kept = self._cache.get(key)
        if kept is None or now - kept[0] >= CACHE_S:
            kept = self._cache[key] = (now, make(query))
        return kept[1]

    def _market(self, query: Query) -> Market | None:
        symbol = query.get("product_id", "")
        return self._markets.get(symbol) or self._markets.get(
            symbol.removesuffix("C") if "USDC" in symbol else ""
        )

    def _missing(self) -> Answer:
        return self._error("NOT_FOUND", "valid product_id is required", 404)

    def _time(self, query: Query) -> Answer:
        del query
        now = time.time_ns()
        body = {"iso": rfc3339(now, 0), "epochSeconds": str(now // 10**9), "epochMillis": str(now // 10**6)}
        return Answer(body=texts.dump(body))

    def _products(self, query: Query) -> Answer:
        rows = [texts.product(market) for market in self._markets.values()]
        rows += [
            texts.alias_product(m) for m in self._markets.values() if m.instrument.base in ("BTC", "ETH")
        ]
        offset, limit = query.get("offset", "0"), query.get("limit", "1000")
        if not offset.isdigit() or not limit.isdigit():
            return self._error("INVALID_ARGUMENT", "limit and offset must be integers", 400)
        chosen = rows[int(offset) :][: int(limit)]
        return Answer(body=texts.dump({"products": chosen, "num_products": len(chosen)}))

    def _product(self, query: Query) -> Answer:
        market = self._market(query)
        return self._missing() if market is None else Answer(body=texts.dump(texts.product(market)))

    def _book(self, query: Query) -> Answer:
        market = self._market(query)
        if market is None:
            return self._missing()
        limit = query.get("limit", "")
        cut = market.book.copy(int(limit) if limit.isdigit() and int(limit) else None)
        listed = market.instrument

        def rows(levels: list[Level]) -> list[dict[str, str]]:
            return [
                {"price": trimmed(p, listed.price_scale), "size": trimmed(q, listed.quantity_scale)}
                for p, q in levels
            ]

        book = {
            "product_id": listed.venue_symbol,
            "bids": rows(cut.bids.top()),
            "asks": rows(cut.asks.top()),
            "time": rfc3339(time.time_ns()),
        }
        last = trimmed(market.day.last, listed.price_scale)
        body = {
            "pricebook": book,
            "last": last,
            "mid_market": last,
            "spread_bps": "0.0014",
            "spread_absolute": "0.01",
        }
        frame = Frame(
            text="", topic="book", kind="snapshot", channel="product_book", symbol=listed.venue_symbol
        )
        return Answer(body=texts.dump(body), snapshot=frame)

    def _ticker(self, query: Query) -> Answer:
        market = self._market(query)
        if market is None:
            return self._missing()
        limit, start, end = query.get("limit", "100"), query.get("start", ""), query.get("end", "")
        count = int(limit) if limit.isdigit() and int(limit) else 100
        listed, book = market.instrument, market.book
        found = market.tape.between(
            int(start) * SECOND_NS if start.isdigit() else None,
            (int(end) + 1) * SECOND_NS - 1 if end.isdigit() else None,
        )
        rows = [
            {**texts.trade(listed, trade), "bid": "", "ask": "", "exchange": "coinbase"}
            for trade in list(found)[-min(count, TRADES_MAX) :][::-1]
        ]
        best = {
            "best_bid": trimmed(book.bids.price_at(0), listed.price_scale),
            "best_ask": trimmed(book.asks.price_at(0), listed.price_scale),
        }
        return Answer(body=texts.dump({"trades": rows, **best}))

    def _candles(self, query: Query) -> Answer:
        market = self._market(query)
        if market is None:
            return self._missing()
        start, end = query.get("start", ""), query.get("end", "")
        interval = GRANULARITIES.get(query.get("granularity", ""))
        if interval is None or not start.isdigit() or not end.isdigit():
            return self._error("INVALID_ARGUMENT", "start, end and granularity are required", 400)
        if (int(end) - int(start)) * SECOND_NS > CANDLES_MAX * interval.ns:
            return self._error("INVALID_ARGUMENT", "number of candles requested should be less than 350", 400)
        limit, now = query.get("limit", ""), time.time_ns()
        page = Page(
            interval=interval,
            first_ns=int(start) * SECOND_NS,
            last_ns=min(int(end) * SECOND_NS, now),
            count=min(int(limit), CANDLES_MAX) if limit.isdigit() and int(limit) else CANDLES_MAX,
            with_empty=False,
        )
        rows = market.history.rows(page, now, texts.candle)
        return page_answer('{"candles":[', rows[::-1], "]}")
