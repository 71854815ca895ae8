"""What the cached REST answers are to a program: exact decimals, ns since 1970 UTC, and their provenance."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from datafacade.client.events import Ticker
from datafacade.client.provenance import Provenance, Source

if TYPE_CHECKING:
    import polars as pl  # only `to_polars` needs it


@dataclass(frozen=True, slots=True, kw_only=True)
class KlineRow:
    """OHLCV of one interval; None: no trade in it, or not given by the venue."""

    ts_open: int
    ts_close: int  # first instant behind the interval
    open: Decimal | None  # quote units
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal | None  # base units, or contracts where the venue counts contracts
    quote_volume: Decimal | None
    vwap: Decimal | None
    taker_buy_volume: Decimal | None
    trade_count: int | None
    is_final: bool  # closed; else the interval is open and the row goes on changing
    completeness: (
        str  # INCOMPLETE (reconciled, and a venue is missing in it), COMPLETE, UNKNOWN; "": not told
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A span for which the venue gave no row."""

    ts_start: int
    ts_end: int  # first instant behind it
    reason: str  # NO_TRADES, NOT_KEPT, MISSING; "": not told


@dataclass(frozen=True, slots=True, kw_only=True)
class Klines:
    """A venue's klines, oldest first, each interval once."""

    venue: str  # "": reconciled over the venues that ``provenance`` names
    symbol: str  # canonical, as ``BTC-USD``
    interval: str
    rows: tuple[KlineRow, ...]
    holes: tuple[Hole, ...]
    provenance: Provenance

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a frame for calculations: figures as Float64, ``timestamp`` naive UTC.

        Columns: timestamp, symbol, exchange, interval, open, high, low, close, volume, trades, vwap,
        is_final.

        Raises:
            ImportError: Polars is not installed.
        """
        from datafacade.client.frames import klines_frame  # late: the client needs Polars here alone

        return klines_frame(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """One execution."""

    ts_event: int  # of the venue; 0: it gave none
    price: Decimal  # quote units
    quantity: Decimal  # base units or contracts
    side: str  # of the taker: BUY, SELL; "": the venue did not say
    trade_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """A venue's trades, oldest first, each once."""

    venue: str
    symbol: str
    rows: tuple[TradeRow, ...]
    provenance: Provenance

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a frame for calculations: prices as Float64, ``timestamp`` naive UTC.

        Columns: timestamp, symbol, exchange, price, quantity, side (buy, sell or null), trade_id.

        Raises:
            ImportError: Polars is not installed.
        """
        from datafacade.client.frames import trades_frame  # late: the client needs Polars here alone

        return trades_frame(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerAnswer:
    """A venue's statistics of 24 hours and its best prices."""

    ticker: Ticker  # its stamp has no number: it comes from no stream
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRow:
    """One funding rate of a perpetual."""

    ts_funding: int  # when it is or was paid
    rate: Decimal  # share of the position's value per funding interval
    interval_s: int  # 0: the venue does not tell
    state: str  # ESTIMATED, SETTLED; "": not told
    mark_price: Decimal | None
    index_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """A perpetual's funding rates, oldest first."""

    venue: str
    symbol: str
    rows: tuple[FundingRow, ...]  # settled
    next: FundingRow | None  # None: the venue does not tell, or an old range was asked for
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A rate by which quotes in another currency were converted."""

    source_currency: str  # as ``USDT``
    target_currency: str  # as ``USD``
    rate: Decimal  # units of the target for one of the source
    source: str  # who told it
    ts_source: int  # 0: no time was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One price of several sources, with all that is needed to compute it again."""

    symbol: str
    price: Decimal  # quote units per base unit
    volume_24h: Decimal | None  # base units
    confidence_ratio: float  # 0 to 1, before the age penalty
    deviation_ratio: float  # sample standard deviation of those that are no outliers, over the price
    method: str  # TRIMMED_MEDIAN, TRIMMED_MEAN
    deviation_ratio_max: float  # from the first median; beyond it a source is an outlier
    sources_min: int
    confidence_ratio_min: float
    quotes: tuple[Source, ...]  # used or dropped, sorted by source
    conversions: tuple[Conversion, ...]
    warnings: tuple[str, ...]  # as CORRELATED_SOURCES
    provenance: Provenance

    @property
    def used(self) -> tuple[Source, ...]:
        """Sources that took part."""
        return tuple(quote for quote in self.quotes if quote.is_used)

    @property
    def dropped(self) -> tuple[Source, ...]:
        """Sources that did not, each with its reason."""
        return tuple(quote for quote in self.quotes if not quote.is_used)
