"""What is shown when nothing is asked for: well-known pairs as each venue quotes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

BASES: Final = ("BTC", "ETH", "SOL")
_QUOTES: Final = {"binance": "USDT", "binance-usdm": "USDT", "okx": "USDT"}  # else USD


def usual_pairs(venues: Iterable[str], bases: Sequence[str] = BASES) -> list[tuple[str, list[str]]]:
    """Return canonical symbols by venue.

    Example:
        >>> usual_pairs(["okx", "kraken"], ["BTC"])
        [('okx', ['BTC-USDT']), ('kraken', ['BTC-USD'])]
    """
    return [(venue, [f"{base}-{_QUOTES.get(venue, 'USD')}" for base in bases]) for venue in venues]
