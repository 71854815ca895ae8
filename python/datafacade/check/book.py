"""The plainest possible book: a dict a side, sorted when it is asked for. Numbers are exact integers.

The canonical text and its hash are CONTRACT "Hash".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

SCALE: Final = 30  # every number is held as an integer of 10**-30: the contract's smallest exponent
LINES_MAX: Final = 1 << 17  # texts that are kept: a book changes little between two hashes


def whole(mantissa: int, exponent: int) -> int:
    """Return ``mantissa * 10**exponent`` as an integer of 10**-30."""
    return int(mantissa * 10 ** (exponent + SCALE))


def plain(value: int) -> str:
    """Return an integer of 10**-30 as plain decimal text without trailing zeros.

    Example:
        >>> plain(whole(615_0500, -4)), plain(whole(-5, -1)), plain(0)
        ('615.05', '-0.5', '0')
    """
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(SCALE + 1, "0")
    fraction = digits[-SCALE:].rstrip("0")
    return sign + digits[:-SCALE] + ("." + fraction if fraction else "")


@lru_cache(LINES_MAX)
def _line(side: str, price: int, quantity: int) -> str:
    return f"{side},{plain(price)},{plain(quantity)}"


class NaiveBook:
    """Both sides of one instrument."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def set(self, side: dict[int, int], levels: Iterable[tuple[int, int]]) -> None:
        """Set absolute quantities; 0 deletes, whether the price is known or not."""
        for price, quantity in levels:
            if quantity:
                side[price] = quantity
            else:
                side.pop(price, None)

    def text(self, levels: int = 0) -> str:
        """Return the canonical text of the best ``levels`` a side; 0: all."""
        most = levels or None
        bids = sorted(self.bids, reverse=True)[:most]
        asks = sorted(self.asks)[:most]
        lines = [_line("b", price, self.bids[price]) for price in bids]
        lines += [_line("a", price, self.asks[price]) for price in asks]
        return "\n".join(lines)

    def sha256(self, levels: int = 0) -> str:
        """Return the hash of the canonical text in hex."""
        return hashlib.sha256(self.text(levels).encode()).hexdigest()

    def is_crossed(self) -> bool:
        """Tell whether the best bid is not below the best ask."""
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)
