"""OKX's numbering of one instrument: seqId, prevSeqId, the window of 400 levels.

Source: venues/okx.md section 5, 2026-08-22.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from datafacade.sim.books import Book, Change, okx_checksum
from datafacade.sim.digits import trimmed
from datafacade.sim.market import Market
from datafacade.sim.windows import Window, vacant_price

WINDOW_LEVELS: Final = 400
NOISE_RATIO: Final = 0.43  # unknown deletions per real one: 30 % of all


@dataclass(slots=True)
class Chain:
    """Numbering of one instrument."""

    market: Market
    random: Random
    window: Window
    sequence: int  # shared by books, books5 and bbo-tbt
    last: int  # seqId of the last books message
    told_ns: int  # monotonic time of the last books message
    best: tuple[object, ...] = ()
    is_dirty: bool = False

    def advance(self) -> int:
        """Return the next number."""
        self.sequence += self.random.randint(1, 7)
        return self.sequence

    def noise(self, changes: Sequence[Change]) -> list[Change]:
        """Return deletes of prices nobody holds, for about 30 % of all deletes."""
        noise: list[Change] = []
        for side, price, quantity in changes:
            if quantity == 0 and self.random.random() < NOISE_RATIO:
                ladder = self.window.held.side(side)
                vacant = vacant_price(ladder, price)
                taken = {(s, p) for s, p, _ in changes}
                if vacant is not None and (side, vacant) not in taken:
                    noise.append((side, vacant, 0))
        return list(dict.fromkeys(noise))


def new_chain(market: Market, seed: int) -> Chain:
    """Return the chain of ``market``, its numbers drawn from ``seed``."""
    random = Random(f"{seed}:okx-chain:{market.instrument.venue_symbol}")
    start = random.randrange(10**8, 10**10)
    window = Window(market.book, WINDOW_LEVELS, "deleted")
    return Chain(market, random, window, start, start, time.monotonic_ns())


def checksum_of(book: Book) -> int:
    """Return the historic checksum of ``book``."""

    def side(levels: list[tuple[int, int]]) -> list[tuple[str, str]]:
        return [(trimmed(p, book.price_scale), trimmed(q, book.quantity_scale)) for p, q in levels]

    return okx_checksum(side(book.asks.top(25)), side(book.bids.top(25)))
