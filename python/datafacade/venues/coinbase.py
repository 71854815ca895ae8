"""Tell where Coinbase keeps things: books from Advanced Trade, which can be proven, the rest from Exchange.

Source: Coinbase Advanced Trade and Exchange documents, 2026-08-22.
"""

from __future__ import annotations

from typing import Final

from datafacade.types import Channel
from datafacade.venues.spec import STREAMED, FeedSpec, VenueSpec, no_hint

COINBASE: Final = VenueSpec(
    name="coinbase",
    feeds=(
        FeedSpec(
            name="advanced",
            product="advanced",
            channels=frozenset({Channel.BOOK_L2}),
            instrument_paths=("/api/v3/brokerage/market/products?product_type=SPOT",),
        ),
        FeedSpec(
            name="exchange",
            product="exchange",
            channels=STREAMED - {Channel.BOOK_L2},
            instrument_paths=("/products",),
        ),
    ),
    tell_limit=no_hint,
    # Advanced Trade has more intervals and parts of the book; Exchange pages trades by id and has statistics
    rest={"klines": "advanced", "trades": "exchange", "ticker": "exchange", "book": "advanced"},
)
