"""What a simulator run is given. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from datafacade.sim.aggregators import AGGREGATORS, AggregatorKey
from datafacade.sim.listings import PRODUCTS, ProductKey

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Settings of one simulator; every default is fit for a demo on a laptop."""

    seed: int = 1
    products: tuple[ProductKey, ...] = PRODUCTS
    bases: tuple[str, ...] = ("BTC", "ETH", "SOL")  # base assets listed at every product
    aggregators: tuple[AggregatorKey, ...] = AGGREGATORS
    aggregator_refresh_s: float | None = None  # how long quotes are kept; None: as the real ones, 60 and 300
    generated: int = 0  # further assets listed at every product: small books that hardly move
    generated_steps_per_s: float = 0.1  # of each of them
    has_past: bool = True  # candles before the start, made from the seed
    steps_per_s: float = 25.0  # market steps per symbol and second, trades included
    trade_ratio: float = 0.2  # share of the steps that are trades
    depth: int = 500  # levels a side that a market keeps near
    truth: Path | None = None
    ports_file: Path | None = None
    host: str = LOOPBACK
    port: int = 0  # of the control endpoint; the venues take free ports
    has_oddities: bool = True  # late acks, unknown deletions, mixed number formats and the like
    has_okx_checksum: bool = False  # the CRC that OKX sent until 2026-06-23
    top_hash_every_ms: int = 100
    full_hash_every_ms: int = 1_000
    records_kept: int = 20_000  # newest truth records kept in memory
    rest_limits: Mapping[str, float] = field(default_factory=dict)  # by product; docs/simulator.md has units
    rates: Mapping[str, float] = field(default_factory=dict)  # steps a second by PRODUCT:SYMBOL or BASE
    has_trade_log: bool = True  # the truth log tells every trade and minute candle of every market
    history_s: float = 0.0  # trades and candles begin so long before the start, one step a second
    has_proxy: bool = False  # the URLs lead through a fault proxy in this process
    lifetime_s: float | None = None  # of a connection, at venues that have one; None: the venue's own
    rules: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )  # ConnectionRules fields by product

    def __post_init__(self) -> None:
        """Derive what the fields imply."""
        if self.steps_per_s < 0 or not 0 <= self.trade_ratio <= 1:
            raise ValueError("expected a rate of at least 0 and a trade ratio from 0 to 1")
        if not self.bases or self.depth < 1:
            raise ValueError("expected at least one base asset and one level")
        if self.generated < 0 or self.generated_steps_per_s < 0:
            raise ValueError("expected a number and a rate of generated assets of at least 0")
        if self.aggregator_refresh_s is not None and self.aggregator_refresh_s <= 0:
            raise ValueError("expected aggregators to keep quotes for more than 0 s")
        unknown = set(self.products) - set(PRODUCTS)
        if unknown:
            raise ValueError(
                f"unknown products {', '.join(sorted(unknown))}: expected some of {', '.join(PRODUCTS)}"
            )
