"""Coinbase Exchange's public REST paths.

Source: venues/coinbase.md section B4, 2026-08-22.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, Protocol

from datafacade.sim import coinbase_exchange_texts as texts
from datafacade.sim.books import Level
from datafacade.sim.coinbase_times import parse_time, rfc3339
from datafacade.sim.digits import padded, trimmed
from datafacade.sim.frames import Frame
from datafacade.sim.history import Page
from datafacade.sim.intervals import SECOND_NS, minutes
from datafacade.sim.limits import Bucket, Budget
from datafacade.sim.listings import Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Candle
from datafacade.sim.venue import Answer, Query, RestHandler, Weights, page_answer

REQUESTS_PER_S: Final = 10.0
BURST: Final = 15.0
TRADES_MAX: Final = 1_000
CANDLES_MAX: Final = 300
GRANULARITIES: Final = {str(60 * count): minutes(count) for count in (1, 5, 15, 60, 360, 1_440)}
LEVELS_BY_NUMBER: Final[dict[str, int | None]] = {"1": 1, "2": None}


class Counted(Protocol):
    """What REST needs of a product's feed."""

    sequence: int


class ExchangeRest:
    """The REST side of Coinbase Exchange."""

    product: Final = "coinbase/exchange"

    def __init__(self, markets: Mapping[str, Market], feeds: Mapping[str, Counted]) -> None:
        self._markets = markets
        self._feeds = feeds
        self._bucket = Bucket(REQUESTS_PER_S, BURST)
        self.weights = Weights()

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            "/time": self._time,
            "/products": self._products,
            "/products/{product_id}": self._product,
            "/products/{product_id}/book": self._book,
            "/products/{product_id}/trades": self._trades,
            "/products/{product_id}/ticker": self._ticker,
            "/products/{product_id}/candles": self._candles,
            "/products/{product_id}/stats": self._stats,
        }

    def admit(self, path: str, query: Query) -> Answer | None:
        """Admit ten requests a second, fifteen at once."""
        del path, query
        if self._bucket.admit(time.monotonic()):
            return None
        return Answer(body='{"message":"Public rate limit exceeded"}', status=429, breaks="rest_rate")

    def not_found(self, path: str) -> Answer:
        """Answer an unknown path."""
        del path
        return self._missing()

    def budgets(self) -> Mapping[str, Budget]:
        """Return the bucket of the address."""
        return {"address": self._bucket.budget(time.monotonic())}

    def limit(self, limit: float) -> None:
        """Admit ``limit`` requests a second, half as many more at once."""
        self._bucket = Bucket(limit, max(1.0, 1.5 * limit))

    def _time(self, query: Query) -> Answer:
        del query
        now = time.time_ns()
        return Answer(body=f'{{"iso":"{rfc3339(now, 3)}","epoch":{padded(now // 10**6, 3)}}}')

    def _products(self, query: Query) -> Answer:
        del query
        return Answer(
            body=texts.dump([texts.product(market.instrument) for market in self._markets.values()])
        )

    def _missing(self) -> Answer:
        return Answer(body='{"message":"NotFound"}', status=404)

    def _product(self, query: Query) -> Answer:
        market = self._markets.get(query["product_id"])
        return (
            self._missing() if market is None else Answer(body=texts.dump(texts.product(market.instrument)))
        )

    def _book(self, query: Query) -> Answer:
        market = self._markets.get(query["product_id"])
        if market is None:
            return self._missing()
        level = query.get("level", "1")
        if level not in LEVELS_BY_NUMBER:
            return Answer(body='{"message":"Invalid level"}', status=400)
        listed, book = market.instrument, market.book.copy(LEVELS_BY_NUMBER[level])

        def rows(levels: list[Level]) -> list[list[object]]:
            return [
                [padded(p, listed.price_scale), trimmed(q, listed.quantity_scale), 1 + p % 9]
                for p, q in levels
            ]

        body = {
            "bids": rows(book.bids.top()),
            "asks": rows(book.asks.top()),
            "sequence": self._feeds[listed.venue_symbol].sequence,
            "auction_mode": False,
            "auction": None,
            "time": rfc3339(time.time_ns()),
        }
        frame = Frame(text="", topic="book", kind="snapshot", channel="book", symbol=listed.venue_symbol)
        return Answer(body=texts.dump(body), snapshot=frame)

    def _trades(self, query: Query) -> Answer:
        market = self._markets.get(query["product_id"])
        if market is None:
            return self._missing()
        limit, after, before = query.get("limit", "1000"), query.get("after", ""), query.get("before", "")
        count = min(int(limit), TRADES_MAX) if limit.isdigit() and int(limit) else TRADES_MAX
        tape = market.tape
        found = tape.before_id(int(after), count) if after.isdigit() else tape.newest(count)
        least = int(before) if before.isdigit() else -1
        chosen = [trade for trade in found if trade.trade_id > least][::-1]
        listed = market.instrument
        body = [
            {
                "time": rfc3339(trade.ts_event),
                "trade_id": trade.trade_id,
                "price": padded(trade.price, listed.price_scale),
                "size": trimmed(trade.quantity, listed.quantity_scale),
                "side": texts.MAKER_SIDES[trade.taker],
            }
            for trade in chosen
        ]
        cursors = (
            {"CB-BEFORE": str(chosen[0].trade_id), "CB-AFTER": str(chosen[-1].trade_id)} if chosen else {}
        )
        return Answer(body=texts.dump(body), headers=cursors)

    def _ticker(self, query: Query) -> Answer:
        market = self._markets.get(query["product_id"])
        if market is None:
            return self._missing()
        listed, book, day = market.instrument, market.book, market.day
        body = {
            "ask": padded(book.asks.price_at(0), listed.price_scale),
            "bid": padded(book.bids.price_at(0), listed.price_scale),
            "volume": trimmed(day.volume, listed.quantity_scale),
            "trade_id": market.trade_id,
            "price": padded(day.last, listed.price_scale),
            "size": trimmed(day.last_quantity, listed.quantity_scale),
            "time": rfc3339(time.time_ns()),
            "rfq_volume": "0",
        }
        return Answer(body=texts.dump(body))

    def _candles(self, query: Query) -> Answer:
        market = self._markets.get(query["product_id"])
        if market is None:
            return self._missing()
        length = query.get("granularity", "60")
        if length not in GRANULARITIES:
            return Answer(body='{"message":"Invalid granularity"}', status=400)
        interval, now = GRANULARITIES[length], time.time_ns()
        start, end = (parse_time(query[name]) if name in query else None for name in ("start", "end"))
        last = min(now if end is None else end, now)
        first = last - CANDLES_MAX * interval.ns if start is None else start
        if last - first > CANDLES_MAX * interval.ns:
            return Answer(body='{"message":"granularity too small for the requested time range"}', status=400)
        page = Page(interval=interval, first_ns=first, last_ns=last, count=CANDLES_MAX, with_empty=False)
        return page_answer("[", market.history.rows(page, now, _candle_row)[::-1], "]")

    def _stats(self, query: Query) -> Answer:
        market = self._markets.get(query["product_id"])
        if market is None:
            return self._missing()
        listed, day = market.instrument, market.day
        prices = {"open": day.open, "high": day.high, "low": day.low, "last": day.last}
        body: dict[str, str] = {name: padded(price, listed.price_scale) for name, price in prices.items()}
        volume = trimmed(day.volume, listed.quantity_scale)
        return Answer(body=texts.dump({**body, "volume": volume, "volume_30day": volume}))


def _candle_row(listed: Instrument, candle: Candle, is_closed: bool) -> str:
    """Return ``[time, low, high, open, close, volume]``: JSON numbers, low before high before open."""
    del is_closed  # nothing tells it
    prices = (candle.low, candle.high, candle.open, candle.close)
    row = [str(candle.open_ns // SECOND_NS), *(trimmed(price, listed.price_scale) for price in prices)]
    return f"[{','.join([*row, trimmed(candle.volume, listed.quantity_scale)])}]"
