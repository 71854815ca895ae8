"""Try again what may succeed the second time, and never so often that it makes an outage worse.

One layer retries, and only here: at most three tries a request, and never more than one retry for ten
requests so far, so a venue that fails gets at most 1.1 times the calls that were asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import VenueFailed

T = TypeVar("T")

TRIES_MAX: Final = 3
_UNITS: Final = 1_000_000  # the balance is kept in whole millionths, so that it adds up exactly
_ATTEMPT_MAX: Final = 63  # doubling stops here: beyond it every wait is the longest one


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFigures:
    """How retries are made."""

    tries_max: int = TRIES_MAX  # the first one included
    base_s: float = 1.0  # upper bound of the first wait; doubles with each further one
    wait_s_max: float = 8.0
    budget_ratio: float = 0.1  # retries over requests
    saved_max: int = 10  # retries that calm times may save up


def backoff_s(attempt: int, *, base_s: float, wait_s_max: float, random: Random) -> float:
    """Return a wait before a retry, with full jitter: anything from 0 to the bound that doubles each time.

    Args:
        attempt: Number of the retry, from 1; less counts as 1.
        base_s: Bound of the first wait, seconds.
        wait_s_max: Largest bound, seconds.
        random: Where chance comes from.

    Example:
        >>> 0 <= backoff_s(2, base_s=1.0, wait_s_max=8.0, random=Random(1)) <= 2
        True
    """
    doublings = min(max(attempt, 1), _ATTEMPT_MAX) - 1
    return random.uniform(0.0, min(wait_s_max, base_s * 2.0**doublings))


class RetryBudget:
    """Retries that requests have earned. Empty at the start: an outage at the start is met without any."""

    def __init__(self, *, ratio: float = 0.1, saved_max: int = 10) -> None:
        self._earned = int(ratio * _UNITS)  # a request
        self._saved_max = saved_max * _UNITS
        self._saved = 0

    @property
    def saved(self) -> int:
        """Whole retries that may be made now."""
        return self._saved // _UNITS

    def earn(self) -> None:
        """Note one request that somebody asked for."""
        self._saved = min(self._saved + self._earned, self._saved_max)

    def spend(self) -> bool:
        """Pay for one retry; False: it must not be made."""
        if self._saved < _UNITS:
            return False
        self._saved -= _UNITS
        return True


class Retries:
    """Makes the tries of one venue's requests."""

    def __init__(self, figures: RetryFigures, *, clock: Clock, random: Random) -> None:
        self._figures = figures
        self._clock = clock
        self._random = random
        self._budget = RetryBudget(ratio=figures.budget_ratio, saved_max=figures.saved_max)

    def backoff_s(self, attempt: int) -> float:
        """Return a wait before a retry, seconds; ``attempt`` counts retries from 1."""
        figures = self._figures
        return backoff_s(attempt, base_s=figures.base_s, wait_s_max=figures.wait_s_max, random=self._random)

    async def run(self, call: Callable[[], Awaitable[T]], *, deadline_ns: int | None = None) -> T:
        """Return what a call returns, called again while it fails as it may not the next time.

        Only `VenueFailed` is tried again, unless it is final: the venue did not answer, or not as it should.
        Limits, open circuits and the caller's own mistakes would fail again.

        Args:
            call: One try.
            deadline_ns: No retry begins later (monotonic ns); None: whenever its turn comes.

        Raises:
            VenueFailed: What the last try raised.
        """
        self._budget.earn()
        for retry in range(1, max(1, self._figures.tries_max)):
            try:
                return await call()
            except VenueFailed as error:
                wait_s = self.backoff_s(retry)
                if error.is_final or self._is_too_late(wait_s, deadline_ns) or not self._budget.spend():
                    raise
            await asyncio.sleep(wait_s)
        return await call()

    def _is_too_late(self, wait_s: float, deadline_ns: int | None) -> bool:
        return deadline_ns is not None and self._clock.monotonic_ns() + int(wait_s * NS_PER_S) >= deadline_ns
