"""Show the figures of Health to Prometheus, on a loopback port of its own.

Every scrape asks for Health anew, so both always tell the same. Labels come from closed sets: venues,
channels, states, budgets and cache classes of the configuration; never a symbol, a client or outside text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from datafacade.errors import AddressTaken
from datafacade.v1 import cache_pb2, health_pb2, lineage_pb2, types_pb2

HOST: Final = "127.0.0.1"
NS_PER_S: Final = 1_000_000_000
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
COUNTS: Final = (
    "messages",
    "trades",
    "book_updates",
    "gaps",
    "resyncs",
    "reconnects",
    "proofs_checked",
    "proofs_failed",
    "unknown_messages",
    "undecodable_messages",
    "duplicates",
    "bad_ticks",
    "audits_agreed",
    "audits_suspected",
    "audits_damaged",
    "audits_inconclusive",
)
EDGE_COUNTS: Final = (
    "updates_sent",
    "bytes_sent",
    "responses_sent",
    "updates_skipped",
    "slow_readers",
    "unary_calls",
    "unary_cached",
    "unary_failed",
)
EDGE_GAUGES: Final = ("subscribers", "connections", "calls_queued", "topics", "ring_bytes")
CACHE_COUNTS: Final = ("hits", "misses", "evictions", "expirations")
PIT_COUNTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "committed": "snapshots since the start",
        "skipped": "answers that were not kept",
        "failed": "snapshots that the disk refused",
        "bytes_written": "of all files",
        "scrubbed": "snapshots that were read again",
    }
)
PIT_GAUGES: Final[Mapping[str, str]] = MappingProxyType(
    {"snapshots": "that are kept", "bytes_live": "of their answers", "damaged": "snapshots and files"}
)
QUANTILES: Final = (("0.5", "p50_ns"), ("0.9", "p90_ns"), ("0.99", "p99_ns"), ("0.999", "p999_ns"))

AskHealth = Callable[[], health_pb2.HealthResponse]
AskSources = Callable[[], Sequence[cache_pb2.VenueAttribution]]


class MetricsServer:
    """One page, ``/metrics``. Owned by the event loop."""

    def __init__(self, ask: AskHealth, *, port: int, sources: AskSources = list) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_HealthCollector(ask, sources))
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listen; return the URL of the page.

        Raises:
            AddressTaken: Another program listens there.
        """
        app = web.Application()
        app.router.add_get("/metrics", self._page)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self.stop()
            raise AddressTaken(f"{HOST}:{self._port}") from error
        return f"http://{HOST}:{self._runner.addresses[0][1]}/metrics"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE})


class _HealthCollector(Collector):
    """Turns one answer of Health into families of metrics."""

    def __init__(self, ask: AskHealth, sources: AskSources) -> None:
        self._ask = ask
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        health = self._ask()
        up = GaugeMetricFamily("datafacade_service_status", "1 for the status that holds", labels=["status"])
        for name, number in health_pb2.HealthStatus.items():
            if number:
                up.add_metric([_word(name, "HEALTH_STATUS_")], float(health.status == number))
        yield up
        yield GaugeMetricFamily(
            "datafacade_service_uptime_seconds", "since the start", value=health.uptime_ns / NS_PER_S
        )
        yield from _warnings(health)
        yield from _venues(health.venues)
        yield from _guards([*health.venues, *health.aggregators])
        yield from _aggregators(health)
        yield from _edge(health.edge)
        yield from _cache(health)
        yield from _freshness(health.freshness)
        if health.HasField("pit"):
            yield from _pit(health.pit)
        yield from _uses(self._sources())


def _venues(venues: Iterable[health_pb2.VenueHealth]) -> Iterator[Metric]:
    rows = list(venues)
    connected = GaugeMetricFamily(
        "datafacade_hot_connected", "1: a socket of the venue is open", labels=["venue"]
    )
    streams = GaugeMetricFamily(
        "datafacade_hot_streams", "followed topics by state", labels=["venue", "channel", "state"]
    )
    for venue in rows:
        connected.add_metric([venue.venue], float(venue.ws_connected))
        states = Counter((row.channel, row.state) for row in venue.streams)
        for (channel, state), count in states.items():
            words = [_word(types_pb2.Channel.Name(channel), "CHANNEL_")]
            words.append(_word(types_pb2.State.Name(state), "STATE_"))
            streams.add_metric([venue.venue, *words], count)
    yield connected
    yield streams
    for name in COUNTS:
        family = CounterMetricFamily(f"datafacade_hot_{name}", "since the start", labels=["venue"])
        for venue in rows:
            family.add_metric([venue.venue], getattr(venue.counts, name))
        yield family
    yield _latencies("datafacade_hot_latency_seconds", ((row.venue, row.latencies) for row in rows))
    fallback = GaugeMetricFamily(
        "datafacade_hot_rest_fallback", "1: REST stands in for a socket", labels=["venue"]
    )
    for venue in rows:
        fallback.add_metric([venue.venue], float(venue.is_rest_fallback))
    yield fallback


def _guards(venues: Iterable[health_pb2.VenueHealth]) -> Iterator[Metric]:
    labels = ["venue", "budget"]
    limit = GaugeMetricFamily("datafacade_guard_budget_limit", "weight of the window", labels=labels)
    remaining = GaugeMetricFamily("datafacade_guard_budget_remaining", "weight that is left", labels=labels)
    breakers = GaugeMetricFamily(
        "datafacade_guard_breaker_open", "0 closed, 0.5 half open, 1 open", labels=["venue", "transport"]
    )
    opened = {health_pb2.BREAKER_STATE_OPEN: 1.0, health_pb2.BREAKER_STATE_HALF_OPEN: 0.5}
    errors = GaugeMetricFamily(
        "datafacade_guard_error_ratio", "failed REST calls of the last 5 minutes", labels=["venue"]
    )
    backoff = GaugeMetricFamily(
        "datafacade_guard_backoff_until_seconds", "unix time; 0: the venue asked for no pause", labels=labels
    )
    for venue in venues:
        for row in venue.rate_limits:
            limit.add_metric([venue.venue, row.budget], row.limit)
            remaining.add_metric([venue.venue, row.budget], row.remaining)
            backoff.add_metric([venue.venue, row.budget], row.ts_backoff_until / NS_PER_S)
        for breaker in venue.breakers:
            breakers.add_metric([venue.venue, breaker.transport], opened.get(breaker.state, 0.0))
        if venue.HasField("error_ratio"):
            errors.add_metric([venue.venue], venue.error_ratio)
    yield limit
    yield remaining
    yield backoff
    yield breakers
    yield errors


def _warnings(health: health_pb2.HealthResponse) -> Iterator[Metric]:
    """Tell what an operator should know: alert on ``datafacade_service_warning``."""
    family = GaugeMetricFamily("datafacade_service_warning", "1: it holds now", labels=["warning"])
    for warning in health.warnings:
        family.add_metric([warning.lower()], 1.0)
    yield family


def _aggregators(health: health_pb2.HealthResponse) -> Iterator[Metric]:
    rows = health.aggregators
    yield _latencies("datafacade_warm_latency_seconds", ((row.venue, row.latencies) for row in rows))
    sources = GaugeMetricFamily(
        "datafacade_warm_source_status", "1 for the status that holds", labels=["source", "status"]
    )
    for row in rows:
        word = _word(health_pb2.HealthStatus.Name(row.status), "HEALTH_STATUS_")
        sources.add_metric([row.venue, word], 1.0)
    yield sources


def _freshness(rows: Iterable[cache_pb2.SourceFreshness]) -> Iterator[Metric]:
    labels = ["source", "class"]
    age = GaugeMetricFamily("datafacade_warm_age_seconds", "age of the newest data", labels=labels)
    penalty = GaugeMetricFamily(
        "datafacade_warm_freshness_penalty_ratio", "0 fresh to 0.95 expired", labels=labels
    )
    for row in rows:
        age.add_metric([row.source, row.data_class], row.age_ns / NS_PER_S)
        penalty.add_metric([row.source, row.data_class], row.penalty_ratio)
    yield age
    yield penalty


def _uses(owners: Iterable[cache_pb2.VenueAttribution]) -> Iterator[Metric]:
    """Tell who gave what: by whose name the answer bears, and who was asked for it."""
    answers = CounterMetricFamily(
        "datafacade_warm_source_answers", "by what became of them", labels=["owner", "source", "fate"]
    )
    latency = GaugeMetricFamily(
        "datafacade_warm_source_seconds", "time to answer", labels=["owner", "source", "quantile"]
    )
    for owner in owners:
        for use in owner.sources:
            answers.add_metric([owner.venue, use.source, "used"], use.used)
            answers.add_metric([owner.venue, use.source, "dropped"], use.dropped)
            if use.HasField("latency"):
                for quantile, field in QUANTILES:
                    seconds = getattr(use.latency, field) / NS_PER_S
                    latency.add_metric([owner.venue, use.source, quantile], seconds)
    yield answers
    yield latency


def _edge(edge: health_pb2.EdgeHealth) -> Iterator[Metric]:
    for name in EDGE_COUNTS:
        yield CounterMetricFamily(f"datafacade_edge_{name}", "since the start", value=getattr(edge, name))
    for name in EDGE_GAUGES:
        yield GaugeMetricFamily(f"datafacade_edge_{name}", "now", value=getattr(edge, name))
    yield _latencies("datafacade_edge_latency_seconds", [("", edge.latencies)])


def _cache(health: health_pb2.HealthResponse) -> Iterator[Metric]:
    labels = ["class", "tier"]
    rows = [
        ([row.cache_class, _word(lineage_pb2.CacheTier.Name(row.tier), "CACHE_TIER_")], row)
        for row in health.cache.classes
    ]
    for name in CACHE_COUNTS:
        family = CounterMetricFamily(f"datafacade_cache_{name}", "since the start", labels=labels)
        for words, row in rows:
            family.add_metric(words, getattr(row, name))
        yield family
    ratio = GaugeMetricFamily("datafacade_cache_hit_ratio", "hits over hits and misses", labels=labels)
    for words, row in rows:
        if row.HasField("hit_ratio"):
            ratio.add_metric(words, row.hit_ratio)
    yield ratio
    if health.cache.HasField("l2_connected"):
        connected = float(health.cache.l2_connected)
        yield GaugeMetricFamily("datafacade_cache_l2_connected", "1: it answers", value=connected)
    for name in ("entries", "entries_bytes"):
        gauge = GaugeMetricFamily(f"datafacade_cache_{name}", "now", labels=labels)
        for words, row in rows:
            gauge.add_metric(words, getattr(row, name))
        yield gauge


def _pit(pit: health_pb2.PitHealth) -> Iterator[Metric]:
    for name, told in PIT_COUNTS.items():
        yield CounterMetricFamily(f"datafacade_pit_{name}", told, value=getattr(pit, name))
    for name, told in PIT_GAUGES.items():
        yield GaugeMetricFamily(f"datafacade_pit_{name}", told, value=getattr(pit, name))
    through = pit.ts_scrubbed / NS_PER_S
    yield GaugeMetricFamily("datafacade_pit_scrubbed_until_seconds", "unix time; 0: not yet", value=through)
    if pit.HasField("compression_ratio"):
        told = "readable bytes in packed ones"
        yield GaugeMetricFamily("datafacade_pit_compression_ratio", told, value=pit.compression_ratio)
    if pit.HasField("index"):
        for name in ("is_connected", "is_whole", "behind"):
            value = float(getattr(pit.index, name))
            word = name.removeprefix("is_")
            yield GaugeMetricFamily(f"datafacade_pit_index_{word}", "references in Redis", value=value)


def _latencies(
    name: str, owners: Iterable[tuple[str, Iterable[health_pb2.StageLatency]]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, "real quantiles since the start", labels=["venue", "stage", "quantile"])
    for venue, latencies in owners:
        for row in latencies:
            stage = _word(health_pb2.LatencyStage.Name(row.stage), "LATENCY_STAGE_")
            for quantile, field in QUANTILES:
                family.add_metric([venue, stage, quantile], getattr(row.quantiles, field) / NS_PER_S)
    return family


def _word(name: str, prefix: str) -> str:
    """Return the name of a value as a label.

    Example:
        >>> _word("LATENCY_STAGE_REST", "LATENCY_STAGE_")
        'rest'
    """
    return name.removeprefix(prefix).lower()
