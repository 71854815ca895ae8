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
    """Opens after so many failures in a row; single probes close it, a failed probe doubles the wait."""

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

    def state(self) -> BreakerState:
        """Return where it stands; an open one is ready for probes once its wait is over."""
        if self._state is BreakerState.OPEN and self._clock.monotonic_ns() >= self._retry_at:
            return BreakerState.HALF_OPEN
        return self._state

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def wait_ms(self) -> int:
        """Return how long no call may pass; 0: one may pass now."""
        now = self._clock.monotonic_ns()
        until = 0
        if self._state is BreakerState.OPEN:
            until = self._retry_at
        elif self._state is BreakerState.HALF_OPEN:
            until = self._probe_until
        return max(0, -((now - until) // NS_PER_MS))

    def admit(self) -> bool:
        """Ask for one call. When half open it is the probe: it must end with success or failure in time."""
        if self.wait_ms() > 0:
            return False
        if self._state is BreakerState.HALF_OPEN and self._probe_until:
            self.failure()  # the last probe never came back
            return False
        if self._state is BreakerState.OPEN:
            self._state = BreakerState.HALF_OPEN
            self._successes = 0
        if self._state is BreakerState.HALF_OPEN:
            timeout_ns = int(self._figures.probe_timeout_sec * self._scale * NS_PER_S)
            self._probe_until = self._clock.monotonic_ns() + timeout_ns
        return True

    def success(self) -> None:
        """Note that a call did what it should."""
        self._failures = 0
        self._probe_until = 0
        if self._state is BreakerState.HALF_OPEN:
            self._successes += 1
            if self._successes >= self._figures.half_open_probes:
                self._state = BreakerState.CLOSED
                self._open_sec = self._figures.open_sec

    def failure(self) -> None:
        """Note that a call failed."""
        self._failures += 1
        self._probe_until = 0
        if self._state is BreakerState.HALF_OPEN:
            self._open_sec = min(self._open_sec * self._figures.open_factor, self._figures.open_sec_max)
            self._open()
        elif self._state is BreakerState.CLOSED and self._failures >= self._figures.failures_to_open:
            self._open()

    def abandon(self) -> None:
        """Note that an admitted call came to nothing that counts, as when it was cancelled."""
        self._probe_until = 0

    def _open(self) -> None:
        jitter = self._figures.open_jitter_ratio
        seconds = self._open_sec * (1 + self._random.uniform(-jitter, jitter)) * self._scale
        self._retry_at = self._clock.monotonic_ns() + int(seconds * NS_PER_S)
        self._state = BreakerState.OPEN
