"""Keep the rows of large answers as tables too, with exact numbers. Loaded where tables are wanted.

A table stays as it is written, so its columns are fields of the contract, by their names, with every digit.
What readers are given has fewer columns with handier names: ``rows.columns``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import polars as pl
from google.protobuf.message import Message

from datafacade.errors import PitExists
from datafacade.store.pit.names import Entity
from datafacade.store.pit.record import Draft, PitRef
from datafacade.store.pit.store import PitStore
from datafacade.store.pit.tables import Codec, table_draft

log = logging.getLogger(__name__)

TABLE: Final = "table"  # before the kind of an entity: its answers as tables
ROWS_MIN: Final = 100  # of an answer: below, a table is larger than what it was made of
UNDER_WAY_MAX: Final = 8  # tables that are made now; more are left out
DIGITS_MAX: Final = 38  # of a decimal column; what needs more is text


class Layout(NamedTuple):
    """Columns of a kind of rows, by what they hold."""

    rows: str  # field of the answer
    head: tuple[str, ...]  # fields of the answer, the same in every row
    mantissas: Mapping[str, str]  # with the exponent's field in the answer
    decimals: tuple[str, ...]  # exact texts; "": not given
    times: tuple[str, ...]  # ns UTC; 0: not given
    counts: tuple[str, ...]
    words: tuple[str, ...]  # enums


LAYOUTS: Final[Mapping[str, Layout]] = MappingProxyType(
    {
        "WarmKlinesResponse": Layout(
            rows="klines",
            head=("venue", "symbol", "interval"),
            mantissas=dict.fromkeys(("open", "high", "low", "close"), "price_exponent"),
            decimals=("volume", "quote_volume", "vwap", "taker_buy_volume"),
            times=("ts_open", "ts_close"),
            counts=("trade_count", "revision", "flags"),
            words=("state", "completeness"),
        ),
        "WarmTradesResponse": Layout(
            rows="trades",
            head=("venue", "symbol"),
            mantissas={"price": "price_exponent", "quantity": "quantity_exponent"},
            decimals=(),
            times=("ts_event",),
            counts=("trade_id", "flags"),
            words=("side",),
        ),
        "WarmFundingResponse": Layout(
            rows="rates",
            head=("venue", "symbol"),
            mantissas={},
            decimals=("rate", "mark_price", "index_price"),
            times=("ts_funding",),
            counts=("interval_s",),
            words=("state",),
        ),
    }
)


class Tables:
    """Makes tables behind the answers. Owned by the event loop.

    Args:
        codec: How their pages are packed.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._under_way: set[asyncio.Future[None]] = set()

    def keep(self, store: PitStore, entity: Entity, carrier: type[Message], draft: Draft) -> None:
        """Keep an answer's rows as a table too, some time soon, if it has enough; nobody waits for it.

        Args:
            store: Which keeps the answer already.
            entity: What the answer is about.
            carrier: Type of the answer.
            draft: The answer.
        """
        if carrier.DESCRIPTOR.name not in LAYOUTS or draft.rows < ROWS_MIN:
            return
        if len(self._under_way) >= UNDER_WAY_MAX:
            log.warning("pit.table_left_out", extra={"entity": draft.entity, "waiting": UNDER_WAY_MAX})
            return

        def make() -> None:
            table = table_draft(
                str(replace(entity, kind=f"{TABLE}.{entity.kind}")),
                table_of(carrier.FromString(draft.message)),
                ts_wall=draft.ts_wall,
                references=(sha256(draft.message).hexdigest(),),
                codec=self._codec,
            )
            store.submit(table).add_done_callback(_tell)  # no thread waits for the disk

        work = asyncio.get_running_loop().run_in_executor(None, make)
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        work.add_done_callback(_tell)

    async def handed_over(self) -> None:
        """Wait until the store has all tables that were begun."""
        await asyncio.gather(*self._under_way, return_exceptions=True)


def _tell(work: Future[PitRef] | asyncio.Future[None]) -> None:
    """Log it when a table could not be made or kept."""
    problem = None if work.cancelled() else work.exception()
    if problem is not None and not isinstance(problem, PitExists):
        log.warning("pit.table_failed", extra={"problem": str(problem) or type(problem).__name__})


def table_of(answer: Message) -> pl.DataFrame:
    """Return a row for each row of an answer, numbers as exact decimals; null: the venue gave none.

    Raises:
        KeyError: An answer of this kind has no rows.
    """
    layout = LAYOUTS[answer.DESCRIPTOR.name]
    rows: Sequence[Any] = getattr(answer, layout.rows)
    columns = [pl.repeat(getattr(answer, name), len(rows), eager=True).alias(name) for name in layout.head]
    columns += [_times(name, rows) for name in layout.times]
    columns += [
        pl.Series(name, [_given(row, name) for row in rows], dtype=pl.UInt64) for name in layout.counts
    ]
    for name, exponent in layout.mantissas.items():
        shift = getattr(answer, exponent)
        found = (_given(row, name) for row in rows)
        columns.append(
            _decimals(name, [None if one is None else Decimal(one).scaleb(shift) for one in found])
        )
    for name in layout.decimals:
        texts = (_given(row, name) for row in rows)
        columns.append(_decimals(name, [Decimal(text) if text else None for text in texts]))
    columns += [pl.Series(name, list(_words(rows, name)), dtype=pl.String) for name in layout.words]
    return pl.DataFrame(columns)


def _given(row: Any, name: str) -> Any:  # noqa: ANN401  a field of any type
    """Return a field of a row or of the trade in it; None: it is absent."""
    holder = row if name in row.DESCRIPTOR.fields_by_name else row.trade
    is_absent = holder.DESCRIPTOR.fields_by_name[name].has_presence and not holder.HasField(name)
    return None if is_absent else getattr(holder, name)


def _times(name: str, rows: Iterable[Any]) -> pl.Series:
    return pl.Series(name, [_given(row, name) or None for row in rows], dtype=pl.Int64)


def _words(rows: Iterable[Any], name: str) -> Iterable[str]:
    for row in rows:
        holder = row if name in row.DESCRIPTOR.fields_by_name else row.trade
        kind = holder.DESCRIPTOR.fields_by_name[name].enum_type
        number = getattr(holder, name)
        yield kind.values_by_number[number].name if number in kind.values_by_number else str(number)


def _decimals(name: str, values: Sequence[Decimal | None]) -> pl.Series:
    """Return a column that holds every digit: decimals of one scale, or texts where none has room for all."""
    known = [value.as_tuple() for value in values if value is not None]
    scale = max((max(0, -int(one.exponent)) for one in known), default=0)
    digits = max((len(one.digits) + int(one.exponent) for one in known), default=0)
    if scale + digits > DIGITS_MAX:
        texts = [None if value is None else f"{value:f}" for value in values]
        return pl.Series(name, texts, dtype=pl.String)
    return pl.Series(name, values, dtype=pl.Decimal(DIGITS_MAX, scale))
