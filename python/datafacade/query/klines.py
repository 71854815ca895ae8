"""Make klines of whole tables: of trades, of shorter klines, and where nothing was traded.

The arithmetic is that of the live klines, exact to the last digit, in Rust over the table's own memory
(Arrow, no copy), on up to two threads and without the interpreter. ``docs/klines.md`` states the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias

import polars as pl

from datafacade import _core

PRICES: Final = ("open", "high", "low", "close")
SUMS: Final = ("volume", "quote_volume", "taker_buy_volume", "taker_sell_volume")
# Columns of a kline table, in this order. Sums and prices are Decimal, times UTC.
COLUMNS: Final = (
    "ts_open", "ts_close", *PRICES, "volume", "quote_volume", "vwap", "taker_buy_volume", "taker_sell_volume",
    "trade_count", "is_synthetic",
)  # fmt: skip
REQUIRED: Final = ("ts_open", *PRICES, "volume")  # what a table needs to be one of klines
FillMethod: TypeAlias = Literal["previous", "zero", "interpolate"]


class ArrowTable(Protocol):
    """Whatever lends its columns over the Arrow C stream interface: pyarrow, DuckDB, pandas and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Lend the table."""
        ...


Table: TypeAlias = pl.DataFrame | pl.LazyFrame | ArrowTable


def klines_from_trades(
    trades: Table,
    variant: str = "1m",
    *,
    price_digits: int | None = None,
    quantity_digits: int | None = None,
    ts: str = "ts_event",
    price: str = "price",
    quantity: str = "quantity",
    is_buy: str = "is_buy",
) -> pl.DataFrame:
    """Return the klines of trades of one instrument.

    Klines of time: one for each interval with a trade, aligned to UTC, weeks to Monday. Bar types: a trade
    that reaches the bound closes the kline and belongs to it whole; trades behind the last closed kline are
    in none. Trades are ordered by time, those of one instant stay in the order of their rows.

    Args:
        trades: Table of trades: Polars, or whatever speaks the Arrow C stream interface.
        variant: Interval (``1s`` to ``1w``, any ``<n>s|m|h|d``) or bar type (``100t`` trades, ``2.5v`` base
            units, ``100000q`` quote units).
        price_digits: Digits behind the point of prices, 0 to 18; may be left out if the column is Decimal.
        quantity_digits: The same of quantities.
        ts: Column of times: Datetime, or Int64 in ns since 1970 UTC.
        price: Column of prices: Decimal, Float64, String, or Int64 with mantissas at ``price_digits``.
        quantity: Column of quantities, 0 or more, of the same types.
        is_buy: Column that says whether the taker bought: Boolean, or Int8 with a sign; no such column: the
            klines have no volumes of takers.

    Raises:
        ValueError: The variant is none of klines, a value is absent or negative, or a number is not exact at
            its digits; the message names column and row.
        TypeError: A column is of another type.

    Example:
        >>> import polars as pl
        >>> trades = pl.DataFrame({"ts_event": [0, 59_999_999_999, 60_000_000_000],
        ...                        "price": ["100.5", "99.25", "101"], "quantity": ["2", "1", "0.5"]})
        >>> klines = klines_from_trades(trades, "1m", price_digits=2, quantity_digits=1)
        >>> klines.select("open", "low", "close", "volume", "trade_count").rows()[0]
        (Decimal('100.50'), Decimal('99.25'), Decimal('99.25'), Decimal('3.0'), 2)
    """
    names = [ts, price, quantity]
    lazy = _lazy(trades)
    schema = lazy.collect_schema()
    _need(schema, names)
    digits = {
        "price_digits": _digits(schema, [price], price_digits, "price_digits"),
        "quantity_digits": _digits(schema, [quantity], quantity_digits, "quantity_digits"),
    }
    frame = lazy.select(*names, *([is_buy] if is_buy in schema else [])).collect().rechunk()
    table = _core.kline_columns(frame, variant=variant, **digits)
    if table is None:
        frame = frame.sort(ts, maintain_order=True).rechunk()
        table = _core.kline_columns(frame, variant=variant, **digits)
    if table is None:
        raise ValueError(f"column {ts!r} cannot be sorted")
    unknown = set() if is_buy in schema else {"taker_buy_volume", "taker_sell_volume"}
    return pl.DataFrame(table).select(name for name in COLUMNS if name not in unknown)


def klines_from_klines(
    klines: Table, interval: str, *, price_digits: int | None = None, quantity_digits: int | None = None
) -> pl.DataFrame:
    """Return longer klines of shorter ones, which each lie within one of them.

    Synthetic klines count only where an interval has no others; the kline is then synthetic too. Columns that
    the given klines do not have, the result does not have; ``ts_open``, prices and ``volume`` must be there.

    Args:
        klines: Table of klines in order of time, as :func:`klines_from_trades` gives.
        interval: The longer interval: ``1m``, ``1h``, ``1d``, ``1w``, any ``<n>s|m|h|d``.
        price_digits: Digits behind the point of prices, 0 to 18; may be left out if all are Decimal.
        quantity_digits: Digits of ``volume``, the same. ``quote_volume`` has as many as both together.

    Raises:
        ValueError: A kline lies in two intervals, is not in order, or a number is not exact at its digits.
        TypeError: A column is of another type.
    """
    frame, missing, digits = _kline_frame(klines, price_digits, quantity_digits)
    table = _core.roll_up_kline_columns(frame, variant=interval, **digits)
    return pl.DataFrame(table).select(name for name in COLUMNS if name not in missing)


def fill_klines(
    klines: Table,
    interval: str,
    *,
    method: FillMethod = "previous",
    ts_end: datetime | int | None = None,
    price_digits: int | None = None,
    quantity_digits: int | None = None,
) -> pl.DataFrame:
    """Return the klines with one more for each interval that has none, marked ``is_synthetic``.

    Their sums are 0. Before the first kline nothing is invented.

    Args:
        klines: Klines of this interval in order of time, see :func:`klines_from_klines`.
        interval: Their interval.
        method: Where the prices come from: ``previous`` is the close before, ``zero`` is 0, ``interpolate``
            is the straight line from the close before to the open behind, rounded half to even.
        ts_end: Fill up to here behind the last kline (not inside; ns since 1970 UTC, or a datetime with a
            time zone); None: only between klines. ``interpolate`` knows nothing behind the last.
        price_digits: See :func:`klines_from_klines`.
        quantity_digits: See :func:`klines_from_klines`.

    Raises:
        ValueError: A kline is none of this interval, is not in order, or a number is not exact at its digits.
        TypeError: A column is of another type.
    """
    frame, missing, digits = _kline_frame(klines, price_digits, quantity_digits)
    end = _nanoseconds(ts_end) if isinstance(ts_end, datetime) else ts_end
    table = _core.fill_kline_columns(frame, variant=interval, method=method, ts_end=end, **digits)
    return pl.DataFrame(table).select(name for name in COLUMNS if name not in missing - {"is_synthetic"})


def _lazy(table: Table) -> pl.LazyFrame:
    """Return a table of any kind as a lazy frame over its own memory."""
    if isinstance(table, pl.LazyFrame):
        return table
    return (table if isinstance(table, pl.DataFrame) else pl.DataFrame(table)).lazy()


def _need(schema: pl.Schema, names: Sequence[str]) -> None:
    """Refuse a table without one of the columns."""
    missing = [name for name in names if name not in schema]
    if missing:
        raise ValueError(f"expected columns {missing}, found {schema.names()}")


def _digits(schema: pl.Schema, names: Sequence[str], given: int | None, argument: str) -> int:
    """Return the digits behind the point that were given, or that Decimal columns have."""
    if given is not None:
        if given < 0:
            raise ValueError(f"{argument} is {given}, expected 0 to 18")
        return given
    kinds = [schema[name] for name in names]
    scales = [kind.scale for kind in kinds if isinstance(kind, pl.Decimal)]
    if len(scales) < len(kinds):
        raise ValueError(f"columns {list(names)} are not all Decimal: say {argument}")
    return max(scales)


def _kline_frame(
    klines: Table, price_digits: int | None, quantity_digits: int | None
) -> tuple[pl.DataFrame, set[str], dict[str, int]]:
    """Return the columns that the core wants, the names of those that were missing, and the digits."""
    lazy = _lazy(klines)
    schema = lazy.collect_schema()
    _need(schema, REQUIRED)
    missing = set(COLUMNS) - set(schema.names())
    if "quote_volume" in missing:
        missing.add("vwap")
    else:
        missing.discard("vwap")  # it follows from the sums
    missing.discard("ts_close")
    digits = {
        "price_digits": _digits(schema, PRICES, price_digits, "price_digits"),
        "quantity_digits": _digits(schema, ["volume"], quantity_digits, "quantity_digits"),
    }
    times = [_time(schema, name).alias(name) for name in ("ts_open", "ts_close") if name in schema]
    if "ts_close" not in schema:
        times.append(_time(schema, "ts_open").alias("ts_close"))
    nothing = pl.lit(0, dtype=pl.Int64)
    sums = [(nothing if name in missing else pl.col(name)).alias(name) for name in SUMS]
    count = pl.lit(0) if "trade_count" in missing else pl.col("trade_count")
    mark = pl.lit(value=False) if "is_synthetic" in missing else pl.col("is_synthetic")
    facts = [count.cast(pl.UInt64).alias("trade_count"), mark.alias("is_synthetic")]
    return lazy.select(*times, *PRICES, *sums, *facts).collect().rechunk(), missing, digits


def _time(schema: pl.Schema, name: str) -> pl.Expr:
    """Return a column of times; days are their first instant."""
    column = pl.col(name)
    return column.cast(pl.Datetime("ms")) if schema[name] == pl.Date else column


def _nanoseconds(moment: datetime) -> int:
    """Return a moment in ns since 1970 UTC."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return int(pl.Series([moment]).dt.epoch("ns")[0])
