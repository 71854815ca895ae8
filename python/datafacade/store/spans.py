"""Join spans and gaps of one topic into an answer without holes. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise
from typing import Generic, TypeVar


class SpanState(IntEnum):
    """What is known about a span; the numbers are the contract's ``CoverageState``."""

    COMPLETE = 1  # every event of the venue was published
    UNPROVEN = 2  # events were received, nobody can prove that they are all
    GAP = 3  # events are missing
    NOT_COVERED = 4  # the venue was down, or nobody listened


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span of a topic; times are ns UTC, the end is the first instant behind it."""

    ts_start: int
    ts_end: int
    state: SpanState
    epoch: int = 0  # 0: nobody listened
    seq_first: int = 0  # of the whole span, even where a gap or the interval cuts it; 0: no record
    seq_last: int = 0
    venue_sequence_first: int | None = None
    venue_sequence_last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """The time that a gap takes, and whether everything in it came later."""

    ts_start: int
    ts_end: int
    epoch: int
    is_filled: bool


Part = TypeVar("Part", Span, Hole)


def join(spans: Sequence[Span], holes: Sequence[Hole], *, ts_start: int, ts_end: int) -> list[Span]:
    """Return spans that together are the interval: they join without holes and overlap nowhere.

    An open or lost gap wins over everything, since events are missing there. A filled one wins over time that
    was not covered, since its events are known now.

    Args:
        spans: What was covered, oldest first, without overlap.
        holes: Gaps, in any order.
        ts_start: First instant of the interval.
        ts_end: First instant behind it; above ``ts_start``.

    Example:
        >>> known = Span(ts_start=2, ts_end=9, state=SpanState.COMPLETE, epoch=7)
        >>> [(s.ts_start, s.ts_end, s.state.name) for s in join([known], [], ts_start=0, ts_end=5)]
        [(0, 2, 'NOT_COVERED'), (2, 5, 'COMPLETE')]
    """
    joined: list[Span] = []
    for piece in _pieces(spans, holes, ts_start, ts_end):
        if joined and _is_same(joined[-1], piece):
            joined[-1] = replace(joined[-1], ts_end=piece.ts_end)
        else:
            joined.append(piece)
    return joined


def _pieces(spans: Sequence[Span], holes: Sequence[Hole], ts_start: int, ts_end: int) -> Iterator[Span]:
    """Yield the parts between all borders, in order."""
    borders = {ts_start, ts_end}
    ends = [(part.ts_start, part.ts_end) for part in spans] + [(part.ts_start, part.ts_end) for part in holes]
    borders.update(at for pair in ends for at in pair if ts_start < at < ts_end)
    cuts = sorted(borders)
    of_span, of_hole = _Covering(spans), _Covering(sorted(holes, key=lambda hole: hole.ts_start))
    for start, end in pairwise(cuts):
        covering = of_span.at(start)
        yield _piece(covering[0] if covering else None, of_hole.at(start), start, end)


def _piece(span: Span | None, holes: Sequence[Hole], start: int, end: int) -> Span:
    missing = [hole for hole in holes if not hole.is_filled]
    base = span or Span(ts_start=start, ts_end=end, state=SpanState.NOT_COVERED)
    base = replace(base, ts_start=start, ts_end=end)
    if missing:
        return replace(base, state=SpanState.GAP, epoch=base.epoch or missing[0].epoch)
    if holes and span is None:
        return replace(base, state=SpanState.COMPLETE, epoch=holes[0].epoch)
    return base


def _is_same(left: Span, right: Span) -> bool:
    return replace(left, ts_start=0, ts_end=0) == replace(right, ts_start=0, ts_end=0)


class _Covering(Generic[Part]):
    """Tells which parts cover an instant; asked in the order of time, sorted by their starts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts: Sequence[Part] = parts
        self._next = 0
        self._open: list[Part] = []

    def at(self, instant: int) -> list[Part]:
        """Return the parts that cover it."""
        while self._next < len(self._parts) and self._parts[self._next].ts_start <= instant:
            self._open.append(self._parts[self._next])
            self._next += 1
        self._open = [part for part in self._open if part.ts_end > instant]
        return self._open
