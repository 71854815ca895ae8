"""Klines of all venues at once: medians over what agrees, and each venue's fate."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from statistics import median

import grpc
import pytest
import pytest_asyncio

from datafacade.v1 import lineage_pb2, market_pb2, warm_pb2
from tests.integration.service.bench import Bench, service

PRODUCTS = ("binance/spot", "kraken/spot", "okx/public", "coinbase/advanced", "coinbase/exchange")
HOUR_NS = 3_600_000_000_000
FINAL = market_pb2.KLINE_STATE_FINAL


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", products=PRODUCTS) as running:
        yield running


async def klines(bench: Bench, venue: str = "", symbol: str = "BTC-USD") -> warm_pb2.WarmKlinesResponse:
    request = warm_pb2.WarmKlinesRequest(venue=venue, symbol=symbol, interval="1h", limit=24)
    answer: warm_pb2.WarmKlinesResponse = await bench.stub.WarmKlines(request)
    return answer


def price(answer: warm_pb2.WarmKlinesResponse, mantissa: int) -> Decimal:
    return Decimal(mantissa).scaleb(answer.price_exponent)


def fates(lineage: lineage_pb2.Lineage) -> dict[str, tuple[bool, str]]:
    return {source.source: (source.used, source.reason) for source in lineage.sources}


@pytest.mark.proves("REQ-H10")
async def test_joint_bars_are_as_old_as_the_oldest_part(bench: Bench) -> None:
    part = await klines(bench, "kraken")
    assert part.served.age_ns == 0
    joint = await klines(bench)
    held = await klines(bench, "kraken")
    assert joint.served.cache_tier == lineage_pb2.CACHE_TIER_MISS
    assert 0 < joint.served.age_ns < held.served.age_ns


@pytest.mark.proves("REQ-H4")
@pytest.mark.proves("REQ-Q6")
async def test_bars_are_medians_of_the_venues_and_volumes_their_sum(bench: Bench) -> None:
    joint = await klines(bench)
    assert (joint.venue, joint.symbol, joint.interval) == ("", "BTC-USD", "1h")
    assert fates(joint.lineage) == {
        "binance": (False, "NOT_CONVERTIBLE"),  # bars in USDT: no rate of now converts the past
        "okx": (False, "NOT_CONVERTIBLE"),
        "coinbase": (True, ""),
        "kraken": (True, ""),
    }
    assert joint.lineage.confidence_ratio >= 0.7
    assert (joint.lineage.cache_hits, joint.lineage.cache_misses) == (0, 2)
    assert joint.lineage.latency_ns >= max(one.latency_ns for one in joint.lineage.sources) > 0
    assert joint.lineage.ts_made <= joint.served.ts_cached
    parts = [await klines(bench, venue) for venue in ("coinbase", "kraken")]
    assert {part.served.cache_tier for part in parts} == {lineage_pb2.CACHE_TIER_L1}  # asked for once
    opens = [kline.ts_open for kline in joint.klines]
    assert opens == [kline.ts_open for kline in parts[0].klines]
    assert len(opens) == 24
    for at, kline in enumerate(joint.klines):
        same = [(part, part.klines[at]) for part in parts]
        for name in ("open", "high", "low", "close"):
            expected = median(price(part, getattr(one, name)) for part, one in same)
            assert price(joint, getattr(kline, name)) == expected
        assert Decimal(kline.volume) == sum(Decimal(one.volume) for _, one in same)
        assert kline.low <= min(kline.open, kline.close) <= max(kline.open, kline.close) <= kline.high
        assert kline.ts_close == kline.ts_open + HOUR_NS
    assert [kline.state == FINAL for kline in joint.klines] == [True] * 23 + [False]
    assert {kline.completeness for kline in joint.klines} == {market_pb2.COMPLETENESS_UNSPECIFIED}


async def test_the_joint_answer_is_held_and_repeated_by_the_edge(bench: Bench) -> None:
    begin = time.time_ns()
    first, again = await klines(bench), await klines(bench)
    kept_ns = time.time_ns() - begin  # to keep the answer takes a moment
    assert again.served.cache_tier == lineage_pb2.CACHE_TIER_L1
    assert first.served.snapshot_id == again.served.snapshot_id
    part = await klines(bench, "kraken")
    assert again.served.ts_expires <= part.served.ts_expires + kept_ns  # no younger than its parts


async def test_a_venue_that_does_not_answer_is_named_and_the_others_agree(bench: Bench) -> None:
    symbol = "BTC-USDT"
    both = await klines(bench, symbol=symbol)
    used = {source for source, (is_used, _) in fates(both.lineage).items() if is_used}
    assert used == {"binance", "okx"}
    bench.simulator.arm({"verb": "http_status", "venue": "okx", "status": 500})
    request = warm_pb2.WarmKlinesRequest(symbol=symbol, interval="5m", limit=10)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.WarmKlines(request)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "1 of 2 needed sources agree"


async def test_a_symbol_that_no_venue_has_is_unknown(bench: Bench) -> None:
    for symbol, code in (
        ("NO-SUCH", grpc.StatusCode.NOT_FOUND),
        ("", grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await klines(bench, symbol=symbol)
        assert caught.value.code() is code
