"""Join what the parts tell of themselves into one answer of Health: budgets, caches, ages, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.hot.consolidated import spot_venues
from datafacade.hot.ports import Hub
from datafacade.hot.rest_health import aggregator_health
from datafacade.hot.tier import HotTier
from datafacade.types import CONSOLIDATED, Topic
from datafacade.v1 import cache_pb2, health_pb2
from datafacade.warm.attribution import freshness_of
from datafacade.warm.cases import WarmCases
from datafacade.warm.stats import SECOND_TIER_AWAY, cache_warnings

_H = health_pb2
REST_FALLBACK: Final = "REST_FALLBACK"
WEBSOCKET: Final = "websocket"
STREAM: Final = "stream"  # class of what a venue streams, beside the classes of the cache


class Overview:
    """Fills the parts of an answer that no single venue knows."""

    def __init__(self, config: Config, *, tier: HotTier, warm: WarmCases, hub: Hub, clock: Clock) -> None:
        self._config = config
        self._tier = tier
        self._warm = warm
        self._hub = hub
        self._clock = clock

    def complete(self, answer: _H.HealthResponse, cache: cache_pb2.CacheSummary) -> None:
        """Add everything else to an answer that holds its venues and its edge.

        Args:
            answer: Whose venues are filled in.
            cache: The figures of both tiers.
        """
        answer.cache.CopyFrom(cache)
        answer.aggregators.extend(self.aggregators())
        answer.freshness.extend(self._freshness(answer.venues))
        answer.consolidated.extend(self._consolidated())
        self._limits(answer.limits)
        if answer.HasField("edge"):
            held = self._hub.stats()
            answer.edge.topics, answer.edge.ring_bytes = held["topics"], held["ring_bytes"]
        rules = self._config.cache
        answer.warnings.extend(
            cache_warnings(
                cache,
                hit_ratio_min=rules.hit_ratio_min,
                prices_hot_hit_ratio_min=rules.prices_hot_hit_ratio_min,
            )
        )
        if any(row.is_rest_fallback for row in answer.venues):
            answer.warnings.append(REST_FALLBACK)
        answer.status = _whole([row.status for row in answer.venues])
        if SECOND_TIER_AWAY in answer.warnings and answer.status == _H.HEALTH_STATUS_HEALTHY:
            answer.status = _H.HEALTH_STATUS_DEGRADED

    def aggregators(self) -> list[_H.VenueHealth]:
        """Return a row for each aggregator, sorted by name."""
        seen: dict[str, int] = {}
        for owner in self._warm.tier.attribution.rows({}, "", ()):
            for use in owner.sources:
                seen[use.source] = max(seen.get(use.source, 0), use.ts_last_update)
        hosts = sorted(self._warm.hosts, key=lambda host: host.venue)
        return [
            aggregator_health(host, clock=self._clock, ts_last_seen=seen.get(host.venue, 0)) for host in hosts
        ]

    def with_streams(
        self, rows: Sequence[cache_pb2.VenueAttribution], wanted: str
    ) -> list[cache_pb2.VenueAttribution]:
        """Add the sockets to the sources of the venues that streamed anything.

        Args:
            rows: What the warm tier counted.
            wanted: One venue; empty: all.
        """
        known = {row.venue: row for row in rows}
        for name, line in self._tier.venues.items():
            stats = [runner.stats() for runner in line.runners.values()]
            frames, ts_last = sum(one["frames"] for one in stats), max(one["ts_frame_last"] for one in stats)
            if frames and wanted in ("", name):
                row = known.setdefault(name, cache_pb2.VenueAttribution(venue=name))
                row.sources.add(source=WEBSOCKET, ts_last_update=ts_last, used=frames)
                row.ts_last_update = max(row.ts_last_update, ts_last)
                now = self._clock.wall_ns()
                row.freshness.append(freshness_of(name, STREAM, ts_newest=ts_last, now_ns=now))
        return [known[name] for name in sorted(known)]

    def _freshness(self, venues: Sequence[_H.VenueHealth]) -> list[cache_pb2.SourceFreshness]:
        """Return the age of what was asked for by REST, and of what streams now."""
        now = self._clock.wall_ns()
        rows = self._warm.tier.attribution.freshness()
        rows += [
            freshness_of(venue.venue, STREAM, ts_newest=venue.ts_last_seen, now_ns=now)
            for venue in venues
            if venue.ts_last_seen and venue.connections
        ]
        return sorted(rows, key=lambda row: (row.source, row.data_class))

    def _consolidated(self) -> list[_H.ConsolidatedHealth]:
        followed = sorted(topic for topic in self._tier.interest.topics() if topic.venue == CONSOLIDATED)
        return [self._joint(topic) for topic in followed]

    def _joint(self, topic: Topic) -> _H.ConsolidatedHealth:
        return _H.ConsolidatedHealth(
            symbol=topic.symbol,
            venues=spot_venues(self._tier.resolver, topic.symbol),
            seq_head=self._hub.head(*topic),
            subscribers=self._hub.subscribers(*topic),
        )

    def _limits(self, limits: _H.ServiceLimits) -> None:
        service = self._config.service
        limits.pairs_max, limits.pairs = service.hot.max_pairs, len(self._tier.interest.symbols())
        limits.subscribers_max = service.server.streams_max
        limits.request_bytes_max = service.server.request_bytes_max
        limits.owed_bytes_max = service.hub.owed_bytes_max


def _whole(statuses: Sequence[_H.HealthStatus.ValueType]) -> _H.HealthStatus.ValueType:
    """Return the worst status; OFFLINE only if all are."""
    if not statuses or all(status == _H.HEALTH_STATUS_OFFLINE for status in statuses):
        return _H.HEALTH_STATUS_OFFLINE
    if all(status == _H.HEALTH_STATUS_HEALTHY for status in statuses):
        return _H.HEALTH_STATUS_HEALTHY
    return _H.HEALTH_STATUS_DEGRADED
