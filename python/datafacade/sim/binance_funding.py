"""Binance's REST paths about funding: settled rates, adjusted terms, the present estimate with mark prices.

Source: venues/binance.md section 7, 2026-01; COIN-M answers ``premiumIndex`` with a list and has no adjusted
terms in its sheet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Final

from datafacade.sim.binance_texts import pair_of
from datafacade.sim.digits import padded
from datafacade.sim.funding import RATE_SCALE, Funding
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.venue import Answer, Query, RestHandler

MS_NS: Final = 1_000_000
ROWS_MAX: Final = 1_000
ROWS_DEFAULT: Final = 100
BACK_NS: Final = 1_000 * 86_400 * 1_000_000_000  # how far back rates are told
MARK_DECIMALS: Final = 8


class BinanceFunding:
    """Funding of all contracts of one flavour."""

    def __init__(self, product: ProductKey, markets: Mapping[str, Market]) -> None:
        self._is_coinm = product == "binance/coinm"
        self._fundings = {symbol: Funding(market) for symbol, market in markets.items()}

    def routes(self, root: str) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{root}/fundingRate": self._rates,
            f"{root}/fundingInfo": self._info,
            f"{root}/premiumIndex": self._index,
        }

    def _rates(self, query: Query) -> Answer:
        symbol = query.get("symbol")
        if symbol is not None and symbol not in self._fundings:
            return _refusal(-1121, "Invalid symbol.")
        if symbol is None and self._is_coinm:
            return _refusal(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        limit, start, end = (query.get(name, "") for name in ("limit", "startTime", "endTime"))
        if any(text and not text.isdigit() for text in (limit, start, end)):
            return _refusal(-1130, "Data sent for parameter 'limit' is not valid.")
        now = time.time_ns()
        last = min(int(end) * MS_NS + MS_NS - 1, now) if end else now
        first = int(start) * MS_NS if start else last - BACK_NS
        count = min(int(limit) if limit and int(limit) else ROWS_DEFAULT, ROWS_MAX)
        names = [symbol] if symbol else list(self._fundings)
        rows = [(at, name) for name in names for at in self._fundings[name].settled(first, last)]
        rows.sort()
        chosen = rows[:count] if start else rows[-count:]
        marks = {
            name: self._fundings[name].marks([at for at, other in chosen if other == name])
            for name in dict.fromkeys(name for _, name in chosen)
        }
        return _answer([self._row(name, at, marks[name].get(at)) for at, name in chosen])

    def _row(self, symbol: str, at: int, mark: int | None) -> dict[str, object]:
        funding = self._fundings[symbol]
        scale = funding.market.instrument.price_scale
        return {
            "symbol": symbol,
            "fundingRate": padded(funding.rate(at), RATE_SCALE),
            "fundingTime": at // MS_NS,
            "markPrice": "" if mark is None else _mark(mark, scale),
        }

    def _info(self, query: Query) -> Answer:
        """Answer with the contracts whose terms were adjusted: the first one."""
        del query
        terms = {"adjustedFundingRateCap": "0.02000000", "adjustedFundingRateFloor": "-0.02000000"}
        rows = [{"symbol": symbol, **terms, "fundingIntervalHours": 8} for symbol in self._fundings]
        return _answer(rows[:1])

    def _index(self, query: Query) -> Answer:
        symbol = query.get("symbol")
        if symbol is not None and symbol not in self._fundings:
            return _refusal(-1121, "Invalid symbol.")
        rows = [self._present(name) for name in ([symbol] if symbol else self._fundings)]
        return _answer(rows if self._is_coinm or symbol is None else rows[0])

    def _present(self, symbol: str) -> dict[str, object]:
        funding, now = self._fundings[symbol], time.time_ns()
        listed = funding.market.instrument
        mark = _mark(funding.market.day.last, listed.price_scale)
        settles = funding.next_ns(now)
        row: dict[str, object] = {
            "symbol": symbol,
            "markPrice": mark,
            "indexPrice": _mark(funding.market.fair, listed.price_scale),
            "estimatedSettlePrice": mark,
            "lastFundingRate": padded(funding.rate(settles), RATE_SCALE),
            "interestRate": "0.00010000",
            "nextFundingTime": settles // MS_NS,
            "time": now // MS_NS,
        }
        return {**row, "pair": pair_of(listed)} if self._is_coinm else row


def _mark(price: int, scale: int) -> str:
    return padded(price * 10 ** max(0, MARK_DECIMALS - scale), max(MARK_DECIMALS, scale))


def _answer(value: object) -> Answer:
    return Answer(body=json.dumps(value, separators=(",", ":")))


def _refusal(code: int, message: str) -> Answer:
    return Answer(body=json.dumps({"code": code, "msg": message}, separators=(",", ":")), status=400)
