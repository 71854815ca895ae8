"""The page for Prometheus tells what Health tells, and nothing that has no bound."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from datafacade.errors import AddressTaken
from datafacade.serve.metrics import MetricsServer
from datafacade.v1 import cache_pb2, health_pb2, lineage_pb2, types_pb2


def health() -> health_pb2.HealthResponse:
    """Return an answer in which every figure differs."""
    answer = health_pb2.HealthResponse(status=health_pb2.HEALTH_STATUS_DEGRADED, uptime_ns=2_500_000_000)
    venue = answer.venues.add(venue="kraken", ws_connected=True, error_ratio=0.25)
    venue.counts.trades, venue.counts.gaps = 17, 3
    venue.streams.add(symbol="BTC-USD", channel=types_pb2.CHANNEL_BOOK_L2, state=types_pb2.STATE_LIVE)
    venue.streams.add(symbol="ETH-USD", channel=types_pb2.CHANNEL_BOOK_L2, state=types_pb2.STATE_STALE)
    venue.streams.add(symbol="ADA-USD", channel=types_pb2.CHANNEL_BOOK_L2, state=types_pb2.STATE_LIVE)
    quantiles = types_pb2.LatencyQuantiles(count=9, p50_ns=1_000, p90_ns=2_000, p99_ns=3_000, p999_ns=4_000)
    venue.latencies.add(stage=health_pb2.LATENCY_STAGE_REST, quantiles=quantiles)
    venue.rate_limits.add(budget="rest:spot", limit=15, remaining=11)
    venue.breakers.add(transport="http:spot", state=health_pb2.BREAKER_STATE_OPEN)
    answer.edge.unary_calls, answer.edge.ring_bytes = 44, 4_096
    row = cache_pb2.CacheClassStats(
        cache_class="prices_hot", tier=lineage_pb2.CACHE_TIER_L1, hits=8, misses=2, hit_ratio=0.8
    )
    answer.cache.classes.append(row)
    answer.cache.classes.add(cache_class="all", tier=lineage_pb2.CACHE_TIER_L2, hits=1, hit_ratio=0.5)
    answer.cache.l2_connected = False
    answer.edge.latencies.add(stage=health_pb2.LATENCY_STAGE_UNARY, quantiles=quantiles)
    answer.warnings.append("SECOND_TIER_AWAY")
    gecko = answer.aggregators.add(venue="coingecko", status=health_pb2.HEALTH_STATUS_OFFLINE)
    gecko.error_ratio = 0.75
    gecko.rate_limits.add(
        budget="rest@2678400s", limit=8_000, remaining=7_999, ts_backoff_until=3_000_000_000
    )
    gecko.latencies.add(stage=health_pb2.LATENCY_STAGE_REST, quantiles=quantiles)
    answer.freshness.add(
        source="coingecko", data_class="prices_warm", age_ns=180_000_000_000, penalty_ratio=0.4375
    )
    pit = answer.pit
    pit.snapshots, pit.bytes_live, pit.bytes_written, pit.committed = 70, 71_000, 72_000, 73
    pit.skipped, pit.failed, pit.compression_ratio = 74, 75, 7.5
    pit.scrubbed, pit.ts_scrubbed, pit.damaged = 76, 77_000_000_000, 78
    pit.index.is_connected, pit.index.behind = True, 79
    return answer


def sources() -> list[cache_pb2.VenueAttribution]:
    """Return who gave what."""
    latency = types_pb2.LatencyQuantiles(count=2, p50_ns=5_000_000, p99_ns=6_000_000)
    use = cache_pb2.SourceUse(source="coingecko", used=5, dropped=1, latency=latency)
    return [cache_pb2.VenueAttribution(venue="reconciled", sources=[use])]


async def scrape(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return each sample by its name and labels, as Prometheus reads it."""
    async with aiohttp.ClientSession() as session, session.get(url) as page:
        assert page.status == 200
        text = await page.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.proves("REQ-H5")
@pytest.mark.proves("REQ-H7")
@pytest.mark.proves("REQ-H8")
async def test_the_page_tells_what_health_tells() -> None:
    page = MetricsServer(health, port=0, sources=sources)
    url = await page.start()
    try:
        assert url.startswith("http://127.0.0.1:")
        told = await scrape(url)
    finally:
        await page.stop()
    venue = ("venue", "kraken")
    rows = ("channel", "book_l2")
    expected = {
        ("datafacade_service_uptime_seconds", ()): 2.5,
        ("datafacade_hot_trades_total", (venue,)): 17,
        ("datafacade_hot_gaps_total", (venue,)): 3,
        ("datafacade_hot_connected", (venue,)): 1,
        ("datafacade_hot_streams", (rows, ("state", "live"), venue)): 2,
        ("datafacade_hot_streams", (rows, ("state", "stale"), venue)): 1,
        ("datafacade_hot_latency_seconds", (("quantile", "0.99"), ("stage", "rest"), venue)): 3e-6,
        ("datafacade_guard_error_ratio", (venue,)): 0.25,
        ("datafacade_guard_budget_remaining", (("budget", "rest:spot"), venue)): 11,
        ("datafacade_guard_breaker_open", (("transport", "http:spot"), venue)): 1,
        ("datafacade_edge_unary_calls_total", ()): 44,
        ("datafacade_edge_ring_bytes", ()): 4_096,
        ("datafacade_cache_hits_total", (("class", "prices_hot"), ("tier", "l1"))): 8,
        ("datafacade_cache_misses_total", (("class", "prices_hot"), ("tier", "l1"))): 2,
        ("datafacade_cache_hit_ratio", (("class", "prices_hot"), ("tier", "l1"))): 0.8,
        ("datafacade_cache_hit_ratio", (("class", "all"), ("tier", "l2"))): 0.5,
        ("datafacade_cache_l2_connected", ()): 0,
        ("datafacade_service_warning", (("warning", "second_tier_away"),)): 1,
        ("datafacade_guard_error_ratio", (("venue", "coingecko"),)): 0.75,
        ("datafacade_guard_budget_remaining", (("budget", "rest@2678400s"), ("venue", "coingecko"))): 7_999,
        ("datafacade_guard_backoff_until_seconds", (("budget", "rest@2678400s"), ("venue", "coingecko"))): 3,
        ("datafacade_warm_source_status", (("source", "coingecko"), ("status", "offline"))): 1,
        ("datafacade_warm_age_seconds", (("class", "prices_warm"), ("source", "coingecko"))): 180,
        (
            "datafacade_warm_freshness_penalty_ratio",
            (("class", "prices_warm"), ("source", "coingecko")),
        ): 0.4375,
        ("datafacade_pit_snapshots", ()): 70,
        ("datafacade_pit_bytes_live", ()): 71_000,
        ("datafacade_pit_bytes_written_total", ()): 72_000,
        ("datafacade_pit_committed_total", ()): 73,
        ("datafacade_pit_skipped_total", ()): 74,
        ("datafacade_pit_failed_total", ()): 75,
        ("datafacade_pit_compression_ratio", ()): 7.5,
        ("datafacade_pit_scrubbed_total", ()): 76,
        ("datafacade_pit_scrubbed_until_seconds", ()): 77,
        ("datafacade_pit_damaged", ()): 78,
        ("datafacade_pit_index_connected", ()): 1,
        ("datafacade_pit_index_whole", ()): 0,
        ("datafacade_pit_index_behind", ()): 79,
        ("datafacade_warm_source_answers_total", answers("used")): 5,
        ("datafacade_warm_source_answers_total", answers("dropped")): 1,
    }
    for quantile, seconds in (("0.5", 1e-6), ("0.99", 3e-6)):
        stage = (("quantile", quantile), ("stage", "unary"), ("venue", ""))
        expected["datafacade_edge_latency_seconds", stage] = seconds
        stage = (("quantile", quantile), ("stage", "rest"), ("venue", "coingecko"))
        expected["datafacade_warm_latency_seconds", stage] = seconds
    for quantile, seconds in (("0.5", 5e-3), ("0.99", 6e-3)):
        place = (("owner", "reconciled"), ("quantile", quantile), ("source", "coingecko"))
        expected["datafacade_warm_source_seconds", place] = seconds
    assert {name: told.get(name) for name in expected} == expected
    status = {
        dict(labels)["status"]: value for (name, labels), value in told.items() if "service_status" in name
    }
    assert [word for word, value in status.items() if value] == ["degraded"]


def answers(fate: str) -> tuple[tuple[str, str], ...]:
    return (("fate", fate), ("owner", "reconciled"), ("source", "coingecko"))


@pytest.mark.proves("CTL-S31")
async def test_no_label_holds_a_symbol() -> None:
    page = MetricsServer(health, port=0)
    try:
        told = await scrape(await page.start())
    finally:
        await page.stop()
    assert "BTC-USD" not in str(list(told))


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        page = MetricsServer(health, port=other.getsockname()[1])
        with pytest.raises(AddressTaken, match=str(other.getsockname()[1])):
            await page.start()
