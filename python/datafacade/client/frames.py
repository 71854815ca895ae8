"""Lay klines and trades out as Polars frames, for calculations: here alone prices become floats."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from datafacade.client.warm import Klines, Trades

TIMESTAMP: Final = pl.Datetime("ns")  # naive, UTC


def klines_frame(klines: Klines) -> pl.DataFrame:
    """Return a row for each kline, oldest first; null: the venue gave no such figure."""
    rows = klines.rows
    return pl.DataFrame(
        [
            pl.Series("timestamp", [row.ts_open for row in rows], dtype=pl.Int64).cast(TIMESTAMP),
            _text("symbol", [klines.symbol] * len(rows)),
            _text("exchange", [klines.venue] * len(rows)),
            _text("interval", [klines.interval] * len(rows)),
            _float("open", (row.open for row in rows)),
            _float("high", (row.high for row in rows)),
            _float("low", (row.low for row in rows)),
            _float("close", (row.close for row in rows)),
            _float("volume", (row.volume for row in rows)),
            pl.Series("trades", [row.trade_count for row in rows], dtype=pl.UInt64),
            _float("vwap", (row.vwap for row in rows)),
            pl.Series("is_final", [row.is_final for row in rows], dtype=pl.Boolean),
        ]
    )


def trades_frame(trades: Trades) -> pl.DataFrame:
    """Return a row for each trade, oldest first; a time or side that the venue did not give is null."""
    rows = trades.rows
    return pl.DataFrame(
        [
            pl.Series("timestamp", [row.ts_event or None for row in rows], dtype=pl.Int64).cast(TIMESTAMP),
            _text("symbol", [trades.symbol] * len(rows)),
            _text("exchange", [trades.venue] * len(rows)),
            _float("price", (row.price for row in rows)),
            _float("quantity", (row.quantity for row in rows)),
            _text("side", [row.side.lower() or None for row in rows]),
            pl.Series("trade_id", [row.trade_id for row in rows], dtype=pl.UInt64),
        ]
    )


def _text(name: str, values: list[str] | list[str | None]) -> pl.Series:
    return pl.Series(name, values, dtype=pl.String)


def _float(name: str, values: Iterable[Decimal | None]) -> pl.Series:
    return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
