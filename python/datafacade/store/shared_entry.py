"""One answer as the shared cache keeps it: JSON with six keys, versioned and checksummed. Pure.

``data`` is the encoded answer in base64, ``point_in_time`` its snapshot id (the SHA-256 of those bytes), the
times are RFC 3339 with nanoseconds. ``attribution`` says the rest, and a checksum over all of it and over the
key: what was written by another version, for another key or by somebody else is not taken for an answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from datafacade.clock import NS_PER_S

SCHEMA: Final = 1
KEYS: Final = frozenset({"data", "source", "cached_at", "expires_at", "point_in_time", "attribution"})
ENTRY_BYTES_MAX: Final = 8 * 2**20


class NoEntry(ValueError):
    """The bytes are no entry of this version for this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedAnswer:
    """An encoded answer and what is known about it."""

    message: bytes
    snapshot_id: str  # SHA-256 of the message, 64 hex digits
    source: str  # as ``kraken``, or ``reconciled``
    cache_class: str
    ts_cached: int  # ns since 1970 UTC
    ts_expires: int  # ns since 1970 UTC; from then on it is stale
    age_ns: int = 0  # of its data when it was cached


def encode(key: str, answer: SharedAnswer) -> bytes:
    """Return the entry of ``key``."""
    attribution: dict[str, Any] = {
        "schema": SCHEMA,
        "cache_class": answer.cache_class,
        "age_ns": answer.age_ns,
    }
    entry = {
        "data": base64.b64encode(answer.message).decode(),
        "source": answer.source,
        "cached_at": _time(answer.ts_cached),
        "expires_at": _time(answer.ts_expires),
        "point_in_time": answer.snapshot_id,
        "attribution": attribution,
    }
    attribution["checksum"] = _checksum(key, entry)
    return _json(entry)


def decode(key: str, value: bytes) -> SharedAnswer:
    """Return the answer that an entry of ``key`` holds.

    Raises:
        NoEntry: It is damaged, of another version, of another key, or no entry at all.
    """
    if len(value) > ENTRY_BYTES_MAX:
        raise NoEntry
    try:
        entry = json.loads(value)
        attribution = entry["attribution"]
        checksum = attribution.pop("checksum")
        if entry.keys() != KEYS or attribution["schema"] != SCHEMA or checksum != _checksum(key, entry):
            raise NoEntry
        message = base64.b64decode(entry["data"], validate=True)
        if hashlib.sha256(message).hexdigest() != entry["point_in_time"]:
            raise NoEntry
        return SharedAnswer(
            message=message,
            snapshot_id=entry["point_in_time"],
            source=entry["source"],
            cache_class=attribution["cache_class"],
            ts_cached=_ns(entry["cached_at"]),
            ts_expires=_ns(entry["expires_at"]),
            age_ns=attribution["age_ns"],
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
        raise NoEntry from None


def _json(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":"), sort_keys=True).encode()


def _checksum(key: str, entry: dict[str, Any]) -> str:
    return hashlib.sha256(key.encode() + b"\0" + _json(entry)).hexdigest()


def _time(ts_ns: int) -> str:
    seconds, rest = divmod(ts_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _ns(text: str) -> int:
    seconds, _, rest = text.partition(".")
    moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_S + int(rest.removesuffix("Z"))
