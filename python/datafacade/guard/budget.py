"""Spend an allowance: so much weight in any span of so many seconds, the most urgent first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from datafacade.clock import NS_PER_MS, NS_PER_S, Clock
from datafacade.config import Window
from datafacade.errors import VenueRateLimited
from datafacade.guard.window import NEVER_NS, SpentWindow, WindowFigures
from datafacade.types import Priority

WAITERS_MAX: Final = 1_024
RESERVE_PART: Final = 10  # one in so many of a window's units is kept for books that are out of sync
_RESERVE_FROM: Final = 20  # limits below have no units to spare
_BLOCK_S_MAX: Final = 30 * 86_400.0
_TIMER_S_MAX: Final = 3_600.0  # a longer wait is looked at again


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


def ceiling(limit: int, priority: Priority) -> int:
    """Return how much of a window this priority may fill."""
    is_whole = priority is Priority.SNAPSHOT or limit < _RESERVE_FROM
    return limit if is_whole else limit - limit // RESERVE_PART


class Spending(NamedTuple):
    """What was spent and when, so that it can be taken back."""

    at_ns: int  # monotonic
    weight: int


class _Waiter(NamedTuple):
    """Who waits; the smallest goes first."""

    priority: int
    serial: int
    weight: int
    future: asyncio.Future[Spending]


class Budget:
    """One allowance. Owned by the event loop."""

    def __init__(self, windows: Sequence[Window], *, clock: Clock, venue: str = "") -> None:
        """Start with nothing spent.

        Args:
            windows: All of them must agree to what is spent.
            clock: What times it.
            venue: Named in errors.
        """
        self.changed: Callable[[float], None] | None = None  # told which share of a window is new; a ban: 1
        self._spent = [SpentWindow(window) for window in windows]
        self._clock = clock
        self._venue = venue
        self._latest = clock.monotonic_ns()  # time never goes back here
        self._blocked_until = self._latest  # monotonic ns
        self._waiters: list[_Waiter] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None

    # What can be asked

    def check(self, weight: int = 1, priority: Priority = Priority.SNAPSHOT) -> tuple[bool, int]:
        """Return whether ``weight`` could be spent now, and how much is left."""
        now = self._now()
        remaining = min(ceiling(spent.limit, priority) - spent.total for spent in self._spent)
        return self._wait_ns(now, weight, priority) == 0, max(0, remaining)

    def blocked_ns(self) -> int:
        """Return how long the venue's own ban still holds; 0: there is none."""
        return max(0, self._blocked_until - self._now())

    def windows(self) -> list[WindowFigures]:
        """Return how each window stands."""
        now = self._now()
        return [
            WindowFigures(
                limit=spent.limit,
                remaining=max(0, spent.limit - spent.total),
                span_ms=spent.span_ns // NS_PER_MS,
                full_again_ns=spent.full_again_ns(now),
            )
            for spent in self._spent
        ]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is spent, nothing blocked, and nobody waits."""
        self._now()
        return not (self._waiters or self.blocked_ns() or any(spent.total for spent in self._spent))

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not waiter.future.done() for waiter in self._waiters)

    # Spending

    def take(self, weight: int = 1) -> bool:
        """Spend ``weight`` now if it fits and nobody waits."""
        now = self._now()
        if self._waiters or self._wait_ns(now, weight, Priority.SNAPSHOT) > 0:
            return False
        self._spend(now, weight)
        return True

    async def acquire(
        self, weight: int = 1, priority: Priority = Priority.CLIENT, *, deadline_ns: int | None = None
    ) -> Spending:
        """Spend ``weight`` as soon as it fits and nobody more urgent waits.

        Args:
            weight: From 1.
            priority: Who goes first.
            deadline_ns: When it is of no use any more (monotonic ns); None: never.

        Raises:
            VenueRateLimited: At once: its turn would come after the deadline, or never, or too many wait.
        """
        now = self._now()
        if not self._waiters and self._wait_ns(now, weight, priority) == 0:
            return self._spend(now, weight)
        ahead = self._ahead(priority)
        wait_ns = self._wait_ns(now, weight, priority, ahead=ahead)
        if wait_ns >= NEVER_NS or (deadline_ns is not None and now + wait_ns > deadline_ns):
            raise self._limited(wait_ns)
        self._make_room(priority, wait_ns)
        future: asyncio.Future[Spending] = asyncio.get_running_loop().create_future()
        self._serial += 1
        heapq.heappush(self._waiters, _Waiter(int(priority), self._serial, weight, future))
        self._pump()
        return await future

    def refund(self, spending: Spending) -> None:
        """Take back what was spent on a call that was never made."""
        for spent in self._spent:
            spent.remove(spending.at_ns, spending.weight)

    def settle(self, spending: Spending) -> None:
        """Count what was spent from now on: the call is over, and the venue saw it at some time before.

        It counted since it was spent, so that no span of a window holds more than its limit by the venue's
        clock either, unless a request is on its way for longer than the window.
        """
        now = self._now()
        for spent in self._spent:
            spent.remove(spending.at_ns, spending.weight)
            spent.add(now, spending.weight)

    # What venues say

    def learn_used(self, used: int, span_s: float | None = None) -> None:
        """Believe a venue that counts more than we do: others share our address.

        Args:
            used: Its count.
            span_s: Length of the window that it counts; None: the first one. A window that we do not keep
                teaches nothing.
        """
        now = self._now()
        for spent in self._spent:
            if span_s is None or spent.span_ns == int(span_s * NS_PER_S):
                if used > spent.total:
                    more = used - spent.total
                    spent.add(now, more)
                    self._tell(more / spent.limit)
                return

    def block(self, seconds: float) -> None:
        """Spend nothing for so long: the venue said so."""
        until = self._now() + int(min(max(0.0, seconds), _BLOCK_S_MAX) * NS_PER_S)
        if until > self._blocked_until:
            self._blocked_until = until
            self._tell(1.0)

    # What outlives the process

    def spent(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """Return what each window holds: (span ns, [(monotonic ns, weight), ...])."""
        self._now()
        return [(spent.span_ns, spent.entries()) for spent in self._spent]

    def restore(self, span_ns: int, entries: Sequence[tuple[int, int]]) -> None:
        """Count what an earlier process spent: entries of a window, oldest first, none in the future.

        Windows of the same length take them all; where the configuration changed, all windows do.
        """
        same = [spent for spent in self._spent if spent.span_ns == span_ns]
        now = self._now()
        for spent in same or self._spent:
            for at_ns, weight in entries:
                spent.add(min(at_ns, now), weight)
            spent.forget(now)

    # Inside

    def _now(self) -> int:
        now = self._latest = max(self._latest, self._clock.monotonic_ns())
        for spent in self._spent:
            spent.forget(now)
        return now

    def _wait_ns(self, now: int, weight: int, priority: Priority, *, ahead: int = 0) -> int:
        waits = (
            spent.wait_ns(now, max(1, weight), ahead=ahead, ceiling=ceiling(spent.limit, priority))
            for spent in self._spent
        )
        return max(self._blocked_until - now, 0, *waits)

    def _spend(self, now: int, weight: int) -> Spending:
        weight = max(1, weight)
        for spent in self._spent:
            spent.add(now, weight)
        self._tell(max(weight / spent.limit for spent in self._spent))
        return Spending(now, weight)

    def _tell(self, share: float) -> None:
        if self.changed is not None:
            self.changed(share)

    def _ahead(self, priority: Priority) -> int:
        return sum(one.weight for one in self._waiters if one.priority <= priority and not one.future.done())

    def _make_room(self, priority: Priority, wait_ns: int) -> None:
        """Refuse whoever is least urgent when too many wait: the newcomer, or the last of the queue."""
        if len(self._waiters) < WAITERS_MAX:
            return
        last = max(self._waiters)
        if last.priority <= priority and not last.future.done():
            raise self._limited(wait_ns)
        self._waiters.remove(last)
        heapq.heapify(self._waiters)
        if not last.future.done():
            last.future.set_exception(self._limited(wait_ns))

    def _limited(self, wait_ns: int) -> VenueRateLimited:
        known_ns = wait_ns if wait_ns < NEVER_NS else max(spent.span_ns for spent in self._spent)
        return VenueRateLimited(known_ns // NS_PER_MS + 1, venue=self._venue, operation="acquire")

    def _pump(self) -> None:
        """Serve who waits, most urgent first; come back when the first of them fits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            priority, _, weight, future = self._waiters[0]
            now = self._now()
            wait_ns = 0 if future.done() else self._wait_ns(now, weight, Priority(priority))
            if wait_ns > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(min(wait_ns / NS_PER_S, _TIMER_S_MAX), self._pump)
                return
            heapq.heappop(self._waiters)
            if not future.done():
                future.set_result(self._spend(now, weight))
