"""Keep what no caller asks for by name: the books that are followed, and each venue's list of instruments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from google.protobuf.message import Message

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import FacadeError
from datafacade.hot.book import Books
from datafacade.hot.listing import PAGE_MAX, list_instruments
from datafacade.hot.tier import HotTier
from datafacade.store.pit.names import INSTRUMENTS, LIVE_BOOK, Entity
from datafacade.types import Channel
from datafacade.v1 import book_pb2, reference_pb2

log = logging.getLogger(__name__)


class Put(Protocol):
    """Keeps an answer; returns when it is kept or cannot be, and never raises."""

    async def __call__(
        self, entity: Entity, carrier: type[Message], message: bytes, *, labels: Sequence[str] = ()
    ) -> None:
        """Keep an answer to ``entity``; ``labels`` hold it."""
        ...


KEPT: Final = "keep:instruments"  # they are few, and rows of years are read with those of their time
LOOK_S: Final = 1.0  # between two looks at what is due


class HotSnapshots:
    """Takes snapshots of the hot tier. ``run`` it as a task.

    Args:
        tier: Whose books and lists.
        books: Reads a book.
        put: Keeps an answer.
        clock: Where times come from.
        books_s: Time between two snapshots of one book, seconds; 0: books are not kept.
    """

    def __init__(self, tier: HotTier, books: Books, put: Put, *, clock: Clock, books_s: float) -> None:
        self._tier = tier
        self._books = books
        self._put = put
        self._clock = clock
        self._books_ns = int(books_s * NS_PER_S)
        self._due_ns = clock.monotonic_ns() + self._books_ns
        self._listed: dict[str, tuple[int, bytes]] = {}  # venue: when its list was read, and the list

    async def run(self) -> None:
        """Keep what is due, until cancelled."""
        while True:
            await self.keep_lists()
            now = self._clock.monotonic_ns()
            if self._books_ns and now >= self._due_ns:
                self._due_ns = now + self._books_ns
                await self.keep_books()
            await asyncio.sleep(min(LOOK_S, self._books_ns / NS_PER_S or LOOK_S))

    async def keep_books(self) -> None:
        """Keep each book that is followed now, with all its levels; one that is not LIVE is left out."""
        followed = {
            (topic.venue, topic.symbol)
            for topic in self._tier.interest.topics()
            if topic.channel is Channel.BOOK_L2 and not topic.variant
        }
        for venue, symbol in sorted(followed):
            try:
                book = await self._books.read(venue, symbol, depth=0, allow_unverified=False)
            except FacadeError as error:
                log.info("pit.book_left_out", extra={"venue": venue, "symbol": symbol, "reason": str(error)})
                continue
            entity = Entity(LIVE_BOOK, venue, symbol)
            await self._put(entity, book_pb2.L2BookResponse, book.SerializeToString())

    async def keep_lists(self) -> None:
        """Keep the list of each venue whose instruments are others than at the last look."""
        for name, venue in self._tier.venues.items():
            ts_listed = min((item.ts_listed for item in venue.lists), default=0)
            seen, held = self._listed.get(name, (0, b""))
            if ts_listed in (0, seen):
                continue
            answer = list_instruments(
                self._tier, venues=[name], symbols=(), types=(), page_size=PAGE_MAX, page_token=""
            )
            message = answer.SerializeToString()
            answer.ClearField("ts_listed")
            content = answer.SerializeToString()
            self._listed[name] = ts_listed, content
            if content != held:
                carrier = reference_pb2.ListInstrumentsResponse
                await self._put(Entity(INSTRUMENTS, name, ""), carrier, message, labels=[KEPT])
