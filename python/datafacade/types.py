"""Name what the Python rooms pass to each other. Values only: no I/O, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, TypedDict

CONSOLIDATED: Final = "consolidated"  # the venue of topics that are made of several venues


class Channel(IntEnum):
    """Channel of a topic; the numbers are the contract's."""

    TRADES = 1
    BOOK_L2 = 2
    TOP_OF_BOOK = 3
    KLINES = 4
    TICKER = 5
    CONSOLIDATED_TOP = 6


class Topic(NamedTuple):
    """One ordered stream of updates: the unit of seq, gaps and resume."""

    venue: str
    symbol: str  # canonical, BTC-USD
    channel: Channel
    variant: str = ""


class FeedKey(NamedTuple):
    """One venue connection and the Feed behind it."""

    venue: str  # as clients name it, binance-usdm
    name: str  # the feed's name within its venue, advanced; equals the product unless one product needs two


class Priority(IntEnum):
    """Who is served first when a REST budget runs short: the smaller number."""

    SNAPSHOT = 0  # a book is out of sync
    CLIENT = 1  # a client waits for the answer
    BACKFILL = 2  # trades that were missed
    PROBE = 3  # is a silent market silent
    FALLBACK = 4  # prices while a socket is down
    WARMING = 5  # nobody waits: warming, audits of books


class InstrumentRow(TypedDict):
    """One instrument of a venue's own list, as the Rust core decodes it. Numbers are exact decimal text."""

    symbol: str  # canonical, BTC-USD
    venue_symbol: str  # the spelling on the venue's socket, BTCUSDT or BTC/USD
    aliases: list[str]  # further spellings that the venue itself uses
    base: str
    quote: str
    kind: str  # spot, perpetual, future, other
    status: str  # trading, auction, halted, delisted, unknown
    tick_size: str  # "0": not told
    lot_size: str  # "0": not told
    contract_size: str | None  # base units of one contract; None for spot


class CloseReason(StrEnum):
    """Why a connection ended, where the venue sent no reason of its own."""

    EOF = "eof"
    RESET = "reset"
    WRITE_TIMEOUT = "write timeout"
    NO_PONG = "no pong"
    LOCAL = "closed by us"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """How a WebSocket connection ended."""

    code: int  # close code; 1006: none was sent
    reason: str  # untrusted text of the venue, or a CloseReason
