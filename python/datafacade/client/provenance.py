"""Where an answer comes from and how it was served. Pure; exact decimals, times in ns since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from datafacade.rows.numbers import exact
from datafacade.rows.words import CACHE_TIER
from datafacade.v1 import lineage_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one source said, and what became of it."""

    source: str  # as ``kraken`` or ``coingecko``
    is_used: bool
    reason: str  # why it was dropped: OUTLIER, TOO_OLD, NOT_CONVERTIBLE, FAILED, ...; "": it was used
    price: Decimal | None  # quote units; None: none was given, or the answer is not about one price
    quote: str  # currency of its price, as ``USDT``; "": the quote currency of the symbol
    volume_24h: Decimal | None  # base units
    ts_source: int  # the source's own time; 0: it gave none
    age_ns: int | None  # when the answer was made; None: unknown
    age_ns_max: int | None  # above this it is left out; None: no such limit
    latency_ns: int | None  # that it took to answer; None: it was not asked for this answer
    is_aggregator: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How an answer was served, and what went into it."""

    cache_tier: str  # MISS (fetched for this call), L1, L2, PIT, LIVE; "": not told
    age_ns: int  # since the answer was made, and of the oldest source that it used then
    ts_cached: int  # 0: it is not cached
    ts_expires: int  # when it stops being fresh; 0: it is not cached
    is_stale: bool  # past ``ts_expires``, served because nothing newer can be had
    snapshot_id: str  # SHA-256 of the answer, hex; "": not stored
    latency_ns: int  # from the request's arrival to the answer
    freshness_penalty_ratio: float  # 0 (fresh) to 0.95
    confidence_ratio: float | None  # 0 to 1, before the penalty; None: not judged
    sources: tuple[Source, ...]  # all that were considered, sorted by name
    cache_hits: int  # parts of the answer that came from a cache
    cache_misses: int  # parts that had to be fetched
    made_ns: int  # time spent making the answer
    ts_made: int  # 0: not told

    @property
    def used(self) -> tuple[Source, ...]:
        """Sources that took part."""
        return tuple(source for source in self.sources if source.is_used)

    @property
    def dropped(self) -> tuple[Source, ...]:
        """Sources that did not, each with its reason."""
        return tuple(source for source in self.sources if not source.is_used)


def provenance_of(served: lineage_pb2.Served, lineage: lineage_pb2.Lineage) -> Provenance:
    """Return what the two messages tell together."""
    return Provenance(
        cache_tier=CACHE_TIER(served.cache_tier),
        age_ns=served.age_ns,
        ts_cached=served.ts_cached,
        ts_expires=served.ts_expires,
        is_stale=served.is_stale,
        snapshot_id=served.snapshot_id,
        latency_ns=served.latency_ns,
        freshness_penalty_ratio=served.freshness_penalty_ratio,
        confidence_ratio=lineage.confidence_ratio if lineage.HasField("confidence_ratio") else None,
        sources=sources_of(lineage.sources),
        cache_hits=lineage.cache_hits,
        cache_misses=lineage.cache_misses,
        made_ns=lineage.latency_ns,
        ts_made=lineage.ts_made,
    )


def sources_of(rows: Iterable[lineage_pb2.SourceQuote]) -> tuple[Source, ...]:
    """Return the sources of a list of quotes."""
    return tuple(_source(row) for row in rows)


def _source(row: lineage_pb2.SourceQuote) -> Source:
    return Source(
        source=row.source,
        is_used=row.used,
        reason=row.reason,
        price=exact(row.price),
        quote=row.quote,
        volume_24h=exact(row.volume_24h),
        ts_source=row.ts_source,
        age_ns=row.age_ns if row.HasField("age_ns") else None,
        age_ns_max=row.age_ns_max if row.HasField("age_ns_max") else None,
        latency_ns=row.latency_ns if row.HasField("latency_ns") else None,
        is_aggregator=row.is_aggregator,
    )
