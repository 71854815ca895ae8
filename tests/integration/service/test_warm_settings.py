"""What is written in the files of the configuration is what the warm tier does."""

from __future__ import annotations

import asyncio
import importlib.resources
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
import yaml

from datafacade.v1 import cache_pb2, health_pb2, lineage_pb2, price_pb2, warm_pb2
from tests.integration.service.bench import PATIENCE_S, Bench, service

DEFAULTS = Path(str(importlib.resources.files("datafacade.config") / "defaults"))
PRODUCTS = ("binance/spot", "kraken/spot", "coinbase/advanced", "coinbase/exchange")
DAY_NS = 86_400_000_000_000
NS_PER_S = 1_000_000_000
CACHE = {
    "version": 1,
    "ttls": {"prices_hot": 2, "prices_warm": 0.25},
    "klines_ttls": {"1m": 0.125, "1h": 7},
    "max_entries": 3,
}


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    folder = tmp_path / "config"
    folder.mkdir()
    limits = yaml.safe_load((DEFAULTS / "rate_limits.yaml").read_text(encoding="utf-8"))
    limits["share_ratio"] = 0.001
    (folder / "rate_limits.yaml").write_text(yaml.safe_dump(limits), encoding="utf-8")
    (folder / "cache.yaml").write_text(yaml.safe_dump(CACHE), encoding="utf-8")
    warm = {"venues": ["kraken", "coinbase"], "default_ttl_sec": 11, "request_limit_per_min": 300}
    async with service(folder, products=PRODUCTS, settings={"warm": warm}) as running:
        yield running


async def klines(
    bench: Bench,
    interval: str,
    venue: str = "kraken",
    **span: Any,  # noqa: ANN401  times
) -> warm_pb2.WarmKlinesResponse:
    request = warm_pb2.WarmKlinesRequest(venue=venue, symbol="BTC-USD", interval=interval, limit=5, **span)
    answer: warm_pb2.WarmKlinesResponse = await bench.stub.WarmKlines(request)
    return answer


def ttl_s(served: lineage_pb2.Served) -> float:
    return (served.ts_expires - served.ts_cached) / NS_PER_S


async def test_answers_are_fresh_for_as_long_as_their_class_and_interval_say(bench: Bench) -> None:
    told = await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD"))
    assert ttl_s(told.served) == 2
    open_bar = await klines(bench, "1h")
    assert ttl_s(open_bar.served) <= 0.25  # the open bar changes: prices_warm at most
    assert ttl_s((await klines(bench, "1m")).served) <= 0.125
    day = open_bar.klines[0].ts_open // DAY_NS * DAY_NS
    for interval, expected in (("1h", 7), ("15m", 11)):  # 15m has no time of its own
        past = await klines(bench, interval, "coinbase", ts_start=day - DAY_NS, ts_end=day - DAY_NS // 2)
        assert ttl_s(past.served) == expected


async def test_the_cache_holds_as_many_entries_as_it_may(bench: Bench) -> None:
    for limit in range(1, 6):
        await bench.stub.WarmTrades(
            warm_pb2.WarmTradesRequest(venue="coinbase", symbol="BTC-USD", limit=limit)
        )
    stats = (await bench.stub.CacheStats(cache_pb2.CacheStatsRequest())).cache
    assert stats.entries_max == 3
    assert sum(row.entries for row in stats.classes) == 3
    assert sum(row.evictions for row in stats.classes) == 2


async def test_a_venue_that_is_not_in_the_list_is_not_asked(bench: Bench) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="binance", symbol="BTC-USDT"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(caught.value.details()).startswith("venue: expected one of coinbase, kraken")
    told = await bench.stub.ReconciledPrice(
        price_pb2.ReconciledPriceRequest(symbol="BTC-USD", exchange_native_only=True)
    )
    assert [quote.source for quote in told.quotes] == ["coinbase", "kraken"]


@pytest.mark.proves("REQ-W3")
async def test_no_share_leaves_a_venue_less_than_the_warm_tier_is_to_have(bench: Bench) -> None:
    await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="coinbase", symbol="BTC-USD"))
    health = await bench.stub.Health(health_pb2.HealthRequest(venues=["binance", "coinbase"]))
    limits = {
        (venue.venue, row.limit * 60_000 // row.window_ms)
        for venue in health.venues
        for row in venue.rate_limits
        if row.budget.startswith("rest:")
    }
    assert limits == {("binance", 300), ("coinbase", 300)}  # a minute; 0.001 of 6,000 would be 6


async def test_a_joint_answer_is_made_of_fresh_parts_once_it_is_stale(bench: Bench) -> None:
    first = await klines(bench, "1h", venue="")
    async with asyncio.timeout(PATIENCE_S):
        again = await klines(bench, "1h", venue="")
        while again.lineage.ts_made == first.lineage.ts_made:
            await asyncio.sleep(0.02)
            again = await klines(bench, "1h", venue="")
    made = again.lineage.ts_made - first.lineage.ts_made
    ages = [one.age_ns for one in again.lineage.sources if one.used]
    assert max(ages) < made + NS_PER_S  # not those of the first
