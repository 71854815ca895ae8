"""Leave a venue alone that refuses again and again. Pure: clock and chance are arguments."""

from __future__ import annotations

from enum import StrEnum
from random import Random

from datafacade.clock import NS_PER_MS, NS_PER_S, Clock
from datafacade.config import Breaker as Figures


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Breaker:
    """Opens after so many failures in a row; single probes close it, a failed probe doubles the wait.

    ``admit`` hands out a ticket. A verdict that names its ticket counts only while that ticket does: a call
    from before the breaker opened says nothing about the probe that is under way now.
    """

    def __init__(self, figures: Figures, *, clock: Clock, random: Random, scale: float = 1.0) -> None:
        self._figures = figures
        self._clock = clock
        self._random = random
        self._scale = scale
        self._state = BreakerState.CLOSED
        self._failures = 0  # in a row
        self._successes = 0  # of probes
        self._open_sec = figures.open_sec
        self._retry_at = 0  # monotonic ns
        self._probe_until = 0  # monotonic ns; 0: no probe is under way
        self._ticket = 1  # that counts now

    def state(self) -> BreakerState:
        """Return where it stands; an open one is ready for probes once its wait is over."""
        self._settle()
        if self._state is BreakerState.OPEN and self._clock.monotonic_ns() >= self._retry_at:
            return BreakerState.HALF_OPEN
        return self._state

    @property
    def failures(self) -> int:
        """Failures in a row."""
        self._settle()
        return self._failures

    def wait_ms(self) -> int:
        """Return how long no call may pass; 0: one may pass now."""
        self._settle()
        until = 0
        if self._state is BreakerState.OPEN:
            until = self._retry_at
        elif self._state is BreakerState.HALF_OPEN:
            until = self._probe_until
        return max(0, -((self._clock.monotonic_ns() - until) // NS_PER_MS))

    def admit(self) -> int:
        """Ask for one call; return its ticket, or 0: it must not be made.

        When half open it is the probe: it must end with success or failure in time.
        """
        if self.wait_ms() > 0:
            return 0
        if self._state is BreakerState.OPEN:
            self._enter(BreakerState.HALF_OPEN)
            self._successes = 0
        if self._state is BreakerState.HALF_OPEN:
            timeout_ns = int(self._figures.probe_timeout_sec * self._scale * NS_PER_S)
            self._probe_until = self._clock.monotonic_ns() + timeout_ns
            self._ticket += 1
        return self._ticket

    def success(self, ticket: int | None = None) -> None:
        """Note that a call did what it should; without a ticket: the call that counts now."""
        if not self._counts(ticket):
            return
        self._failures = 0
        self._probe_until = 0
        if self._state is BreakerState.HALF_OPEN:
            self._successes += 1
            self._ticket += 1
            if self._successes >= self._figures.half_open_probes:
                self._enter(BreakerState.CLOSED)
                self._open_sec = self._figures.open_sec

    def failure(self, ticket: int | None = None) -> None:
        """Note that a call failed; without a ticket: the call that counts now."""
        if self._counts(ticket):
            self._fail(self._clock.monotonic_ns())

    def abandon(self, ticket: int | None = None) -> None:
        """Note that an admitted call came to nothing that counts, as when it was cancelled."""
        if self._counts(ticket):
            self._probe_until = 0

    def _counts(self, ticket: int | None) -> bool:
        self._settle()
        return ticket is None or ticket == self._ticket

    def _settle(self) -> None:
        """Count a probe that never came back, from the moment at which it should have."""
        if self._probe_until and self._clock.monotonic_ns() >= self._probe_until:
            self._fail(self._probe_until)

    def _fail(self, at_ns: int) -> None:
        self._failures += 1
        self._probe_until = 0
        if self._state is BreakerState.HALF_OPEN:
            self._open_sec = min(self._open_sec * self._figures.open_factor, self._figures.open_sec_max)
            self._open(at_ns)
        elif self._state is BreakerState.CLOSED and self._failures >= self._figures.failures_to_open:
            self._open(at_ns)

    def _open(self, at_ns: int) -> None:
        jitter = self._figures.open_jitter_ratio
        seconds = self._open_sec * (1 + self._random.uniform(-jitter, jitter)) * self._scale
        self._retry_at = at_ns + int(seconds * NS_PER_S)
        self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._ticket += 1
