"""Candle lengths, and when their intervals begin. Pure.

Weeks begin on Monday, months with the calendar, everything else counts from the beginning of 1970; a shift
moves all begins, as for venues whose day begins at midnight of UTC+8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS
WEEK_NS: Final = 7 * DAY_NS
MONDAY_NS: Final = 4 * DAY_NS  # the first Monday after the beginning of 1970
EPOCH_YEAR: Final = 1970


@dataclass(frozen=True, slots=True)
class Interval:
    """One length of candles."""

    ns: int  # length; 0 for months
    months: int = 0
    ahead_ns: int = 0  # by so much the venue's clock is ahead of UTC

    def begin(self, ns: int) -> int:
        """Return the begin of the interval that holds ``ns``."""
        local = ns + self.ahead_ns
        if self.months:
            return _month_begin(_month(local) // self.months * self.months) - self.ahead_ns
        shift = MONDAY_NS if self.ns == WEEK_NS else 0
        return ns - (local - shift) % self.ns

    def end(self, begin: int) -> int:
        """Return the end of the interval that begins at ``begin``, which is the next one's begin."""
        if self.months:
            return _month_begin(_month(begin + self.ahead_ns) + self.months) - self.ahead_ns
        return begin + self.ns

    def back(self, begin: int, count: int) -> int:
        """Return the begin of the interval ``count`` before the one that begins at ``begin``."""
        if self.months:
            return _month_begin(_month(begin + self.ahead_ns) - count * self.months) - self.ahead_ns
        return begin - count * self.ns

    def begins(self, first_ns: int, last_ns: int) -> list[int]:
        """Return the begins in ``first_ns .. last_ns``, ascending."""
        begin = self.begin(first_ns)
        if begin < first_ns:
            begin = self.end(begin)
        if not self.months:
            return list(range(begin, last_ns + 1, self.ns))
        found = []
        while begin <= last_ns:
            found.append(begin)
            begin = self.end(begin)
        return found


def _month(ns: int) -> int:
    """Return the number of whole months since the beginning of 1970."""
    at = datetime.fromtimestamp(ns // SECOND_NS, UTC)
    return (at.year - EPOCH_YEAR) * 12 + at.month - 1


def _month_begin(month: int) -> int:
    year, rest = divmod(month, 12)
    return int(datetime(EPOCH_YEAR + year, rest + 1, 1, tzinfo=UTC).timestamp()) * SECOND_NS


def minutes(count: int) -> Interval:
    """Return the interval of ``count`` minutes."""
    return Interval(count * MINUTE_NS)
