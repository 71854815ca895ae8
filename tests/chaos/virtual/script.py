"""What every venue's script has, and how venues write times and lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from tests.chaos.virtual.market import Change, Market

MS: Final = 1_000_000


def dump(value: object) -> str:
    """Return compact JSON, as venues send it."""
    return json.dumps(value, separators=(",", ":"))


def sides(changes: Iterable[Change]) -> tuple[list[Change], list[Change]]:
    """Return bids and asks."""
    split: tuple[list[Change], list[Change]] = ([], [])
    for change in changes:
        split[0 if change.is_bid else 1].append(change)
    return split


def stamp(wall_ns: int) -> str:
    """Return RFC 3339 with microseconds."""
    moment = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{wall_ns // 1_000 % 1_000_000:06d}Z"


class Script(Protocol):
    """What a venue does in a test. One connection; ``symbols`` are the venue's own spellings."""

    venue: str
    product: str
    symbols: tuple[str, ...]
    markets: dict[str, Market]
    uses_rest: bool
    is_numbered: bool

    def canonical(self, symbol: str) -> str:
        """Return our name of a market."""
        ...

    def instruments(self) -> bytes:
        """Return the venue's list."""
        ...

    def opened(self) -> None:
        """Start a connection: its numbers begin anew where the venue counts so."""
        ...

    def answer(self, text: str, wall_ns: int) -> list[str]:
        """Return the frames that answer a client's text."""
        ...

    def rest(self, path: str) -> bytes:
        """Return the answer to a REST request."""
        ...

    def delta(self, symbol: str, changes: Sequence[Change], wall_ns: int) -> str:
        """Return the next book message of a market; the changes are in its truth already."""
        ...
