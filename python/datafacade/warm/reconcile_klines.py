"""Make one series of klines of those of several sources (D3: bars). Pure.

``docs/reconciliation.md`` states the rules and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from datafacade.warm.reconcile import Rules

PRICES: Final = ("open", "high", "low", "close")
SUMS: Final = ("volume", "quote_volume", "taker_buy_volume", "trade_count")  # what adds up over venues
_WIDE: Final = 38  # digits of a Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciledKlines:
    """Klines, what has none, and why."""

    klines: pl.DataFrame
    """One row an interval, oldest first: ``ts_open``, prices (one digit more than given), sums, ``sources``
    (how many took part), ``confidence_ratio``, ``is_complete`` (no source of the series is missing)."""
    refused: pl.DataFrame  # intervals without an answer: ts_open, outcome, sources
    evidence: pl.DataFrame  # one row a bar, by time and source: ts_open, source, used, reason


def reconcile_klines(
    klines: Mapping[str, pl.DataFrame], *, rules: Rules | None = None, price_digits: int | None = None
) -> ReconciledKlines:
    """Reconcile the klines of one instrument and one interval, in one currency.

    Args:
        klines: By source, each interval once: ``ts_open`` (Datetime or Int64 ns), ``open``, ``high``,
            ``low``, ``close``, ``volume``, maybe ``quote_volume``, ``taker_buy_volume``, ``trade_count``.
            Prices and sums are Decimal, or Float64 and String with ``price_digits``. All in one currency.
        rules: Parameters; None: the defaults. Limits of age do not apply: a bar's time is its own.
        price_digits: Digits behind the point of prices, 0 to 18; None: the most that a source has.

    Raises:
        ValueError: There is no source, a price is not exact at its digits, an interval stands twice.
        TypeError: A column is of another type.
    """
    if not klines:
        raise ValueError("expected the klines of at least one source")
    rules = rules or Rules()
    digits = _digits(klines) if price_digits is None else price_digits
    frames = [_columns(frame, source, digits) for source, frame in sorted(klines.items())]
    table = pl.concat(frames, how="diagonal_relaxed").sort("ts_open", "source").rechunk()
    if table.select(pl.struct("ts_open", "source").is_duplicated().any()).item():
        raise ValueError("an interval stands twice in the klines of a source")
    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in PRICES)
    given = table.filter(whole)
    bars, verdicts = rules.core().judge_bar_columns(given.select("ts_open", *PRICES), price_digits=digits)
    judged = given.hstack(pl.DataFrame(verdicts))
    absent = table.filter(~whole).with_columns(used=pl.lit(value=False), reason=pl.lit("NOT_GIVEN"))
    evidence = pl.concat([judged, absent], how="diagonal_relaxed").sort("ts_open", "source")
    answers = pl.DataFrame(bars).rename({"accepted": "sources"}).join(_sums(judged), on="ts_open", how="left")
    answers = _with_unanswered(answers, evidence)
    sources = table.get_column("source").n_unique()
    is_answer = pl.col("outcome") == ""
    sums = [name for name in SUMS if name in answers.columns]
    made = answers.filter(is_answer).with_columns(is_complete=pl.col("sources") == sources)
    return ReconciledKlines(
        klines=made.select("ts_open", *PRICES, *sums, "sources", "confidence_ratio", "is_complete"),
        refused=answers.filter(~is_answer).select("ts_open", "outcome", "sources"),
        evidence=evidence.select("ts_open", "source", "used", "reason"),
    )


def _digits(klines: Mapping[str, pl.DataFrame]) -> int:
    scales = []
    for frame in klines.values():
        for name in PRICES:
            kind = frame.schema[name]
            if not isinstance(kind, pl.Decimal):
                raise TypeError(f"column {name!r} is {kind}: expected Decimal, or price_digits")
            scales.append(kind.scale)
    return max(scales)


def _columns(frame: pl.DataFrame, source: str, digits: int) -> pl.DataFrame:
    prices = [pl.col(name).cast(pl.Decimal(_WIDE, digits)) for name in PRICES]
    sums = [pl.col(name) for name in SUMS if name in frame.columns]
    ts_open = pl.col("ts_open").cast(pl.Datetime("ns", "UTC"))
    return frame.select(ts_open, pl.lit(source).alias("source"), *prices, *sums)


def _sums(judged: pl.DataFrame) -> pl.DataFrame:
    """Add what the sources of a bar traded; absent as soon as one of them does not tell."""
    used = judged.filter("used").group_by("ts_open")
    names = [name for name in SUMS if name in judged.columns]
    return used.agg(pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()) for name in names)


def _with_unanswered(answers: pl.DataFrame, evidence: pl.DataFrame) -> pl.DataFrame:
    """Add the intervals of which no source gave prices."""
    times = evidence.select("ts_open").unique().join(answers.select("ts_open"), on="ts_open", how="anti")
    missing = times.with_columns(
        outcome=pl.lit("INSUFFICIENT_SOURCES"),
        sources=pl.lit(0, dtype=pl.UInt32),
        confidence_ratio=pl.lit(0.0),
    )
    return pl.concat([answers, missing], how="diagonal_relaxed").sort("ts_open")
