"""Lay answers out as Polars frames, for calculations: here alone prices become floats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Final

import polars as pl

from datafacade.rows.columns import KLINES, TRADES, frame

if TYPE_CHECKING:
    from datafacade.client.warm import Klines, Trades
    from datafacade.v1 import pit_pb2

REF_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "id": pl.String(),
    "timestamp": pl.Int64(),
    "seq": pl.UInt64(),
    "kind": pl.String(),
    "rows": pl.UInt64(),
    "size_bytes": pl.UInt64(),
    "labels": pl.List(pl.String()),
}


def klines_frame(klines: Klines) -> pl.DataFrame:
    """Return a row for each kline, oldest first; null: the venue gave no such figure."""
    place = klines.symbol, klines.venue, klines.interval
    rows = (
        (
            row.ts_open,
            *place,
            *(row.open, row.high, row.low, row.close),
            row.volume,
            row.trade_count,
            row.vwap,
            row.is_final,
        )
        for row in klines.rows
    )
    return frame(KLINES, rows)


def trades_frame(trades: Trades) -> pl.DataFrame:
    """Return a row for each trade, oldest first; a time or side that the venue did not give is null."""
    place = trades.symbol, trades.venue
    rows = (
        (row.ts_event or None, *place, row.price, row.quantity, row.side.lower() or None, row.trade_id)
        for row in trades.rows
    )
    return frame(TRADES, rows)


def table(content: bytes) -> pl.DataFrame:
    """Return a stored table."""
    return pl.read_parquet(BytesIO(content))


def refs_frame(refs: Iterable[pit_pb2.PitRef]) -> pl.DataFrame:
    """Return a row for each snapshot, in the order given."""
    rows = [
        (ref.id, ref.ts_wall, ref.seq, ref.kind, ref.rows, ref.size_bytes, list(ref.labels)) for ref in refs
    ]
    told = pl.DataFrame(rows, schema=REF_SCHEMA, orient="row")
    return told.with_columns(pl.col("timestamp").cast(pl.Datetime("ns")))
