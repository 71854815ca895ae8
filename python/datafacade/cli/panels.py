"""Draw how the service is as panels: venues, cache, freshness, sources. Every figure was told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from datafacade.cli.message import plain, word
from datafacade.cli.text import NOTHING, clean, duration, span
from datafacade.client import Client
from datafacade.v1 import cache_pb2, health_pb2, lineage_pb2
from datafacade.warm.freshness import Light, freshness_light, hit_ratio_light

STATUS: Final = {"HEALTHY": "bold green", "DEGRADED": "bold yellow", "OFFLINE": "bold red"}
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


def venues_table(rows: Iterable[health_pb2.VenueHealth]) -> Table:
    """Return a row for each venue; the latency is the 99th percentile from socket to published."""
    table = _table("VENUE", "STATUS", "WS", "REST")
    table.add_column("LATENCY P99", justify="right", no_wrap=True)
    table.add_column("RECOMMENDATION", no_wrap=True)
    for row in rows:
        status = str(word(health_pb2.HealthStatus.DESCRIPTOR, row.status))
        advice = str(word(health_pb2.Recommendation.DESCRIPTOR, row.recommendation))
        rest = NOTHING if not row.HasField("rest_healthy") else "ok" if row.rest_healthy else "failing"
        table.add_row(
            Text(clean(row.venue, 32), style="bold"),
            Text(status.lower(), style=STATUS.get(status, "")),
            Text("connected") if row.ws_connected else Text("down", style="red"),
            Text(rest, style="red" if rest == "failing" else ""),
            duration(row.latency_ns_p99) if row.HasField("latency_ns_p99") else NOTHING,
            "not judged yet" if advice == "UNSPECIFIED" else advice.lower().replace("_", " "),
        )
    return table


def cache_table(cache: cache_pb2.CacheSummary) -> Table:
    """Return a row for each cache class and tier."""
    table = _table("TIER")
    for name in ("TTL", "HITS", "MISSES", "ENTRIES", "HIT_RATIO"):
        table.add_column(name, justify="right", no_wrap=True)
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


def freshness_table(status: Status) -> Table:
    """Return how old the newest thing is that each source gave: by stream, and by each REST source."""
    table = _table("DATA", "SOURCE")
    table.add_column("AGE", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    now = status.health.ts_measured
    for venue in status.health.venues:
        _add_age(table, clean(venue.venue, 32), "stream", _age(venue.ts_last_seen, now))
    for owner in status.sources:
        for source in owner.sources:
            _add_age(
                table, clean(owner.venue, 32), clean(source.source, 32), _age(source.ts_last_update, now)
            )
    return table


def sources_table(rows: Iterable[cache_pb2.VenueAttribution]) -> Table:
    """Return who gave what: a row for each source of each venue, with how long it took."""
    table = _table("DATA", "SOURCE")
    for name in ("USED", "DROPPED", "P50", "P99", "CACHE HITS", "MISSES"):
        table.add_column(name, justify="right", no_wrap=True)
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


def _age(ts_last: int, now: int) -> int | None:
    """Return an age, ns; None: nothing came yet."""
    return max(0, now - ts_last) if ts_last else None


def _add_age(table: Table, data: str, source: str, age_ns: int | None) -> None:
    light = freshness_light(age_ns)
    told = "no data" if light is Light.NONE or age_ns is None else span(age_ns)
    table.add_row(Text(data, style="bold"), Text(source), told, Text(light.sign))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim")
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table
