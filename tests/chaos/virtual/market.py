"""A true book and how venues spell its numbers. Plain integers, nothing of the product."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from datafacade.check.book import NaiveBook, whole

QUANTITY_MAX: Final = 10**18 - 1  # what 64 bits hold with any digits


class Change(NamedTuple):
    """A level's new absolute quantity; 0 deletes it."""

    is_bid: bool
    price: int  # at the market's price scale
    quantity: int  # at the market's quantity scale


@dataclass
class Market:
    """The truth of one instrument. Prices and quantities are integers at the scales."""

    seed: int = 1
    price_scale: int = 1
    quantity_scale: int = 8
    levels: int = 30
    middle: int = 650_000
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill both sides with every second price."""
        self.random = random.Random(self.seed)
        for rank in range(self.levels):
            self.bids[self.middle - 2 * rank] = self.quantity()
            self.asks[self.middle + 2 + 2 * rank] = self.quantity()

    def quantity(self) -> int:
        """Return a quantity, often an odd one: few digits, trailing zeros, a single unit."""
        digits = self.random.choice((1, 3, self.quantity_scale or 1, self.quantity_scale + 2))
        zeros = self.random.choice((0, 0, 2, self.quantity_scale))
        return min(self.random.randrange(1, int(10**digits)) * int(10**zeros), QUANTITY_MAX)

    def side(self, *, is_bid: bool) -> dict[int, int]:
        """Return one side."""
        return self.bids if is_bid else self.asks

    def best(self, *, is_bid: bool) -> int:
        """Return the best price of a side."""
        return max(self.bids) if is_bid else min(self.asks)

    def step(self, count: int = 3) -> list[Change]:
        """Change ``count`` levels so that the book stays uncrossed; return the changes, each price once."""
        changes: dict[tuple[bool, int], Change] = {}
        for _ in range(count):
            is_bid = self.random.random() < 0.5
            side = self.side(is_bid=is_bid)
            toward = -1 if is_bid else 1
            edge = self.best(is_bid=not is_bid) + toward  # the nearest price that does not cross
            price = edge + toward * self.random.randrange(2 * self.levels)
            is_deletion = price in side and len(side) > 5 and self.random.random() < 0.45
            change = Change(is_bid, price, 0 if is_deletion else self.quantity())
            self.apply(change)
            changes[is_bid, price] = change
        return list(changes.values())

    def apply(self, change: Change) -> None:
        """Change the truth."""
        side = self.side(is_bid=change.is_bid)
        if change.quantity:
            side[change.price] = change.quantity
        else:
            side.pop(change.price, None)

    def top(self, depth: int | None = None) -> list[Change]:
        """Return the best levels a side as changes, best first, bids first."""
        bids = [Change(True, price, self.bids[price]) for price in sorted(self.bids, reverse=True)[:depth]]
        asks = [Change(False, price, self.asks[price]) for price in sorted(self.asks)[:depth]]
        return bids + asks

    def book(self, depth: int | None = None) -> NaiveBook:
        """Return the truth as the checker holds books."""
        book = NaiveBook()
        for change in self.top(depth):
            side = book.bids if change.is_bid else book.asks
            level = (whole(change.price, -self.price_scale), whole(change.quantity, -self.quantity_scale))
            book.set(side, [level])
        return book

    @property
    def tick(self) -> str:
        """Return the smallest step of a price."""
        return decimal(1, self.price_scale)

    @property
    def lot(self) -> str:
        """Return the smallest step of a quantity."""
        return decimal(1, self.quantity_scale)

    def price_text(self, price: int) -> str:
        """Return a price with all its decimals."""
        return decimal(price, self.price_scale)

    def quantity_text(self, quantity: int) -> str:
        """Return a quantity with all its decimals."""
        return decimal(quantity, self.quantity_scale)


def decimal(value: int, scale: int) -> str:
    """Return ``value * 10**-scale`` with exactly ``scale`` decimals.

    Example:
        >>> decimal(1234, 2), decimal(-5, 3), decimal(7, 0)
        ('12.34', '-0.005', '7')
    """
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(scale + 1, "0")
    return sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)


def trimmed(text: str) -> str:
    """Return a decimal text without trailing zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text
