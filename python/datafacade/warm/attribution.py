"""Count who gave what: for each kind of answer its sources, when they last spoke, and how long they took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from datafacade.clock import Clock
from datafacade.errors import InvalidRequest
from datafacade.observe.latency import Latency
from datafacade.v1 import cache_pb2, types_pb2

RECONCILED: Final = "reconciled"  # prices that no single venue makes


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


class Attribution:
    """Sources by the name under which answers leave: a venue's, or ``reconciled``. Owned by the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: dict[str, dict[str, _Source]] = {}

    def used(self, owner: str, source: str, *, latency_ns: int) -> None:
        """Note that a source's answer went into one of ours."""
        row = self._row(owner, source)
        row.used += 1
        row.ts_last_update = self._clock.wall_ns()
        row.latency.record(latency_ns)

    def dropped(self, owner: str, source: str) -> None:
        """Note that a source was asked and its answer was not used, or never came."""
        self._row(owner, source).dropped += 1

    def rows(
        self, names: Mapping[str, HitCounts], wanted: str, known: Callable[[str], bool]
    ) -> list[cache_pb2.VenueAttribution]:
        """Return what was counted, by name.

        Args:
            names: Cache counts by the same names.
            wanted: One name; empty: all.
            known: Whether a name that nothing was asked of yet is one of ours.

        Raises:
            InvalidRequest: There is no such name.
        """
        everyone = {*self._given, *names}
        if wanted and wanted not in everyone and not known(wanted):
            raise InvalidRequest("venue", f"expected one of {', '.join(sorted(everyone))}")
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
