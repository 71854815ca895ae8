"""A naive replica of a book: plain dictionaries, no line shared with the core.

With the rules of ``witness_venues`` it follows the venues' sheets, not the product: what it notices in
damaged traffic is what the protocol lets anybody notice, and its book over undamaged traffic is the truth.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from tests.conformance.capture_file import Record

FINGERPRINT_BITS: Final = (1 << 64) - 1
UNIT_DIGITS: Final = 18

Text: TypeAlias = str  # digits as the venue sent them


class Change(NamedTuple):
    """One level of a message."""

    is_bid: bool
    price: Text
    quantity: Text


@dataclass(slots=True)
class Replica:
    """One book as a careful reader of the protocol holds it."""

    bids: dict[int, tuple[Text, Text]] = field(default_factory=dict)  # by price, in units of 1e-18
    asks: dict[int, tuple[Text, Text]] = field(default_factory=dict)
    is_live: bool = False
    last: int | None = None  # the venue's number
    updates: int = 0
    level_changes: int = 0
    checked: int = 0
    failed: int = 0
    duplicates: int = 0
    fingerprint: int = 0  # of all levels, in any order
    links: list[tuple[int | None, int | None]] = field(default_factory=list)
    buffer: list[dict[str, Any]] = field(default_factory=list)

    def load(self, changes: Iterable[Change]) -> None:
        """Replace all levels."""
        self.bids.clear()
        self.asks.clear()
        self.fingerprint = 0
        self.change(changes)

    def change(self, changes: Iterable[Change]) -> None:
        """Set absolute quantities; 0 deletes."""
        for is_bid, price, quantity in changes:
            side = self.bids if is_bid else self.asks
            key, amount = units(price), units(quantity)
            held = side.pop(key, None)
            if held is not None:
                self.fingerprint -= level_print(is_bid, key, units(held[1]))
            if amount:
                side[key] = (price, quantity)
                self.fingerprint += level_print(is_bid, key, amount)
        self.fingerprint &= FINGERPRINT_BITS

    def truncate(self, depth: int) -> None:
        """Forget what lies outside the window."""
        for price in sorted(self.bids, reverse=True)[depth:]:
            self.change([Change(True, self.bids[price][0], "0")])
        for price in sorted(self.asks)[depth:]:
            self.change([Change(False, self.asks[price][0], "0")])

    def best(self, levels: int) -> tuple[list[tuple[Text, Text]], list[tuple[Text, Text]]]:
        """Return the best bids and asks, digits as sent."""
        bids = [self.bids[price] for price in sorted(self.bids, reverse=True)[:levels]]
        return bids, [self.asks[price] for price in sorted(self.asks)[:levels]]

    def best_values(self, levels: int) -> list[tuple[int, int]]:
        """Return the best bids, then the best asks, in units of 1e-18."""
        bids, asks = self.best(levels)
        return [(units(price), units(quantity)) for price, quantity in bids + asks]

    def sha256(self) -> str:
        """Return the digest of the canonical text (MANIFEST section 0)."""
        bids, asks = self.best(len(self.bids) + len(self.asks))
        lines = [f"b,{plain(price)},{plain(quantity)}" for price, quantity in bids]
        lines += [f"a,{plain(price)},{plain(quantity)}" for price, quantity in asks]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def break_off(self) -> None:
        """Stop trusting the book until a fresh whole state comes."""
        self.is_live = False
        self.failed += 1

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is not below the best ask."""
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)


class Witness(Protocol):
    """Books of one capture."""

    books: dict[str, Replica]  # by the product's symbol

    @abstractmethod
    def take(self, record: Record) -> list[str]:
        """Take a record; return the symbols whose book messages it held."""


def units(number: Text) -> int:
    """Return a number in units of 1e-18, exactly."""
    whole, _, fraction = number.partition(".")
    assert len(fraction) <= UNIT_DIGITS, f"{number} is finer than the witness"
    return int(whole + fraction.ljust(UNIT_DIGITS, "0"))


def level_print(is_bid: bool, price: int, quantity: int) -> int:
    """Return a number for one level; sums of it tell books apart."""
    return hash((is_bid, price, quantity)) * 0x9E3779B97F4A7C15 & FINGERPRINT_BITS


def plain(number: Text) -> str:
    """Return plain decimal text without exponent and trailing zeros."""
    text = f"{Decimal(number):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
