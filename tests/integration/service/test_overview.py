"""Health tells of all that an answer may rest on: aggregators, caches, ages, stand-ins, joined topics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from datafacade.app import Factory
from datafacade.errors import InvalidRequest, VenueRateLimited
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.v1 import cache_pb2, health_pb2, lineage_pb2, price_pb2, types_pb2, warm_pb2
from tests.integration.service.bench import PATIENCE_S, Bench, Reader, service, simulated
from tests.ports import closed_port
from tests.starved import Starved

PRODUCTS = ("kraken/spot", "coinbase/advanced", "coinbase/exchange")
NS_PER_S = 1_000_000_000


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", products=PRODUCTS) as running:
        yield running


async def ask(bench: Bench) -> health_pb2.HealthResponse:
    answer: health_pb2.HealthResponse = await bench.stub.Health(health_pb2.HealthRequest())
    return answer


async def price(bench: Bench, symbol: str = "BTC-USD") -> price_pb2.ReconciledPriceResponse:
    answer: price_pb2.ReconciledPriceResponse = await bench.stub.ReconciledPrice(
        price_pb2.ReconciledPriceRequest(symbol=symbol)
    )
    return answer


@pytest.mark.proves("REQ-R8")
async def test_aggregators_have_rows_with_their_budgets_of_minute_and_month(bench: Bench) -> None:
    first = await ask(bench)
    assert [row.venue for row in first.aggregators] == ["coingecko", "coinpaprika"]
    assert {row.ts_last_seen for row in first.aggregators} == {0}
    before = time.time_ns()
    await price(bench)
    gecko = (await ask(bench)).aggregators[0]
    assert (gecko.status, gecko.recommendation) == (
        health_pb2.HEALTH_STATUS_HEALTHY,
        health_pb2.RECOMMENDATION_USE_PRIMARY,
    )
    assert gecko.rest_healthy
    assert gecko.error_ratio == 0
    assert before <= gecko.ts_last_seen <= time.time_ns()
    windows = {row.window_ms: row for row in gecko.rate_limits}
    assert {span: row.limit for span, row in windows.items()} == {60_000: 24, 2_678_400_000: 8_000}  # 0.8
    assert windows[60_000].remaining == 23
    assert windows[60_000].ts_reset > before
    assert {row.ts_backoff_until for row in gecko.rate_limits} == {0}
    assert [row.state for row in gecko.breakers] == [health_pb2.BREAKER_STATE_CLOSED]
    (rest,) = gecko.latencies
    assert rest.stage == health_pb2.LATENCY_STAGE_REST
    assert 0 < rest.quantiles.p50_ns <= rest.quantiles.p99_ns


@pytest.mark.proves("REQ-W2")
async def test_a_hit_takes_less_than_half_a_second_and_a_miss_less_than_two(bench: Bench) -> None:
    request = warm_pb2.WarmKlinesRequest(venue="kraken", symbol="BTC-USD", interval="1h", limit=24)
    for tier, seconds in ((lineage_pb2.CACHE_TIER_MISS, 2.0), (lineage_pb2.CACHE_TIER_L1, 0.5)):
        started = time.perf_counter()
        with Starved() as starved:
            answer = await bench.stub.WarmKlines(request)
            took = time.perf_counter() - started
        assert took - starved.seconds < seconds
        assert answer.served.cache_tier == tier
        assert 0 < answer.served.latency_ns < took * NS_PER_S


@pytest.mark.proves("REQ-R2")
async def test_the_facade_tells_what_a_budget_allows_and_how_long_to_wait(tmp_path: Path) -> None:
    settings = SimulatorSettings(seed=5, products=("kraken/spot",), bases=("BTC",))
    async with Simulator(settings) as simulator:
        facade = Factory(simulated(simulator, tmp_path / "config")).create_data_facade()
        try:
            await facade.start(listed_within_s=10)
            is_allowed, remaining = facade.check_budget("kraken", 1_000)
            assert not is_allowed
            assert 0 <= remaining < 1_000
            assert 0 <= facade.get_backoff("kraken", 1) <= 1.0
            simulator.arm({"verb": "http_status", "venue": "kraken", "status": 429, "retry_after": 3_000})
            with pytest.raises(VenueRateLimited):
                await facade.warm.ticker("kraken", "BTC-USD")
            assert not facade.check_budget("kraken")[0]
            assert 2_900 < facade.get_backoff("kraken", 1) <= 3_301  # the venue's word, up to a tenth longer
            with pytest.raises(InvalidRequest):
                facade.check_budget("mtgox")
        finally:
            await facade.shutdown()


@pytest.mark.proves("REQ-H1")
async def test_a_venue_tells_when_it_was_seen_how_it_errs_and_how_slow_it_is(bench: Bench) -> None:
    reader = Reader(bench)
    before = time.time_ns()
    await reader.subscribe(["BTC-USD"], [types_pb2.CHANNEL_TRADES], venues=["kraken"])
    await reader.until(lambda: len(reader.payloads("trade")) > 5)
    row = next(row for row in (await ask(bench)).venues if row.venue == "kraken")
    assert before < row.ts_last_seen <= time.time_ns()
    assert row.HasField("error_ratio")
    assert row.error_ratio == 0
    publish = next(
        one.quantiles for one in row.latencies if one.stage == health_pb2.LATENCY_STAGE_RECV_TO_PUBLISH
    )
    assert row.latency_ns_p99 == publish.p99_ns > 0
    assert not row.is_rest_fallback


@pytest.mark.proves("REQ-H1")
async def test_failed_requests_are_told_as_a_ratio(bench: Bench) -> None:
    await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD"))
    bench.simulator.arm({"verb": "http_status", "venue": "kraken", "status": 500, "count": 3})
    with pytest.raises(grpc.aio.AioRpcError):
        await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="kraken", symbol="ETH-USD"))
    row = next(row for row in (await ask(bench)).venues if row.venue == "kraken")
    assert row.error_ratio > 0.1
    assert row.recommendation != health_pb2.RECOMMENDATION_USE_PRIMARY


@pytest.mark.proves("REQ-H5")
@pytest.mark.proves("REQ-H9")
async def test_the_age_of_each_source_is_told_by_class_with_its_penalty(bench: Bench) -> None:
    assert not (await ask(bench)).freshness
    await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD"))
    await price(bench)
    rows = {(row.source, row.data_class): row for row in (await ask(bench)).freshness}
    assert set(rows) == {
        ("kraken", "prices_hot"),
        ("coinbase", "prices_hot"),
        *((name, "prices_warm") for name in ("kraken", "coinbase", "coingecko", "coinpaprika")),
    }
    fresh = rows["kraken", "prices_hot"]
    assert fresh.age_ns < 10 * NS_PER_S
    assert (fresh.penalty_ratio, fresh.freshness) == (0, cache_pb2.FRESHNESS_FRESH)
    told = await bench.stub.SourceAttribution(cache_pb2.SourceAttributionRequest(venue="kraken"))
    assert [row.data_class for row in told.venues[0].freshness] == ["prices_hot"]
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [types_pb2.CHANNEL_TRADES], venues=["kraken"])
    await reader.until(lambda: reader.payloads("trade"))
    assert ("kraken", "stream") in {(row.source, row.data_class) for row in (await ask(bench)).freshness}
    streamed = await bench.stub.SourceAttribution(cache_pb2.SourceAttributionRequest(venue="kraken"))
    assert [source.source for source in streamed.venues[0].sources] == ["kraken", "websocket"]
    assert streamed.venues[0].sources[1].used > 0


@pytest.mark.proves("REQ-K9")
async def test_a_low_hit_ratio_of_hot_prices_is_warned_of_once_it_says_something(tmp_path: Path) -> None:
    async with service(tmp_path / "config", products=("binance/spot",)) as bench:
        for limit in range(1, 100):
            request = warm_pb2.WarmTradesRequest(venue="binance", symbol="BTC-USDT", limit=limit)
            await bench.stub.WarmTrades(request)
        assert not ratio_warnings(await ask(bench))  # 0 of 99 says nothing yet
        one = warm_pb2.WarmTickerRequest(venue="binance", symbol="BTC-USDT")
        await bench.stub.WarmTicker(one)
        assert ratio_warnings(await ask(bench)) == ["CACHE_HIT_RATIO_LOW", "PRICES_HOT_HIT_RATIO_LOW"]
        for _ in range(350):
            await bench.stub.WarmTicker(one)
        assert ratio_warnings(await ask(bench)) == ["PRICES_HOT_HIT_RATIO_LOW"]  # 0.75 to 0.8
        for _ in range(100):
            await bench.stub.WarmTicker(one)
        assert not ratio_warnings(await ask(bench))


def ratio_warnings(health: health_pb2.HealthResponse) -> list[str]:
    return [word for word in health.warnings if "RATIO" in word]


async def test_the_edge_tells_what_it_answered_itself_and_what_failed(bench: Bench) -> None:
    request = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD")
    for _ in range(4):
        await bench.stub.WarmTicker(request)
    with pytest.raises(grpc.aio.AioRpcError):
        await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="kraken", symbol="NO-SUCH"))
    edge = (await ask(bench)).edge
    assert (edge.unary_calls, edge.unary_cached, edge.unary_failed) == (6, 3, 1)  # Health itself is one
    unary = next(row.quantiles for row in edge.latencies if row.stage == health_pb2.LATENCY_STAGE_UNARY)
    assert unary.count == 5
    assert 0 < unary.p50_ns <= unary.p99_ns


async def test_a_joined_topic_names_its_venues(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [types_pb2.CHANNEL_CONSOLIDATED_TOP])
    await reader.until(lambda: reader.payloads("consolidated_top"))
    (row,) = (await ask(bench)).consolidated
    assert (row.symbol, list(row.venues), row.subscribers) == ("BTC-USD", ["coinbase", "kraken"], 1)
    assert row.seq_head > 0


async def test_a_redis_that_does_not_answer_degrades_the_service_and_nothing_else(tmp_path: Path) -> None:
    with closed_port() as port:
        files = {"cache.yaml": {"redis": {"url": f"redis://127.0.0.1:{port}/0"}}}
        async with service(tmp_path / "config", products=("kraken/spot",), files=files) as bench:
            told = await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD"))
            assert told.ticker.bid_price > 0
            async with asyncio.timeout(PATIENCE_S):
                while (answer := await ask(bench)).cache.l2_connected:  # noqa: ASYNC110  no event for it
                    await asyncio.sleep(0.02)
    assert answer.cache.HasField("l2_connected")
    assert "SECOND_TIER_AWAY" in answer.warnings
    assert [row.status for row in answer.venues] == [health_pb2.HEALTH_STATUS_HEALTHY]
    assert answer.status == health_pb2.HEALTH_STATUS_DEGRADED


async def test_rest_that_stands_in_for_a_socket_is_warned_of_until_the_socket_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    patient = "version: 1\ndefaults: {websocket: {failures_to_open: 1000}}\n"  # so that it is dialled on
    (folder / "circuits.yaml").write_text(patient, encoding="utf-8")
    async with service(folder, products=("binance/spot",)) as bench:
        reader = Reader(bench)
        await reader.subscribe(["BTC-USDT"], [types_pb2.CHANNEL_BOOK_L2], venues=["binance"])
        await reader.until(lambda: reader.is_live("binance"))
        refusal = bench.simulator.arm({"verb": "refuse_upgrade", "venue": "binance", "count": 1_000})
        bench.simulator.arm({"verb": "close", "venue": "binance", "code": 1012})
        answer = await told(bench, is_fallback=True)
        assert [row.venue for row in answer.venues if row.is_rest_fallback] == ["binance"]
        bench.simulator.faults.remove(refusal.id)
        await told(bench, is_fallback=False)


async def told(bench: Bench, *, is_fallback: bool) -> health_pb2.HealthResponse:
    """Return the first answer that warns of REST in place of a socket, or that no longer does."""
    async with asyncio.timeout(PATIENCE_S):
        answer = await ask(bench)
        while ("REST_FALLBACK" in answer.warnings) != is_fallback:
            await asyncio.sleep(0.05)
            answer = await ask(bench)
    return answer
