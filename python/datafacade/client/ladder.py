"""One side of a mirrored book: quantities by price, and the prices in order. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator


class Ladder:
    """Integer levels of one side; mantissas at the exponents of the mirror that owns it."""

    __slots__ = ("_is_bid", "_prices", "_quantities")

    def __init__(self, *, is_bid: bool) -> None:
        self._is_bid = is_bid
        self._prices: list[int] = []  # ascending on both sides
        self._quantities: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of levels."""
        return len(self._prices)

    def load(self, levels: Iterable[tuple[int, int]]) -> None:
        """Replace everything by ``levels``; zero quantities are left out."""
        self._quantities = {price: quantity for price, quantity in levels if quantity}
        self._prices = sorted(self._quantities)

    def apply(self, levels: Iterable[tuple[int, int]]) -> None:
        """Store the quantity at each price; 0 removes it, and removing an unknown price is no error."""
        prices, quantities = self._prices, self._quantities
        for price, quantity in levels:
            if quantity == 0:
                if quantities.pop(price, None) is not None:
                    del prices[bisect_left(prices, price)]
                continue
            if price not in quantities:
                prices.insert(bisect_left(prices, price), price)
            quantities[price] = quantity

    def rescale(self, *, price_factor: int, quantity_factor: int) -> None:
        """Multiply every price and every quantity: the owner went to finer exponents."""
        self._prices = [price * price_factor for price in self._prices]
        self._quantities = {
            price * price_factor: quantity * quantity_factor for price, quantity in self._quantities.items()
        }

    def best(self) -> tuple[int, int] | None:
        """Return the best level; None: the side is empty."""
        if not self._prices:
            return None
        price = self._prices[-1 if self._is_bid else 0]
        return price, self._quantities[price]

    def levels(self, count: int = 0) -> Iterator[tuple[int, int]]:
        """Yield the best ``count`` levels (0: all), best first."""
        prices, quantities = self._prices, self._quantities
        shown = len(prices) if count == 0 else min(count, len(prices))
        ranks = range(len(prices) - 1, len(prices) - 1 - shown, -1) if self._is_bid else range(shown)
        for rank in ranks:
            price = prices[rank]
            yield price, quantities[price]

    def copy(self) -> Ladder:
        """Return an independent copy."""
        twin = Ladder(is_bid=self._is_bid)
        twin._prices = self._prices.copy()
        twin._quantities = self._quantities.copy()
        return twin
