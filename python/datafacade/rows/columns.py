"""Lay the rows of an answer out in columns for readers: the one definition of their names, order and types.

Tables that the store keeps are another thing: ``warm.tables`` writes more fields, under their own names.
A number that the contract gives exactly stays exact: a text, which any reader rounds once to the right float.
A decimal column would have another scale in each answer, so that no two could be joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import Message

from datafacade.rows.numbers import exact, plain
from datafacade.rows.words import FUNDING_STATE, INSTRUMENT_STATUS, INSTRUMENT_TYPE, SIDE
from datafacade.v1 import book_pb2, market_pb2, price_pb2, reference_pb2, warm_pb2

if TYPE_CHECKING:
    import polars as pl  # only frames need it


class Kind(Enum):
    """What a column holds; null: the venue gave no such figure."""

    TIME = "ns since 1970 UTC, naive"
    TEXT = "text"
    EXACT = "number, exact in the contract"
    COUNT = "whole number, 64 bits, from 0"
    RANK = "whole number, 32 bits, from 0"
    FLAG = "yes or no"


Schema = Mapping[str, Kind]
Row = tuple[Any, ...]

KLINES: Final[Schema] = MappingProxyType(
    {
        "timestamp": Kind.TIME,
        "symbol": Kind.TEXT,
        "exchange": Kind.TEXT,
        "interval": Kind.TEXT,
        "open": Kind.EXACT,
        "high": Kind.EXACT,
        "low": Kind.EXACT,
        "close": Kind.EXACT,
        "volume": Kind.EXACT,
        "trades": Kind.COUNT,
        "vwap": Kind.EXACT,
        "is_final": Kind.FLAG,
    }
)
TRADES: Final[Schema] = MappingProxyType(
    {
        "timestamp": Kind.TIME,
        "symbol": Kind.TEXT,
        "exchange": Kind.TEXT,
        "price": Kind.EXACT,
        "quantity": Kind.EXACT,
        "side": Kind.TEXT,
        "trade_id": Kind.COUNT,
    }
)
RATES: Final[Schema] = MappingProxyType(
    {
        "timestamp": Kind.TIME,
        "symbol": Kind.TEXT,
        "exchange": Kind.TEXT,
        "rate": Kind.EXACT,
        "state": Kind.TEXT,
        "mark_price": Kind.EXACT,
        "index_price": Kind.EXACT,
    }
)
QUOTES: Final[Schema] = MappingProxyType(
    {
        "source": Kind.TEXT,
        "price": Kind.EXACT,
        "quote": Kind.TEXT,
        "volume_24h": Kind.EXACT,
        "is_used": Kind.FLAG,
        "reason": Kind.TEXT,
    }
)
LEVELS: Final[Schema] = MappingProxyType(
    {"side": Kind.TEXT, "level": Kind.RANK, "price": Kind.EXACT, "quantity": Kind.EXACT}
)
INSTRUMENTS: Final[Schema] = MappingProxyType(
    {
        "exchange": Kind.TEXT,
        "symbol": Kind.TEXT,
        "venue_symbol": Kind.TEXT,
        "base": Kind.TEXT,
        "quote": Kind.TEXT,
        "type": Kind.TEXT,
        "status": Kind.TEXT,
        "tick_size": Kind.EXACT,
        "lot_size": Kind.EXACT,
        "contract_value": Kind.EXACT,
        "expiry": Kind.TIME,
    }
)


def frame_of(answer: Message, *, is_exact: bool = False) -> pl.DataFrame:
    """Return the rows of an answer as a Polars frame.

    Args:
        answer: In the contract's own words.
        is_exact: Whether exact numbers stay texts; else they become floats.

    Raises:
        ImportError: Polars is not installed.
        ValueError: It has no rows.
    """
    if type(answer) not in _TABLES:
        raise ValueError(f"a {answer.DESCRIPTOR.name} is no table")
    schema, rows_of = _TABLES[type(answer)]
    return frame(schema, rows_of(answer), is_exact=is_exact)


def frame(schema: Schema, rows: Iterable[Row], *, is_exact: bool = False) -> pl.DataFrame:
    """Return rows as a Polars frame.

    Args:
        schema: Names and kinds, in the order of each row's values.
        rows: Exact numbers are decimals or their texts.
        is_exact: Whether exact numbers become texts; else they become floats.
    """
    import polars as pl  # late: who asks for no frame needs no Polars

    types: Mapping[Kind, Any] = {
        Kind.TIME: pl.Int64,
        Kind.TEXT: pl.String,
        Kind.EXACT: pl.String if is_exact else pl.Float64,
        Kind.COUNT: pl.UInt64,
        Kind.RANK: pl.UInt32,
        Kind.FLAG: pl.Boolean,
    }
    turn: Callable[[Any], object] = str if is_exact else float
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(schema)
    series = []
    for (name, kind), column in zip(schema.items(), values, strict=True):
        if kind is Kind.EXACT:
            turned = [None if value is None else turn(value) for value in column]
            series.append(pl.Series(name, turned, dtype=types[kind]))
        elif kind is Kind.TIME:
            series.append(pl.Series(name, column, dtype=pl.Int64).cast(pl.Datetime("ns")))
        else:
            series.append(pl.Series(name, column, dtype=types[kind]))
    return pl.DataFrame(series)


def _klines(answer: warm_pb2.WarmKlinesResponse) -> Iterable[Row]:
    for row in answer.klines:
        yield (
            row.ts_open,
            answer.symbol,
            answer.venue,
            answer.interval,
            *(_price(row, name, answer.price_exponent) for name in ("open", "high", "low", "close")),
            _text(row.volume),
            row.trade_count if row.HasField("trade_count") else None,
            _text(row.vwap),
            row.state == market_pb2.KLINE_STATE_FINAL,
        )


def _price(row: market_pb2.Kline, name: Any, exponent: int) -> str | None:  # noqa: ANN401  a literal of the stub
    return plain(getattr(row, name), exponent) if row.HasField(name) else None


def _trades(answer: warm_pb2.WarmTradesResponse) -> Iterable[Row]:
    for row in answer.trades:
        trade = row.trade
        yield (
            row.ts_event or None,
            answer.symbol,
            answer.venue,
            plain(trade.price, answer.price_exponent),
            plain(trade.quantity, answer.quantity_exponent),
            SIDE(trade.side).lower() or None,
            trade.trade_id if trade.HasField("trade_id") else None,
        )


def _rates(answer: warm_pb2.WarmFundingResponse) -> Iterable[Row]:
    for row in answer.rates:
        rate = _text(row.rate)
        if rate is not None:
            state = FUNDING_STATE(row.state) or None
            prices = _text(row.mark_price), _text(row.index_price)
            yield row.ts_funding, answer.symbol, answer.venue, rate, state, *prices


def _quotes(answer: price_pb2.ReconciledPriceResponse) -> Iterable[Row]:
    for quote in answer.quotes:
        price, volume = _text(quote.price), _text(quote.volume_24h)
        yield quote.source, price, quote.quote or None, volume, quote.used, quote.reason or None


def _levels(answer: book_pb2.L2BookResponse) -> Iterable[Row]:
    book = answer.book
    sides = (("bid", book.bid_prices, book.bid_quantities), ("ask", book.ask_prices, book.ask_quantities))
    for side, prices, quantities in sides:
        for level, (price, quantity) in enumerate(zip(prices, quantities, strict=True)):
            texts = plain(price, answer.price_exponent), plain(quantity, answer.quantity_exponent)
            yield side, level, *texts


def _instruments(answer: reference_pb2.ListInstrumentsResponse) -> Iterable[Row]:
    for row in answer.instruments:
        yield (
            row.venue,
            row.symbol,
            row.venue_symbol,
            row.base,
            row.quote,
            INSTRUMENT_TYPE(row.type) or None,
            INSTRUMENT_STATUS(row.status) or None,
            _text(row.tick_size),
            _text(row.lot_size),
            _text(row.contract_value),
            row.ts_expiry or None,
        )


def _text(value: str) -> str | None:
    """Return an exact decimal of the contract; None: it is empty, or no number."""
    return None if exact(value) is None else value


_TABLES: Final[Mapping[type[Message], tuple[Schema, Callable[[Any], Iterable[Row]]]]] = MappingProxyType(
    {
        warm_pb2.WarmKlinesResponse: (KLINES, _klines),
        warm_pb2.WarmTradesResponse: (TRADES, _trades),
        warm_pb2.WarmFundingResponse: (RATES, _rates),
        price_pb2.ReconciledPriceResponse: (QUOTES, _quotes),
        book_pb2.L2BookResponse: (LEVELS, _levels),
        reference_pb2.ListInstrumentsResponse: (INSTRUMENTS, _instruments),
    }
)
# Types of the answers that have rows, by the kind of their snapshots.
CARRIERS: Final[Mapping[str, type[Message]]] = MappingProxyType(
    {carrier.DESCRIPTOR.name: carrier for carrier in _TABLES}
)
