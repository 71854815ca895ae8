"""Turn a probe's log into what each topic told, step by step, as a client of the contract would read it.

The story is made by the reader's rules of CONTRACT.md alone; nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from datafacade.check.book import NaiveBook, whole
from datafacade.check.names import BOOK, Topic
from datafacade.check.probe import ProbeRecord
from datafacade.v1 import book_pb2, hot_pb2, types_pb2

MORE: Final = types_pb2.UPDATE_FLAG_MORE
CUT: Final = types_pb2.UPDATE_FLAG_CUT
FALLBACK: Final = types_pb2.UPDATE_FLAG_REST_FALLBACK
POSITIONS: Final = frozenset({"checkpoint", "heartbeat"})
STREAM: Final = frozenset({"subscription_status", "delivery_change", "draining"})


@dataclass(frozen=True, slots=True)
class Told:
    """One Update with when it came."""

    t_mono_ns: int
    update: hot_pb2.Update
    kind: str  # name of the payload
    call: int = 0  # number of the call in its file
    ts_send: int = 0  # of its response

    @property
    def is_fallback(self) -> bool:
        """Whether it is a snapshot that stands in for a stream that is down."""
        return bool(self.update.flags & FALLBACK)

    @property
    def is_cut(self) -> bool:
        """Whether it is a snapshot made for somebody who waits."""
        return self.kind == "book_snapshot" and bool(self.update.flags & CUT)

    @property
    def is_heard(self) -> bool:
        """Whether it shows how far the topic came: a record of its own, or a word about where it stands."""
        return self.is_topic_record or self.kind in POSITIONS

    @property
    def is_topic_record(self) -> bool:
        """Whether it took a number of the topic."""
        return self.update.seq > 0 and self.kind not in POSITIONS and not self.is_cut


@dataclass(frozen=True, slots=True)
class Response:
    """The header of one response."""

    t_mono_ns: int
    stream_seq: int
    ts_send: int
    ts_watermark: int
    updates: int
    call: int = 0


@dataclass(slots=True)
class Story:
    """All that one client was told, in one call or in several that follow each other."""

    responses: list[Response] = field(default_factory=list)
    topics: dict[Topic, list[Told]] = field(default_factory=dict)
    order: list[Told] = field(default_factory=list)
    ends: list[tuple[int, bytes]] = field(default_factory=list)
    calls: int = 0  # that were begun behind the first

    def add(self, records: Iterable[ProbeRecord]) -> list[Told]:
        """Take records of a probe file; return the updates in them."""
        news: list[Told] = []
        for record in records:
            if record.kind == "o":
                self.calls += 1
            if record.kind == "e":
                self.ends.append((record.t_mono_ns, record.payload))
            if record.kind != "r":
                continue
            response = hot_pb2.HotSubscribeResponse.FromString(record.payload)
            head = Response(
                record.t_mono_ns,
                response.stream_seq,
                response.ts_send,
                response.ts_watermark,
                len(response.updates),
                self.calls,
            )
            self.responses.append(head)
            for update in response.updates:
                kind = update.WhichOneof("payload") or ""
                told = Told(record.t_mono_ns, update, kind, self.calls, response.ts_send)
                news.append(told)
                topic = Topic(update.venue, update.symbol, update.channel, update.variant)
                self.topics.setdefault(topic, []).append(told)
        self.order += news
        return news

    def of(self, topic: Topic) -> list[Told]:
        """Return what one topic told."""
        return self.topics.get(topic, [])


Levels = Iterable[tuple[int, int]]


def _levels(update: hot_pb2.Update, prices: Iterable[int], quantities: Iterable[int]) -> Levels:
    for price, quantity in zip(prices, quantities, strict=True):
        yield whole(price, update.price_exponent), whole(quantity, update.quantity_exponent)


@dataclass(frozen=True, slots=True)
class Moment:
    """A book as a client holds it right after one record."""

    told: Told
    book: NaiveBook  # the follower's own, valid until the next moment
    is_live: bool  # the newest state record said LIVE and nothing took it back
    is_whole: bool  # a snapshot was read, so the book may be compared


class Follower:
    """Mirrors one book topic: snapshots replace, deltas change, states say what it is worth."""

    def __init__(self) -> None:
        self.book = NaiveBook()
        self.is_live = False
        self.is_whole = False
        self._parts: NaiveBook | None = None
        self._head = (0, 0)  # epoch and seq

    def read(self, told: Told) -> Moment:
        """Apply one record."""
        update = told.update
        if told.is_topic_record or told.is_cut:
            (epoch, head), self._head = self._head, (update.epoch, update.seq)
            self.is_whole = self.is_whole and epoch == update.epoch and update.seq <= head + 1
        match told.kind:
            case "stream_state":
                self.is_live = update.stream_state.state == types_pb2.STATE_LIVE
            case "book_snapshot":
                self._snapshot(update, update.book_snapshot)
            case "book_delta":
                self._change(self.book, update, update.book_delta)
        return Moment(told, self.book, self.is_live, self.is_whole and self._parts is None)

    def _snapshot(self, update: hot_pb2.Update, levels: book_pb2.BookSnapshot) -> None:
        if self._parts is None:
            self._parts = NaiveBook()
        self._change(self._parts, update, levels)
        if not update.flags & MORE:
            self.book, self._parts = self._parts, None
            self.is_whole = True

    @staticmethod
    def _change(
        book: NaiveBook, update: hot_pb2.Update, levels: book_pb2.BookSnapshot | book_pb2.BookDelta
    ) -> None:
        book.set(book.bids, _levels(update, levels.bid_prices, levels.bid_quantities))
        book.set(book.asks, _levels(update, levels.ask_prices, levels.ask_quantities))


def follow(told: Iterable[Told]) -> Iterator[Moment]:
    """Yield the book of a topic after each of its records. The book is shared: look at it at once."""
    follower = Follower()
    for one in told:
        yield follower.read(one)


def first(told: Iterable[Told], wanted: Callable[[Told], bool]) -> Told | None:
    """Return the first record that is wanted."""
    return next((one for one in told if wanted(one)), None)


def is_state(told: Told, *states: int) -> bool:
    """Tell whether a record is a state record, of one of ``states`` if any are named."""
    return told.kind == "stream_state" and (not states or told.update.stream_state.state in states)


def is_book(topic: Topic) -> bool:
    """Tell whether a topic is a book."""
    return topic.channel == BOOK
