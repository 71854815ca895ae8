"""The status panels: what each figure is drawn from, and the lights of D6."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from datafacade.cli import menu
from datafacade.cli.panels import Status, cache_table, freshness_table, sources_table, venues_table
from datafacade.cli.populate import Item, as_values, items_of
from datafacade.v1 import cache_pb2, health_pb2, lineage_pb2, types_pb2
from tests.unit.cli.test_warm_views import EVIL, rows

SECOND = 10**9
NOW = 1_000 * SECOND


def status() -> Status:
    """Return a service with one venue, six minutes without news, and two sources."""
    venue = health_pb2.VenueHealth(
        venue=EVIL,
        status=health_pb2.HEALTH_STATUS_DEGRADED,
        ts_last_seen=NOW - 360 * SECOND,
        latency_ns_p99=2_500_000,
        rest_healthy=False,
        recommendation=health_pb2.RECOMMENDATION_CHECK_CONNECTION,
    )
    silent = health_pb2.VenueHealth(venue="okx", status=health_pb2.HEALTH_STATUS_OFFLINE, ws_connected=True)
    l1 = lineage_pb2.CACHE_TIER_L1
    classes = [
        cache_pb2.CacheClassStats(
            cache_class="a", tier=l1, hits=7, misses=3, hit_ratio=0.7, ttl_ms=5_000, entries=2
        ),
        cache_pb2.CacheClassStats(cache_class="b", tier=l1, hits=1, misses=1, hit_ratio=0.5, ttl_ms=5_000),
        cache_pb2.CacheClassStats(cache_class="c", tier=l1, hits=1, misses=3, hit_ratio=0.25, ttl_ms=5_000),
        cache_pb2.CacheClassStats(cache_class=EVIL, tier=lineage_pb2.CACHE_TIER_L2),
    ]  # fmt: skip
    owner = cache_pb2.VenueAttribution(
        venue="kraken",
        cache_hits=8,
        cache_misses=2,
        sources=[
            cache_pb2.SourceUse(
                source="kraken",
                used=5,
                ts_last_update=NOW - 60 * SECOND,
                latency=types_pb2.LatencyQuantiles(count=5, p50_ns=2_000_000, p99_ns=9_000_000),
            ),
            cache_pb2.SourceUse(source=EVIL, dropped=1, ts_last_update=NOW - 300 * SECOND),
            cache_pb2.SourceUse(source="never"),
        ],
    )
    ages = {EVIL: 360 * SECOND, "a": 60 * SECOND, "b": 300 * SECOND}
    health = health_pb2.HealthResponse(
        version="9.9",
        ts_measured=NOW,
        uptime_ns=90 * SECOND,
        venues=[venue, silent],
        aggregators=[health_pb2.VenueHealth(venue="coingecko", status=health_pb2.HEALTH_STATUS_HEALTHY)],
        freshness=[
            cache_pb2.SourceFreshness(source=source, data_class="stream", age_ns=age, penalty_ratio=0.95)
            for source, age in ages.items()
        ],
        warnings=["LOW"],
    )
    return Status(health, cache_pb2.CacheSummary(classes=classes), [owner])


def words(line: str) -> list[str]:
    return line.split()


def test_a_venue_is_told_with_sockets_rest_quantile_and_advice() -> None:
    first, second, third = rows(venues_table(status().health))
    assert words(first) == ["kraken", "degraded", "down", "failing", "2.50", "ms", "check", "connection"]
    assert words(second) == ["okx", "offline", "connected", "-", "-", "not", "judged", "yet"]
    assert words(third)[:4] == ["coingecko", "healthy", "-", "-"]


@pytest.mark.proves("REQ-M3")
def test_hit_ratios_are_green_from_70_yellow_from_50_red_below_black_without_questions() -> None:
    lines = [words(line) for line in rows(cache_table(status().cache))]
    assert [line[-1] for line in lines] == ["🟢", "🟡", "🔴", "⚫"]
    assert lines[0] == ["a", "(L1)", "5.00", "s", "7", "3", "2", "70.0%", "🟢"]
    assert lines[3][:2] == ["kraken", "(L2)"]


@pytest.mark.proves("REQ-M3")
def test_ages_are_green_to_a_minute_yellow_to_five_red_beyond_black_without_data() -> None:
    lines = [words(line) for line in rows(freshness_table(status().health))]
    assert [line[-1] for line in lines] == ["🔴", "🟢", "🟡", "⚫"]
    assert lines[0] == ["kraken", "stream", "0:06:00", "95%", "🔴"]
    assert lines[3] == ["okx", "stream", "no", "data", "-", "⚫"]


def test_sources_stand_with_counts_and_quantiles() -> None:
    first, second, _ = rows(sources_table(status().sources))
    assert words(first) == ["kraken", "kraken", "5", "0", "2.00", "ms", "9.00", "ms", "8", "2"]
    assert words(second) == ["kraken", "0", "1", "-", "-"]


@pytest.mark.proves("REQ-M3")
def test_the_status_has_all_panels_in_order_and_its_commands() -> None:
    console = Console(file=io.StringIO(), width=120, no_color=True)
    menu.show_status(console, status(), {"datafacade book": "Print a book."})
    file = console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    icons = [text.index(icon) for icon in "📊💾🔄⏱💡"]
    assert icons == sorted(icons)
    assert "version 9.9, up 0:01:30" in text
    assert "Print a book." in text
    assert "warning: LOW" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    json.dumps(status().values())


def test_what_is_asked_for_is_every_symbol_at_every_venue_in_every_timeframe() -> None:
    items = items_of(["okx", "kraken"], ["BTC-USD"], ["1m", "1h"])
    assert [(item.venue, item.symbol, item.timeframe) for item in items] == [
        ("okx", "BTC-USD", "1m"),
        ("okx", "BTC-USD", "1h"),
        ("kraken", "BTC-USD", "1m"),
        ("kraken", "BTC-USD", "1h"),
    ]
    assert {item.symbol for item in items_of(["okx"], [], ["1m"])} == {"BTC-USDT", "ETH-USDT", "SOL-USDT"}


def test_what_was_filled_is_counted_by_outcome() -> None:
    done = [Item("okx", "A", "1m", "fetched", 3), Item("okx", "B", "1m", "failed", message="gone")]
    told = as_values(done)
    assert (told["asked"], told["fetched"], told["held"], told["failed"], told["rows"]) == (2, 1, 0, 1, 3)
