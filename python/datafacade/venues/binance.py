"""Tell where Binance keeps things: spot, USD-M and COIN-M futures are three venues of ours.

Source: binance-spot-api-docs, 2026-07-21; developers.binance.com (futures), 2026-04-23.
"""

from __future__ import annotations

from typing import Final

from datafacade.types import Channel
from datafacade.venues.spec import STREAMED, FeedSpec, VenueSpec, no_hint

SPOT: Final = VenueSpec(
    name="binance",
    feeds=(
        FeedSpec(name="spot", product="spot", channels=STREAMED, instrument_paths=("/api/v3/exchangeInfo",)),
    ),
    tell_limit=no_hint,
    rest={"klines": "spot", "trades": "spot", "ticker": "spot", "book": "spot"},
)

# 24 hour statistics of USD-M live on another route (/market) since 2026-04-23; they are not streamed yet.
USDM: Final = VenueSpec(
    name="binance-usdm",
    feeds=(
        FeedSpec(
            name="usdm",
            product="usdm",
            channels=STREAMED - {Channel.TICKER},
            instrument_paths=("/fapi/v1/exchangeInfo",),
        ),
    ),
    tell_limit=no_hint,
    rest={"klines": "usdm", "trades": "usdm", "ticker": "usdm", "funding": "usdm", "book": "usdm"},
)

COINM: Final = VenueSpec(
    name="binance-coinm",
    feeds=(
        FeedSpec(
            name="coinm", product="coinm", channels=STREAMED, instrument_paths=("/dapi/v1/exchangeInfo",)
        ),
    ),
    tell_limit=no_hint,
    rest={"klines": "coinm", "trades": "coinm", "ticker": "coinm", "funding": "coinm", "book": "coinm"},
)
