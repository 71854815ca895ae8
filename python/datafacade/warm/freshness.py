"""Judge how far an answer's age lowers the trust in it (D2), and what light that is on a board (D6). Pure."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

from datafacade.clock import NS_PER_S

FRESH_NS_MAX: Final = 60 * NS_PER_S  # up to here there is no penalty
EXPIRED_NS_MIN: Final = 300 * NS_PER_S  # from here on the penalty is at its highest
PENALTY_RATIO_MAX: Final = 0.95
_PENALTY_FIRST: Final = 0.1  # just past FRESH_NS_MAX
_GROWTH: Final = 3.0
HIT_RATIO_GREEN: Final = 0.7
HIT_RATIO_YELLOW: Final = 0.5


class Freshness(StrEnum):
    """How fresh something is."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class Light(StrEnum):
    """A sign on a board, with the word for screens without colours."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    NONE = "none"  # no data

    @property
    def sign(self) -> str:
        """Return the coloured sign."""
        return {"green": "🟢", "yellow": "🟡", "red": "🔴", "none": "⚫"}[self.value]


def penalty_ratio(age_ns: int) -> float:
    """Return the penalty for an age, 0 to 0.95.

    0 up to a minute, 0.95 from five minutes on, ``0.1 * e^(3r)`` between, where r is the share of the way.

    Example:
        >>> penalty_ratio(60 * 10**9), round(penalty_ratio(180 * 10**9), 4), penalty_ratio(300 * 10**9)
        (0.0, 0.4482, 0.95)
    """
    if age_ns <= FRESH_NS_MAX:
        return 0.0
    if age_ns >= EXPIRED_NS_MIN:
        return PENALTY_RATIO_MAX
    way = (age_ns - FRESH_NS_MAX) / (EXPIRED_NS_MIN - FRESH_NS_MAX)
    return min(_PENALTY_FIRST * math.exp(_GROWTH * way), PENALTY_RATIO_MAX)


def status(age_ns: int) -> Freshness:
    """Return the word for an age."""
    if age_ns <= FRESH_NS_MAX:
        return Freshness.FRESH
    return Freshness.STALE if age_ns < EXPIRED_NS_MIN else Freshness.EXPIRED


def freshness_light(age_ns: int | None) -> Light:
    """Return the light of an age; None: there are no data."""
    if age_ns is None:
        return Light.NONE
    if age_ns <= FRESH_NS_MAX:
        return Light.GREEN
    return Light.YELLOW if age_ns <= EXPIRED_NS_MIN else Light.RED


def hit_ratio_light(hits: int, misses: int) -> Light:
    """Return the light of a cache class; of one that nobody asked yet: none."""
    if hits + misses == 0:
        return Light.NONE
    ratio = hits / (hits + misses)
    if ratio >= HIT_RATIO_GREEN:
        return Light.GREEN
    return Light.YELLOW if ratio >= HIT_RATIO_YELLOW else Light.RED
