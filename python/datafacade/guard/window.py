"""Count what was spent in the last so many seconds. Pure: times are arguments, monotonic nanoseconds.

Exact sliding windows, not refilling buckets: no span of a window's length ever holds more than its limit. A
window of any length takes the same memory: what was spent close together becomes one entry that counts until
the last of it would have left, so the sum is never too small.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from datafacade.clock import NS_PER_S
from datafacade.config import Window

ENTRIES_MAX: Final = 1_024  # a month then counts in steps of 43 minutes, a minute in steps of 59 ms
NEVER_NS: Final = 2**63 - 1


@dataclass(slots=True)
class _Entry:
    """What was spent between two moments."""

    first_ns: int
    last_ns: int
    weight: int


class SpentWindow:
    """What was spent in one sliding window."""

    def __init__(self, window: Window) -> None:
        self.limit = window.limit
        self.span_ns = int(window.seconds * NS_PER_S)
        self.total = 0
        self._step_ns = self.span_ns // ENTRIES_MAX if window.limit > ENTRIES_MAX else 0
        self._entries: deque[_Entry] = deque()  # oldest first

    def forget(self, now: int) -> None:
        """Let go of what is older than the window."""
        while self._entries and self._entries[0].last_ns <= now - self.span_ns:
            self.total -= self._entries.popleft().weight

    def add(self, now: int, weight: int) -> None:
        """Count ``weight``, spent now; ``now`` never goes back."""
        self.total += weight
        if self._entries and now - self._entries[-1].first_ns <= self._step_ns:
            self._entries[-1].last_ns = now
            self._entries[-1].weight += weight
        else:
            self._entries.append(_Entry(now, now, weight))

    def remove(self, spent_at: int, weight: int) -> None:
        """Take back ``weight`` that was counted at ``spent_at`` and came to nothing."""
        for entry in reversed(self._entries):
            if entry.first_ns <= spent_at <= entry.last_ns:
                taken = min(weight, entry.weight)
                entry.weight -= taken
                self.total -= taken
                return

    def wait_ns(self, now: int, weight: int, *, ahead: int = 0, ceiling: int | None = None) -> int:
        """Return how long until ``weight`` fits; exactly so if all weights were of single units.

        Args:
            now: After `forget`.
            weight: What is to be spent.
            ahead: What others will have spent before.
            ceiling: How much of the window may be filled; None: all of it. A heavier request may fill more.

        Returns:
            `NEVER_NS` if it is more than the window ever holds.
        """
        if weight > self.limit:
            return NEVER_NS
        most = max(self.limit if ceiling is None else ceiling, weight)
        rounds, rest = divmod(ahead + weight - 1, most)
        return rounds * self.span_ns + self._leaves_in(now, self.total + rest + 1 - most)

    def full_again_ns(self, now: int) -> int:
        """Return how long until nothing of it is spent."""
        return max(0, self._entries[-1].last_ns + self.span_ns - now) if self._entries else 0

    def entries(self) -> list[tuple[int, int]]:
        """Return what is counted, oldest first: (latest moment at which it was spent, weight)."""
        return [(entry.last_ns, entry.weight) for entry in self._entries if entry.weight]

    def _leaves_in(self, now: int, excess: int) -> int:
        """Return how long until ``excess`` has left."""
        for entry in self._entries:
            if excess <= 0:
                break
            excess -= entry.weight
            if excess <= 0:
                return max(0, entry.last_ns + self.span_ns - now)
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFigures:
    """How a window stands."""

    limit: int
    remaining: int
    span_ms: int
    full_again_ns: int  # until nothing of it is spent; 0: nothing is
