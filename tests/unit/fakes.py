"""Hand-written fakes that several unit tests share."""

from __future__ import annotations


class ManualClock:
    """A clock that moves only when told."""

    def __init__(self, wall_ns: int = 1_700_000_000_000_000_000, monotonic_ns: int = 1_000_000_000) -> None:
        self.wall = wall_ns
        self.monotonic = monotonic_ns

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic

    def advance(self, seconds: float) -> None:
        self.wall += round(seconds * 1e9)
        self.monotonic += round(seconds * 1e9)
