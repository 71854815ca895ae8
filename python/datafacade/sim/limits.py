"""The limits that venues enforce: windows, buckets, request weights. Times are arguments, in seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

BAN_AFTER_REFUSALS: Final = 20  # refused requests within one minute until the address is banned
BAN_FIRST_S: Final = 120.0
BAN_MAX_S: Final = 3 * 86_400.0
Budget = dict[str, object]  # kind, limit, span_s, used


@dataclass(slots=True)
class SlidingWindow:
    """At most ``limit`` events in any ``span_s`` seconds."""

    limit: int
    span_s: float
    _times: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> bool:
        """Count an event at ``now``; tell whether it is within the limit."""
        while self._times and self._times[0] <= now - self.span_s:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self.limit

    def budget(self, now: float) -> Budget:
        """Return limit and use at ``now``; refused events count too."""
        used = sum(at > now - self.span_s for at in self._times)
        return {"kind": "sliding", "limit": self.limit, "span_s": self.span_s, "used": used}


@dataclass(slots=True)
class Bucket:
    """A bucket of ``burst`` tokens that refills at ``rate`` a second."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _last: float | None = None

    def __post_init__(self) -> None:
        """Derive what the fields imply."""
        self._tokens = self.burst

    def admit(self, now: float) -> bool:
        """Take one token if there is one."""
        if self._last is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._last) * self.rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def budget(self, now: float) -> Budget:
        """Return burst, refill time of one token and use at ``now``."""
        elapsed = 0.0 if self._last is None else now - self._last
        free = min(self.burst, self._tokens + elapsed * self.rate)
        return {
            "kind": "bucket",
            "limit": self.burst,
            "span_s": 1 / self.rate,
            "used": round(self.burst - free, 3),
        }


@dataclass(slots=True)
class Quota:
    """At most ``limit`` calls in each minute of the clock, or in each month; refused ones count too."""

    limit: int
    is_monthly: bool = False
    used: int = 0
    _window: int = -1

    def admit(self, now: float) -> bool:
        """Count a call at ``now`` (seconds since 1970); tell whether it is within the limit."""
        self.spend(1, now)
        return self.used <= self.limit

    def spend(self, calls: int, now: float) -> None:
        """Count ``calls`` calls."""
        window = self._window_of(now)
        if window != self._window:
            self._window, self.used = window, 0
        self.used += calls

    def budget(self, now: float) -> Budget:
        """Return limit and use of the window that holds ``now``."""
        used = self.used if self._window_of(now) == self._window else 0
        span = 30 * 86_400.0 if self.is_monthly else 60.0
        return {
            "kind": "month" if self.is_monthly else "fixed",
            "limit": self.limit,
            "span_s": span,
            "used": used,
        }

    def _window_of(self, now: float) -> int:
        if not self.is_monthly:
            return int(now // 60)
        at = datetime.fromtimestamp(now, UTC)
        return at.year * 12 + at.month


@dataclass(slots=True)
class WeightLedger:
    """Binance's request weight of one address: 429 beyond the limit, 418 for those who go on.

    Source: venues/binance.md section 6, 2026-07-21.
    """

    limit: int
    used: int = 0
    refused: int = 0  # in the present minute
    banned_until: float = 0.0
    bans: int = 0
    _minute: int = -1

    def charge(self, weight: int, now: float) -> int:
        """Charge ``weight`` at ``now`` (seconds since 1970); return the HTTP status: 200, 429 or 418."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self.used, self.refused = minute, 0, 0
        if now < self.banned_until:
            return 418
        self.used += weight
        if self.used <= self.limit:
            return 200
        self.refused += 1
        if self.refused > BAN_AFTER_REFUSALS:
            self.bans += 1
            self.banned_until = now + min(BAN_MAX_S, BAN_FIRST_S * 2 ** (self.bans - 1))
            return 418
        return 429

    def budget(self, now: float) -> Budget:
        """Return limit and use of the minute that holds ``now``."""
        used = self.used if int(now // 60) == self._minute else 0
        return {"kind": "fixed", "limit": self.limit, "span_s": 60.0, "used": used}

    def retry_after_s(self, now: float) -> int:
        """Return the whole seconds until the next request may succeed."""
        if now < self.banned_until:
            return int(self.banned_until - now) + 1
        return int(60 - now % 60) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """What a venue demands of WebSocket connections. None: no such rule."""

    attempts: int
    attempts_span_s: float
    ban_s: float = 0.0  # no attempt is admitted for so long after a violation
    messages: int | None = None  # client frames in any messages_span_s
    messages_span_s: float = 1.0
    ping_every_s: float | None = None  # WebSocket ping by the venue
    ping_timeout_s: float | None = None
    subscribe_within_s: float | None = None
    idle_s: float | None = None
    lifetime_s: float | None = None
    unread_bytes_max: int = 16 << 20  # a reader that owes more is cut off
