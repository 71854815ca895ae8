"""Say which venues make up the consolidated best bid and offer of a symbol. Pure but for the lists."""

from __future__ import annotations

from typing import Final, Protocol

from datafacade.errors import InvalidRequest, UnknownSymbol
from datafacade.hot.resolve import Resolver

SPOT: Final = "spot"


class Consolidator(Protocol):
    """Joins the tops of several venues into one topic (``datafacade._core.Consolidator``)."""

    def follow(self, symbol: str, venues: list[str]) -> None:
        """Begin to publish a symbol."""
        ...

    def leave(self, symbol: str) -> None:
        """Publish it no more."""
        ...


def spot_venues(resolver: Resolver, symbol: str) -> list[str]:
    """Return the venues whose spot market has exactly this canonical symbol, sorted."""
    rows = {venue: resolver.rows(venue).get(symbol) for venue in sorted(resolver.venues())}
    return [venue for venue, row in rows.items() if row is not None and row["kind"] == SPOT]


def spot_symbol(resolver: Resolver, requested: str) -> str:
    """Return the one canonical symbol that all spot markets have for a spelling.

    Raises:
        InvalidRequest: It names several instruments.
        UnknownSymbol: No spot market lists it.
    """
    found: set[str] = set()
    for venue in resolver.venues():
        try:
            row = resolver.resolve(venue, requested)
        except UnknownSymbol:
            continue
        if row["kind"] == SPOT:
            found.add(row["symbol"])
    if not found:
        raise UnknownSymbol(requested, tuple(resolver.nearest(requested)))
    if requested.upper() in found:
        return requested.upper()
    if len(found) > 1:
        raise InvalidRequest("symbols", f"{requested!r} is ambiguous: {', '.join(sorted(found))}")
    return found.pop()
