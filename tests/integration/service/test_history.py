"""History and live in one call, over real gRPC: each trade once, in order, with a seam that is told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.integration.service.bench import Bench, Reader, service

TRADES = 1


@pytest_asyncio.fixture(params=["rust", "grpcio"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", edge=request.param, products=("binance/spot",)) as made:
        yield made


def ids(updates: list[hot_pb2.Update]) -> list[int]:
    return [update.trade.trade_id for update in updates]


async def test_the_past_that_was_followed_comes_from_disk_and_joins_the_present(bench: Bench) -> None:
    keeper = Reader(bench)
    await keeper.subscribe(["BTC-USDT"], [TRADES], venues=["binance"])
    await keeper.until(lambda: len(keeper.payloads("trade")) > 30)
    given = keeper.payloads("trade")
    since = given[5].ts_event + 1
    kept_until = time.time_ns() + 200_000_000
    await keeper.until(lambda: time.time_ns() > kept_until)
    reader = Reader(bench)
    await reader.subscribe(["BTC-USDT"], [TRADES], venues=["binance"], ts_history_start=since)
    await reader.until(lambda: [u for u in reader.payloads("trade") if u.seq])
    live_until = reader.payloads("trade")[-1].seq + 5
    await reader.until(lambda: reader.payloads("trade")[-1].seq >= live_until)
    trades = reader.payloads("trade")
    history = [update for update in trades if not update.seq]
    assert all(update.flags & types_pb2.UPDATE_FLAG_HISTORY for update in history)
    assert history == trades[: len(history)]
    assert ids(trades) == list(range(ids(trades)[0], ids(trades)[0] + len(trades)))
    assert history[0].ts_event >= since
    first = next(update for update in given if update.ts_event >= since)
    assert history[0].trade.trade_id == first.trade.trade_id
    status = reader.statuses()[0]
    assert status.phase == stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED
    assert reader.updates[0].HasField("subscription_status")
    assert status.history_trade_id_last == history[-1].trade.trade_id
    assert min(update.seq for update in trades if update.seq) >= status.seq_next
