"""Times as Kraken writes them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(ns: int) -> str:
    """Return ``ns`` since 1970 as RFC 3339 in UTC with microseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000:06d}Z"
