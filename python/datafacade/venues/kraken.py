"""Tell where Kraken keeps things (spot, WebSocket v2).

Source: docs.kraken.com, 2026-05-27.
"""

from __future__ import annotations

import re
from typing import Final

from datafacade.venues.spec import STREAMED, FeedSpec, VenueSpec

_ERROR_BYTES: Final = 512  # errors come with status 200 and stand first in the envelope
_LIMITED: Final = (b"EAPI:Rate limit exceeded", b'"error":"apiLimitExceeded"')  # spot, futures
_THROTTLED: Final = re.compile(rb"EService: ?Throttled: ?([0-9]{9,12})")
_PAUSE_S: Final = 5.0
_PAUSE_S_MAX: Final = 3_600.0


def _tell_limit(body: bytes, wall_ns: int, /) -> float | None:
    """Read the two errors that ask for a pause, one of them until a time in unix seconds."""
    head = body[:_ERROR_BYTES]
    if any(text in head for text in _LIMITED):
        return _PAUSE_S
    throttled = _THROTTLED.search(head)
    if throttled is None:
        return None
    return min(max(1.0, int(throttled.group(1)) - wall_ns / 1e9), _PAUSE_S_MAX)


KRAKEN: Final = VenueSpec(
    name="kraken",
    feeds=(
        FeedSpec(name="spot", product="spot", channels=STREAMED, instrument_paths=("/0/public/AssetPairs",)),
    ),
    tell_limit=_tell_limit,
    rest={"klines": "spot", "trades": "spot", "ticker": "spot", "funding": "futures", "book": "spot"},
)
