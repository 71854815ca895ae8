"""Counts of what clients did to the simulated venues: attempts, messages, weights, violations."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

ATTEMPTS_KEPT: Final = 10_000


@dataclass(slots=True)
class ProductStats:
    """Counts of one venue product."""

    attempts_mono_ns: deque[int] = field(default_factory=lambda: deque(maxlen=ATTEMPTS_KEPT))
    opened: int = 0
    open_now: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by HTTP status
    closed: Counter[str] = field(default_factory=Counter)  # by who and code
    frames_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    rest_requests: Counter[str] = field(default_factory=Counter)  # by path
    rest_status: Counter[str] = field(default_factory=Counter)
    weight_used: int = 0  # in the present minute, as the venue tells it
    weight_spent: int = 0  # in all
    weight_minute_max: int = 0  # the most that was spent in one minute of the wall clock
    _minute: int = 0
    _minute_weight: int = 0

    def spend(self, weight: int, now_s: float) -> None:
        """Count what one REST request cost."""
        minute = int(now_s // 60)
        if minute != self._minute:
            self._minute, self._minute_weight = minute, 0
        self._minute_weight += weight
        self.weight_spent += weight
        self.weight_minute_max = max(self.weight_minute_max, self._minute_weight)

    def report(self) -> dict[str, object]:
        """Return the counts as JSON."""
        return {
            "attempts": len(self.attempts_mono_ns),
            "attempts_mono_ns": list(self.attempts_mono_ns),
            "opened": self.opened,
            "open_now": self.open_now,
            "refused": dict(self.refused),
            "closed": dict(self.closed),
            "frames_sent": self.frames_sent,
            "bytes_sent": self.bytes_sent,
            "messages_received": self.messages_received,
            "violations": dict(self.violations),
            "rest_requests": dict(self.rest_requests),
            "rest_status": dict(self.rest_status),
            "weight_used": self.weight_used,
            "weight_spent": self.weight_spent,
            "weight_minute_max": self.weight_minute_max,
        }


class Stats:
    """Counts of all venue products."""

    def __init__(self, products: tuple[str, ...]) -> None:
        self.products = {product: ProductStats() for product in products}

    def of(self, product: str) -> ProductStats:
        """Return the counts of ``product``."""
        return self.products[product]

    def sent(self, product: str, size_bytes: int) -> None:
        """Count one frame to a client."""
        counts = self.products[product]
        counts.frames_sent += 1
        counts.bytes_sent += size_bytes

    def violation(self, product: str, rule: str) -> None:
        """Count a broken rule of the venue."""
        self.products[product].violations[rule] += 1

    def report(self) -> dict[str, object]:
        """Return all counts as JSON."""
        return {product: counts.report() for product, counts in self.products.items()}
