"""Whole schedules of faults, faster than a service would meet them: the witness itself stays sound."""

import asyncio
import contextlib
import itertools
import json

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from datafacade.sim.listings import ProductKey
from datafacade.sim.schedule import schedule
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import Json, eventually, simulator

STEP_S = 0.05
CLIENTS: dict[ProductKey, tuple[str, Json]] = {
    "binance/spot": ("/stream?streams=btcusdt@trade/btcusdt@depth@100ms", None),
    "okx/public": (
        "/ws/v5/public",
        {
            "op": "subscribe",
            "args": [{"channel": name, "instId": "BTC-USDT"} for name in ("books", "trades")],
        },
    ),
    "coinbase/advanced": ("/", {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]}),
    "coinbase/exchange": (
        "/",
        {"type": "subscribe", "channels": ["matches", "level2_batch"], "product_ids": ["BTC-USD"]},
    ),
    "kraken/spot": ("/v2", {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}}),
}


async def reader(running: Simulator, product: ProductKey) -> None:
    """Connect, subscribe and read, again and again."""
    path, request = CLIENTS[product]
    while True:
        with contextlib.suppress(OSError, WebSocketException, EOFError):
            url = running.urls[product]["ws"] + path
            async with connect(url, proxy=None, open_timeout=20, close_timeout=0.1, max_size=None) as ws:
                if request is not None:
                    await ws.send(json.dumps(request))
                async for _ in ws:
                    pass
        await asyncio.sleep(STEP_S)


async def asker(running: Simulator) -> None:
    """Fetch order books, again and again."""
    timeout = aiohttp.ClientTimeout(total=0.5)
    url = f"{running.urls['binance/spot']['rest']}/api/v3/depth?symbol=BTCUSDT"
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
                await answer.read()
        await asyncio.sleep(STEP_S)


def progress(running: Simulator) -> list[int]:
    """Return counts that rise as long as every market moves and every client is told."""
    steps = [market.steps for venue in running.venues.values() for market in venue.markets.values()]
    return steps + [running.stats.of(product).frames_sent for product in CLIENTS]


@pytest.mark.parametrize("seed", range(3))
async def test_no_fault_of_a_schedule_breaks_the_simulator_or_its_proxy(seed: int) -> None:
    async with simulator(*CLIENTS, has_proxy=True, steps_per_s=50.0) as running:
        assert running.proxy is not None
        clients = [asyncio.ensure_future(reader(running, product)) for product in CLIENTS]
        clients.append(asyncio.ensure_future(asker(running)))
        markets = {str(product): list(venue.markets) for product, venue in running.venues.items()}
        armed = {"simulator": running.arm, "proxy": running.proxy.arm}
        try:
            for entry in itertools.islice(schedule(seed=seed, seconds=150, markets=markets), 50):
                with contextlib.suppress(ValueError):  # a venue may give no notice of its shutdown
                    armed[entry.target](entry.request)
                await asyncio.sleep(STEP_S)
            running.faults.remove()
            running.proxy.heal()
            before = progress(running)
            await eventually(
                lambda: all(now > then for now, then in zip(progress(running), before, strict=True))
            )
        finally:
            for client in clients:
                client.cancel()
            await asyncio.wait(clients)
        assert [record for record in running.truth.recent if record.get("event") == "failed"] == []
        assert all(fault.is_over() for fault in running.faults.all())
        assert all(fault.is_over() for fault in running.proxy.faults.all())
        for venue in running.venues.values():
            for market in venue.markets.values():
                assert not market.book.is_crossed()
