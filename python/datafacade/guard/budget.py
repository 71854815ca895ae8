"""Spend a venue's allowance: so much weight in any span of so many seconds, the most urgent first.

Exact sliding windows, not refilling buckets: no span of a window's length ever holds more than its limit.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Sequence
from typing import Final

from datafacade.clock import NS_PER_S, Clock
from datafacade.config import RestBudget, Window
from datafacade.errors import VenueRateLimited
from datafacade.types import Priority

WAITERS_MAX: Final = 1_024


def shared(windows: Sequence[Window], ratio: float) -> tuple[Window, ...]:
    """Return our share of a venue's windows: less weight, or where that rounds to 0 a longer span."""
    result = []
    for window in windows:
        limit = int(window.limit * ratio)
        if limit > 0:
            result.append(Window(limit=limit, seconds=window.seconds))
        else:
            result.append(Window(limit=1, seconds=window.seconds / (window.limit * ratio)))
    return tuple(result)


class _Spent:
    """What was spent in one sliding window."""

    __slots__ = ("entries", "limit", "span_ns", "total")

    def __init__(self, window: Window) -> None:
        self.limit = window.limit
        self.span_ns = int(window.seconds * NS_PER_S)
        self.entries: deque[tuple[int, int]] = deque()  # (monotonic ns, weight), oldest first
        self.total = 0

    def forget(self, now: int) -> None:
        while self.entries and self.entries[0][0] <= now - self.span_ns:
            self.total -= self.entries.popleft()[1]

    def add(self, now: int, weight: int) -> None:
        self.entries.append((now, weight))
        self.total += weight

    def wait_ns(self, now: int, weight: int) -> int:
        """Return how long until ``weight`` fits."""
        excess = self.total + min(weight, self.limit) - self.limit
        for spent_at, spent in self.entries:
            if excess <= 0:
                break
            excess -= spent
            if excess <= 0:
                return spent_at + self.span_ns - now
        return 0


class Budget:
    """One allowance. Owned by the event loop."""

    def __init__(self, windows: Sequence[Window], *, clock: Clock, venue: str = "") -> None:
        self._spent = [_Spent(window) for window in windows]
        self._clock = clock
        self._venue = venue
        self._blocked_until = 0  # monotonic ns
        self._waiters: list[tuple[int, int, int, asyncio.Future[None]]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None

    def check(self, weight: int = 1) -> tuple[bool, int]:
        """Return whether ``weight`` could be spent now, and how much is left."""
        now = self._now()
        remaining = min(spent.limit - spent.total for spent in self._spent)
        return self._wait_ns(now, weight) == 0, max(0, remaining)

    def take(self, weight: int = 1) -> bool:
        """Spend ``weight`` now if it fits and nobody waits."""
        now = self._now()
        if self._waiters or self._wait_ns(now, weight) > 0:
            return False
        self._spend(now, weight)
        return True

    async def acquire(self, weight: int = 1, priority: Priority = Priority.CLIENT) -> None:
        """Spend ``weight`` as soon as it fits and nobody more urgent waits.

        Raises:
            VenueRateLimited: Too many wait already.
        """
        if self.take(weight):
            return
        if len(self._waiters) >= WAITERS_MAX:
            wait_ms = self._wait_ns(self._now(), weight) // 1_000_000
            raise VenueRateLimited(wait_ms + 1, venue=self._venue, operation="acquire")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serial += 1
        heapq.heappush(self._waiters, (int(priority), self._serial, weight, future))
        self._pump()
        await future

    def learn_used(self, used: int) -> None:
        """Believe a venue that counts more in the first window than we do: others share our address."""
        now = self._now()
        first = self._spent[0]
        if used > first.total:
            first.add(now, used - first.total)

    def block(self, seconds: float) -> None:
        """Spend nothing for so long: the venue said so."""
        self._blocked_until = max(self._blocked_until, self._clock.monotonic_ns() + int(seconds * NS_PER_S))

    def blocked_ns(self) -> int:
        """Return how long the venue's own ban still holds; 0: there is none."""
        return max(0, self._blocked_until - self._clock.monotonic_ns())

    def full_again_ns(self) -> int:
        """Return how long until the first window is wholly free."""
        now = self._now()
        first = self._spent[0]
        return max(0, first.entries[-1][0] + first.span_ns - now) if first.entries else 0

    @property
    def limit(self) -> int:
        """Weight of the first window."""
        return self._spent[0].limit

    @property
    def span_ms(self) -> int:
        """Length of the first window."""
        return self._spent[0].span_ns // 1_000_000

    def _now(self) -> int:
        now = self._clock.monotonic_ns()
        for spent in self._spent:
            spent.forget(now)
        return now

    def _wait_ns(self, now: int, weight: int) -> int:
        return max(self._blocked_until - now, 0, *(spent.wait_ns(now, weight) for spent in self._spent))

    def _spend(self, now: int, weight: int) -> None:
        for spent in self._spent:
            spent.add(now, min(weight, spent.limit))

    def _pump(self) -> None:
        """Serve who waits, most urgent first; come back when the first of them fits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            _, _, weight, future = self._waiters[0]
            now = self._now()
            wait_ns = 0 if future.done() else self._wait_ns(now, weight)
            if wait_ns > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(wait_ns / NS_PER_S, self._pump)
                return
            heapq.heappop(self._waiters)
            if not future.done():
                self._spend(now, weight)
                future.set_result(None)


class RestBudgets:
    """A venue's REST allowance: one for all paths, or one for each."""

    def __init__(self, budget: RestBudget, *, share_ratio: float, clock: Clock, venue: str) -> None:
        self._config = budget
        self._share_ratio = share_ratio
        self._clock = clock
        self._venue = venue
        self._budgets: dict[str, Budget] = {}
        self._blocked_until = clock.monotonic_ns()

    def of(self, path: str) -> Budget:
        """Return the budget that pays for a path; its query does not matter."""
        path = path.partition("?")[0]
        is_own = self._config.per_endpoint or path in self._config.endpoints
        key = path if is_own else ""
        if key not in self._budgets:
            windows = self._config.endpoints.get(path, self._config.windows)
            made = Budget(shared(windows, self._share_ratio), clock=self._clock, venue=self._venue)
            made.block((self._blocked_until - self._clock.monotonic_ns()) / NS_PER_S)
            self._budgets[key] = made
        return self._budgets[key]

    def weight(self, path: str) -> int:
        """Return the documented weight of a path; 1 where nothing is documented."""
        return self._config.weights.get(path.partition("?")[0], 1)

    def learn(self, path: str, headers: dict[str, str]) -> None:
        """Read the venue's own count from an answer's headers (names in lower case)."""
        used = headers.get(self._config.used_header.lower(), "") if self._config.used_header else ""
        if used.isascii() and used.isdigit():
            self.of(path).learn_used(int(used[:9]))

    def block(self, seconds: float, path: str | None = None) -> None:
        """Spend nothing for so long: on one path, or on all, since bans hold for the whole address."""
        if path is not None:
            self.of(path).block(seconds)
            return
        until = self._clock.monotonic_ns() + int(seconds * NS_PER_S)
        self._blocked_until = max(self._blocked_until, until)
        for budget in self._budgets.values():
            budget.block(seconds)

    def budgets(self) -> dict[str, Budget]:
        """Return the budgets in use, by path; "" pays for all paths without their own."""
        return dict(self._budgets)
