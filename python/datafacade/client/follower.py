"""Follow one topic within one call: numbers, states, gaps, books; records in, events out. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from datafacade.client.book import Book
from datafacade.client.contiguity import Contiguity, Place
from datafacade.client.decode import (
    consolidated_of,
    delivery_of,
    gap_of,
    kline_of,
    local_gap,
    state_of,
    ticker_of,
    top_of,
    trade_of,
)
from datafacade.client.events import Accepted, BookMismatch, CaughtUp, Event, Resumed, ResumeLost
from datafacade.client.mirror import Mirror, MirrorBroken
from datafacade.client.report import TopicReport
from datafacade.client.stamp import Received
from datafacade.client.topic import Channel, Position, Topic
from datafacade.rows.words import DELIVERY_MODE, GAP_CAUSE, INTEGRITY
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2

SKIPPING: Final = frozenset({"LATEST", "INTERVAL"})  # deliveries under which a hole in ``seq`` is the count
GAPS_KEPT: Final = 256
RESTART: Final = "SERVER_RESTART"
POSITIONS: Final = frozenset({"checkpoint", "heartbeat"})
DATA: Final[Mapping[str, Callable[[hot_pb2.Update, Received], Event]]] = MappingProxyType(
    {
        "trade": trade_of,
        "top_of_book": top_of,
        "ticker": ticker_of,
        "kline": kline_of,
        "consolidated_top": consolidated_of,
    }
)


class Lost(NamedTuple):
    """Where a topic stood when it could not be followed any more."""

    epoch: int
    seq: int
    ts_recv: int
    cause: str


class Follower:
    """One topic. After a `BookMismatch` nothing comes out until `accept` is called for a new subscription."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.report = TopicReport(topic=topic)
        self.book: Book | None = None  # newest view
        self._mirror = Mirror(topic.venue) if topic.channel is Channel.BOOK_L2 else None
        self._order = Contiguity()
        self._delivery = ""
        self._is_followed = False
        self._gap_ids: deque[int] = deque(maxlen=GAPS_KEPT)  # told by the venue's side in this call
        self._told_to = 0  # newest ``seq`` that came, or that a delivery gap named
        self._lost: Lost | None = None

    @property
    def position(self) -> Position | None:
        """Where to go on in another call; None: nothing to go on from, so it begins anew."""
        seq_next, mirror = self._order.expected, self._mirror
        if seq_next == 0 or self.report.epoch == 0 or (mirror is not None and not mirror.is_whole):
            return None
        return Position(self.topic, self.report.epoch, seq_next - 1)

    def stand_at(self, position: Position) -> None:
        """Hear where another process stood: a book has to begin anew, all else goes on behind it."""
        self.report.epoch, self.report.seq = position.epoch, position.seq
        self._told_to = position.seq
        self._lost = Lost(position.epoch, position.seq, 0, "CLIENT_RESTART")
        if self._mirror is None:
            self._order.begin(position.seq + 1)

    # What the call tells

    def accept(self, status: stream_pb2.SubscriptionStatus, epoch: int) -> Sequence[Event]:
        """Begin anew at the seam that a status names."""
        self._delivery = DELIVERY_MODE(status.delivery)
        self._is_followed = True
        self._gap_ids.clear()
        self._drop_book()
        self.report.epoch = epoch
        accepted = Accepted(
            topic=self.topic,
            requested_symbol=status.requested_symbol,
            delivery=self._delivery,
            seq_next=status.seq_next,
        )
        if self._mirror is not None:
            self._order.begin(0)  # at its snapshot
            return (accepted,)
        self._order.begin(status.seq_next)
        return (accepted, *self._missed(status.seq_next))

    def resume(self, status: stream_pb2.SubscriptionStatus) -> Sequence[Event]:
        """Go on exactly behind `position`; records of an older epoch may come first."""
        self._delivery = DELIVERY_MODE(status.delivery)
        self._is_followed = True
        self._lost = None
        self.report.resumes += 1
        return (Resumed(topic=self.topic, seq_next=self._order.expected),)

    def lose_position(self, status: stream_pb2.SubscriptionStatus, epoch: int) -> Sequence[Event]:
        """Begin anew: the position is no longer held, as the gap that follows tells."""
        self._delivery = DELIVERY_MODE(status.delivery)
        self._is_followed = True
        self._lost = None
        self.report.epoch = epoch
        self._gap_ids.clear()
        self._drop_book()
        self._order.begin(0 if self._mirror is not None else status.seq_next)
        return (ResumeLost(topic=self.topic, seq_oldest=status.seq_oldest),)

    def catch_up(self, status: stream_pb2.SubscriptionStatus) -> Sequence[Event]:
        """Hear that what follows is live."""
        return (CaughtUp(topic=self.topic, seq_next=status.seq_next),)

    def forget(self) -> None:
        """Hear that `position` leads nowhere: the topic begins anew."""
        self._drop("CONNECTION_LOST")

    def lose(self) -> None:
        """Hear that the call broke: nothing comes until the topic is resumed or accepted again."""
        self._note_lost("CONNECTION_LOST")
        self._is_followed, self.book = False, None
        if self._mirror is not None:
            self._mirror.forget_parts()
        self.report.state, self.report.reason = "DOWN", "CONNECTION_LOST"

    # Records

    def on_update(self, update: hot_pb2.Update, received: Received) -> Sequence[Event]:
        """Take one record of this topic; a book that does not fit leaves as `BookMismatch`."""
        kind = update.WhichOneof("payload")
        if kind is None or not self._is_followed:
            return ()
        try:
            if update.seq == 0:
                return self._on_stream_record(kind, update, received)
            turned = self._turn_epoch(update)
            if turned is not None:
                return (*turned, *self.on_update(update, received))
            if kind in POSITIONS or update.flags & types_pb2.UPDATE_FLAG_CUT:
                return self._on_position(kind, update, received)
            return self._on_topic_record(kind, update, received)
        except MirrorBroken as broken:
            self.report.mismatches += 1
            self._count_checks()
            self._drop("MISMATCH")
            mismatch = BookMismatch(
                topic=self.topic,
                reason=broken.reason,
                seq=update.seq,
                expected=broken.expected,
                received=broken.received,
            )
            return (mismatch,)

    def _on_stream_record(self, kind: str, update: hot_pb2.Update, received: Received) -> Sequence[Event]:
        """Take a record that was made for this call."""
        if kind == "delivery_change":
            change = delivery_of(update.delivery_change, self.topic)
            self._delivery = change.mode_new
            return (change,)
        if kind in DATA:
            return (DATA[kind](update, received),)  # of the history before the seam
        if kind != "gap":
            return ()
        self.report.gaps += 1
        self._told_to = max(self._told_to, update.gap.seq_last)
        self._drop_book()  # a snapshot follows, or the call ends
        is_over = GAP_CAUSE(update.gap.cause) == RESTART  # the numbers begin anew behind it
        is_unnumbered = update.gap.seq_last == 0
        is_at_base = self._mirror is not None or is_over or is_unnumbered
        self._order.begin(0 if is_at_base else update.gap.seq_last + 1)
        return (gap_of(update.gap, self.topic),)

    def _turn_epoch(self, update: hot_pb2.Update) -> Sequence[Event] | None:
        """Begin anew with the first record of another start of the publisher; None: it is the same one."""
        report = self.report
        if update.epoch == report.epoch:
            return None
        is_told = self._order.expected == 0  # by the gap before it
        report.epoch = update.epoch
        self._gap_ids.clear()
        self._drop_book()
        self._order.begin(0 if self._mirror is not None else update.seq)
        if is_told:
            return ()
        report.gaps += 1
        return (local_gap(self.topic, RESTART, seqs=(0, 0), ts_first=report.ts_recv_last),)

    def _on_position(self, kind: str, update: hot_pb2.Update, received: Received) -> Sequence[Event]:
        """Take a record that describes a ``seq`` and has none of its own."""
        mirror, order, report = self._mirror, self._order, self.report
        report.ts_client_last = received.wall_ns
        if mirror is None:
            return ()
        if kind == "checkpoint" and update.seq + 1 == order.expected:
            mirror.on_checkpoint(update)
            self._count_checks()
        elif kind == "book_snapshot" and mirror.on_snapshot(update):
            missed = self._missed(update.seq + 1)
            if order.expected:  # it stands for what was left out for this call
                report.skipped += max(0, update.seq + 1 - order.expected)
            self._go_on(update.seq)
            return (*missed, self._view(mirror, update, received))
        return ()

    def _on_topic_record(self, kind: str, update: hot_pb2.Update, received: Received) -> Sequence[Event]:
        """Take a record with a number of its own."""
        place = self._order.place(update.seq)
        if place is Place.OLD:
            self.report.duplicates += 1
            return ()
        before: Sequence[Event] = self._on_hole(kind, update) if place is Place.HOLE else ()
        is_part = kind == "book_snapshot" and update.flags & types_pb2.UPDATE_FLAG_MORE
        if not is_part and (place is not Place.PRESENT or kind == "book_snapshot"):
            if self._lost is not None:
                before = (*before, *self._missed(update.seq))
            self._go_on(update.seq)
        self.report.ts_recv_last = update.ts_recv or self.report.ts_recv_last
        self.report.ts_client_last = received.wall_ns
        event = self._content(kind, update, received)
        return before if event is None else (*before, event)

    def _content(self, kind: str, update: hot_pb2.Update, received: Received) -> Event | None:
        mirror, report = self._mirror, self.report
        made = DATA.get(kind)
        if made is not None:
            report.updates += 1
            report.trades += kind == "trade"
            report.integrity = INTEGRITY(update.integrity)
            return made(update, received)
        match kind:
            case "book_delta" if mirror is not None:
                mirror.on_delta(update)
                return self._view(mirror, update, received)
            case "stream_state":
                state = state_of(update, self.topic, received)
                report.state, report.reason = state.state, state.reason
                return state
            case "gap":
                if update.gap.gap_id not in self._gap_ids:  # else it tells what became of one
                    self._gap_ids.append(update.gap.gap_id)
                    report.gaps += 1
                return gap_of(update.gap, self.topic)
            case "book_snapshot" if mirror is not None and mirror.on_snapshot(update):
                return self._view(mirror, update, received)
        return None

    def _view(self, mirror: Mirror, update: hot_pb2.Update, received: Received) -> Book:
        report = self.report
        report.updates += 1
        report.integrity = INTEGRITY(update.integrity)
        self._count_checks()
        report.ts_recv_last = update.ts_recv or report.ts_recv_last
        self.book = mirror.view(update, report.state, received)
        return self.book

    def _count_checks(self) -> None:
        if self._mirror is not None:
            self.report.hashes_checked = self._mirror.hashes_checked
            self.report.links_checked = self._mirror.links_checked

    # Holes

    def _on_hole(self, kind: str, update: hot_pb2.Update) -> Sequence[Event]:
        """Return the numbers that are missing before a record, unless the delivery leaves them out.

        Raises:
            MirrorBroken: The book needs what is missing.
        """
        expected, seq = self._order.expected, update.seq
        is_skipping = self._delivery in SKIPPING
        if self._mirror is not None and kind != "book_snapshot":
            if kind == "book_delta" or not is_skipping:
                raise MirrorBroken("SEQ", str(expected), str(seq))
            self._drop_book()  # a CUT follows
        if is_skipping:
            self.report.skipped += seq - expected
            return ()
        self.report.gaps += 1
        ts_first = self.report.ts_recv_last
        return (local_gap(self.topic, "UNANNOUNCED", seqs=(expected, seq - 1), ts_first=ts_first),)

    def _missed(self, seq_next: int) -> Sequence[Event]:
        """Return the hole between where the topic was lost and ``seq_next``, if there is one."""
        lost, self._lost = self._lost, None
        if lost is None:
            return ()
        is_same_run = self.report.epoch == lost.epoch
        if is_same_run and seq_next == lost.seq + 1:
            return ()
        is_known = is_same_run and seq_next > lost.seq
        self.report.gaps += 1
        cause = lost.cause if is_same_run else RESTART
        seqs = (lost.seq + 1, seq_next - 1) if is_known else (0, 0)
        return (local_gap(self.topic, cause, seqs=seqs, ts_first=lost.ts_recv),)

    def _go_on(self, seq: int) -> None:
        self._order.take(seq)
        self.report.seq = self._told_to = seq

    def _drop(self, cause: str) -> None:
        self._note_lost(cause)
        self._is_followed = False
        self._drop_book()
        self._order.begin(0)

    def _note_lost(self, cause: str) -> None:
        if self._lost is None and self._told_to:
            self._lost = Lost(self.report.epoch, self._told_to, self.report.ts_recv_last, cause)

    def _drop_book(self) -> None:
        self.book = None
        if self._mirror is not None:
            self._mirror.clear()
