"""What REST clients spent at one venue: weights by second, calls by path, refusals, requests at once.

A second witness of budgets: it counts what arrived, whatever was answered.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

SECONDS_KEPT: Final = 7_200
KEYS_KEPT: Final = 20_000  # distinct requests that are told apart


@dataclass(slots=True)
class RestLedger:
    """Counts of one product. Times are seconds since 1970."""

    calls: Counter[str] = field(default_factory=Counter)  # by path, parameters left out
    statuses: Counter[str] = field(default_factory=Counter)
    refused: int = 0  # by the venue's limits, in whatever words
    weight: int = 0
    in_flight: int = 0
    in_flight_max: int = 0
    requests: Counter[str] = field(default_factory=Counter)  # by path and query
    _seconds: OrderedDict[int, int] = field(default_factory=OrderedDict)

    def begin(self, route: str, request: str, weight: int, now_s: float) -> None:
        """Count a request that arrived."""
        self.calls[route] += 1
        if request in self.requests or len(self.requests) < KEYS_KEPT:
            self.requests[request] += 1
        self.weight += weight
        second = int(now_s)
        self._seconds[second] = self._seconds.get(second, 0) + weight
        while len(self._seconds) > SECONDS_KEPT:
            self._seconds.popitem(last=False)
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)

    def end(self, status: int | None, *, is_refused: bool) -> None:
        """Count an answer; without a status the client left before it."""
        self.in_flight -= 1
        self.statuses["none" if status is None else str(status)] += 1
        self.refused += is_refused

    def spent(self, now_s: float, last_s: int) -> int:
        """Return the weight of the last ``last_s`` seconds, the present one included."""
        least = int(now_s) - last_s
        return sum(weight for second, weight in self._seconds.items() if second > least)

    def minute(self, now_s: float) -> int:
        """Return the weight of the present minute of the clock."""
        return sum(weight for second, weight in self._seconds.items() if second // 60 == int(now_s) // 60)

    def report(self, now_s: float, last_s: int) -> dict[str, object]:
        """Return the counts as JSON; ``spent`` covers ``last_s`` seconds."""
        distinct = len(self.requests)
        return {
            "calls": sum(self.calls.values()),
            "calls_by_path": dict(self.calls),
            "distinct_requests": distinct,
            "repeated_requests": sum(self.requests.values()) - distinct,
            "statuses": dict(self.statuses),
            "http_429": self.statuses["429"],
            "http_418": self.statuses["418"],
            "refused": self.refused,
            "weight": self.weight,
            "spent": self.spent(now_s, last_s),
            "spent_last_s": last_s,
            "spent_minute": self.minute(now_s),
            "in_flight": self.in_flight,
            "in_flight_max": self.in_flight_max,
        }
