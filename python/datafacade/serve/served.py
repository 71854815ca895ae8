"""Field 15 of each unary answer, as the reference server writes it; the Rust edge writes its own."""

from __future__ import annotations

import hashlib
from typing import Final

from datafacade.serve.answer import Answer
from datafacade.v1 import lineage_pb2
from datafacade.warm.freshness import penalty_ratio

_TAG: Final = b"\x7a"  # field 15, length-delimited; ``served`` is shorter than 128 bytes


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
