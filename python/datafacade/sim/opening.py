"""Open the markets of a run: each product's listings, moved a little before anybody looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from datafacade.sim.binance_futures import is_market_trade
from datafacade.sim.history import RowCache
from datafacade.sim.intervals import MINUTE_NS
from datafacade.sim.listings import CALM, TETHER, ProductKey, generated_bases, instrument
from datafacade.sim.market import Market
from datafacade.sim.past import Past
from datafacade.sim.settings import SimulatorSettings

WARM_UP_STEPS: Final = 200  # so that the first client finds trades and a moved market
FUTURES_STRIDE: Final = 40
FUTURES: Final = ("binance/usdm", "binance/coinm")
GENERATED_DEPTH: Final = 20  # levels a side of a generated market
GENERATED_STEPS: Final = 12  # of its warm-up


@dataclass(slots=True)
class Opening:
    """Makes markets; those of one asset share its past, all share one cache of candles."""

    settings: SimulatorSettings
    _pasts: dict[str, Past] = field(default_factory=dict)
    _rows: RowCache = field(default_factory=RowCache)
    _anchor: int = field(default_factory=lambda: time.time_ns() // MINUTE_NS)

    def markets(self, product: ProductKey) -> dict[str, Market]:
        """Return the markets of ``product`` by venue symbol, generated ones last."""
        settings = self.settings
        opened: dict[str, Market] = {}
        for base in settings.bases:
            self._open(opened, product, base, settings.depth, max(WARM_UP_STEPS, int(settings.history_s)))
        for base in generated_bases(settings.generated):
            self._open(opened, product, base, GENERATED_DEPTH, GENERATED_STEPS)
        return opened

    def _open(
        self, opened: dict[str, Market], product: ProductKey, base: str, depth: int, steps: int
    ) -> None:
        settings, listed = self.settings, instrument(product, base)
        if listed.base == listed.quote:
            return
        market = Market(
            listed,
            settings.seed,
            depth,
            settings.trade_ratio,
            FUTURES_STRIDE if product in FUTURES else 1,
            past=self._past(base),
            rows=self._rows,
        )
        if product in FUTURES and settings.has_oddities:
            market.tape.counts = is_market_trade
        now, span_ns = time.time_ns(), settings.history_s * 1e9
        for left in range(steps, 0, -1):
            market.step(now - int(span_ns * left / steps))
        self._trade_once(market, now)
        opened[listed.venue_symbol] = market

    def _trade_once(self, market: Market, now_ns: int) -> None:
        """Let a market without a trade go on until it has one."""
        for _ in range(WARM_UP_STEPS):
            if market.tape.minutes or not market.trade_ratio:
                return
            market.step(now_ns)

    def _past(self, base: str) -> Past | None:
        if not self.settings.has_past:
            return None
        if base not in self._pasts:
            anchor = self._anchor - int(self.settings.history_s // 60)
            calm = CALM if base == TETHER else 1.0
            self._pasts[base] = Past(self.settings.seed, base, anchor, calm)
        return self._pasts[base]


def rate_of(settings: SimulatorSettings) -> Callable[[str, Market], float | None]:
    """Return what tells the rate that was asked for a market: by PRODUCT:SYMBOL, or by base asset."""

    def asked(product: str, market: Market) -> float | None:
        listed = market.instrument
        for name in (f"{product}:{listed.venue_symbol}", listed.base):
            if name in settings.rates:
                return settings.rates[name]
        return None

    return asked
