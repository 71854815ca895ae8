"""Times as the two Coinbase feeds write them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(ns: int, digits: int = 6) -> str:
    """Return ``ns`` since 1970 as RFC 3339 in UTC with ``digits`` decimals of the second (0 to 9)."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}"[: len(text) + 1 + digits] + "Z" if digits else f"{text}Z"


def parse_time(text: str) -> int | None:
    """Return a time in ns since 1970: whole seconds, or RFC 3339; None when it is neither."""
    if text.isdigit():
        return int(text) * 1_000_000_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def go_time(ns: int, monotonic_ns: int) -> str:
    """Return ``ns`` as Go prints a time that carries a monotonic clock; it is no RFC 3339."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    mono, rest = divmod(monotonic_ns, 1_000_000_000)
    return f"{text}.{fraction:09d} +0000 UTC m=+{mono}.{rest:09d}"
