"""The warm tier through both servers: every venue's own data, one price of many, and whose each is."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # no py.typed

from datafacade.clock import NS_PER_S
from datafacade.v1 import book_pb2, cache_pb2, lineage_pb2, price_pb2, types_pb2, warm_pb2
from tests.integration.service.bench import Bench

MARKETS = [("binance", "BTC-USDT"), ("kraken", "BTC-USD"), ("okx", "BTC-USDT"), ("coinbase", "BTC-USD")]
HOUR_NS = 3_600_000_000_000
MISS, L1 = lineage_pb2.CACHE_TIER_MISS, lineage_pb2.CACHE_TIER_L1


def reason(error: grpc.aio.AioRpcError) -> str:
    """Return the stable reason of a refusal."""
    trailers = {str(key): value for key, value in error.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


async def refused(call: Any) -> grpc.aio.AioRpcError:  # noqa: ANN401  a call of the stub
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.proves("REQ-A3")
@pytest.mark.proves("REQ-A8")
@pytest.mark.proves("REQ-W1")
@pytest.mark.parametrize(("venue", "symbol"), MARKETS)
async def test_klines_come_from_the_venue_and_then_from_the_cache(
    bench: Bench, venue: str, symbol: str
) -> None:
    request = warm_pb2.WarmKlinesRequest(venue=venue, symbol=symbol, interval="1h", limit=24)
    first = await bench.stub.WarmKlines(request)
    again = await bench.stub.WarmKlines(request)
    assert (first.served.cache_tier, again.served.cache_tier) == (MISS, L1)
    assert first.served.snapshot_id == again.served.snapshot_id
    assert again.served.ts_cached == first.served.ts_cached
    assert again.served.ts_expires > again.served.ts_cached
    assert again.served.age_ns > 0
    opens = [kline.ts_open for kline in first.klines]
    assert opens == list(range(opens[0], opens[0] + 24 * HOUR_NS, HOUR_NS))
    states = [kline.state for kline in first.klines]
    assert states == [2] * 23 + [1]  # FINAL, and the open one PROVISIONAL
    for kline in first.klines:
        assert kline.low <= min(kline.open, kline.close) <= max(kline.open, kline.close) <= kline.high
        assert Decimal(kline.volume) > 0
    assert [(source.source, source.used) for source in first.lineage.sources] == [(venue, True)]
    first.ClearField("served")
    again.ClearField("served")
    assert first == again


@pytest.mark.proves("REQ-A4")
@pytest.mark.proves("REQ-W1")
@pytest.mark.parametrize(("venue", "symbol"), MARKETS)
async def test_trades_and_ticker_come_from_the_venue(bench: Bench, venue: str, symbol: str) -> None:
    trades = await bench.stub.WarmTrades(warm_pb2.WarmTradesRequest(venue=venue, symbol=symbol, limit=10))
    ids = [row.trade.trade_id for row in trades.trades]
    assert len(ids) == 10
    assert ids == sorted(set(ids))
    told = await bench.stub.WarmTicker(warm_pb2.WarmTickerRequest(venue=venue, symbol=symbol))
    assert 0 < told.ticker.bid_price < told.ticker.ask_price
    assert told.served.ts_expires - told.served.ts_cached == 5_000_000_000  # prices_hot


@pytest.mark.proves("REQ-U1")
@pytest.mark.parametrize("method", ["WarmKlines", "WarmTrades", "WarmTicker", "WarmFunding", "L2Book"])
async def test_an_aggregator_is_refused_by_name_wherever_only_venues_may_answer(
    bench: Bench, method: str
) -> None:
    kind: Any = book_pb2.L2BookRequest if method == "L2Book" else getattr(warm_pb2, f"{method}Request")
    request = kind(venue="coingecko", symbol="BTC-USD")
    if method == "WarmKlines":
        request.interval = "1h"
    if method == "L2Book":
        request.allow_unverified = True
    error = await refused(getattr(bench.stub, method)(request))
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "AGGREGATOR_BANNED")


@pytest.mark.proves("REQ-U3")
async def test_funding_comes_from_venues_with_perpetuals_only(bench: Bench) -> None:
    told = await bench.stub.WarmFunding(warm_pb2.WarmFundingRequest(venue="binance-usdm", symbol="BTC-USDT"))
    times = [rate.ts_funding for rate in told.rates]
    assert times == sorted(set(times))
    assert times
    error = await refused(
        bench.stub.WarmFunding(warm_pb2.WarmFundingRequest(venue="coinbase", symbol="BTC-USD"))
    )
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.proves("REQ-Q4")
@pytest.mark.proves("REQ-H3")
@pytest.mark.proves("REQ-X6")
async def test_a_reconciled_price_names_every_source_with_its_fate(bench: Bench) -> None:
    told = await bench.stub.ReconciledPrice(price_pb2.ReconciledPriceRequest(symbol="BTCUSD"))
    fates = {quote.source: (quote.used, quote.reason) for quote in told.quotes}
    assert fates == {
        "binance": (False, "NOT_CONVERTIBLE"),  # it trades against USDT, and nobody here tells the rate
        "okx": (False, "NOT_CONVERTIBLE"),
        "coinbase": (True, ""),
        "kraken": (True, ""),
        "coingecko": (True, ""),
        "coinpaprika": (True, ""),
    }
    used = [Decimal(quote.price) for quote in told.quotes if quote.used]
    assert min(used) <= Decimal(told.price) <= max(used)
    assert told.confidence_ratio >= 0.7
    native = await bench.stub.ReconciledPrice(
        price_pb2.ReconciledPriceRequest(symbol="BTC-USD", exchange_native_only=True)
    )
    assert {quote.source for quote in native.quotes} == {"binance", "okx", "coinbase", "kraken"}


@pytest.mark.proves("REQ-H10")
async def test_the_worst_feed_that_was_used_tells_the_age_of_a_price_and_its_penalty(bench: Bench) -> None:
    """CoinPaprika may be ten minutes old, CoinGecko two: one is used, the other is not."""
    bench.simulator.arm({"verb": "old_answer", "venue": "coinpaprika", "ms": 90_000})
    bench.simulator.arm({"verb": "old_answer", "venue": "coingecko", "ms": 400_000})
    request = price_pb2.ReconciledPriceRequest(symbol="BTC-USD")
    told = await bench.stub.ReconciledPrice(request)
    ages = {quote.source: quote.age_ns for quote in told.quotes if quote.used}
    assert "coingecko" not in ages
    assert told.served.cache_tier == lineage_pb2.CACHE_TIER_MISS
    assert told.served.age_ns == max(ages.values()) == ages["coinpaprika"] >= 90 * NS_PER_S
    again = await bench.stub.ReconciledPrice(request)
    assert again.served.cache_tier == lineage_pb2.CACHE_TIER_L1
    assert again.served.age_ns > told.served.age_ns
    for served in (told.served, again.served):
        way = min((served.age_ns / NS_PER_S - 60) / 240, 1)
        assert served.freshness_penalty_ratio == pytest.approx(min(0.1 * math.exp(3 * way), 0.95))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (warm_pb2.WarmKlinesRequest(venue="kraken", symbol="BTC-USD", interval="7x"), "interval"),
        (warm_pb2.WarmKlinesRequest(venue="kraken", symbol="BTC-USD", interval="1h", limit=5_001), "limit"),
        (
            warm_pb2.WarmKlinesRequest(
                venue="kraken", symbol="BTC-USD", interval="1h", ts_start=2_000, ts_end=1_000
            ),
            "ts_end",
        ),
        (warm_pb2.WarmKlinesRequest(venue="kraken", interval="1h"), "symbol"),
        (warm_pb2.WarmKlinesRequest(venue="nowhere", symbol="BTC-USD", interval="1h"), "venue"),
    ],
)
async def test_a_bad_request_is_refused_by_its_field(
    bench: Bench, request_: warm_pb2.WarmKlinesRequest, field: str
) -> None:
    error = await refused(bench.stub.WarmKlines(request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").startswith(field)


async def test_a_book_that_nobody_follows_comes_from_rest_and_says_so(bench: Bench) -> None:
    told = await bench.stub.L2Book(
        book_pb2.L2BookRequest(venue="kraken", symbol="ETH-USD", depth=10, allow_unverified=True)
    )
    assert told.flags & types_pb2.UPDATE_FLAG_REST_FALLBACK
    assert told.integrity == types_pb2.INTEGRITY_UNVERIFIABLE
    assert len(told.book.bid_prices) == len(told.book.ask_prices) == 10
    assert told.served.cache_tier == MISS


async def test_a_hundred_equal_questions_at_once_are_one_call_upstream(bench: Bench) -> None:
    request = warm_pb2.WarmKlinesRequest(venue="okx", symbol="ETH-USDT", interval="5m", limit=50)
    ledger: Any = bench.simulator.ledger
    before = ledger(60)["okx/public"]["calls"]
    answers = await asyncio.gather(*(bench.stub.WarmKlines(request) for _ in range(100)))
    assert ledger(60)["okx/public"]["calls"] - before == 1
    assert len({answer.served.snapshot_id for answer in answers}) == 1


@pytest.mark.proves("REQ-A6")
@pytest.mark.proves("REQ-K8")
@pytest.mark.proves("REQ-H2")
async def test_hits_and_sources_are_counted_for_answers_of_the_edge_too(bench: Bench) -> None:
    request = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD")
    for _ in range(4):
        await bench.stub.WarmTicker(request)
    stats = await bench.stub.CacheStats(cache_pb2.CacheStatsRequest())
    row = next(row for row in stats.cache.classes if row.cache_class == "prices_hot")
    assert (row.hits, row.misses, row.entries, row.hit_ratio) == (3, 1, 1, 0.75)
    told = await bench.stub.SourceAttribution(cache_pb2.SourceAttributionRequest(venue="kraken"))
    (venue,) = told.venues
    assert (venue.venue, venue.cache_hits, venue.cache_misses) == ("kraken", 3, 1)
    assert [(source.source, source.used, source.dropped) for source in venue.sources] == [("kraken", 1, 0)]
    assert venue.latency.count == 1
    error = await refused(bench.stub.SourceAttribution(cache_pb2.SourceAttributionRequest(venue="nowhere")))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").endswith("kraken, okx, received 'nowhere'")
