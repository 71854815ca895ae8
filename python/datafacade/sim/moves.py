"""Moves of a market that faults ask for: true for the market; only what is told of them is not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from datafacade.sim.books import Change, Level
from datafacade.sim.faults import Fault
from datafacade.sim.listings import TETHER, Instrument
from datafacade.sim.market import Market

LEVELS_FAR_MAX: Final = 45_000  # a side; a real full book holds some 27,000


def jump_through_asks(market: Market, levels: int) -> Iterator[list[Change]]:
    """Cancel the best ``levels`` asks, then bid at the last cancelled price; yield both groups of changes.

    A client that is not told of the cancellations holds a crossed book after the second group. Each group is
    made when it is asked for, so that the caller can publish one before the next.
    """
    asks = market.book.asks
    cancelled: list[Change] = []
    price = None
    for _ in range(min(levels, max(0, len(asks) - 1))):
        price = asks.best()
        if price is not None:
            cancelled += market.set("a", price, 0)
    if price is None:
        return
    yield cancelled
    market.fair = price
    yield market.set("b", price, market.instrument.typical_quantity)


def factor_of(fault: Fault, listed: Instrument) -> float:
    """Return by what a fault of stage `shift` multiplies the prices of a market."""
    ratio = 1 + float(fault.text("ratio"))
    if fault.verb.name == "shift":
        return ratio
    if listed.quote == TETHER:
        return 1 / ratio
    return ratio if listed.base == TETHER else 1.0


def deepen(market: Market, levels: int) -> list[Change]:
    """Add ``levels`` far levels in all, half to each side, and return them as changes.

    They are real: a later subscriber finds them in the snapshot, a present one is told by an update.
    """
    changes: list[Change] = []
    book = market.book
    quantity = market.instrument.typical_quantity
    for side, ladder, away in (("b", book.bids, -1), ("a", book.asks, 1)):
        room = min(levels // 2, LEVELS_FAR_MAX - len(ladder))
        if room <= 0 or not ladder.prices:
            continue
        far = ladder.price_at(len(ladder) - 1)
        extra: list[Level] = [
            (far + away * step, quantity + step % 97) for step in range(1, room + 1) if far + away * step > 0
        ]
        ladder.load([*ladder.top(), *extra])
        market.update_id += len(extra)
        changes += [("b" if side == "b" else "a", price, amount) for price, amount in extra]
    return changes
