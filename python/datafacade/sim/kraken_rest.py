"""Kraken's public REST paths. Errors come with HTTP 200.

Source: venues/kraken.md sections 2 and 7, 2026-05-27.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from datafacade.sim import kraken_texts as texts
from datafacade.sim.digits import fixed, padded
from datafacade.sim.frames import Frame
from datafacade.sim.history import Page
from datafacade.sim.intervals import minutes
from datafacade.sim.kraken_futures import KrakenFutures
from datafacade.sim.kraken_times import stamp
from datafacade.sim.limits import Bucket, Budget
from datafacade.sim.listings import Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Candle
from datafacade.sim.venue import Answer, Query, RestHandler, Weights, page_answer

ROOT: Final = "/0/public"
REQUESTS_PER_S: Final = 1.0
BURST: Final = 4.0  # the venue tells about one a second; its tolerance is not documented
BOOK_LEVELS_MAX: Final = 500
TRADES_MAX: Final = 1_000
CANDLES_MAX: Final = 720
INTERVALS: Final = {str(count): minutes(count) for count in (1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600)}
PER_PAIR: Final = ("Trades", "OHLC")


class KrakenRest:
    """The REST side of Kraken."""

    product: Final = "kraken/spot"

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self.weights = Weights()
        self._markets = markets
        self._by_name: dict[str, Market] = {}
        for symbol, market in markets.items():
            listed = market.instrument
            names = (symbol, symbol.replace("/", ""), texts.altname(listed), texts.result_key(listed))
            wsname = str(texts.asset_pair(listed)["wsname"])
            self._by_name.update(dict.fromkeys((*names, wsname), market))
        self._futures = KrakenFutures(markets)
        self._rate, self._burst = REQUESTS_PER_S, BURST
        self._buckets: dict[str, Bucket] = {}

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{ROOT}/Time": self._time,
            f"{ROOT}/SystemStatus": self._status,
            f"{ROOT}/AssetPairs": self._pairs,
            f"{ROOT}/Depth": self._depth,
            f"{ROOT}/Trades": self._trades,
            f"{ROOT}/OHLC": self._ohlc,
            f"{ROOT}/Ticker": self._ticker,
            **self._futures.routes(),
        }

    def admit(self, path: str, query: Query) -> Answer | None:
        """Admit about one request a second, per pair where the venue counts so."""
        name = path.removeprefix(f"{ROOT}/")
        key = f"{name}:{query.get('pair', '')}" if name in PER_PAIR else "address"
        if self._buckets.setdefault(key, Bucket(self._rate, self._burst)).admit(time.monotonic()):
            return None
        return replace(_error("EAPI:Rate limit exceeded"), breaks="rest_rate")

    def not_found(self, path: str) -> Answer:
        """Answer an unknown path; errors come with HTTP 200."""
        del path
        return _error("EGeneral:Unknown method")

    def budgets(self) -> Mapping[str, Budget]:
        """Return the bucket of the address, and of each pair where the venue counts so."""
        now = time.monotonic()
        return {name: bucket.budget(now) for name, bucket in self._buckets.items()}

    def limit(self, limit: float) -> None:
        """Admit ``limit`` requests a second, four times as many at once."""
        self._rate, self._burst = limit, max(1.0, 4 * limit)
        self._buckets.clear()

    def _time(self, query: Query) -> Answer:
        del query
        now = int(time.time())
        return _result({"unixtime": now, "rfc1123": formatdate(now).replace("-0000", "+0000")})

    def _status(self, query: Query) -> Answer:
        del query
        return _result({"status": "online", "timestamp": f"{stamp(time.time_ns())[:19]}Z"})

    def _pairs(self, query: Query) -> Answer:
        names = [name for name in query.get("pair", "").split(",") if name]
        if any(name not in self._by_name for name in names):
            return _error("EQuery:Unknown asset pair")
        chosen = [self._by_name[name] for name in names] or list(self._markets.values())
        return _result({texts.result_key(m.instrument): texts.asset_pair(m.instrument) for m in chosen})

    def _depth(self, query: Query) -> Answer:
        market = self._by_name.get(query.get("pair", ""))
        if market is None:
            return _error("EQuery:Unknown asset pair")
        count = query.get("count", "100")
        if not count.isdigit() or not 0 < int(count) <= BOOK_LEVELS_MAX:
            return _error("EGeneral:Invalid arguments")
        listed, book, now = market.instrument, market.book.copy(int(count)), int(time.time())
        rows = {
            name: [
                [
                    fixed(price, listed.price_scale, listed.price_scale + 4),
                    padded(quantity, listed.quantity_scale),
                    now,
                ]
                for price, quantity in ladder.top()
            ]
            for name, ladder in (("asks", book.asks), ("bids", book.bids))
        }
        frame = Frame(
            text="", topic="book", kind="snapshot", channel="Depth", symbol=listed.venue_symbol, book=book
        )
        return Answer(body=_result({texts.result_key(listed): rows}).body, snapshot=frame)

    def _trades(self, query: Query) -> Answer:
        market = self._by_name.get(query.get("pair", ""))
        if market is None:
            return _error("EQuery:Unknown asset pair")
        since, count = query.get("since", "0"), query.get("count", "1000")
        if not since.isdigit() or not count.isdigit():
            return _error("EGeneral:Invalid arguments")
        after = int(since) if len(since) > 12 else int(since) * 10**9
        chosen = list(market.tape.between(after + 1, None))[: min(int(count), TRADES_MAX)]
        listed = market.instrument
        rows = [
            f'["{padded(trade.price, listed.price_scale)}","{padded(trade.quantity, listed.quantity_scale)}",'
            f'{padded(trade.ts_event // 100, 7)},"{trade.taker[0]}","m","",{trade.trade_id}]'
            for trade in chosen
        ]
        last = chosen[-1].ts_event if chosen else after
        body = f'{{"error":[],"result":{{"{texts.result_key(listed)}":[{",".join(rows)}],"last":"{last}"}}}}'
        return Answer(body=body)

    def _ohlc(self, query: Query) -> Answer:
        market = self._by_name.get(query.get("pair", ""))
        if market is None:
            return _error("EQuery:Unknown asset pair")
        interval, since = query.get("interval", "1"), query.get("since", "0")
        if interval not in INTERVALS or not since.isdigit():
            return _error("EGeneral:Invalid arguments")
        span, now = INTERVALS[interval], time.time_ns()
        page = Page(interval=span, first_ns=int(since) * 10**9, last_ns=now, count=CANDLES_MAX)
        rows = market.history.rows(page, now, _candle_row)
        last = span.back(span.begin(now), 1) // 10**9 if rows else int(since)
        key = texts.result_key(market.instrument)
        return page_answer(f'{{"error":[],"result":{{"{key}":[', rows, f'],"last":{last}}}}}')

    def _ticker(self, query: Query) -> Answer:
        names = [name for name in query.get("pair", "").split(",") if name]
        if any(name not in self._by_name for name in names):
            return _error("EQuery:Unknown asset pair")
        chosen = [self._by_name[name] for name in names] or list(self._markets.values())
        return _result({texts.result_key(market.instrument): _ticker_row(market) for market in chosen})


def _candle_row(listed: Instrument, candle: Candle, is_closed: bool) -> str:
    """Return ``[time, open, high, low, close, vwap, volume, count]``; nothing tells that it is closed."""
    del is_closed
    prices = (candle.open, candle.high, candle.low, candle.close)
    mean = padded(candle.notional // candle.volume, listed.price_scale) if candle.volume else "0.0"
    told = '","'.join([padded(price, listed.price_scale) for price in prices])
    volume = padded(candle.volume, listed.quantity_scale)
    return f'[{candle.open_ns // 10**9},"{told}","{mean}","{volume}",{candle.count}]'


def _ticker_row(market: Market) -> dict[str, object]:
    listed, day, book = market.instrument, market.day, market.book

    def price(value: int) -> str:
        return padded(value, listed.price_scale)

    def quantity(value: int) -> str:
        return padded(value, listed.quantity_scale)

    bid, ask = book.bids.price_at(0), book.asks.price_at(0)
    mean = price(day.notional // day.volume if day.volume else day.last)
    return {
        "a": [price(ask), "1", quantity(book.asks.quantities[ask])],
        "b": [price(bid), "1", quantity(book.bids.quantities[bid])],
        "c": [price(day.last), quantity(day.last_quantity)],
        "v": [quantity(day.volume), quantity(day.volume)],
        "p": [mean, mean],
        "t": [day.count, day.count],
        "l": [price(day.low), price(day.low)],
        "h": [price(day.high), price(day.high)],
        "o": price(day.open),
    }


def _result(value: object) -> Answer:
    return Answer(body=texts.dump({"error": [], "result": value}))


def _error(text: str) -> Answer:
    return Answer(body=texts.dump({"error": [text]}))
