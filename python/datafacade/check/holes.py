"""What a topic owns up to: gaps, the places where a client was told to start over, and conflation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from datafacade.check.story import Told
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2

CLOCK_NS: Final = 50_000_000  # slack of a venue's millisecond stamps against the truth log
SLOW_NS: Final = 10_000_000_000  # no line is slower; a venue's clock may be wrong by more
BOOK_DATA: Final = frozenset({"book_delta", "book_snapshot"})
BACKFILLED: Final = types_pb2.UPDATE_FLAG_BACKFILLED
SKIPPING: Final = frozenset({types_pb2.DELIVERY_MODE_LATEST, types_pb2.DELIVERY_MODE_INTERVAL})
CLOSED: Final = frozenset({stream_pb2.GAP_STATE_FILLED, stream_pb2.GAP_STATE_PARTLY_FILLED})


@dataclass(frozen=True, slots=True)
class Hole:
    """What a record owns up to."""

    first: int | None
    last: int | None
    ts_first: int
    ts_last: int

    def covers(self, number: int | None, t_wall_ns: int) -> bool:
        """Tell whether an event lies in the hole, by its number if both have numbers, else by time."""
        if number is not None and self.first is not None and self.last is not None:
            return self.first <= number <= self.last
        if number is not None and self.first is not None and self.last is None and self.ts_last == 0:
            return number >= self.first
        return self.ts_first - CLOCK_NS <= t_wall_ns <= self.ts_last + CLOCK_NS


def holes(told: Sequence[Told]) -> list[Hole]:
    """Return the holes that a topic owned up to; one that was filled later is none."""
    return [*_of_venue(told), *_of_delivery(told)]


def _of_venue(told: Sequence[Told]) -> list[Hole]:
    found: dict[tuple[int, int], Hole] = {}
    for one in told:
        if one.kind != "gap" or one.update.gap.scope != stream_pb2.GAP_SCOPE_VENUE:
            continue
        key = (one.update.epoch, one.update.gap.gap_id)
        if one.update.gap.state == stream_pb2.GAP_STATE_FILLED:
            found.pop(key, None)
        else:
            found[key] = _hole(one.update.gap)
    return list(found.values())


def _hole(gap: stream_pb2.Gap) -> Hole:
    first = gap.venue_sequence_first if gap.HasField("venue_sequence_first") else None
    last = gap.venue_sequence_last if gap.HasField("venue_sequence_last") else None
    return Hole(first, last, gap.ts_first, gap.ts_last)


def _of_delivery(told: Sequence[Told]) -> Iterator[Hole]:
    """Yield what lies between two neighbours where the service said that something lies there.

    A gap of delivery names our numbers, not the venue's: it covers what came between the last record before
    it and the first behind it, and nothing more. A cut inside a book stands for what it jumps over.
    """
    last: Told | None = None  # newest data
    newest = 0  # trade id
    is_open = False
    jumps = Jumps()
    for one in told:
        is_open = jumps.read(one) or is_open
        is_trade = one.kind == "trade" and one.update.seq > 0
        is_book = one.kind in BOOK_DATA and not one.is_fallback
        if starts_over(one):
            is_open = True
        elif is_trade and one.update.trade.trade_id > newest:
            if is_open and newest:
                yield Hole(newest + 1, one.update.trade.trade_id - 1, 0, 0)
            newest, is_open = one.update.trade.trade_id, False
        elif is_book:
            if last is not None and (one.is_cut or (is_open and one.kind == "book_snapshot")):
                yield Hole(None, None, left_at(last.update), one.update.ts_recv - CLOCK_NS)
            is_open = is_open and one.kind != "book_snapshot"
            last = one


def left_at(update: hot_pb2.Update) -> int:
    """Return when a message left its venue: behind it others can be under way on a slow line."""
    is_sane = 0 < update.ts_event <= update.ts_recv < update.ts_event + SLOW_NS
    return update.ts_event if is_sane else update.ts_recv


class Jumps:
    """Notices where LATEST or INTERVAL left records out; `counter` holds them against what was counted."""

    def __init__(self) -> None:
        self._head = (0, 0)  # epoch and seq
        self._skips = False

    def read(self, one: Told) -> bool:
        """Tell whether records are missing before this one, as its delivery allows."""
        if one.kind == "subscription_status" and one.update.subscription_status.delivery:
            self._skips = one.update.subscription_status.delivery in SKIPPING
        if not one.is_topic_record and not one.is_cut:
            return False
        (epoch, head), self._head = self._head, (one.update.epoch, one.update.seq)
        return self._skips and epoch == one.update.epoch and one.update.seq > head + 1


def starts_over(one: Told) -> bool:
    """Tell whether a record says that what follows does not join what came before."""
    if one.kind == "gap":
        return one.update.gap.scope == stream_pb2.GAP_SCOPE_DELIVERY
    if one.kind != "subscription_status":
        return False
    phase = one.update.subscription_status.phase
    return phase in (stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED, stream_pb2.SUBSCRIPTION_PHASE_RESUME_LOST)


def miscounted(told: Sequence[Told]) -> Iterator[tuple[Told, str]]:
    """Yield the closed gaps that claim more events than were given behind their opening."""
    opened: dict[tuple[int, int], int] = {}
    backfilled: list[hot_pb2.Update] = []
    for one in told:
        if one.kind == "trade" and one.update.flags & BACKFILLED:
            backfilled.append(one.update)
        if one.kind != "gap" or one.update.gap.scope != stream_pb2.GAP_SCOPE_VENUE:
            continue
        gap, key = one.update.gap, (one.update.epoch, one.update.gap.gap_id)
        if gap.state == stream_pb2.GAP_STATE_OPEN:
            opened[key] = len(backfilled)
        elif gap.state in CLOSED and key in opened:
            given = backfilled[opened.pop(key) :]
            hole = _hole(gap)
            inside = sum(hole.covers(update.trade.trade_id, update.ts_event) for update in given)
            if inside < gap.filled:
                yield one, f"gap {gap.gap_id} claims {gap.filled} backfilled events, {inside} came"
