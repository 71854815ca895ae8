"""Measure the volume-adjusted daily range (D1), and the gate that it has to pass.

Of each bar: ``(high - low) / close * sqrt(volume) * 100``. With the root of the volume the scale depends on
the unit of the asset: a VADR says nothing beside that of another one. The formula is kept for compatibility.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import polars as pl

BARS_MIN: Final = 20  # usable ones in the window; with fewer the value is frozen
PERCENTILE: Final = 0.8
DAY: Final = timedelta(hours=24)
_LOG: Final = logging.getLogger(__name__)


class Vadr(NamedTuple):
    """A value, or 0 because there were too few bars."""

    value: float
    is_frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What is asked of an asset of some liquidity."""

    adv_usd_min: int  # average daily volume
    vadr_min: float
    depth_usd_min: int
    spread_bps_max: float


TIERS: Final = (  # the most liquid first
    Tier(adv_usd_min=50_000_000, vadr_min=2.5, depth_usd_min=500_000, spread_bps_max=25),
    Tier(adv_usd_min=10_000_000, vadr_min=2.0, depth_usd_min=250_000, spread_bps_max=35),
    Tier(adv_usd_min=5_000_000, vadr_min=1.8, depth_usd_min=150_000, spread_bps_max=45),
    Tier(adv_usd_min=1_000_000, vadr_min=1.5, depth_usd_min=100_000, spread_bps_max=55),
    Tier(adv_usd_min=0, vadr_min=1.2, depth_usd_min=50_000, spread_bps_max=75),
)


def tier_of(adv_usd: float) -> Tier:
    """Return the tier of an average daily volume in USD.

    Example:
        >>> tier_of(10_000_000).vadr_min, tier_of(0).depth_usd_min
        (2.0, 50000)
    """
    return next((tier for tier in TIERS if adv_usd >= tier.adv_usd_min), TIERS[-1])


class VADRCalculator:
    """Measures; says in the log when it cannot."""

    def __init__(self, log: logging.Logger = _LOG) -> None:
        self._log = log

    def calculate(
        self, klines: pl.DataFrame, window: timedelta = DAY, *, venue: str = "", symbol: str = ""
    ) -> Vadr:
        """Return the mean over the usable bars of the window, which ends with the newest bar.

        Args:
            klines: Closed bars: ``ts_open`` (Datetime or Int64 ns), ``high``, ``low``, ``close``, ``volume``.
            window: How far back; a bar takes part that opens later than the newest open less this.
            venue: For the log.
            symbol: For the log.
        """
        values = bar_values(klines, window)
        if len(values) < BARS_MIN:
            known = {"venue": venue, "symbol": symbol, "bars": len(values), "bars_min": BARS_MIN}
            self._log.warning("VADR frozen due to insufficient data", extra=known)
            return Vadr(0.0, is_frozen=True)
        return Vadr(float(values.sum()) / len(values), is_frozen=False)


def gate_value(klines: pl.DataFrame, tier: Tier) -> float:
    """Return what a VADR has to reach: the 80th percentile of the bars of 24 h, or the least of the tier.

    The percentile lies on the line between the two nearest values. Without a usable bar it is the tier's.
    """
    quantile = bar_values(klines, DAY).quantile(PERCENTILE, interpolation="linear")
    return tier.vadr_min if quantile is None else max(float(quantile), tier.vadr_min)


def bar_values(klines: pl.DataFrame, window: timedelta) -> pl.Series:
    """Return the value of each usable bar of the window: close and volume above 0, all numbers finite."""
    if klines.is_empty():
        return pl.Series("vadr", [], dtype=pl.Float64)
    names = ("high", "low", "close", "volume")
    opens = pl.col("ts_open").cast(pl.Datetime("ns", "UTC"))
    numbers = klines.select(opens, *(pl.col(name).cast(pl.Float64) for name in names))
    high, low, close, volume = (pl.col(name) for name in names)
    value = (high - low) / close * volume.sqrt() * 100
    return (
        numbers.filter(opens > opens.max() - window)
        .filter(pl.all_horizontal(pl.col(name).is_finite() for name in names))
        .filter((close > 0) & (volume > 0))
        .select(value.alias("vadr"))
        .to_series()
    )
