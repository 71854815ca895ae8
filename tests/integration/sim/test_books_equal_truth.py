"""Every naive client ends with the true book: the simulator's protocols and its truth log agree."""

import asyncio

import pytest
from websockets.asyncio.client import ClientConnection

from datafacade.sim.listings import ProductKey
from tests.integration.sim.harness import Comparison, binance_sync, follow, send, simulator, socket
from tests.integration.sim.naive import (
    NaiveBinance,
    NaiveCoinbaseAdvanced,
    NaiveCoinbaseExchange,
    NaiveKraken,
    NaiveOkx,
)

STREAMS: dict[ProductKey, str] = {
    "binance/spot": "/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker",
    "binance/usdm": "/public/ws/btcusdt@depth@100ms",
    "binance/coinm": "/ws/btcusd_perp@depth@100ms",
}


@pytest.mark.parametrize("has_oddities", [True, False])
@pytest.mark.parametrize("product", list(STREAMS))
@pytest.mark.parametrize("limit", [1000, 20])
async def test_binance(product: ProductKey, limit: int, has_oddities: bool) -> None:
    async with (
        simulator(product, has_oddities=has_oddities) as running,
        socket(running, product, STREAMS[product]) as ws,
    ):
        client, comparison = NaiveBinance(is_futures=product != "binance/spot"), Comparison(running)
        await binance_sync(running, product, client, ws, limit)
        await follow(ws, client, comparison, 8)
        assert comparison.judge(snapshot_id=client.snapshot_id) == 8
        if limit == 20:
            assert any("views" in record for record in running.truth.recent)


@pytest.mark.parametrize("has_checksum", [True, False])
@pytest.mark.parametrize("depth", [60, 450])
async def test_okx(depth: int, has_checksum: bool) -> None:
    async with (
        simulator("okx/public", depth=depth, has_okx_checksum=has_checksum) as running,
        socket(running, "okx/public", "/ws/v5/public") as ws,
    ):
        client, comparison = NaiveOkx(), Comparison(running)
        await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        await follow(ws, client, comparison, 20)
        assert comparison.judge() == 20
        assert client.book.unknown_deletes > 0
        if depth == 450:
            assert len(client.book.bids) == len(client.book.asks) == 400


async def test_coinbase_advanced() -> None:
    async with (
        simulator("coinbase/advanced", steps_per_s=400.0) as running,
        socket(running, "coinbase/advanced", "/") as ws,
    ):
        client, comparison = NaiveCoinbaseAdvanced("BTC-USD"), Comparison(running)
        for channel in ("heartbeats", "level2", "market_trades", "ticker"):
            products = [] if channel == "heartbeats" else ["BTC-USDC", "ETH-USD"]
            await send(ws, {"type": "subscribe", "channel": channel, "product_ids": products})
        await follow(ws, client, comparison, 500)
        assert comparison.judge() == 500
        assert {"l2_data", "market_trades", "ticker", "heartbeats", "subscriptions"} <= set(client.channels)


async def test_coinbase_exchange() -> None:
    async with (
        simulator("coinbase/exchange") as running,
        socket(running, "coinbase/exchange", "/") as ws,
    ):
        client, comparison = NaiveCoinbaseExchange("BTC-USD"), Comparison(running)
        await send(ws, {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["level2_batch"]})
        await follow(ws, client, comparison, 40)
        assert comparison.judge() == 40


@pytest.mark.parametrize("base", ["BTC", "SHIB"])
@pytest.mark.parametrize("depth", [10, 25, 100])
async def test_kraken(depth: int, base: str) -> None:
    async with (
        simulator("kraken/spot", bases=(base,), depth=150, steps_per_s=1000.0) as running,
        socket(running, "kraken/spot", "/v2") as ws,
    ):
        client, comparison = NaiveKraken(f"{base}/USD", depth), Comparison(running)
        await send(ws, {"method": "subscribe", "params": {"channel": "instrument"}})
        params = {"channel": "book", "symbol": [f"{base}/USD"], "depth": depth}
        await send(ws, {"method": "subscribe", "params": params})
        await follow(ws, client, comparison, 300)
        assert comparison.judge() == 300
        assert client.checked == 300


async def test_two_kraken_depths_and_a_late_joiner_hold_their_own_windows() -> None:
    async with (
        simulator("kraken/spot", bases=("BTC",), steps_per_s=1000.0) as running,
        socket(running, "kraken/spot", "/v2") as first,
        socket(running, "kraken/spot", "/v2") as second,
    ):

        async def watch(ws: ClientConnection, depth: int, frames: int) -> int:
            client, comparison = NaiveKraken("BTC/USD", depth), Comparison(running)
            await send(ws, {"method": "subscribe", "params": {"channel": "instrument"}})
            params = {"channel": "book", "symbol": ["BTC/USD"], "depth": depth}
            await send(ws, {"method": "subscribe", "params": params})
            await follow(ws, client, comparison, frames)
            return client.checked

        one, two = await asyncio.gather(watch(first, 10, 200), watch(second, 25, 200))
        assert one == two == 200
