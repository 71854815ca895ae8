"""Resolve any known spelling of a symbol, from the venues' own lists only. Pure.

A spelling is looked up in tiers, and the first tier that knows it decides: the canonical symbol, the venue's
own spelling, its further spellings, what base and quote make together, and last what other venues call it.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from datafacade.errors import InvalidRequest, UnknownSymbol
from datafacade.types import InstrumentRow

SYMBOL_CHARS_MAX: Final = 64
SUGGESTIONS_MAX: Final = 5
_CANDIDATES_MAX: Final = 40  # compared letter by letter for a suggestion
_SEPARATORS: Final = ("", "/", "-", "_", ":")

Spellings = dict[str, set[str]]  # spelling in upper case: canonical symbols


class Resolver:
    """What each venue lists. ``replace`` a venue's list as a whole."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, InstrumentRow]] = {}  # venue: canonical symbol: row
        self._tiers: dict[str, list[Spellings]] = {}  # venue: tiers
        self._near = _Nearness(())

    def replace(self, venue: str, rows: Iterable[InstrumentRow]) -> None:
        """Take a venue's whole list."""
        by_symbol = {row["symbol"]: row for row in rows}
        self._rows[venue] = by_symbol
        self._tiers[venue] = _tiers(by_symbol.values())
        self._near = _Nearness(sorted({symbol for rows in self._rows.values() for symbol in rows}))

    def venues(self) -> list[str]:
        """Return the venues whose list is known."""
        return list(self._rows)

    def rows(self, venue: str) -> Mapping[str, InstrumentRow]:
        """Return a venue's list by canonical symbol; empty while it is not known."""
        return self._rows.get(venue, {})

    def resolve(self, venue: str, requested: str) -> InstrumentRow:
        """Return the one instrument of ``venue`` that ``requested`` names.

        Args:
            venue: A venue whose list is known.
            requested: Any spelling; upper or lower case.

        Raises:
            InvalidRequest: It is empty, too long, or names several instruments.
            UnknownSymbol: No list names it.

        Example:
            >>> resolver = Resolver()
            >>> row = {"symbol": "BTC-USD", "venue_symbol": "BTC/USD", "aliases": ["XBT/USD"], "base": "BTC",
            ...        "quote": "USD", "kind": "spot", "status": "trading", "tick_size": "0.1",
            ...        "lot_size": "0.1", "contract_size": None}
            >>> resolver.replace("kraken", [row])
            >>> resolver.resolve("kraken", "xbt/usd")["symbol"]
            'BTC-USD'
        """
        if not requested or len(requested) > SYMBOL_CHARS_MAX:
            problem = f"expected 1 to {SYMBOL_CHARS_MAX} characters, received {len(requested)}"
            raise InvalidRequest("symbols", problem, venue=venue)
        key = requested.upper()
        own = self._tiers.get(venue, [])
        for found in (tier.get(key) for tier in own):
            if found:
                return self._only(venue, requested, found)
        elsewhere: set[str] = set()
        for other, tiers in self._tiers.items():
            if other != venue:
                found = next((tier[key] for tier in tiers if key in tier), set())
                elsewhere |= found & self.rows(venue).keys()
        if elsewhere:
            return self._only(venue, requested, elsewhere)
        raise UnknownSymbol(requested, tuple(self.nearest(requested, venue)), venue=venue)

    def nearest(self, requested: str, venue: str = "") -> list[str]:
        """Return the known symbols that look most like ``requested``, best first; of one venue if named."""
        listed = self._rows.get(venue)
        found = self._near.nearest(requested)
        return [symbol for symbol in found if listed is None or symbol in listed][:SUGGESTIONS_MAX]

    def _only(self, venue: str, requested: str, symbols: set[str]) -> InstrumentRow:
        if len(symbols) > 1:
            names = ", ".join(sorted(symbols)[:SUGGESTIONS_MAX])
            raise InvalidRequest("symbols", f"{requested!r} is ambiguous on {venue}: {names}", venue=venue)
        return self._rows[venue][next(iter(symbols))]


def _tiers(rows: Iterable[InstrumentRow]) -> list[Spellings]:
    canonical: Spellings = defaultdict(set)
    native: Spellings = defaultdict(set)
    further: Spellings = defaultdict(set)
    derived: Spellings = defaultdict(set)
    for row in rows:
        symbol, base, quote = row["symbol"], row["base"], row["quote"]
        canonical[symbol.upper()].add(symbol)
        native[row["venue_symbol"].upper()].add(symbol)
        for alias in row["aliases"]:
            further[alias.upper()].add(symbol)
        if symbol == f"{base}-{quote}":  # a dated future is not what its base and quote make
            for separator in _SEPARATORS:
                derived[f"{base}{separator}{quote}".upper()].add(symbol)
    return [dict(tier) for tier in (canonical, native, further, derived)]


class _Nearness:
    """Finds look-alikes among thousands of symbols without comparing each: pairs of letters choose a few."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = symbols
        self._letters = [_letters(symbol) for symbol in symbols]
        self._by_pair: dict[str, list[int]] = defaultdict(list)
        for number, letters in enumerate(self._letters):
            for pair in _pairs(letters):
                self._by_pair[pair].append(number)

    def nearest(self, requested: str) -> list[str]:
        letters = _letters(requested[:SYMBOL_CHARS_MAX])
        shared = Counter(number for pair in _pairs(letters) for number in self._by_pair.get(pair, ()))
        few = sorted(shared, key=lambda number: (-shared[number], len(self._letters[number])))
        by_letters: dict[str, list[str]] = defaultdict(list)
        for number in few[:_CANDIDATES_MAX]:
            by_letters[self._letters[number]].append(self._symbols[number])
        close = difflib.get_close_matches(letters, list(by_letters), n=2 * SUGGESTIONS_MAX, cutoff=0.5)
        return [symbol for name in close for symbol in by_letters[name]]


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character.isalnum())


def _pairs(letters: str) -> set[str]:
    return {letters[at : at + 2] for at in range(max(1, len(letters) - 1))}
