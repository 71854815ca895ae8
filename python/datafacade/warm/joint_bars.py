"""Turn klines of several venues into tables, and what comes out of reconciling them into an answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

from datafacade.v1 import market_pb2, warm_pb2
from datafacade.warm.reconcile import Rules
from datafacade.warm.reconcile_klines import PRICES, ReconciledKlines, reconcile_klines

TEXTS: Final = ("volume", "quote_volume", "taker_buy_volume")
MISSING: Final = "MISSING"
_WIDE: Final = 38  # digits of a Decimal
_TIME: Final = pl.Datetime("ns", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class JointBars:
    """One series, without names and lineage."""

    message: warm_pb2.WarmKlinesResponse
    fates: Mapping[str, str]  # by venue: "" if it took part in any bar, else the reason that was given most
    confidence_ratio: float  # the lowest of all bars; 0: there is none


def join_bars(
    told: Mapping[str, warm_pb2.WarmKlinesResponse], *, rules: Rules, interval_ns: int
) -> JointBars:
    """Reconcile what venues told of one instrument and one interval in one currency.

    Args:
        told: By venue; each has at least one kline.
        rules: Parameters.
        interval_ns: Length of the interval; 0: a month.

    Raises:
        ValueError: There is no venue.
    """
    scales = {name: max(_digits(answer, name) for answer in told.values()) for name in TEXTS}
    digits = max(0, *(-answer.price_exponent for answer in told.values()))
    frames = {venue: _frame(answer, digits, scales) for venue, answer in told.items()}
    joint = reconcile_klines(frames, rules=rules)
    message = warm_pb2.WarmKlinesResponse(price_exponent=-(digits + 1))
    closes = {kline.ts_open: kline.ts_close for answer in told.values() for kline in answer.klines}
    _put_bars(message, joint, closes, _open_bars(told.values()))
    message.holes.extend(_holes(joint, told, closes, interval_ns))
    confidence = joint.klines["confidence_ratio"].min()
    return JointBars(
        message=message,
        fates=_fates(joint.evidence),
        confidence_ratio=float(confidence) if isinstance(confidence, float) else 0.0,
    )


def _digits(answer: warm_pb2.WarmKlinesResponse, name: str) -> int:
    """Return the most digits behind the point that a sum of this name has."""
    return max(len(getattr(kline, name).partition(".")[2]) for kline in answer.klines)


def _frame(answer: warm_pb2.WarmKlinesResponse, digits: int, scales: Mapping[str, int]) -> pl.DataFrame:
    """Return a venue's klines as a table, exactly; what it does not tell is null."""
    exponent = answer.price_exponent
    columns: dict[str, pl.Series] = {
        "ts_open": pl.Series([kline.ts_open for kline in answer.klines], dtype=pl.Int64).cast(_TIME)
    }
    for name in PRICES:
        prices = [
            Decimal(getattr(kline, name)).scaleb(exponent) if kline.HasField(name) else None
            for kline in answer.klines
        ]
        columns[name] = pl.Series(prices, dtype=pl.Decimal(_WIDE, digits))
    for name in TEXTS:
        sums = [Decimal(text) if (text := getattr(kline, name)) else None for kline in answer.klines]
        columns[name] = pl.Series(sums, dtype=pl.Decimal(_WIDE, scales[name]))
    counts = [kline.trade_count if kline.HasField("trade_count") else None for kline in answer.klines]
    columns["trade_count"] = pl.Series(counts, dtype=pl.Int64)
    return pl.DataFrame(columns)


def _open_bars(answers: Iterable[warm_pb2.WarmKlinesResponse]) -> set[int]:
    """Return when the bars open that are not final at every venue."""
    final = market_pb2.KLINE_STATE_FINAL
    return {kline.ts_open for answer in answers for kline in answer.klines if kline.state != final}


def _put_bars(
    message: warm_pb2.WarmKlinesResponse,
    joint: ReconciledKlines,
    closes: Mapping[int, int],
    open_bars: set[int],
) -> None:
    for row in joint.klines.with_columns(pl.col("ts_open").cast(pl.Int64)).iter_rows(named=True):
        ts_open = row["ts_open"]
        is_open = ts_open in open_bars
        kline = message.klines.add(
            ts_open=ts_open,
            ts_close=closes[ts_open],
            state=market_pb2.KLINE_STATE_PROVISIONAL if is_open else market_pb2.KLINE_STATE_FINAL,
            **{name: int(row[name].scaleb(-message.price_exponent)) for name in PRICES},
            **{name: f"{row[name]:f}" for name in TEXTS if row.get(name) is not None},
        )
        if row.get("trade_count") is not None:
            kline.trade_count = row["trade_count"]
        if not row["is_complete"]:
            kline.completeness = market_pb2.COMPLETENESS_INCOMPLETE


def _holes(
    joint: ReconciledKlines,
    told: Mapping[str, warm_pb2.WarmKlinesResponse],
    closes: Mapping[int, int],
    interval_ns: int,
) -> list[warm_pb2.TimeRange]:
    """Return the spans without a bar: those that were refused, and those of which no venue has one."""
    refused = joint.refused.select(pl.col("ts_open").cast(pl.Int64), pl.col("outcome").cast(pl.String))
    spans = [(ts_open, closes[ts_open], outcome) for ts_open, outcome in refused.iter_rows()]
    nobodys: dict[int, tuple[int, str]] | None = None
    for answer in told.values():
        own = {start: (end, reason) for start, end, reason in _steps(answer.holes, interval_ns)}
        nobodys = own if nobodys is None else {start: own[start] for start in own.keys() & nobodys.keys()}
    spans += [(start, end, reason or MISSING) for start, (end, reason) in (nobodys or {}).items()]
    holes: list[warm_pb2.TimeRange] = []
    for start, end, reason in sorted(spans):
        if holes and (holes[-1].ts_end, holes[-1].reason) == (start, reason):
            holes[-1].ts_end = end
        else:
            holes.append(warm_pb2.TimeRange(ts_start=start, ts_end=end, reason=reason))
    return holes


def _steps(holes: Iterable[warm_pb2.TimeRange], interval_ns: int) -> Iterator[tuple[int, int, str]]:
    """Yield the single intervals of holes; of months, whose lengths differ, the holes as they are."""
    for hole in holes:
        step = interval_ns or max(1, hole.ts_end - hole.ts_start)
        for start in range(hole.ts_start, hole.ts_end, step):
            yield start, start + step, hole.reason


def _fates(evidence: pl.DataFrame) -> dict[str, str]:
    """Return of each venue why it took no part, if it took none."""
    columns: Any = evidence.select("source", "used", pl.col("reason").cast(pl.String))
    fates: dict[str, str] = {}
    for (venue,), rows in columns.group_by(["source"]):
        reasons = rows["reason"].mode().sort()
        fates[str(venue)] = "" if rows["used"].any() else str(reasons[0])
    return fates
