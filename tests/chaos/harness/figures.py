"""Figures of a row: printed whether it holds or not, and held against its limit (FAULTS 1.4)."""

from __future__ import annotations

import math
import platform
import statistics
import sys
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.harness.tier import IS_FULL, TIER

WORST_FACTOR: Final = 3  # the largest of all may be so many times the figure


@dataclass
class Figures:
    """Milliseconds of one kind, over all injections of a row."""

    row: str
    name: str
    limit_ms: float
    values: list[float] = field(default_factory=list)

    def add(self, ns: int) -> None:
        """Add a measurement in nanoseconds."""
        self.values.append(ns / 1e6)

    def p95(self) -> float:
        """Return the 95th percentile: the value that 95 % do not pass."""
        ordered = sorted(self.values)
        return ordered[math.ceil(0.95 * len(ordered)) - 1]

    def __str__(self) -> str:
        """Return one line."""
        if not self.values:
            return f"{self.row} {self.name}: nothing measured"
        low, middle, high = min(self.values), statistics.median(self.values), max(self.values)
        return (
            f"{self.row} {self.name}: n={len(self.values)} min={low:.1f} median={middle:.1f} "
            f"p95={self.p95():.1f} max={high:.1f} ms, limit {self.limit_ms:g} ms, tier {TIER}"
        )

    def check(self) -> None:
        """Print the figures and hold them against the limit: the worst always, the p95 in the full tier."""
        sys.stdout.write(f"{self}\n")
        assert self.values, f"{self.row} {self.name}: nothing measured"
        assert max(self.values) <= WORST_FACTOR * self.limit_ms, str(self)
        if IS_FULL:
            assert self.p95() <= self.limit_ms, str(self)


def announce(seed: int) -> None:
    """Print what a run depends on."""
    sys.stdout.write(f"seed {seed}, tier {TIER}, python {platform.python_version()}, {platform.platform()}\n")
