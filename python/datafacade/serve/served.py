"""Field 15 of each unary answer, as the reference server writes it; the Rust edge writes its own."""

from __future__ import annotations

import hashlib
import math
from typing import Final

from datafacade.serve.answer import Answer
from datafacade.v1 import lineage_pb2

_TAG: Final = b"\x7a"  # field 15, length-delimited; ``served`` is shorter than 128 bytes
_FRESH_NS: Final = 60_000_000_000
_EXPIRED_NS: Final = 300_000_000_000
_PENALTY_MAX: Final = 0.95


def served(answer: Answer, latency_ns: int) -> bytes:
    """Return ``served`` with its tag, to stand behind the message."""
    encoded = lineage_pb2.Served(
        cache_tier=lineage_pb2.CacheTier.ValueType(answer.cache_tier),
        age_ns=answer.age_ns,
        ts_cached=answer.ts_cached,
        ts_expires=answer.ts_expires,
        is_stale=answer.is_stale,
        snapshot_id=answer.snapshot_id or hashlib.sha256(answer.message).hexdigest(),
        latency_ns=latency_ns,
        freshness_penalty_ratio=penalty_ratio(answer.age_ns),
    ).SerializeToString()
    return _TAG + bytes([len(encoded)]) + encoded


def penalty_ratio(age_ns: int) -> float:
    """Return the freshness penalty of data of this age (REQUIREMENTS D2).

    Example:
        >>> [penalty_ratio(minutes * 60_000_000_000) for minutes in (1, 5)]
        [0.0, 0.95]
    """
    if age_ns <= _FRESH_NS:
        return 0.0
    share = min(1.0, (age_ns - _FRESH_NS) / (_EXPIRED_NS - _FRESH_NS))
    return min(_PENALTY_MAX, 0.1 * math.exp(3 * share))
