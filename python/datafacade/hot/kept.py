"""Read the past of a topic from our own journal: what was followed need not be fetched from the venue again.

Only the newest part without a hole is used: trades whose ids rise by one, bars that are final and complete
and follow each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from datafacade.hot.journal import Journal
from datafacade.types import Topic
from datafacade.v1 import hot_pb2, market_pb2, types_pb2

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 256 * 1024
_ONE_RECORD: Final = 1  # bytes: the least that a read gives is one whole group
_BEFORE: Final = 64  # records before the first one wanted, to see that nothing is missing there
_TAIL: Final = 256  # records before the last one among which the newest trade is looked for
_SKEW_NS: Final = 5 * 10**9  # a venue's clock may be so far from ours


class Row(NamedTuple):
    """One trade or bar of the past."""

    key: int  # trade id, or open time in ns
    ts_event: int  # ns; a bar's open
    update: bytes  # Update with seq 0, flagged HISTORY


class Kept(NamedTuple):
    """What the journal holds of a range."""

    rows: list[Row]  # by ascending key, without a hole
    is_whole: bool  # whether nothing is missing between the start of the range and its end


NOTHING: Final = Kept([], False)


class KeptPast:
    """The past as the journal has it."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal

    async def rows(self, topic: Topic, *, ts_from: int) -> Kept:
        """Return what is held of a topic since a time (ns), as far back as it has no hole."""
        if self._journal is None:
            return NOTHING
        try:
            return await asyncio.to_thread(self._rows, self._journal, topic, ts_from)
        except (OSError, ValueError):
            log.exception("journal.unreadable", extra={"venue": topic.venue})
            return NOTHING

    def last_trade(self, topic: Topic) -> tuple[int, int] | None:
        """Return id and time (ns) of the newest trade that a topic ever told; None: none is held."""
        if self._journal is None:
            return None
        try:
            return _last_trade(self._journal, topic)
        except (OSError, ValueError):
            log.exception("journal.unreadable", extra={"venue": topic.venue})
            return None

    def _rows(self, journal: Journal, topic: Topic, ts_from: int) -> Kept:
        found: dict[int, hot_pb2.Update] = {}
        for epoch, seq_oldest, seq_last in sorted(journal.ranges(*topic)):
            since = _seek(journal, topic, epoch, (seq_oldest, seq_last), ts_from - _SKEW_NS)
            for update in _read(journal, topic, epoch, since):
                key = key_of(update)
                if key is not None:
                    found[key] = update
        return unbroken(found, ts_from=ts_from)


def _last_trade(journal: Journal, topic: Topic) -> tuple[int, int] | None:
    for epoch, seq_oldest, seq_last in sorted(journal.ranges(*topic), reverse=True):
        since = max(seq_oldest, seq_last - _TAIL) - 1
        told = [update for update in _read(journal, topic, epoch, since) if update.trade.HasField("trade_id")]
        if told:
            newest = max(told, key=lambda update: update.trade.trade_id)
            return newest.trade.trade_id, newest.ts_event
    return None


def key_of(update: hot_pb2.Update) -> int | None:
    """Return what joins an update with the past: its trade id, or the time of its open."""
    kind = update.WhichOneof("payload")
    if kind == "trade" and update.trade.HasField("trade_id"):
        return update.trade.trade_id
    return update.kline.ts_open if kind == "kline" else None


def unbroken(found: dict[int, hot_pb2.Update], *, ts_from: int) -> Kept:
    """Return the newest part without a hole, as rows of history since ``ts_from`` (ns)."""
    settled = [found[key] for key in sorted(found) if _is_settled(found[key])]
    rows = [_row(update) for update in _chain(settled)]
    is_whole = bool(rows) and rows[0].ts_event < ts_from
    return Kept([row for row in rows if row.ts_event >= ts_from], is_whole)


def _chain(updates: Sequence[hot_pb2.Update]) -> Sequence[hot_pb2.Update]:
    """Return the longest end in which each update follows the one before."""
    start = max(0, len(updates) - 1)
    while start > 0 and _follows(updates[start - 1], updates[start]):
        start -= 1
    return updates[start:]


def _follows(before: hot_pb2.Update, after: hot_pb2.Update) -> bool:
    if before.HasField("kline"):
        return after.kline.ts_open == before.kline.ts_close
    return after.trade.trade_id == before.trade.trade_id + 1


def _is_settled(update: hot_pb2.Update) -> bool:
    """Whether nothing about it will change: a trade, or a bar that is final and complete."""
    if not update.HasField("kline"):
        return True
    bar = update.kline
    is_final = bar.state == market_pb2.KLINE_STATE_FINAL
    return is_final and bar.completeness == market_pb2.COMPLETENESS_COMPLETE


def _row(update: hot_pb2.Update) -> Row:
    told = hot_pb2.Update.FromString(update.SerializeToString())
    told.seq = 0
    told.flags |= types_pb2.UPDATE_FLAG_HISTORY
    told.flags &= ~types_pb2.UPDATE_FLAG_MORE
    encoded = told.SerializeToString()
    if update.HasField("kline"):
        return Row(update.kline.ts_open, update.kline.ts_open, encoded)
    return Row(update.trade.trade_id, update.ts_event or update.ts_recv, encoded)


def _seek(journal: Journal, topic: Topic, epoch: int, seqs: tuple[int, int], ts_from: int) -> int:
    """Return a seq shortly before the first record that was published at ``ts_from`` or later."""
    low, high = seqs
    while low < high:
        middle = (low + high) // 2
        entries, last = journal.read(*topic, epoch=epoch, seq_after=middle - 1, bytes_max=_ONE_RECORD)
        updates = hot_pb2.HotSubscribeResponse.FromString(entries).updates
        if updates and updates[0].ts_publish < ts_from:
            low = max(middle + 1, last + 1)
        else:
            high = middle
    return max(seqs[0], low - _BEFORE) - 1


def _read(journal: Journal, topic: Topic, epoch: int, seq: int) -> Iterator[hot_pb2.Update]:
    while True:
        entries, last = journal.read(*topic, epoch=epoch, seq_after=seq, bytes_max=CHUNK_BYTES)
        if not entries:
            return
        yield from hot_pb2.HotSubscribeResponse.FromString(entries).updates
        seq = last
