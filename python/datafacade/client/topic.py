"""Name what is followed: venue, symbol, channel, variant."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from datafacade.v1 import types_pb2


class Channel(StrEnum):
    """What a topic carries."""

    TRADES = "trades"
    BOOK_L2 = "book_l2"
    TOP_OF_BOOK = "top_of_book"
    KLINES = "klines"
    TICKER = "ticker"
    CONSOLIDATED_TOP = "consolidated_top"


class Topic(NamedTuple):
    """One ordered stream of updates: the unit of ``seq``, gaps and proofs."""

    venue: str  # as ``kraken`` or ``binance-usdm``
    symbol: str  # canonical, as ``BTC-USD``
    channel: Channel
    variant: str = ""  # kline interval or book depth; "": the default

    def __str__(self) -> str:
        """Return the topic as people write it."""
        variant = f"/{self.variant}" if self.variant else ""
        return f"{self.venue}:{self.symbol}/{self.channel}{variant}"


class Position(NamedTuple):
    """The last record of a topic that was processed: where to go on. Plain values, so it can be stored."""

    topic: Topic
    epoch: int  # start of the publisher, unix seconds
    seq: int  # 0: nothing of this epoch was processed yet


_SHORT = {
    "book": Channel.BOOK_L2,
    "l2": Channel.BOOK_L2,
    "top": Channel.TOP_OF_BOOK,
    "bbo": Channel.TOP_OF_BOOK,
    "bars": Channel.KLINES,
    "consolidated": Channel.CONSOLIDATED_TOP,
}
_NUMBERS = {channel: types_pb2.Channel.Value(f"CHANNEL_{channel.name}") for channel in Channel}
_CHANNELS = {number: channel for channel, number in _NUMBERS.items()}


def channel_of(name: str) -> Channel:
    """Return the channel of that name, or of a short one: ``book``, ``top``, ``bars``, ``consolidated``.

    Raises:
        ValueError: There is no such channel.

    Example:
        >>> channel_of("book")
        <Channel.BOOK_L2: 'book_l2'>
    """
    word = name.strip().lower()
    if word in _SHORT:
        return _SHORT[word]
    try:
        return Channel(word)
    except ValueError:
        known = ", ".join([*Channel, *_SHORT])
        raise ValueError(f"unknown channel {name!r}: expected one of {known}") from None


def channel_number(channel: Channel) -> types_pb2.Channel.ValueType:
    """Return the contract's number of a channel."""
    return _NUMBERS[channel]


def channel_from_number(number: int) -> Channel | None:
    """Return the channel of the contract's number; None: none of ours."""
    return _CHANNELS.get(types_pb2.Channel.ValueType(number))
