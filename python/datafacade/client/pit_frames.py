"""Lay stored answers out as Polars frames; as in `frames`, prices become floats here alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from io import BytesIO
from typing import Final

import polars as pl
from google.protobuf.message import Message

from datafacade.client.frames import TIMESTAMP, klines_frame, trades_frame
from datafacade.client.numbers import decimal, exact
from datafacade.client.warm_decode import funding_of, klines_of, trades_of
from datafacade.v1 import book_pb2, pit_pb2, price_pb2, warm_pb2

REF_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "id": pl.String(),
    "timestamp": pl.Int64(),
    "seq": pl.UInt64(),
    "kind": pl.String(),
    "rows": pl.UInt64(),
    "size_bytes": pl.UInt64(),
    "labels": pl.List(pl.String()),
}
LEVEL_SCHEMA: Final = {"side": pl.String, "level": pl.UInt32, "price": pl.Float64, "quantity": pl.Float64}
RATE_SCHEMA: Final = {
    "timestamp": pl.Int64,
    "symbol": pl.String,
    "exchange": pl.String,
    "rate": pl.Float64,
    "state": pl.String,
    "mark_price": pl.Float64,
    "index_price": pl.Float64,
}
QUOTE_SCHEMA: Final = {
    "source": pl.String,
    "price": pl.Float64,
    "quote": pl.String,
    "volume_24h": pl.Float64,
    "is_used": pl.Boolean,
    "reason": pl.String,
}


def frame_of(answer: Message) -> pl.DataFrame:
    """Return the rows of an answer.

    Raises:
        ValueError: It has none.
    """
    if isinstance(answer, warm_pb2.WarmKlinesResponse):
        return klines_frame(klines_of(answer))
    if isinstance(answer, warm_pb2.WarmTradesResponse):
        return trades_frame(trades_of(answer))
    if isinstance(answer, warm_pb2.WarmFundingResponse):
        return _rates(answer)
    if isinstance(answer, price_pb2.ReconciledPriceResponse):
        return _quotes(answer)
    if isinstance(answer, book_pb2.L2BookResponse):
        return _levels(answer)
    name = answer.DESCRIPTOR.name
    raise ValueError(f"a {name} is no table: pit_get(...).answer() has all of it")


def table(content: bytes) -> pl.DataFrame:
    """Return a stored table."""
    return pl.read_parquet(BytesIO(content))


def refs_frame(refs: Iterable[pit_pb2.PitRef]) -> pl.DataFrame:
    """Return a row for each snapshot, in the order given."""
    rows = [
        (ref.id, ref.ts_wall, ref.seq, ref.kind, ref.rows, ref.size_bytes, list(ref.labels)) for ref in refs
    ]
    return _stamped(pl.DataFrame(rows, schema=REF_SCHEMA, orient="row"))


def _rates(answer: warm_pb2.WarmFundingResponse) -> pl.DataFrame:
    told = funding_of(answer)
    rows = [
        (
            row.ts_funding,
            told.symbol,
            told.venue,
            _float(row.rate),
            row.state or None,
            _float(row.mark_price),
            _float(row.index_price),
        )
        for row in told.rows
    ]
    return _stamped(pl.DataFrame(rows, schema=RATE_SCHEMA, orient="row"))


def _quotes(answer: price_pb2.ReconciledPriceResponse) -> pl.DataFrame:
    rows = [
        (
            quote.source,
            _float(exact(quote.price)),
            quote.quote or None,
            _float(exact(quote.volume_24h)),
            quote.used,
            quote.reason or None,
        )
        for quote in answer.quotes
    ]
    return pl.DataFrame(rows, schema=QUOTE_SCHEMA, orient="row")


def _levels(answer: book_pb2.L2BookResponse) -> pl.DataFrame:
    book = answer.book
    sides = (("bid", book.bid_prices, book.bid_quantities), ("ask", book.ask_prices, book.ask_quantities))
    rows = [
        (
            side,
            level,
            float(decimal(price, answer.price_exponent)),
            float(decimal(quantity, answer.quantity_exponent)),
        )
        for side, prices, quantities in sides
        for level, (price, quantity) in enumerate(zip(prices, quantities, strict=True))
    ]
    return pl.DataFrame(rows, schema=LEVEL_SCHEMA, orient="row")


def _stamped(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("timestamp").cast(TIMESTAMP))


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
