"""Binance's order book numbering: diff batches, snapshots, and the books that snapshot holders keep. Pure.

Every change of the matching engine counts. A batch tells ``U..u``, all counts since the one before; a
snapshot tells the count at which it was taken. A client's book is the levels of its snapshot and all later
changes: levels that were deeper than the snapshot stay unknown to it until they change, so each snapshot
has a book of its own here (a view).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from datafacade.sim.books import Book, Change, net
from datafacade.sim.market import Market

GROUPS_KEPT: Final = 4_000
VIEWS_KEPT: Final = 4
BATCHES_KEPT: Final = 64
GROUPS_BACK: Final = 8  # how far a lagging snapshot lags
STALE_BY: Final = 1_000  # counts


@dataclass(slots=True)
class Batch:
    """One depth event: net changes of the counts ``first..last``; ``previous`` ended the event before."""

    first: int
    last: int
    previous: int
    rows: list[Change]


@dataclass(slots=True)
class Collector:
    """Collects changes until the next batch of one speed."""

    last: int
    is_contiguous: bool
    first: int | None = None
    newest: int = 0  # the last count that was collected
    changes: list[Change] = field(default_factory=list)

    def add(self, last: int, changes: list[Change]) -> None:
        """Add a group of changes whose last count is ``last``."""
        if self.first is None:
            self.first = self.last + 1 if self.is_contiguous else last
        self.changes.extend(changes)
        self.newest = last

    def take(self) -> Batch | None:
        """Return what was collected as a batch, or None."""
        if self.first is None:
            return None
        batch = Batch(self.first, self.newest, self.last, net(self.changes))
        self.first, self.last, self.changes = None, self.newest, []
        return batch


@dataclass(slots=True)
class View:
    """What the client of one snapshot holds: ``limit`` levels at ``last_update_id`` and all later changes."""

    last_update_id: int
    limit: int
    book: Book
    is_whole: bool  # the snapshot held every level, so the view is the true book


@dataclass(slots=True)
class DepthState:
    """Numbering and memory of one market."""

    market: Market
    is_contiguous: bool  # spot: U follows the previous u; futures: the counter is shared by all symbols
    fast: Collector = field(init=False)
    slow: Collector = field(init=False)
    views: deque[View] = field(default_factory=lambda: deque(maxlen=VIEWS_KEPT))
    served: int = 0  # snapshots, to vary their place in the stream
    best: tuple[object, ...] = ()
    frozen: tuple[int, Book] | None = None  # what stale snapshots show
    _oldest: Book = field(init=False)
    _oldest_id: int = field(init=False)
    _groups: deque[tuple[int, list[Change]]] = field(default_factory=deque)
    _batches: deque[Batch] = field(default_factory=lambda: deque(maxlen=BATCHES_KEPT))

    def __post_init__(self) -> None:
        """Derive what the fields imply."""
        start = self.market.update_id
        self.fast = Collector(start, self.is_contiguous)
        self.slow = Collector(start, self.is_contiguous)
        self._oldest, self._oldest_id = self.market.book.copy(), start

    def add(self, changes: list[Change]) -> None:
        """Note a group of changes that the market just made."""
        if not changes:
            return
        last = self.market.update_id
        self.fast.add(last, changes)
        self.slow.add(last, changes)
        self._groups.append((last, changes))
        if len(self._groups) > GROUPS_KEPT:
            self._oldest_id, gone = self._groups.popleft()
            self._oldest.apply(gone)

    def take_fast(self) -> Batch | None:
        """Return the 100 ms batch and bring all views up to it."""
        batch = self.fast.take()
        if batch is not None:
            self._batches.append(batch)
            for view in self.views:
                if batch.last > view.last_update_id and not view.is_whole:
                    view.book.apply(batch.rows)
        return batch

    def book_at(self, wanted: int) -> tuple[int, Book]:
        """Return the newest remembered state that is not newer than ``wanted``, and its count."""
        book, at = self._oldest.copy(), self._oldest_id
        for last, changes in self._groups:
            if last > wanted:
                break
            book.apply(changes)
            at = last
        return at, book

    def snapshot(self, limit: int, *, has_oddities: bool) -> tuple[int, Book]:
        """Return count and levels of a snapshot; with oddities its place in the stream varies.

        In turn: inside the batch that is being collected, at the end of the last batch, and some batches ago.
        """
        self.served += 1
        place = self.served % 3 if has_oddities else 1
        if place == 1:
            at, book = self.market.update_id, self.market.book
        elif place == 2:
            at, book = self.book_at(self.fast.last)
        else:
            back = (
                self._groups[max(0, len(self._groups) - GROUPS_BACK)][0] if self._groups else self._oldest_id
            )
            at, book = self.book_at(back)
        cut = book.copy(limit)
        is_whole = len(book.bids) <= limit and len(book.asks) <= limit
        kept = cut if is_whole else cut.copy()
        if not is_whole:
            for batch in self._batches:  # the client applies whole batches: also what one holds from before
                if batch.last > at or (batch.last == at and not self.is_contiguous):
                    kept.apply(batch.rows)
        self.views.append(View(at, limit, kept, is_whole))
        return at, cut

    def freeze(self) -> tuple[int, Book]:
        """Return what stale snapshots show: one state that is older than anything the stream still tells."""
        if self.frozen is None:
            self.frozen = (self._oldest_id - STALE_BY, self._oldest.copy())
        return self.frozen

    def skip(self, count: int) -> None:
        """Let the counter jump by ``count`` without changes, as no client can bridge."""
        self.market.update_id += count
        for collector in (self.fast, self.slow):
            collector.last = self.market.update_id
        for collector in (self.fast, self.slow):
            if collector.first is not None:  # what waits is told under numbers behind the jump
                self.market.update_id += 1
                collector.first = collector.newest = self.market.update_id
