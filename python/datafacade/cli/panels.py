"""Draw how the service is as panels: venues, cache, freshness, sources. Every figure was told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from rich.table import Table
from rich.text import Text

from datafacade.cli.message import plain, word
from datafacade.cli.output import table_of
from datafacade.cli.text import NOTHING, clean, duration, span
from datafacade.client import Client
from datafacade.v1 import cache_pb2, health_pb2, lineage_pb2
from datafacade.warm.freshness import Light, freshness_light, hit_ratio_light

STATUS: Final = {"HEALTHY": "bold green", "DEGRADED": "bold yellow", "OFFLINE": "bold red"}
STREAM: Final = "stream"  # class of what a venue streams
NS_PER_MS: Final = 1_000_000


class Status(NamedTuple):
    """What was asked at one moment."""

    health: health_pb2.HealthResponse
    cache: cache_pb2.CacheSummary
    sources: list[cache_pb2.VenueAttribution]

    def values(self) -> dict[str, Any]:
        """Return it for programs, in the contract's words."""
        return {
            "health": plain(self.health),
            "cache": plain(self.cache),
            "sources": [plain(row) for row in self.sources],
        }


async def status_of(client: Client) -> Status:
    """Ask for everything that the panels show.

    Raises:
        ClientError: The service is not there.
    """
    health = await client.health(summary_only=True)
    return Status(health, await client.cache_stats(), await client.source_attribution())


def venues_table(health: health_pb2.HealthResponse) -> Table:
    """Return a row for each venue and aggregator; latency: 99th percentile, socket to published."""
    table = table_of("VENUE", "STATUS", "WS", "REST", ">LATENCY P99", "RECOMMENDATION")
    for row in health.venues:
        socket = Text("connected") if row.ws_connected else Text("down", style="red")
        _add_venue(table, row, socket)
    for row in health.aggregators:
        _add_venue(table, row, Text(NOTHING))  # they have REST only
    return table


def _add_venue(table: Table, row: health_pb2.VenueHealth, socket: Text) -> None:
    status = str(word(health_pb2.HealthStatus.DESCRIPTOR, row.status))
    advice = str(word(health_pb2.Recommendation.DESCRIPTOR, row.recommendation))
    rest = NOTHING if not row.HasField("rest_healthy") else "ok" if row.rest_healthy else "failing"
    stands_in = ", stands in" if row.is_rest_fallback else ""
    table.add_row(
        Text(clean(row.venue, 32), style="bold"),
        Text(status.lower(), style=STATUS.get(status, "")),
        socket,
        Text(rest + stands_in, style="red" if rest == "failing" else "yellow" if stands_in else ""),
        duration(row.latency_ns_p99) if row.HasField("latency_ns_p99") else NOTHING,
        "not judged yet" if advice == "UNSPECIFIED" else advice.lower().replace("_", " "),
    )


def cache_table(cache: cache_pb2.CacheSummary) -> Table:
    """Return a row for each cache class and tier."""
    table = table_of("TIER", ">TTL", ">HITS", ">MISSES", ">ENTRIES", ">HIT_RATIO")
    for row in cache.classes:
        tier = word(lineage_pb2.CacheTier.DESCRIPTOR, row.tier)
        ratio = f"{row.hit_ratio:.1%}" if row.HasField("hit_ratio") else NOTHING
        table.add_row(
            Text(f"{clean(row.cache_class, 32)} ({tier})", style="bold"),
            span(row.ttl_ms * NS_PER_MS) if row.ttl_ms else NOTHING,
            f"{row.hits:,}",
            f"{row.misses:,}",
            f"{row.entries:,}",
            Text(f"{ratio} {hit_ratio_light(row.hits, row.misses).sign}"),
        )
    return table


def freshness_table(health: health_pb2.HealthResponse) -> Table:
    """Return how old the newest data of each source and class are; a venue that streamed nothing has none."""
    table = table_of("SOURCE", "DATA", ">AGE", ">PENALTY", "")
    for row in health.freshness:
        age, penalty = span(row.age_ns), f"{row.penalty_ratio:.0%}"
        _add_age(table, row.source, row.data_class, (age, penalty), freshness_light(row.age_ns))
    told = {row.source for row in health.freshness if row.data_class == STREAM}
    for venue in health.venues:
        if venue.venue not in told:
            _add_age(table, venue.venue, STREAM, ("no data", NOTHING), freshness_light(None))
    return table


def _add_age(table: Table, source: str, data: str, told: tuple[str, str], light: Light) -> None:
    table.add_row(Text(clean(source, 32), style="bold"), Text(clean(data, 32)), *told, Text(light.sign))


def sources_table(rows: Iterable[cache_pb2.VenueAttribution]) -> Table:
    """Return who gave what: a row for each source of each venue, with how long it took."""
    table = table_of("DATA", "SOURCE", ">USED", ">DROPPED", ">P50", ">P99", ">CACHE HITS", ">MISSES")
    for owner in rows:
        for number, source in enumerate(owner.sources):
            quantiles = source.latency
            times = (quantiles.p50_ns, quantiles.p99_ns) if quantiles.count else ()
            counts = (f"{owner.cache_hits:,}", f"{owner.cache_misses:,}") if number == 0 else ("", "")
            table.add_row(
                Text(clean(owner.venue, 32) if number == 0 else "", style="bold"),
                Text(clean(source.source, 32)),
                f"{source.used:,}",
                f"{source.dropped:,}",
                *([duration(ns) for ns in times] or [NOTHING, NOTHING]),
                *counts,
            )
    return table
