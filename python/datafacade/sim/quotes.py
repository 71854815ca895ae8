"""What aggregators tell about assets: the middle of all venues in USD, kept as long as servers do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from datafacade.sim.faults import FaultBoard
from datafacade.sim.history import Page
from datafacade.sim.intervals import Interval
from datafacade.sim.listings import TETHER
from datafacade.sim.market import Market
from datafacade.sim.tape import Candle

MARKET_CAP_COINS: Final = 20_000_000  # every asset has so many


@dataclass(frozen=True, slots=True)
class Quote:
    """One asset in USD at one moment."""

    price: float
    open_24h: float
    high_24h: float
    low_24h: float
    volume_24h: float  # USD
    updated_s: int  # since 1970

    @property
    def change_ratio(self) -> float:
        """Return the change of 24 hours."""
        return self.price / self.open_24h - 1

    @property
    def market_cap(self) -> float:
        """Return the worth of all coins."""
        return self.price * MARKET_CAP_COINS


@dataclass(slots=True)
class Quotes:
    """The quotes of one aggregator, made anew every ``refresh_s``."""

    product: str
    markets: Mapping[str, list[Market]]  # by base asset
    faults: FaultBoard
    refresh_s: float
    _kept: dict[str, tuple[int, Quote]] = field(default_factory=dict)

    def assets(self) -> list[str]:
        """Return the assets that are known, USDT among them, the listed order kept."""
        return list(dict.fromkeys([*self.markets, TETHER]))

    def quote(self, base: str) -> Quote:
        """Return the quote of an asset; faults of its price act at once."""
        now = time.time()
        epoch = int(now // self.refresh_s)
        kept = self._kept.get(base)
        if kept is None or kept[0] != epoch:
            kept = self._kept[base] = (epoch, self._made(base, int(epoch * self.refresh_s)))
        quote, factor = kept[1], self._factor(base)
        if factor == 1:
            return quote
        return replace(
            quote,
            price=quote.price * factor,
            open_24h=quote.open_24h * factor,
            high_24h=quote.high_24h * factor,
            low_24h=quote.low_24h * factor,
        )

    def candles(self, base: str, interval: Interval, count: int) -> list[tuple[Candle, float]]:
        """Return candles of one venue and the power of ten that makes them USD, ascending."""
        found = self.markets.get(base)
        if not found:
            return []
        page = Page(interval=interval, last_ns=time.time_ns(), count=count)
        scale = 10.0 ** -found[0].instrument.price_scale
        return [(candle, scale) for candle in found[0].history.candles(page)]

    def _made(self, base: str, updated_s: int) -> Quote:
        if not self.markets.get(base):  # USDT that no venue lists
            rate = self._tether()
            return Quote(rate, rate, rate, rate, 1e9, updated_s)
        found = self.markets[base]
        price = median(self._mid(market) for market in found)
        market = found[0]
        scale = 10.0**-market.instrument.price_scale
        day, part = market.day, price / (market.day.last * scale)
        volume = len(found) * day.notional * scale * 10.0**-market.instrument.quantity_scale
        return Quote(
            price, day.open * scale * part, day.high * scale * part, day.low * scale * part, volume, updated_s
        )

    def _mid(self, market: Market) -> float:
        bid, ask = market.book.bids.best(), market.book.asks.best()
        middle = market.fair if bid is None or ask is None else (bid + ask) / 2
        rate = self._tether() if market.instrument.quote == TETHER else 1.0
        return middle * 10.0**-market.instrument.price_scale * rate

    def _tether(self) -> float:
        """Return what a USDT is worth."""
        rate = 1.0
        for fault in self.faults.matching("shift", self.product):
            if fault.verb.name == "depeg":
                rate *= 1 + float(fault.text("ratio"))
        return rate

    def _factor(self, base: str) -> float:
        factor = 1.0
        for fault in self.faults.matching("shift", self.product, symbol=f"{base}-USD"):
            if fault.verb.name == "shift" and fault.venue is not None:
                factor *= 1 + float(fault.text("ratio"))
                self.faults.use(fault, {"product": self.product}, is_told=fault.applied == 0)
        return factor


def by_base(markets: Iterable[Market]) -> dict[str, list[Market]]:
    """Return spot markets by base asset; those quoted in USD first."""
    found: dict[str, list[Market]] = {}
    for market in markets:
        if market.instrument.product not in ("binance/usdm", "binance/coinm"):
            found.setdefault(market.instrument.base, []).append(market)
    for listed in found.values():
        listed.sort(key=lambda market: market.instrument.quote == TETHER)
    return found
