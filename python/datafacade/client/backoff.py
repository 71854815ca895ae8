"""How long to wait before the next try: equal jitter on doubling waits. Pure but for its dice."""

from __future__ import annotations

from random import Random
from typing import Final

FIRST_S: Final = 0.1
MAX_S: Final = 5.0
DOUBLINGS_MAX: Final = 16


class Backoff:
    """Waits of one thing that is tried again and again."""

    def __init__(self, dice: Random, *, first_s: float = FIRST_S, max_s: float = MAX_S) -> None:
        self._dice = dice
        self._first_s = first_s
        self._max_s = max_s
        self.attempt = 0  # tries since the last success

    def next_s(self, at_least_s: float | None = None) -> float:
        """Return the wait before the next try, seconds; half of it is random."""
        whole = min(self._max_s, self._first_s * (1 << min(self.attempt, DOUBLINGS_MAX)))
        self.attempt += 1
        return max(whole / 2 + self._dice.uniform(0, whole / 2), at_least_s or 0.0)

    def reset(self) -> None:
        """Hear of a success."""
        self.attempt = 0
