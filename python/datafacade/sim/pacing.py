"""How fast markets move: steps a second of each, bursts, and the many slow ones that take turns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Final

Key = tuple[str, str]  # product and venue symbol
STEPS_PER_TICK_MAX: Final = 2_000  # per market; a machine that stalls does not owe more than this
SLOW_PER_TICK_MAX: Final = 200  # steps of all slow markets together


class Pacer:
    """Says which market takes how many steps. Slow markets cost nothing but their steps."""

    def __init__(self, rates: Mapping[Key, float], slow: Mapping[Key, float]) -> None:
        """Take the steps a second of each market.

        Args:
            rates: Of the markets that move on their own.
            slow: Of the markets that take turns.
        """
        self._rates = dict(rates)
        self._owed = dict.fromkeys(rates, 0.0)
        self._bursts: dict[Key, tuple[float, int]] = {}  # factor, until (monotonic ns)
        self._slow_rate = sum(slow.values())
        self._slow = set(slow)
        self._turns = cycle(slow)
        self._slow_owed = 0.0

    def due(self, elapsed_s: float, now_ns: int) -> Iterator[tuple[Key, int]]:
        """Yield which markets owe how many steps after ``elapsed_s`` (``now_ns``: monotonic)."""
        for key, rate in self._rates.items():
            owed = self._owed[key] + elapsed_s * rate * self._factor(key, now_ns)
            self._owed[key] = owed - int(owed)
            if owed >= 1:
                yield key, min(int(owed), STEPS_PER_TICK_MAX)
        self._slow_owed += elapsed_s * self._slow_rate
        steps, self._slow_owed = int(self._slow_owed), self._slow_owed % 1
        for _ in range(min(steps, SLOW_PER_TICK_MAX)):
            key = next(self._turns)
            if key in self._slow:
                yield key, 1

    def pace(self, key: Key, steps_per_s: float) -> None:
        """Let one market take so many steps a second from now on; 0 stops it."""
        self._slow.discard(key)
        self._rates[key] = steps_per_s
        self._owed.setdefault(key, 0.0)

    def burst(self, key: Key, factor: float, until_ns: int) -> None:
        """Let one market run ``factor`` times as fast until ``until_ns`` (monotonic)."""
        self._bursts[key] = (factor, until_ns)

    def _factor(self, key: Key, now_ns: int) -> float:
        if not self._bursts:
            return 1.0
        factor, until = self._bursts.get(key, (1.0, 0))
        return factor if now_ns < until else 1.0
