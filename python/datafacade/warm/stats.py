"""Tell what the caches hold and how often they knew the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from datafacade.v1 import cache_pb2, lineage_pb2

if TYPE_CHECKING:
    from datafacade.warm.second import SharedTier


class Counted(Protocol):
    """A cache that counts by class (``datafacade._core.AnswerCache``)."""

    def stats(self) -> list[dict[str, Any]]:
        """Return a row for each class."""
        ...


def cache_summary(first: Counted, second: SharedTier | None, *, entries_max: int) -> cache_pb2.CacheSummary:
    """Return the figures of both tiers: the first a row a class, the second one row for all."""
    summary = cache_pb2.CacheSummary(entries_max=entries_max)
    for row in first.stats():
        asked = row["hits"] + row["misses"]
        summary.classes.add(
            cache_class=row["cache_class"],
            tier=lineage_pb2.CACHE_TIER_L1,
            hits=row["hits"],
            misses=row["misses"],
            hit_ratio=row["hits"] / asked if asked else None,
            entries=row["entries"],
            entries_bytes=row["entries_bytes"],
            ttl_ms=row["ttl_ms"],
            evictions=row["evictions"],
            expirations=row["expirations"],
        )
    if second is not None:
        told = second.stats()
        summary.l2_connected, summary.corrupt = told.is_connected, told.corrupt
        asked = told.hits + told.misses
        summary.classes.add(
            cache_class="all",
            tier=lineage_pb2.CACHE_TIER_L2,
            hits=told.hits,
            misses=told.misses,
            hit_ratio=told.hits / asked if asked else None,
        )
    return summary
