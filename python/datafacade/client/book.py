"""What a user sees of a book: best levels at once, all levels on demand, and the proof. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

from datafacade.client.ladder import Ladder
from datafacade.client.provenance import Provenance
from datafacade.client.stamp import Flag, Stamp
from datafacade.rows.numbers import decimal

LIVE: Final = "LIVE"
PROVEN: Final = frozenset({"SEQUENCE", "CHECKSUM", "SEQUENCE_AND_CHECKSUM", "AUDITED"})


class BookMoved(RuntimeError):
    """The levels of a view were asked for after the book had changed: ``freeze()`` what is to be kept."""


class Level(NamedTuple):
    """One price level."""

    price: Decimal  # quote units
    quantity: Decimal  # base units, or contracts where the venue counts contracts

    def __str__(self) -> str:
        """Return it as traders write it."""
        return f"{self.quantity:f} @ {self.price:f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proven about a book: by the service against the venue, by this client against the service."""

    integrity: str = (
        ""  # SEQUENCE, CHECKSUM, SEQUENCE_AND_CHECKSUM, AUDITED, UNVERIFIABLE, SUSPECT; "": not told
    )
    levels: int = 0  # levels a side that the venue's proof covers (Kraken 10); 0: all
    seq: int = 0  # last ``seq`` that the venue's proof covers; 0: none yet
    venue_sequence: int | None = None  # the venue's number that was proven last; None: the venue gives none
    hash_seq: int = 0  # last ``seq`` at which our copy hashed to the service's checkpoint; 0: none yet
    hash_levels: int = 0  # levels a side under that hash; 0: the whole book
    hashes_checked: int = 0  # checkpoints compared by this client
    links_checked: int = 0  # links of the venue's chain followed by this client, up to the last checkpoint


class Sides:
    """Both sides at one pair of exponents. ``version`` rises with every change."""

    __slots__ = ("asks", "bids", "price_exponent", "quantity_exponent", "version")

    def __init__(self, *, price_exponent: int, quantity_exponent: int) -> None:
        self.price_exponent = price_exponent
        self.quantity_exponent = quantity_exponent
        self.bids = Ladder(is_bid=True)
        self.asks = Ladder(is_bid=False)
        self.version = 0

    def copy(self) -> Sides:
        """Return an independent copy; costs time in proportion to the levels."""
        twin = Sides(price_exponent=self.price_exponent, quantity_exponent=self.quantity_exponent)
        twin.bids, twin.asks = self.bids.copy(), self.asks.copy()
        return twin

    def levels(self, ladder: Ladder, count: int = 0) -> list[Level]:
        """Return the best ``count`` levels (0: all) of one side."""
        px, qty = self.price_exponent, self.quantity_exponent
        return [Level(decimal(price, px), decimal(quantity, qty)) for price, quantity in ladder.levels(count)]

    def best(self) -> Best:
        """Return the best bid and ask with the exponents that they stand at."""
        return Best(self.bids.best(), self.asks.best(), self.price_exponent, self.quantity_exponent)


class Best(NamedTuple):
    """Best levels as integers: what a view keeps while its book moves on."""

    bid: tuple[int, int] | None
    ask: tuple[int, int] | None
    price_exponent: int
    quantity_exponent: int

    def level(self, level: tuple[int, int] | None) -> Level | None:
        """Return one of the two with exact decimals."""
        if level is None:
            return None
        return Level(decimal(level[0], self.price_exponent), decimal(level[1], self.quantity_exponent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A book as of ``stamp.seq``.

    Best levels stay as they are. All levels are read from the client's mirror when they are asked for: in
    the loop body or callback that received the book they are those of its ``seq``; ``freeze()`` keeps it.

    Example:
        >>> print(book.best_bid.price, book.best_ask.price, book.proof.integrity)  # doctest: +SKIP
        61602 61602.02 SEQUENCE
    """

    venue: str
    symbol: str  # canonical, as ``BTC-USD``
    state: str  # LIVE, SYNCING, STALE, RESYNC, HALTED, REJECTED, DOWN; "": not told
    stamp: Stamp
    proof: Proof
    is_snapshot: bool  # whether this record replaced the whole book
    _sides: Sides
    _version: int
    _best: Best
    provenance: Provenance | None = None  # of an answer; None: of a stream

    @property
    def best_bid(self) -> Level | None:
        """Highest bid; None: no bids."""
        return self._best.level(self._best.bid)

    @property
    def best_ask(self) -> Level | None:
        """Lowest ask; None: no asks."""
        return self._best.level(self._best.ask)

    @property
    def seq(self) -> int:
        """Our number of the record that made this book, in its topic."""
        return self.stamp.seq

    @property
    def integrity(self) -> str:
        """What was proven, up to and including ``seq``."""
        return self.stamp.integrity

    @property
    def is_live(self) -> bool:
        """Whether it is synced, not stale, not crossed, and no proof is broken."""
        return self.state == LIVE

    @property
    def is_proven(self) -> bool:
        """Whether it is live and carries a proof of the venue."""
        return self.is_live and self.integrity in PROVEN

    @property
    def is_from_rest(self) -> bool:
        """Whether nobody follows it and it was fetched by REST: nothing proves it."""
        return bool(self.stamp.flags & Flag.REST_FALLBACK)

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid, quote units; None: a side is empty."""
        best = self._best
        if best.bid is None or best.ask is None:
            return None
        return decimal(best.ask[0] - best.bid[0], best.price_exponent)

    @property
    def spread_bps(self) -> float | None:
        """Spread over mid, in hundredths of a percent; None: a side is empty or mid is 0."""
        best = self._best
        if best.bid is None or best.ask is None:
            return None
        total = best.ask[0] + best.bid[0]
        return (best.ask[0] - best.bid[0]) * 20_000 / total if total else None

    @property
    def bids(self) -> list[Level]:
        """All bids, best first.

        Raises:
            BookMoved: The book has changed since.
        """
        return self._current().levels(self._sides.bids)

    @property
    def asks(self) -> list[Level]:
        """All asks, best first.

        Raises:
            BookMoved: The book has changed since.
        """
        return self._current().levels(self._sides.asks)

    @property
    def level_counts(self) -> tuple[int, int]:
        """Number of bids and of asks.

        Raises:
            BookMoved: The book has changed since.
        """
        sides = self._current()
        return len(sides.bids), len(sides.asks)

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Return the best ``count`` bids and asks, best first.

        Raises:
            BookMoved: The book has changed since.
        """
        sides = self._current()
        return sides.levels(sides.bids, count), sides.levels(sides.asks, count)

    def freeze(self) -> Book:
        """Return the same book with levels of its own, for later.

        Raises:
            BookMoved: The book has changed since.
        """
        twin = self._current().copy()
        return replace(self, _sides=twin, _version=twin.version)

    def _current(self) -> Sides:
        if self._sides.version != self._version:
            raise BookMoved(
                f"{self.venue}:{self.symbol} has moved on from seq {self.seq}: freeze() what is to be kept"
            )
        return self._sides
