"""Say what one venue's module tells the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from datafacade.types import Channel
from datafacade.venues.rest import LimitTeller

RestKind = Literal["klines", "trades", "ticker", "funding", "book"]

STREAMED: Final = frozenset({Channel.TRADES, Channel.BOOK_L2, Channel.TOP_OF_BOOK, Channel.TICKER})


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSpec:
    """One kind of connection to a venue."""

    name: str  # key of its endpoint in venues.yaml
    product: str  # the core's name of the protocol, as in CAPTURE.md
    channels: frozenset[Channel]
    instrument_paths: tuple[str, ...]  # all answers together are the list


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """One venue as clients name it."""

    name: str
    feeds: tuple[FeedSpec, ...]
    tell_limit: LimitTeller
    rest: Mapping[
        RestKind, str
    ]  # which product's REST answers what; its host has the same name in venues.yaml
    is_book_provable: bool = True  # False: books are UNVERIFIABLE


def no_hint(body: bytes, wall_ns: int, /) -> float | None:  # noqa: ARG001  the shape of LimitTeller
    """Answer for venues that say all about limits in status and headers."""
    return None
