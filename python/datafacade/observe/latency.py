"""Measure durations with real quantiles, and the share of failures among the events of the last minutes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from datafacade.clock import NS_PER_S

_SUB_BITS: Final = 6  # 64 buckets per power of two: a quantile is right within 1.6 %
_BUCKETS: Final = 64 << _SUB_BITS
SPAN_S: Final = 300
_SLICE_S: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Quantiles since the start of the process."""

    count: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    p999_ns: int


class Latency:
    """A histogram of durations. Its size does not depend on how many are recorded."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0

    def record(self, duration_ns: int) -> None:
        """Add one duration; a negative one counts as 0."""
        self._counts[min(_index(max(0, duration_ns)), _BUCKETS - 1)] += 1
        self.count += 1

    def quantiles(self) -> Quantiles | None:
        """Return the quantiles; None: nothing was recorded."""
        if self.count == 0:
            return None
        p50, p90, p99, p999 = (self._quantile(ratio) for ratio in (0.5, 0.9, 0.99, 0.999))
        return Quantiles(count=self.count, p50_ns=p50, p90_ns=p90, p99_ns=p99, p999_ns=p999)

    def _quantile(self, ratio: float) -> int:
        wanted = max(1, -int(-self.count * ratio // 1))
        for index, count in enumerate(self._counts):
            wanted -= count
            if wanted <= 0:
                return _upper(index)
        return _upper(_BUCKETS - 1)


def _index(value: int) -> int:
    """Return the bucket: exact below 64, then 64 per power of two."""
    shift = max(0, value.bit_length() - _SUB_BITS - 1)
    return (shift << _SUB_BITS) + (value >> shift)


def _upper(index: int) -> int:
    """Return the largest duration of a bucket."""
    shift = max(0, (index >> _SUB_BITS) - 1)
    return ((index - (shift << _SUB_BITS) + 1) << shift) - 1


class FailureRatio:
    """Share of failures among the events of the last five minutes."""

    def __init__(self) -> None:
        self._slices: deque[list[int]] = deque()  # [slice number, events, failures]

    def record(self, monotonic_ns: int, *, is_failure: bool) -> None:
        """Add one event."""
        number = monotonic_ns // NS_PER_S // _SLICE_S
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append([number, 0, 0])
        self._slices[-1][1] += 1
        self._slices[-1][2] += is_failure

    def ratio(self, monotonic_ns: int) -> float | None:
        """Return the share, 0 to 1; None: no event."""
        oldest = monotonic_ns // NS_PER_S // _SLICE_S - SPAN_S // _SLICE_S
        while self._slices and self._slices[0][0] <= oldest:
            self._slices.popleft()
        events = sum(entry[1] for entry in self._slices)
        return sum(entry[2] for entry in self._slices) / events if events else None
