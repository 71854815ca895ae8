"""Count who gave what: for each kind of answer its sources, when they last spoke, and how long they took."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from datafacade.clock import Clock
from datafacade.errors import InvalidRequest
from datafacade.observe.latency import Latency
from datafacade.v1 import cache_pb2, types_pb2
from datafacade.warm.freshness import Freshness, penalty_ratio, status

RECONCILED: Final = "reconciled"  # prices that no single venue makes
_WORDS: Final[Mapping[Freshness, cache_pb2.Freshness.ValueType]] = MappingProxyType(
    {
        Freshness.FRESH: cache_pb2.FRESHNESS_FRESH,
        Freshness.STALE: cache_pb2.FRESHNESS_STALE,
        Freshness.EXPIRED: cache_pb2.FRESHNESS_EXPIRED,
    }
)


class HitCounts(NamedTuple):
    """How often the cache knew a venue's answer, the edge's own answers included."""

    hits: int
    misses: int


@dataclass(slots=True)
class _Source:
    used: int = 0
    dropped: int = 0
    ts_last_update: int = 0  # ns UTC; 0: never
    latency: Latency = field(default_factory=Latency)
    newest: dict[str, int] = field(default_factory=dict)  # of each class of data the newest time, ns UTC


class Attribution:
    """Sources by the name under which answers leave: a venue's, or ``reconciled``. Owned by the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: dict[str, dict[str, _Source]] = {}

    def used(
        self, owner: str, source: str, *, latency_ns: int, data_class: str = "", ts_newest: int = 0
    ) -> None:
        """Note that a source's answer went into one of ours.

        Args:
            owner: Under whose name the answer leaves.
            source: Who gave it.
            latency_ns: How long that took.
            data_class: Class of the data, by which their age is told; empty: it is not told.
            ts_newest: Time of the newest of the data, ns UTC; 0: the source tells none, so it is now.
        """
        row = self._row(owner, source)
        now = self._clock.wall_ns()
        row.used += 1
        row.ts_last_update = now
        row.latency.record(latency_ns)
        if data_class:
            known = row.newest.get(data_class, 0)
            row.newest[data_class] = max(known, min(ts_newest or now, now))

    def dropped(self, owner: str, source: str) -> None:
        """Note that a source was asked and its answer was not used, or never came."""
        self._row(owner, source).dropped += 1

    def freshness(self, owner: str = "") -> list[cache_pb2.SourceFreshness]:
        """Return how old the newest data are, sorted by source and class.

        Args:
            owner: Of what left under this name; empty: of everything.
        """
        owners = self._given.values() if not owner else [self._given.get(owner, {})]
        newest: dict[tuple[str, str], int] = {}
        for sources in owners:
            for source, row in sources.items():
                for data_class, ts_newest in row.newest.items():
                    key = (source, data_class)
                    newest[key] = max(newest.get(key, 0), ts_newest)
        now = self._clock.wall_ns()
        return [freshness_of(*key, ts_newest=newest[key], now_ns=now) for key in sorted(newest)]

    def rows(
        self, names: Mapping[str, HitCounts], wanted: str, venues: Collection[str]
    ) -> list[cache_pb2.VenueAttribution]:
        """Return what was counted, by name.

        Args:
            names: Cache counts by the same names.
            wanted: One name; empty: all.
            venues: Names that are ours although nothing was asked of them yet.

        Raises:
            InvalidRequest: There is no such name.
        """
        everyone = {*self._given, *names}
        if wanted and wanted not in everyone and wanted not in venues:
            known = ", ".join(sorted({*everyone, *venues}))
            raise InvalidRequest("venue", f"expected one of {known}, received {wanted[:64]!r}")
        chosen = [wanted] if wanted else sorted(everyone)
        return [self._attribution(name, names.get(name, HitCounts(0, 0))) for name in chosen]

    def _row(self, owner: str, source: str) -> _Source:
        return self._given.setdefault(owner, {}).setdefault(source, _Source())

    def _attribution(self, name: str, counts: HitCounts) -> cache_pb2.VenueAttribution:
        sources = self._given.get(name, {})
        row = cache_pb2.VenueAttribution(
            venue=name,
            ts_last_update=max((one.ts_last_update for one in sources.values()), default=0),
            cache_hits=counts.hits,
            cache_misses=counts.misses,
            freshness=self.freshness(name),
            sources=[
                cache_pb2.SourceUse(
                    source=source,
                    ts_last_update=one.ts_last_update,
                    used=one.used,
                    dropped=one.dropped,
                    latency=_quantiles(one.latency),
                )
                for source, one in sorted(sources.items())
            ],
        )
        busiest = max(sources.values(), key=lambda one: one.latency.count, default=None)
        latency = None if busiest is None else _quantiles(busiest.latency)
        if latency is not None:
            row.latency.CopyFrom(latency)
        return row


def freshness_of(source: str, data_class: str, *, ts_newest: int, now_ns: int) -> cache_pb2.SourceFreshness:
    """Return the age of data with its penalty and its word (D2).

    Example:
        >>> told = freshness_of("kraken", "stream", ts_newest=0, now_ns=180 * 10**9)
        >>> round(told.penalty_ratio, 4), cache_pb2.Freshness.Name(told.freshness)
        (0.4482, 'FRESHNESS_STALE')
    """
    age_ns = max(0, now_ns - ts_newest)
    return cache_pb2.SourceFreshness(
        source=source,
        data_class=data_class,
        ts_newest=ts_newest,
        age_ns=age_ns,
        penalty_ratio=penalty_ratio(age_ns),
        freshness=_WORDS[status(age_ns)],
    )


def _quantiles(latency: Latency) -> types_pb2.LatencyQuantiles | None:
    found = latency.quantiles()
    if found is None:
        return None
    return types_pb2.LatencyQuantiles(
        count=found.count,
        p50_ns=found.p50_ns,
        p90_ns=found.p90_ns,
        p99_ns=found.p99_ns,
        p999_ns=found.p999_ns,
    )
