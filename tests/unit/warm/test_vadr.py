"""VADR against the formula in exact arithmetic; tiers and gate at their borders."""

from __future__ import annotations

import logging
import math
from datetime import timedelta

import polars as pl
import pytest

from datafacade.warm.vadr import TIERS, VADRCalculator, bar_values, gate_value, tier_of

HOUR_NS = 3_600_000_000_000


def klines(count: int, **change: object) -> pl.DataFrame:
    """Return hourly bars: bar n ranges over n + 1 of 100 at a volume of 4."""
    table: dict[str, object] = {
        "ts_open": [at * HOUR_NS for at in range(count)],
        "high": [101.0 + at for at in range(count)],
        "low": [100.0] * count,
        "close": [100.0] * count,
        "volume": [4.0] * count,
    }
    return pl.DataFrame(table | change)


@pytest.mark.proves("REQ-V1")
def test_value_is_the_mean_of_the_bars_of_the_window() -> None:
    # (high - low) / close * sqrt(volume) * 100 = 2 (n + 1); the mean over n = 6 to 29 is 2 * 18.5
    assert VADRCalculator().calculate(klines(30)) == (37.0, False)
    assert VADRCalculator().calculate(klines(30), timedelta(hours=30)) == (31.0, False)
    decimals = klines(30).with_columns(
        pl.col(name).cast(pl.Decimal(38, 4)) for name in ("high", "low", "close", "volume")
    )
    assert VADRCalculator().calculate(decimals) == (37.0, False)


@pytest.mark.proves("REQ-V2")
@pytest.mark.parametrize(("count", "is_frozen"), [(0, True), (19, True), (20, False)])
def test_fewer_than_twenty_bars_freeze_it_and_the_log_says_so(
    count: int, is_frozen: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        value = VADRCalculator().calculate(klines(count), venue="kraken", symbol="BTC-USD")
    assert value.is_frozen == is_frozen
    assert (value.value == 0.0) == is_frozen
    assert ("VADR frozen due to insufficient data" in caplog.messages) == is_frozen


@pytest.mark.parametrize("column", ["close", "volume"])
@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_bars_without_close_or_volume_do_not_count(column: str, bad: float) -> None:
    spoiled = klines(24, **{column: [bad] * 5 + [100.0] * 19})
    assert VADRCalculator().calculate(spoiled).is_frozen
    assert len(bar_values(spoiled, timedelta(hours=24))) == 19


def test_tiers_begin_at_their_volume() -> None:
    figures = [(50_000_000, 2.5, 500_000, 25), (10_000_000, 2.0, 250_000, 35), (5_000_000, 1.8, 150_000, 45),
               (1_000_000, 1.5, 100_000, 55), (0, 1.2, 50_000, 75)]  # fmt: skip
    for at, (volume, least, depth, spread) in enumerate(figures):
        tier = tier_of(volume)
        assert tier is TIERS[at]
        assert (tier.vadr_min, tier.depth_usd_min, tier.spread_bps_max) == (least, depth, spread)
        assert tier_of(max(volume - 0.01, 0)) is TIERS[min(at + 1, 4)]
    assert tier_of(math.nan) is TIERS[-1]


def test_gate_is_the_eightieth_percentile_or_the_least_of_the_tier() -> None:
    # values 2 (n + 1) for n = 6 to 29; 0.8 * 23 = 18.4 places on: between n = 24 and n = 25
    assert gate_value(klines(30), TIERS[0]) == pytest.approx(2 * (6 + 18.4 + 1))
    calm = klines(30, high=[100.001] * 30)
    assert gate_value(calm, TIERS[0]) == 2.5
    assert gate_value(klines(0), TIERS[4]) == 1.2
