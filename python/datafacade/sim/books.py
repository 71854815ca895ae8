"""The true order book, in the plainest form that can be read at a glance, and what is derived from it. Pure.

Prices and quantities are integers: multiples of ``10**-price_scale`` and ``10**-quantity_scale``.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from datafacade.sim.digits import padded, trimmed

Side = Literal["b", "a"]
Level = tuple[int, int]  # price, quantity
Change = tuple[Side, int, int]  # side, price, new absolute quantity; 0 removes

CHECKSUM_LEVELS_KRAKEN = 10
CHECKSUM_LEVELS_OKX = 25


class Ladder:
    """One side of a book: quantity by price, and the prices in order."""

    __slots__ = ("is_bid", "prices", "quantities")

    def __init__(self, *, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.prices: list[int] = []  # ascending on both sides
        self.quantities: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of levels."""
        return len(self.prices)

    def set(self, price: int, quantity: int) -> bool:
        """Store the absolute ``quantity`` at ``price``, or remove it at 0; tell whether anything changed."""
        old = self.quantities.get(price)
        if quantity == 0:
            if old is None:
                return False
            del self.quantities[price]
            self.prices.pop(bisect_left(self.prices, price))
            return True
        self.quantities[price] = quantity
        if old is None:
            self.prices.insert(bisect_left(self.prices, price), price)
        return old != quantity

    def best(self) -> int | None:
        """Return the best price, or None when the side is empty."""
        if not self.prices:
            return None
        return self.prices[-1] if self.is_bid else self.prices[0]

    def price_at(self, rank: int) -> int:
        """Return the price ``rank`` levels behind the best, which has rank 0."""
        return self.prices[-1 - rank] if self.is_bid else self.prices[rank]

    def top(self, count: int | None = None) -> list[Level]:
        """Return the best ``count`` levels, best first; all of them without a count."""
        if self.is_bid:
            wanted = self.prices[::-1] if count is None else self.prices[-count:][::-1]
        else:
            wanted = self.prices if count is None else self.prices[:count]
        quantities = self.quantities
        return [(price, quantities[price]) for price in wanted]

    def load(self, levels: Iterable[Level]) -> None:
        """Replace the side by ``levels``, sorted once."""
        self.quantities = dict(levels)
        self.prices = sorted(self.quantities)


@dataclass(slots=True)
class Book:
    """Both sides of one instrument."""

    price_scale: int
    quantity_scale: int
    bids: Ladder = field(default_factory=lambda: Ladder(is_bid=True))
    asks: Ladder = field(default_factory=lambda: Ladder(is_bid=False))

    def side(self, side: Side) -> Ladder:
        """Return the ladder of ``side``."""
        return self.bids if side == "b" else self.asks

    def apply(self, changes: Iterable[Change]) -> None:
        """Apply absolute quantities in order; removing an unknown price is no error."""
        for side, price, quantity in changes:
            (self.bids if side == "b" else self.asks).set(price, quantity)

    def copy(self, depth: int | None = None) -> Book:
        """Return an independent book of the best ``depth`` levels a side."""
        twin = Book(self.price_scale, self.quantity_scale)
        twin.bids.load(self.bids.top(depth))
        twin.asks.load(self.asks.top(depth))
        return twin

    def is_crossed(self) -> bool:
        """Tell whether the best bid is at or above the best ask."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask

    def text(self, depth: int | None = None) -> str:
        """Return the canonical text: ``b,PRICE,QTY`` lines, then ``a,PRICE,QTY`` lines, each best first."""
        lines: list[str] = []
        for name, ladder in (("b", self.bids), ("a", self.asks)):
            lines.extend(
                f"{name},{trimmed(price, self.price_scale)},{trimmed(quantity, self.quantity_scale)}"
                for price, quantity in ladder.top(depth)
            )
        return "\n".join(lines)

    def sha256(self, depth: int | None = None) -> str:
        """Return the SHA-256 of the canonical text in hex."""
        return hashlib.sha256(self.text(depth).encode()).hexdigest()


def net(changes: Iterable[Change]) -> list[Change]:
    """Return one change per side and price, each with its last quantity, in order of first appearance."""
    latest: dict[tuple[Side, int], int] = {}
    for side, price, quantity in changes:
        latest[side, price] = quantity
    return [(side, price, quantity) for (side, price), quantity in latest.items()]


def rank_of(book: Book, side: Side, price: int) -> int:
    """Return how many levels of ``book`` stand before ``price`` on its side."""
    prices = book.side(side).prices
    if side == "a":
        return bisect_left(prices, price)
    return len(prices) - bisect_left(prices, price + 1)


def kraken_checksum(asks: Sequence[tuple[str, str]], bids: Sequence[tuple[str, str]]) -> int:
    """Return Kraken's unsigned CRC-32 over padded price and quantity texts, best first.

    Source: venues/kraken.md section 5, 2026-05-27.
    """
    parts: list[str] = []
    for levels in (asks, bids):
        for price, quantity in levels[:CHECKSUM_LEVELS_KRAKEN]:
            parts.append(price.replace(".", "").lstrip("0"))
            parts.append(quantity.replace(".", "").lstrip("0"))
    return zlib.crc32("".join(parts).encode())


def kraken_checksum_of(book: Book) -> int:
    """Return Kraken's checksum of ``book``, its digits padded to the instrument's scales."""

    def texts(ladder: Ladder) -> list[tuple[str, str]]:
        top = ladder.top(CHECKSUM_LEVELS_KRAKEN)
        return [(padded(p, book.price_scale), padded(q, book.quantity_scale)) for p, q in top]

    return kraken_checksum(texts(book.asks), texts(book.bids))


def okx_checksum(asks: Sequence[tuple[str, str]], bids: Sequence[tuple[str, str]]) -> int:
    """Return OKX's historic signed CRC-32 over the best 25 levels, interleaved, as the texts were sent.

    Source: venues/okx.md section 5, 2026-08-22 (fixed to 0 in production since 2026-06-23).
    """
    parts: list[str] = []
    for rank in range(CHECKSUM_LEVELS_OKX):
        for levels in (bids, asks):
            if rank < len(levels):
                parts.extend(levels[rank])
    value = zlib.crc32(":".join(parts).encode())
    return value - 2**32 if value >= 2**31 else value
