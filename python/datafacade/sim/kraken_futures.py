"""Kraken Futures' REST paths about funding: instruments, tickers, settled rates. No books, no stream.

They are served on the port of spot; the venue has another host. Rates are settled each hour (inferred).
Source: venues/kraken.md section 8, 2026-05-27.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from datafacade.sim import kraken_texts as texts
from datafacade.sim.digits import trimmed
from datafacade.sim.funding import RATE_SCALE, Funding
from datafacade.sim.intervals import DAY_NS, HOUR_NS
from datafacade.sim.kraken_times import stamp
from datafacade.sim.listings import KRAKEN_OLD_NAMES
from datafacade.sim.market import Market
from datafacade.sim.venue import Answer, Query, RestHandler

ROOT: Final = "/derivatives/api/v3"
BACK_NS: Final = 60 * DAY_NS


class KrakenFutures:
    """The linear perpetual of each spot market."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._fundings = {
            f"PF_{KRAKEN_OLD_NAMES.get(m.instrument.base, m.instrument.base)}{m.instrument.quote}": Funding(
                m, HOUR_NS
            )
            for m in markets.values()
        }

        self._told: dict[str, tuple[int, str]] = {}  # rows by symbol, made anew each hour

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{ROOT}/historical-funding-rates": self._rates,
            f"{ROOT}/instruments": self._instruments,
            f"{ROOT}/tickers": self._tickers,
        }

    def _rates(self, query: Query) -> Answer:
        funding = self._fundings.get(query.get("symbol", "").upper())
        if funding is None:
            return _answer('"result":"error","error":"Invalid product id"')
        now, symbol = time.time_ns(), query["symbol"].upper()
        hour = now // HOUR_NS
        if self._told.get(symbol, (0, ""))[0] != hour:
            self._told[symbol] = (hour, ",".join(_rate_rows(funding, now)))
        return _answer(f'"result":"success","rates":[{self._told[symbol][1]}]')

    def _instruments(self, query: Query) -> Answer:
        del query
        rows = [
            {
                "symbol": symbol,
                "type": "flexible_futures",
                "underlying": f"rr_{symbol.removeprefix('PF_').lower()}",
                "tickSize": float(trimmed(1, funding.market.instrument.price_scale)),
                "contractSize": 1,
                "tradeable": True,
                "contractValueTradePrecision": 4,
            }
            for symbol, funding in self._fundings.items()
        ]
        return _answer(f'"result":"success","instruments":{texts.dump(rows)}')

    def _tickers(self, query: Query) -> Answer:
        del query
        rows = [self._ticker(symbol, funding) for symbol, funding in self._fundings.items()]
        return _answer(f'"result":"success","tickers":[{",".join(rows)}]')

    def _ticker(self, symbol: str, funding: Funding) -> str:
        now, market = time.time_ns(), funding.market
        scale = market.instrument.price_scale
        mark, settles = trimmed(market.day.last, scale), funding.next_ns(now)
        relative = Decimal(funding.rate(settles)).scaleb(-RATE_SCALE)
        absolute = _number(relative * Decimal(mark))
        return (
            f'{{"tag":"perpetual","symbol":"{symbol}","last":{mark},"markPrice":{mark},"indexPrice":{mark},'
            f'"bid":{trimmed(market.book.bids.price_at(0), scale)},'
            f'"ask":{trimmed(market.book.asks.price_at(0), scale)},'
            f'"fundingRate":{absolute},"fundingRatePrediction":{absolute},"suspended":false,'
            f'"lastTime":"{stamp(now)[:19]}.000Z"}}'
        )


def _rate_rows(funding: Funding, now: int) -> Iterator[str]:
    """Yield the settled rates, ascending."""
    times = funding.settled(now - BACK_NS, now)
    marks, scale = funding.marks(times), funding.market.instrument.price_scale
    for at in times:
        relative = Decimal(funding.rate(at)).scaleb(-RATE_SCALE)
        absolute = relative * Decimal(marks.get(at, 0)).scaleb(-scale)
        yield (
            f'{{"timestamp":"{stamp(at)[:19]}.000Z","fundingRate":{_number(absolute)},'
            f'"relativeFundingRate":{_number(relative)}}}'
        )


def _number(value: Decimal) -> str:
    """Return a JSON number, as the venue prints small ones: with an exponent."""
    return repr(float(value))


def _answer(members: str) -> Answer:
    return Answer(body=f'{{{members},"serverTime":"{stamp(time.time_ns())[:19]}.000Z"}}')
