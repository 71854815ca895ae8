"""Books of limited depth: what changes in the best N levels when the whole book changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from datafacade.sim.books import Book, Change, Ladder, Side

# What is told of a level that another one pushed out of the window: a deletion (OKX) or nothing (Kraken).
PushOut = Literal["deleted", "silent"]
SIDES: Final[tuple[Side, Side]] = ("a", "b")


@dataclass(slots=True)
class Window:
    """The best ``depth`` levels of a book, as the clients of one depth hold them."""

    source: Book
    depth: int
    push_out: PushOut
    held: Book = field(init=False)

    def __post_init__(self) -> None:
        """Derive what the fields imply."""
        self.held = self.source.copy(self.depth)

    def advance(self) -> list[Change]:
        """Bring the window up to its book; return the changes that tell it, if any."""
        changes: list[Change] = []
        for side in SIDES:
            changes += self._advance_side(side)
        return changes

    def _advance_side(self, side: Side) -> list[Change]:
        new, held = self.source.side(side), self.held.side(side)
        levels = new.top(self.depth)
        old = held.quantities
        wanted = dict(levels)
        if wanted == old:
            return []
        gone = [price for price in old if price not in wanted]
        if self.push_out == "silent":
            gone = [price for price in gone if price not in new.quantities]
        changes: list[Change] = [(side, price, 0) for price in gone]
        changes += [(side, price, quantity) for price, quantity in levels if old.get(price) != quantity]
        held.load(levels)
        return changes

    def snapshot(self) -> list[Change]:
        """Return the whole window as changes."""
        return [(side, price, quantity) for side in SIDES for price, quantity in self.held.side(side).top()]


def vacant_price(ladder: Ladder, near: int) -> int | None:
    """Return a price beside ``near`` at which ``ladder`` has no level, inside its range, or None."""
    if len(ladder) < 2:
        return None
    low, high = ladder.prices[0], ladder.prices[-1]
    for distance in range(1, 6):
        for price in (near - distance, near + distance):
            if low < price < high and price not in ladder.quantities:
                return price
    return None
