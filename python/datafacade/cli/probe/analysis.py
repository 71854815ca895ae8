"""The VADR analysis of a probe: the value, its gate, and what the liquidity tier demands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl
from rich.text import Text

from datafacade.cli.text import NOTHING, clean, full
from datafacade.client import Klines
from datafacade.warm.vadr import BARS_MIN, DAY, Tier, VADRCalculator, bar_values, gate_value, tier_of

IN_DOLLARS: Final = ("USD", "USDT", "USDC")  # stable coins are taken at par here: it picks a tier only


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What klines say about volume and range."""

    vadr: float  # 0 while it is frozen
    is_frozen: bool  # too few usable bars
    bars: int  # closed and usable
    volume: Decimal  # of those of the last 24 h, quote units
    currency: str  # of ``volume``
    tier: Tier | None  # None: the quote currency is not worth a dollar
    gate: float | None  # what the VADR has to reach; None: without a tier there is none

    @property
    def passes(self) -> bool:
        """Whether the value reaches its gate."""
        return not self.is_frozen and self.gate is not None and self.vadr >= self.gate


def analyse(klines: Klines) -> Analysis:
    """Return the analysis of hourly klines; the open one takes no part."""
    closed = klines.to_polars().filter(pl.col("is_final")).rename({"timestamp": "ts_open"})
    found = VADRCalculator().calculate(closed, venue=klines.venue, symbol=klines.symbol)
    currency = klines.symbol.rpartition("-")[2]
    volume = quote_volume(klines)
    tier = tier_of(float(volume)) if currency in IN_DOLLARS else None
    return Analysis(
        vadr=found.value,
        is_frozen=found.is_frozen,
        bars=len(bar_values(closed, DAY)),
        volume=volume,
        currency=currency,
        tier=tier,
        gate=None if tier is None else gate_value(closed, tier),
    )


def quote_volume(klines: Klines) -> Decimal:
    """Return the volume of all klines in quote units: the venue's own, else volume times mean price."""
    total = Decimal(0)
    for row in klines.rows:
        price = row.vwap or row.close
        if row.quote_volume is not None:
            total += row.quote_volume
        elif row.volume is not None and price is not None:
            total += row.volume * price
    return total


def lines(found: Analysis, spread_bps: float | None) -> list[Text]:
    """Return what people read; the spread is compared with what the tier allows."""
    if found.is_frozen:
        value = Text(f"VADR frozen: {found.bars} usable closed bars, needs {BARS_MIN}", style="yellow")
    else:
        value = Text(f"VADR {found.vadr:,.4g} over {found.bars} closed bars")
    volume = Text(f"volume 24 h {full(found.volume.quantize(Decimal(1)))} {clean(found.currency, 16)}")
    if found.tier is None or found.gate is None:
        return [value, volume, Text("no tier: the quote currency is no dollar", style="dim")]
    tier = found.tier
    gate = f"gate {found.gate:,.4g} (80th percentile of the bars, at least {tier.vadr_min:g})"
    verdict = ("passes", "green") if found.passes else ("does not pass", "yellow")
    spread = NOTHING if spread_bps is None else f"{spread_bps:.2f} bps"
    is_wide = spread_bps is not None and spread_bps > tier.spread_bps_max
    return [
        Text.assemble(value, f", {gate}: ", verdict),
        Text.assemble(
            volume,
            f"; its tier (from {tier.adv_usd_min:,} USD a day) asks for {tier.depth_usd_min:,} USD of depth",
            f" and a spread of {tier.spread_bps_max:g} bps at most: it is ",
            (spread, "yellow" if is_wide else "green"),
        ),
    ]


def as_values(found: Analysis) -> dict[str, Any]:
    """Return the analysis for programs."""
    tier = found.tier
    return {
        "vadr": found.vadr,
        "is_frozen": found.is_frozen,
        "bars": found.bars,
        "gate": found.gate,
        "passes": found.passes,
        "volume_24h_quote": f"{found.volume:f}",
        "currency": found.currency,
        "tier": None
        if tier is None
        else {
            "adv_usd_min": tier.adv_usd_min,
            "vadr_min": tier.vadr_min,
            "depth_usd_min": tier.depth_usd_min,
            "spread_bps_max": tier.spread_bps_max,
        },
    }
