"""Binance's REST paths about what was traded: trades, aggregated trades, klines, tickers.

Everything is chronological: without times the newest rows, with a start the oldest from there, with an end
alone the newest up to it. Source: venues/binance.md sections 6 and 7, 2026-07-21.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Final

from datafacade.sim.binance_depth import DepthState
from datafacade.sim.binance_texts import Flavour, Writer
from datafacade.sim.digits import padded
from datafacade.sim.history import Page, RowWriter
from datafacade.sim.intervals import SECOND_NS, Interval, minutes
from datafacade.sim.listings import COINM_CONTRACT_USD, Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Candle, Trade
from datafacade.sim.venue import Answer, Query, RestHandler, page_answer

TRADES_MAX: Final = 1_000
TRADES_DEFAULT: Final = 500
KLINES_MAX: Final[dict[Flavour, int]] = {"spot": 1_000, "usdm": 1_500, "coinm": 1_500}
MS_NS: Final = 1_000_000
MINUTES: Final = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1_440,
    "3d": 4_320,
    "1w": 10_080,
}
INTERVALS: Final = {
    "1s": Interval(SECOND_NS),
    **{name: minutes(count) for name, count in MINUTES.items()},
    "1M": Interval(0, months=1),
}
_RowMaker = Callable[[Market], dict[str, object]]


def error(code: int, message: str, status: int = 400) -> Answer:
    """Return a refusal in the venue's shape."""
    return Answer(body=_dump({"code": code, "msg": message}), status=status)


class BinanceHistory:
    """Trades, klines and tickers of one flavour."""

    def __init__(self, flavour: Flavour, depths: Mapping[str, DepthState]) -> None:
        self._flavour = flavour
        self._depths = depths
        self._writer = Writer(flavour)
        self._kline_writers: dict[Interval, RowWriter] = {}

    def routes(self, root: str) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{root}/trades": self._trades,
            f"{root}/historicalTrades": self._historical,
            f"{root}/aggTrades": self._aggregates,
            f"{root}/klines": self._klines,
            f"{root}/ticker/bookTicker": lambda query: self._tickers(query, self._best),
            f"{root}/ticker/price": lambda query: self._tickers(query, self._price),
            f"{root}/ticker/24hr": lambda query: self._tickers(query, self._day),
        }

    def _market(self, query: Query) -> Market | Answer:
        symbol = query.get("symbol")
        if not symbol:
            return error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        state = self._depths.get(symbol)
        return error(-1121, "Invalid symbol.") if state is None else state.market

    # Trades

    def _trades(self, query: Query) -> Answer:
        market = self._market(query)
        limit = _whole(query, "limit", TRADES_DEFAULT)
        if isinstance(market, Answer):
            return market
        if limit is None:
            return _bad("limit")
        return self._rows(market, market.tape.newest(min(limit, TRADES_MAX)))

    def _historical(self, query: Query) -> Answer:
        market = self._market(query)
        limit, first = _whole(query, "limit", TRADES_DEFAULT), _whole(query, "fromId", -1)
        if isinstance(market, Answer):
            return market
        if limit is None or first is None:
            return _bad("limit" if limit is None else "fromId")
        count = min(limit, TRADES_MAX)
        tape = market.tape
        return self._rows(market, tape.newest(count) if first < 0 else tape.since_id(first, count))

    def _rows(self, market: Market, trades: Sequence[Trade]) -> Answer:
        told = [trade for trade in trades if market.tape.counts(trade)]  # futures tell market trades only
        return Answer(body=_dump([self._writer.row(market.instrument, trade) for trade in told]))

    def _aggregates(self, query: Query) -> Answer:
        market = self._market(query)
        if isinstance(market, Answer):
            return market
        limit, first = _whole(query, "limit", TRADES_DEFAULT), _whole(query, "fromId", -1)
        start, end = _whole(query, "startTime", -1), _whole(query, "endTime", -1)
        if limit is None or first is None or start is None or end is None:
            return _bad("limit")
        chosen = market.tape.between(
            start * MS_NS if start >= 0 else None, end * MS_NS + MS_NS - 1 if end >= 0 else None
        )
        made = [list(group) for _, group in groupby(chosen, key=lambda trade: trade.group)]
        made = [group for group in made if group[0].group >= first]
        is_forward = first >= 0 or start >= 0
        count = min(limit, TRADES_MAX)
        made = made[:count] if is_forward else made[-count:]
        return Answer(body=_dump([self._aggregate(market.instrument, group) for group in made]))

    def _aggregate(self, listed: Instrument, group: Sequence[Trade]) -> dict[str, object]:
        first, last = group[0], group[-1]
        row: dict[str, object] = {
            "a": last.group,
            "p": self._writer.price(listed, last.price),
            "q": self._writer.quantity(listed, sum(trade.quantity for trade in group)),
            "f": first.trade_id,
            "l": last.trade_id,
            "T": first.ts_event // MS_NS,
            "m": last.taker == "sell",
        }
        return {**row, "M": True} if self._flavour == "spot" else row

    # Klines

    def _klines(self, query: Query) -> Answer:
        market = self._market(query)
        if isinstance(market, Answer):
            return market
        interval = INTERVALS.get(query.get("interval", ""))
        if interval is None or (query["interval"] == "1s" and self._flavour != "spot"):
            return error(-1120, "Invalid interval.")
        limit = _whole(query, "limit", TRADES_DEFAULT)
        start, end = _whole(query, "startTime", -1), _whole(query, "endTime", -1)
        if limit is None or start is None or end is None or limit == 0:
            return _bad("limit")
        now = time.time_ns()
        page = Page(
            interval=interval,
            first_ns=max(0, start) * MS_NS,
            last_ns=min(end * MS_NS, now) if end >= 0 else now,
            count=min(limit, KLINES_MAX[self._flavour]),
            is_oldest=start >= 0,
        )
        write = self._kline_writers.setdefault(interval, partial(self._kline, interval))
        return page_answer("[", market.history.rows(page, now, write), "]")

    def _kline(self, interval: Interval, listed: Instrument, candle: Candle, is_closed: bool) -> str:
        """Return one row; whether the candle is closed is told by its times alone."""
        del is_closed
        quantity = self._writer.quantity
        prices = (candle.open, candle.high, candle.low, candle.close)
        told = '","'.join([self._writer.price(listed, price) for price in prices])
        worth = self._worth(listed, candle.volume, candle.notional)
        taken = self._worth(listed, candle.taker_volume, candle.taker_notional)
        return (
            f'[{candle.open_ns // MS_NS},"{told}","{quantity(listed, candle.volume)}",'
            f'{interval.end(candle.open_ns) // MS_NS - 1},"{worth}",{candle.count},'
            f'"{quantity(listed, candle.taker_volume)}","{taken}","0"]'
        )

    def _worth(self, listed: Instrument, volume: int, notional: int) -> str:
        """Return the quote volume; for coin-margined contracts their worth in the base asset (rounded)."""
        if self._flavour != "coinm":
            return padded(notional, listed.price_scale + listed.quantity_scale)
        if not notional:
            return "0"
        mean = Decimal(notional).scaleb(-listed.price_scale) / volume
        worth = volume * COINM_CONTRACT_USD.get(listed.base, 10) / mean
        return str(worth.quantize(Decimal("1e-8")))

    # Tickers

    def _tickers(self, query: Query, make: _RowMaker) -> Answer:
        if "symbols" in query:
            try:
                wanted = [self._depths[str(symbol)].market for symbol in json.loads(query["symbols"])]
            except (ValueError, TypeError):
                return error(-1100, "Illegal characters found in parameter 'symbols'.")
            except KeyError:
                return error(-1121, "Invalid symbol.")
            return Answer(body=_dump([make(market) for market in wanted]))
        if "symbol" not in query:
            return Answer(body=_dump([make(state.market) for state in self._depths.values()]))
        market = self._market(query)
        return market if isinstance(market, Answer) else Answer(body=_dump(make(market)))

    def _best(self, market: Market) -> dict[str, object]:
        listed, book = market.instrument, market.book
        (bid,), (ask,) = book.bids.top(1), book.asks.top(1)
        row: dict[str, object] = {
            "symbol": listed.venue_symbol,
            "bidPrice": self._writer.price(listed, bid[0]),
            "bidQty": self._writer.quantity(listed, bid[1]),
            "askPrice": self._writer.price(listed, ask[0]),
            "askQty": self._writer.quantity(listed, ask[1]),
        }
        return row if self._flavour == "spot" else {**row, "time": time.time_ns() // MS_NS}

    def _price(self, market: Market) -> dict[str, object]:
        row: dict[str, object] = {
            "symbol": market.instrument.venue_symbol,
            "price": self._writer.price(market.instrument, market.day.last),
        }
        return row if self._flavour == "spot" else {**row, "time": time.time_ns() // MS_NS}

    def _day(self, market: Market) -> dict[str, object]:
        """Return the 24 h ticker, as the stream tells it, under the names of REST."""
        now_ms = time.time_ns() // MS_NS
        told = json.loads(self._writer.ticker(market, now_ms, is_mini=False))
        return {name: told[short] for short, name in DAY_NAMES.items() if short in told}


DAY_NAMES: Final = {
    "s": "symbol",
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "x": "prevClosePrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "b": "bidPrice",
    "B": "bidQty",
    "a": "askPrice",
    "A": "askQty",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}


def _whole(query: Query, name: str, default: int) -> int | None:
    """Return a parameter as a number of at least 0, ``default`` when absent, None when it is none."""
    text = query.get(name)
    if text is None:
        return default
    return int(text) if text.isdigit() else None


def _bad(name: str) -> Answer:
    return error(-1130, f"Data sent for parameter '{name}' is not valid.")


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
