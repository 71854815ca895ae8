"""Verbs on sequences and snapshots do what they say; the client's book stays true where it is legal."""

import time

import pytest

from datafacade.sim.listings import ProductKey
from tests.integration.sim.harness import (
    Comparison,
    binance_sync,
    follow,
    get,
    receive,
    send,
    simulator,
    socket,
    until,
)
from tests.integration.sim.live_book import PATHS, arm, begin, feed
from tests.integration.sim.naive import Gap, NaiveBinance, SnapshotTooOld


async def test_a_legal_reset_of_okx_keeps_the_chain() -> None:
    product: ProductKey = "okx/public"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client, comparison = await begin(running, product, ws), Comparison(running)
        for _ in range(3):
            arm(running, product, "sequence_reset")
            arm(running, product, "keep_alive")
        await follow(ws, client, comparison, 10)
        assert client.resets == 3
        assert client.keep_alives == 3
        assert comparison.judge() == 10


async def test_other_sequences_jump() -> None:
    async with (
        simulator("binance/spot") as running,
        socket(running, "binance/spot", PATHS["binance/spot"]) as ws,
    ):
        client = await begin(running, "binance/spot", ws)
        arm(running, "binance/spot", "sequence_reset")
        with pytest.raises(Gap):
            await feed(ws, client)
    async with simulator("coinbase/advanced") as running, socket(running, "coinbase/advanced", "/") as ws:
        await begin(running, "coinbase/advanced", ws)
        running.arm({"verb": "sequence_reset", "venue": "coinbase/advanced"})
        await until(ws, lambda body: body["sequence_num"] == 0)


async def test_stale_snapshots_cannot_be_bridged_until_the_verb_is_over() -> None:
    product: ProductKey = "binance/spot"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        fault = arm(running, product, "stale_snapshot", count=3)
        client = NaiveBinance()
        for _ in range(3):
            client.on_frame(await receive(ws))
            _, body, _ = await get(running, product, "/api/v3/depth?symbol=BTCUSDT&limit=1000")
            kept = list(client.buffer)
            with pytest.raises(SnapshotTooOld):
                client.on_snapshot(body)
            client.last, client.buffer = None, kept
        assert fault.applied == 3
        client = NaiveBinance()
        comparison = Comparison(running)
        await binance_sync(running, product, client, ws, 1000)
        await follow(ws, client, comparison, 3)
        assert comparison.judge() == 3


async def test_slow_snapshots_and_slow_rest_wait() -> None:
    product: ProductKey = "binance/spot"
    async with simulator(product) as running:
        for verb in ("slow_snapshot", "slow_rest"):
            arm(running, product, verb, ms=300)
            started = time.monotonic()
            assert (await get(running, product, "/api/v3/depth?symbol=BTCUSDT"))[0] == 200
            assert time.monotonic() - started > 0.29
    async with simulator("okx/public") as running, socket(running, "okx/public", PATHS["okx/public"]) as ws:
        arm(running, "okx/public", "slow_snapshot", ms=2_000)
        await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        first = await until(ws, lambda body: "action" in body)
        assert first["action"] == "update"  # updates go on meanwhile
        await until(ws, lambda body: body.get("action") == "snapshot")


@pytest.mark.parametrize("product", ["coinbase/advanced", "kraken/spot", "okx/public"])
async def test_a_huge_snapshot_is_legal_and_true(product: ProductKey) -> None:
    async with (
        simulator(product, steps_per_s=50.0) as running,
        socket(running, product, PATHS[product]) as ws,
    ):
        arm(running, product, "huge_snapshot", mib=4)
        comparison = Comparison(running)
        client = await begin(running, product, ws, comparison)
        largest = max(int(str(r["bytes"])) for r in running.truth.recent if r["type"] == "frame")
        assert largest >= 4 << 20
        assert comparison.judge() >= 1
        if product == "coinbase/advanced":
            assert len(client.book.bids) + len(client.book.asks) > 30_000
