"""Tell where OKX keeps things.

Source: OKX API v5 documents, 2026-08-22.
"""

from __future__ import annotations

from typing import Final

from datafacade.venues.spec import STREAMED, FeedSpec, VenueSpec

_CODE_BYTES: Final = 256  # the code stands at the start of the envelope
_TOO_MANY: Final = (b'"code":"50011"', b'"code": "50011"')
_PAUSE_S: Final = 2.0  # its windows are two seconds long


def _tell_limit(body: bytes, wall_ns: int, /) -> float | None:  # noqa: ARG001  the shape of LimitTeller
    """Read code 50011, which comes with status 200 in places."""
    return _PAUSE_S if any(code in body[:_CODE_BYTES] for code in _TOO_MANY) else None


OKX: Final = VenueSpec(
    name="okx",
    feeds=(
        FeedSpec(
            name="public",
            product="public",
            channels=STREAMED,
            instrument_paths=(
                "/api/v5/public/instruments?instType=SPOT",
                "/api/v5/public/instruments?instType=SWAP",
            ),
        ),
    ),
    tell_limit=_tell_limit,
    rest={"klines": "public", "trades": "public", "ticker": "public", "funding": "public", "book": "public"},
)
