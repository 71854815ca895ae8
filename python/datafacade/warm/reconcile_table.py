"""Reconcile many symbols at once, over columns. Pure: no clock, no I/O, no logging."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from datafacade.warm.reconcile import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciledTable:
    """Answers for many symbols."""

    answers: (
        pl.DataFrame
    )  # one row a symbol: price and median as exact text, null where refused; outcome says why
    evidence: pl.DataFrame  # one row a quote, in the given order: symbol, source, used, reason


def reconcile_many(
    quotes: pl.DataFrame, *, rules: Rules | None = None, price_digits: int = 0
) -> ReconciledTable:
    """Reconcile many symbols at once; nothing is raised for a symbol that has no answer.

    Args:
        quotes: Columns ``symbol``, ``source``, ``price`` (String, Decimal, Float64; Int64 holds mantissas at
            ``price_digits``), ``age_ns`` (Int64; null: unknown) and, if some have to be converted, ``rate``
            (String; null: none is needed, "": none is at hand). Any order will do; by symbol is fastest.
        rules: Parameters; None: the defaults.
        price_digits: Digits behind the point of mantissas.

    Raises:
        ValueError: A symbol or source is absent, a source stands twice for a symbol, a rule is out of bounds.
        TypeError: A column is of another type.
    """
    table = quotes if max(quotes.n_chunks("all"), default=1) <= 1 else quotes.rechunk()
    answers, evidence = (rules or Rules()).core().judge_columns(table, price_digits=price_digits)
    return ReconciledTable(answers=pl.DataFrame(answers), evidence=pl.DataFrame(evidence))
