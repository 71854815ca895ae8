"""The client's calls of the warm tier against the real service and simulated venues."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from datafacade.client import (
    AggregatorBanned,
    BlockingClient,
    Client,
    InsufficientSources,
    InvalidRequest,
    UnknownSymbol,
)
from datafacade.v1 import warm_pb2
from tests.integration.service.bench import Bench, service

PRODUCTS = ("binance/usdm", "kraken/spot", "coinbase/advanced", "coinbase/exchange")
HOUR_NS = 3_600_000_000_000


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", products=PRODUCTS) as running:
        yield running


async def test_klines_are_those_of_the_contract_and_a_second_look_comes_from_the_cache(bench: Bench) -> None:
    request = warm_pb2.WarmKlinesRequest(venue="kraken", symbol="BTC-USD", interval="1h", limit=24)
    raw = await bench.stub.WarmKlines(request)
    async with Client(bench.address) as client:
        told = await client.klines("kraken", "XBT/USD", "1h", limit=24)
    scale = Decimal(1).scaleb(raw.price_exponent)
    assert [(row.ts_open, row.close) for row in told.rows] == [
        (row.ts_open, row.close * scale) for row in raw.klines
    ]
    assert (told.provenance.cache_tier, told.provenance.snapshot_id) == ("L1", raw.served.snapshot_id)
    assert [source.source for source in told.provenance.used] == ["kraken"]
    frame = told.to_polars()
    assert frame.height == 24
    assert frame["timestamp"].is_sorted()


async def test_every_call_of_the_warm_tier_is_answered(bench: Bench) -> None:
    async with Client(bench.address) as client:
        trades = await client.trades("kraken", "BTC-USD", limit=10)
        ticker = (await client.ticker("kraken", "BTC-USD")).ticker
        funding = await client.funding("binance-usdm", "BTC-USDT", limit=3)
        price = await client.price("BTC-USD")
        native = await client.price("BTC-USD", sources=["kraken", "coinbase"], method="trimmed_mean")
        stats = await client.cache_stats()
        told = {row.venue: row for row in await client.source_attribution()}
    assert len(trades.rows) == trades.to_polars().height == 10
    assert ticker.bid_price is not None
    assert ticker.ask_price is not None
    assert 0 < ticker.bid_price < ticker.ask_price
    assert 0 < len(funding.rows) <= 3
    assert price.provenance.cache_tier == "MISS"
    assert (
        min(one.price or 0 for one in price.used) <= price.price <= max(one.price or 0 for one in price.used)
    )
    assert {one.source for one in native.quotes} == {"kraken", "coinbase"}
    assert native.method == "TRIMMED_MEAN"
    assert sum(row.misses for row in stats.classes) >= 5
    assert told["kraken"].cache_misses >= 2


async def test_refusals_are_typed_and_bring_their_evidence(bench: Bench) -> None:
    async with Client(bench.address) as client:
        with pytest.raises(AggregatorBanned):
            await client.trades("coingecko", "BTC-USD")
        with pytest.raises(UnknownSymbol):
            await client.ticker("kraken", "NOPE-USD")
        with pytest.raises(InvalidRequest):
            await client.klines("kraken", "BTC-USD", "7x")
        with pytest.raises(InsufficientSources) as refused:
            await client.price("BTC-USD", sources="kraken")
    assert [source.source for source in refused.value.evidence] == ["kraken"]


async def test_a_book_that_nobody_follows_says_that_it_comes_from_rest(bench: Bench) -> None:
    async with Client(bench.address) as client:
        book = await client.get_book_l2("kraken", "ETH-USD", depth=5, allow_unverified=True)
    assert (book.is_from_rest, book.is_proven, book.integrity) == (True, False, "UNVERIFIABLE")
    assert book.provenance is not None
    assert (book.provenance.cache_tier, [one.source for one in book.provenance.used]) == ("MISS", ["kraken"])


async def test_a_program_without_a_loop_asks_the_same(bench: Bench) -> None:
    def script() -> None:
        with BlockingClient(bench.address) as client:
            assert client.klines("kraken", "BTC-USD", "1h", limit=3).rows[0].is_final
            assert len(client.trades("kraken", "BTC-USD", limit=3).rows) == 3
            assert client.ticker("kraken", "BTC-USD").provenance.cache_tier == "MISS"
            assert client.funding("binance-usdm", "BTC-USDT").rows
            assert client.price("BTC-USD").used
            assert client.cache_stats().classes
            assert client.source_attribution("kraken")[0].venue == "kraken"

    await asyncio.to_thread(script)
