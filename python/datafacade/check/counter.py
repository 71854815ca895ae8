"""Follow the numbers of one topic as a reader must: seq, epochs, resumes, what a delivery leaves out."""

from __future__ import annotations

from typing import Final

from datafacade.check.holes import SKIPPING
from datafacade.check.names import BOOK, KLINES, TRADES, Topic
from datafacade.check.story import MORE, Told
from datafacade.v1 import stream_pb2

OWED_NS: Final = 5_000_000_000  # a hole of LATEST must be counted within so long
ACCEPTED: Final = stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED
RESUMED: Final = stream_pb2.SUBSCRIPTION_PHASE_RESUMED
LOST: Final = stream_pb2.SUBSCRIPTION_PHASE_RESUME_LOST
CAUGHT_UP: Final = stream_pb2.SUBSCRIPTION_PHASE_CAUGHT_UP
REJECTED: Final = stream_pb2.SUBSCRIPTION_PHASE_REJECTED
KEEPS_UP: Final = stream_pb2.DELIVERY_CAUSE_KEEPS_UP
NEVER_ANEW: Final = frozenset({TRADES, KLINES})  # no snapshot stands for what came before
INVALID_ARGUMENT: Final = 3


class Counter:
    """What a client expects next (CONTRACT "Three kinds of record", "Delivery", "Resume")."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._head: int | None = None  # of the last record read; None: not anchored yet
        self._epoch = 0
        self._stands: tuple[int, int | None] = (0, None)  # epoch and seq where the client would resume
        self._seam = 0
        self._is_open = False  # parts of a snapshot follow
        self._is_turning = False  # another epoch was announced
        self._skips = False  # LATEST or INTERVAL
        self._is_torn = False  # records are missing, and no snapshot came since
        self._owed = 0  # missing records that no DeliveryChange counted yet
        self._owed_since: int | None = None
        self._call = 0

    def read(self, one: Told) -> str:
        """Take a record; return what is wrong with its number, or nothing."""
        if one.call != self._call:  # what an old call did not tell any more, nobody will
            self._call, self._owed, self._owed_since = one.call, 0, None
        return self._overdue(one) or self._read(one)

    def _overdue(self, one: Told) -> str:
        """Look for records that were left out long ago, by the server's time, and not counted."""
        since = self._owed_since
        if since is None or one.kind == "delivery_change" or one.ts_send - since <= OWED_NS:
            return ""
        left, self._owed, self._owed_since = self._owed, 0, None
        return self._read(one) or f"{left} records were left out and not counted"

    def _read(self, one: Told) -> str:
        match one.kind:
            case "subscription_status":
                return self._status(one)
            case "gap" if one.update.gap.scope == stream_pb2.GAP_SCOPE_DELIVERY:
                return self._gap(one)
            case "delivery_change":
                return self._counted(one)
        if one.update.seq == 0:
            return ""
        what = self._turned(one) or self._numbered(one)
        self._stands = (self._epoch, self._head)
        return what

    def _status(self, one: Told) -> str:
        status = one.update.subscription_status
        self._skips = status.delivery in SKIPPING if status.delivery else self._skips
        match status.phase:
            case phase if phase == ACCEPTED:
                self._begin(status.seq_next)
            case phase if phase == LOST:
                self._begin(status.seq_next)
                self._is_turning = True
            case phase if phase == RESUMED:
                (self._epoch, self._head), self._is_torn = self._stands, False  # no gap of delivery moves it
                return "" if self._epoch else "a topic that was never told is resumed"
            case phase if phase == CAUGHT_UP and self._misses(one):
                return f"caught up at {status.seq_next}, but the last record is {self._head}"
            case phase if phase == REJECTED and status.code == INVALID_ARGUMENT:
                return f"a position was refused: {status.message}"
        return ""

    def _begin(self, seam: int) -> None:
        self._head, self._seam, self._is_open, self._is_torn = None, seam, False, False
        self._epoch = 0

    def _misses(self, one: Told) -> bool:
        """Tell whether a replay ends before the head."""
        is_here = self._head is not None and one.update.epoch in (0, self._epoch)
        return is_here and (self._head or 0) + 1 < one.update.subscription_status.seq_next

    def _gap(self, one: Told) -> str:
        gap, epoch = one.update.gap, one.update.epoch
        if gap.cause == stream_pb2.GAP_CAUSE_SERVER_RESTART:
            self._is_turning = True
            return ""
        if gap.seq_last == 0:
            return ""
        if epoch != self._epoch and self._epoch:
            if not self._is_turning:
                return f"a gap of epoch {epoch} behind epoch {self._epoch}"
            self._epoch, self._head, self._is_turning = epoch, 0, False
        head, self._head = self._head, gap.seq_last
        self._is_torn = True
        if head is None or gap.seq_first == head + 1:
            return ""
        if self._skips and gap.seq_first > head + 1:
            self._owe(gap.seq_first - head - 1, one)  # left out before the gap begins
            return ""
        return f"a gap from {gap.seq_first} behind {head}"

    def _counted(self, one: Told) -> str:
        change = one.update.delivery_change
        self._owed -= change.skipped
        if self._owed <= 0:
            self._owed_since = None
        if change.cause == KEEPS_UP and self._owed > 0:
            left, self._owed = self._owed, 0
            return f"{left} more records are missing than were counted as left out"
        return ""

    def _turned(self, one: Told) -> str:
        """Notice another epoch."""
        epoch, old = one.update.epoch, self._epoch
        if epoch == old:
            return ""
        self._epoch = epoch
        if old == 0:
            return ""
        self._head, self._seam = (0 if self._topic.channel in NEVER_ANEW else None), 0
        self._is_torn = self._is_open = False
        is_told, self._is_turning = self._is_turning, False
        return "" if is_told else f"epoch {epoch} behind {old} without a word"

    def _numbered(self, one: Told) -> str:
        if one.kind == "book_snapshot":
            return self._snapshot(one)
        if one.is_topic_record:
            return self._record(one)
        is_aside = self._head is not None and one.update.seq != self._head
        return f"{one.kind} of {one.update.seq} stands behind {self._head}" if is_aside else ""

    def _snapshot(self, one: Told) -> str:
        seq, head = one.update.seq, self._head
        is_part = self._is_open and head == seq
        self._head, self._is_open = seq, bool(one.update.flags & MORE)
        self._is_torn = False
        if head is None or is_part:
            return ""
        if one.is_cut:
            self._owe(seq - head, one)
            return f"cut {seq} behind {head}" if seq < head else ""
        return self._follows(one, seq, head)

    def _record(self, one: Told) -> str:
        seq, head = one.update.seq, self._head
        if head is None:
            if one.kind == "book_delta":
                return f"change {seq} without a snapshot"
            if self._topic.channel == BOOK or seq < self._seam:
                return ""  # what describes the present to a joiner; a book starts with its snapshot
            self._head = seq
            is_odd = seq != self._seam and self._seam > 0 and not self._skips
            return f"first record {seq} where {self._seam} was promised" if is_odd else ""
        self._head = seq
        what = self._follows(one, seq, head)
        if self._skips and seq > head + 1:
            self._is_torn = True
        if one.kind == "book_delta" and self._is_torn:
            return what or f"change {seq} behind a hole without a snapshot"
        return what

    def _follows(self, one: Told, seq: int, head: int) -> str:
        if self._skips and seq > head + 1:
            self._owe(seq - head - 1, one)
            return ""
        return f"record {seq} behind {head}" if seq != head + 1 else ""

    def _owe(self, count: int, one: Told) -> None:
        """Note records that were left out; a cut in EVERY stands behind a gap, which named them."""
        if count > 0 and self._skips:
            self._owed += count
            if self._owed > 0 and self._owed_since is None:
                self._owed_since = one.ts_send
