"""Show the figures of Health to Prometheus, on a loopback port of its own.

Every scrape asks for Health anew, so both always tell the same. Labels come from closed sets: venues,
channels, states, budgets and cache classes of the configuration; never a symbol, a client or outside text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from datafacade.errors import AddressTaken
from datafacade.v1 import health_pb2, lineage_pb2, types_pb2

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
QUANTILES: Final = (("0.5", "p50_ns"), ("0.9", "p90_ns"), ("0.99", "p99_ns"), ("0.999", "p999_ns"))

AskHealth = Callable[[], health_pb2.HealthResponse]


class MetricsServer:
    """One page, ``/metrics``. Owned by the event loop."""

    def __init__(self, ask: AskHealth, *, port: int) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_HealthCollector(ask))
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

    def __init__(self, ask: AskHealth) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        health = self._ask()
        up = GaugeMetricFamily("datafacade_service_status", "1 for the status that holds", labels=["status"])
        for value, name in health_pb2.HealthStatus.items():
            if name:
                up.add_metric([_word(value, "HEALTH_STATUS_")], float(health.status == name))
        yield up
        yield GaugeMetricFamily(
            "datafacade_service_uptime_seconds", "since the start", value=health.uptime_ns / NS_PER_S
        )
        yield from _venues(health.venues)
        yield from _edge(health.edge)
        yield from _cache(health)


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
    yield from _guards(rows)


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
    for venue in venues:
        for row in venue.rate_limits:
            limit.add_metric([venue.venue, row.budget], row.limit)
            remaining.add_metric([venue.venue, row.budget], row.remaining)
        for breaker in venue.breakers:
            breakers.add_metric([venue.venue, breaker.transport], opened.get(breaker.state, 0.0))
        if venue.HasField("error_ratio"):
            errors.add_metric([venue.venue], venue.error_ratio)
    yield limit
    yield remaining
    yield breakers
    yield errors


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
    for name in ("entries", "entries_bytes"):
        gauge = GaugeMetricFamily(f"datafacade_cache_{name}", "now", labels=labels)
        for words, row in rows:
            gauge.add_metric(words, getattr(row, name))
        yield gauge


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
