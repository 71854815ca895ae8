"""Reconcile as D3 is written, in fractions: slow, obvious, and without a line of the product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NamedTuple

LOWEST, HIGHEST = Fraction(1, 10**18), Fraction(10**15)


class Told(NamedTuple):
    """What a source tells."""

    source: str
    price: str
    age_s: float | None = 0.0
    is_aggregator: bool = False


class Expected(NamedTuple):
    """What is to be answered."""

    outcome: str  # "", INSUFFICIENT_SOURCES, LOW_CONFIDENCE
    price: Fraction | None
    median: Fraction | None
    confidence: float
    reasons: dict[str, str]
    accepted: int
    is_correlated: bool


def reconcile(
    told: Sequence[Told],
    *,
    age_s_max: float = 30.0,
    deviation: str = "0.01",
    least: float = 0.7,
    mean: bool = False,
) -> Expected:
    """Follow the rule, sentence by sentence."""
    allowed = Fraction(deviation)
    reasons = {one.source: reason_of(one, age_s_max) for one in told}
    values = {one.source: Fraction(one.price) for one in told if not reasons[one.source]}
    if not values:
        return Expected("INSUFFICIENT_SOURCES", None, None, 0.0, reasons, 0, is_correlated=False)
    first = median(list(values.values()))
    accepted = dict(values)
    if len(values) > 2:
        accepted = {name: value for name, value in values.items() if abs(value - first) / first <= allowed}
        reasons |= dict.fromkeys(values.keys() - accepted.keys(), "OUTLIER")
    clash = correlated(told, values, allowed)
    if len(accepted) < 2:
        return Expected("INSUFFICIENT_SOURCES", None, first, 0.0, reasons, len(accepted), clash)
    ordered = sorted(accepted, key=lambda name: (accepted[name], name))
    cut = len(ordered) // 20 if mean else 0  # ten percent, half at each end
    reasons |= dict.fromkeys([*ordered[:cut], *ordered[len(ordered) - cut :]], "TRIMMED")
    kept = [accepted[name] for name in ordered[cut : len(ordered) - cut]]
    price = sum(kept, Fraction()) / len(kept) if mean else median(kept)
    confidence = confidence_in(list(accepted.values()), price, allowed)
    outcome = "" if confidence >= least else "LOW_CONFIDENCE"
    return Expected(outcome, None if outcome else price, first, confidence, reasons, len(accepted), clash)


def reason_of(one: Told, age_s_max: float) -> str:
    """Return what excludes a source before anything is compared."""
    try:
        value = Decimal(one.price)
    except InvalidOperation:
        return "NOT_A_NUMBER" if one.price else "NOT_GIVEN"
    if not value.is_finite():
        return "NOT_A_NUMBER"
    if value <= 0:
        return "NOT_POSITIVE"
    if not LOWEST <= Fraction(value) <= HIGHEST:
        return "OUT_OF_RANGE"
    if one.age_s is None or one.age_s < 0:
        return "AGE_UNKNOWN"
    return "TOO_OLD" if one.age_s > age_s_max else ""


def median(values: list[Fraction]) -> Fraction:
    """Return the middle one, or the mean of the middle two."""
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def confidence_in(values: list[Fraction], price: Fraction, allowed: Fraction) -> float:
    """Return ``clamp(max(0, 1 - (sigma / price) / max_deviation) + min(0.2, 0.05 (n - 2)), 0, 1)``."""
    mean = sum(values, Fraction()) / len(values)
    variance = sum(((value - mean) ** 2 for value in values), Fraction()) / (len(values) - 1)
    spread = math.sqrt(variance / price**2) / float(allowed)
    return min(1.0, max(0.0, max(0.0, 1.0 - spread) + min(0.2, 0.05 * (len(values) - 2))))


def correlated(told: Sequence[Told], values: dict[str, Fraction], allowed: Fraction) -> bool:
    """Tell whether two or more aggregators agree with one another, and not with the venues."""
    theirs = [values[one.source] for one in told if one.is_aggregator and one.source in values]
    venues = [values[one.source] for one in told if not one.is_aggregator and one.source in values]
    if len(theirs) < 2 or not venues:
        return False
    middle, market = median(theirs), median(venues)
    agree = all(abs(value - middle) <= allowed * middle for value in theirs)
    return agree and abs(middle - market) > allowed * market
