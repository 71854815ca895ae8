"""The best bid and offer over venues, over real gRPC and the simulator of two of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from datafacade.v1 import hot_pb2
from tests.integration.service.bench import Bench, Reader, service

CONSOLIDATED_TOP = 6


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", products=("binance/spot", "okx/public")) as made:
        yield made


def reasons(update: hot_pb2.Update) -> dict[str, str]:
    return {venue.venue: venue.reason for venue in update.consolidated_top.left_out}


async def test_both_venues_take_part_and_each_side_names_one(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC/USDT"], [CONSOLIDATED_TOP])
    await reader.until(lambda: any(not reasons(one) for one in reader.payloads("consolidated_top")))
    told = [one for one in reader.payloads("consolidated_top") if not reasons(one)]
    top = told[-1].consolidated_top
    assert (told[-1].venue, told[-1].symbol) == ("consolidated", "BTC-USDT")
    assert {top.bid.venue, top.ask.venue} <= {"binance", "okx"}
    assert all(side.price > 0 and side.quantity > 0 and side.ts_recv > 0 for side in (top.bid, top.ask))
    seqs = [one.seq for one in reader.payloads("consolidated_top")]
    assert seqs == sorted(set(seqs))
