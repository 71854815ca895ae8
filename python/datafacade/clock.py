"""Read time in one place. Stamps are wall time, timers and waits are monotonic (DESIGN 13.3)."""

from __future__ import annotations

import time
from typing import Final, Protocol

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000


class Clock(Protocol):
    """What the Python rooms need of a clock; ``datafacade._core.Clock`` has it too."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC; may jump."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds since an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return nanoseconds of CLOCK_MONOTONIC, the clock of ``loop.time()``."""
        return time.monotonic_ns()
