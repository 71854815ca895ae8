"""Tell what the caches hold and how often they knew the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from datafacade.v1 import cache_pb2, lineage_pb2

if TYPE_CHECKING:
    from datafacade.warm.second import SharedTier

ASKED_MIN: Final = 100  # below so many questions a ratio says nothing
PRICES_HOT: Final = "prices_hot"
SECOND_TIER_AWAY: Final = "SECOND_TIER_AWAY"


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
        summary.l2_left_out = told.left_out
        asked = told.hits + told.misses
        summary.classes.add(
            cache_class="all",
            tier=lineage_pb2.CACHE_TIER_L2,
            hits=told.hits,
            misses=told.misses,
            hit_ratio=told.hits / asked if asked else None,
        )
    return summary


def cache_warnings(
    summary: cache_pb2.CacheSummary, *, hit_ratio_min: float, prices_hot_hit_ratio_min: float
) -> list[str]:
    """Return what the operator should know of the caches, in words of ``Health.warnings``.

    A ratio counts once so many answers were asked for that it says something.

    Example:
        >>> row = cache_pb2.CacheClassStats(cache_class="prices_hot", tier=lineage_pb2.CACHE_TIER_L1, hits=79)
        >>> row.misses = 21
        >>> told = cache_pb2.CacheSummary(classes=[row])
        >>> cache_warnings(told, hit_ratio_min=0.75, prices_hot_hit_ratio_min=0.8)
        ['PRICES_HOT_HIT_RATIO_LOW']
    """
    first = [row for row in summary.classes if row.tier == lineage_pb2.CACHE_TIER_L1]
    hot = [row for row in first if row.cache_class == PRICES_HOT]
    warnings = []
    if _is_low(first, hit_ratio_min):
        warnings.append("CACHE_HIT_RATIO_LOW")
    if _is_low(hot, prices_hot_hit_ratio_min):
        warnings.append("PRICES_HOT_HIT_RATIO_LOW")
    if summary.HasField("l2_connected") and not summary.l2_connected:
        warnings.append(SECOND_TIER_AWAY)
    return warnings


def _is_low(rows: Iterable[cache_pb2.CacheClassStats], ratio_min: float) -> bool:
    counts = [(row.hits, row.hits + row.misses) for row in rows]
    hits, asked = sum(one for one, _ in counts), sum(all_ for _, all_ in counts)
    return asked >= ASKED_MIN and hits / asked < ratio_min
