"""Map the venues' spellings, which the simulator logs, to the topics of which the product speaks. Pure.

Source: the sheets of the venues, "Symbols".
"""

from __future__ import annotations

from typing import Final, NamedTuple

BOOK: Final = 2
TRADES: Final = 1
KLINES: Final = 4
CHANNEL_NAMES: Final = {1: "trades", 2: "book", 3: "top", 4: "klines", 5: "ticker"}
BOOK_CHANNELS: Final = frozenset({"depth", "depth@100ms", "books", "l2_data", "level2", "level2_50", "book"})
TRADE_CHANNELS: Final = frozenset({"trade", "trades", "market_trades", "match", "matches"})
QUOTES: Final = ("USDT", "USDC", "USD")
TRADES_FROM: Final = {"coinbase": "exchange"}  # of two products one has the trades


class Topic(NamedTuple):
    """One stream of the product."""

    venue: str
    symbol: str
    channel: int
    variant: str = ""

    @property
    def is_whole_book(self) -> bool:
        """Whether it is a book as the venue sends it, and no window of it."""
        return self.channel == BOOK and not self.variant

    def __str__(self) -> str:
        """Return ``venue:symbol:channel``, and the variant if it has one."""
        words = [self.venue, self.symbol, str(CHANNEL_NAMES.get(self.channel, self.channel)), self.variant]
        return ":".join(word for word in words if word)


def venue_of(venue: str, product: str) -> str:
    """Return the product's name of a venue: Binance futures are venues of their own."""
    return f"{venue}-{product}" if product in ("usdm", "coinm") else venue


def symbol_of(venue: str, spelling: str) -> str:
    """Return the canonical symbol of a venue's spelling.

    Example:
        >>> symbol_of("binance", "BTCUSDT"), symbol_of("kraken", "BTC/USD"), symbol_of("okx", "BTC-USDT")
        ('BTC-USDT', 'BTC-USD', 'BTC-USDT')
    """
    if "/" in spelling:
        return spelling.replace("/", "-")
    if "-" in spelling or venue != "binance":
        return spelling
    name = spelling.removesuffix("_PERP")
    quote = next((quote for quote in QUOTES if name.endswith(quote)), "")
    return f"{name.removesuffix(quote)}-{quote}" if quote else name


def channel_of(name: str) -> int | None:
    """Return the channel number of a venue's channel name; None: the checker does not judge it."""
    if name in BOOK_CHANNELS:
        return BOOK
    return TRADES if name in TRADE_CHANNELS else None
