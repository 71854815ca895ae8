"""The client's calls for stored answers, and the backtest of docs/pit.md while venues revise history."""

from __future__ import annotations

import runpy
import time
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import polars as pl
import pytest
import pytest_asyncio

from datafacade.client import BlockingClient, Client, InvalidRequest, PitCorrupt, PitNotFound
from datafacade.v1 import pit_pb2, warm_pb2
from datafacade.v1.pit_pb2_grpc import SnapshotServiceStub
from tests.integration.service.bench import ROOT, Bench, service

HEADING = "## A backtest that stays what it was"
PRODUCTS = ("binance/spot", "binance/usdm", "kraken/spot")
ENTITY = "warm.klines/kraken/BTC-USD/1h:24"


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", products=PRODUCTS) as running:
        yield running


def example(folder: Path) -> dict[str, Any]:
    """Run the program of the documentation, and return its names."""
    text = (ROOT / "docs" / "pit.md").read_text(encoding="utf-8").partition(HEADING)[2]
    program = text.partition("```python\n")[2].partition("```")[0]
    path = folder / "backtest.py"
    path.write_text(program, encoding="utf-8")
    return runpy.run_path(str(path))


def cut(folder: Path, snapshot_id: str) -> None:
    """Take the last byte of a stored answer."""
    (path,) = folder.rglob(f"*{snapshot_id[:32]}.pb")
    path.chmod(0o640)
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.proves("REQ-P4")
async def test_a_backtest_that_pins_snapshots_is_the_same_after_venues_revised_their_history(
    bench: Bench, tmp_path: Path
) -> None:
    names = example(tmp_path)
    pinned = await names["pin"](bench.address)
    before = await names["backtest"](bench.address, pinned)
    now_ms = time.time_ns() // 10**6
    for venue, symbol in names["MARKETS"]:
        verb = {"verb": "revise", "venue": venue, "symbol": symbol, "price_ratio": 0.05}
        bench.simulator.arm(verb | {"from_ms": now_ms - 60 * 3_600_000, "until_ms": now_ms - 30 * 3_600_000})
    assert await names["backtest"](bench.address, pinned) == before
    async with Client(bench.address) as client:  # 199 rows are another question, which no cache answers
        fresh = [await client.klines(venue, symbol, "1h", limit=199) for venue, symbol in names["MARKETS"]]
        kept = [(await client.pit_get(snapshot_id)).to_polars() for snapshot_id in pinned]
    for told, frame in zip(fresh, kept, strict=True):
        then = dict(zip(frame["timestamp"], frame["close"], strict=True))
        now = dict(zip(told.to_polars()["timestamp"], told.to_polars()["close"], strict=True))
        assert any(now[ts] != then[ts] for ts in now.keys() & then.keys()), "nothing was revised"
    assert [names["profit"](told.to_polars()) for told in fresh] != before


@pytest.mark.proves("REQ-P4")
async def test_stored_answers_are_rows_by_id_and_by_time(bench: Bench) -> None:
    async with Client(bench.address) as client:
        told = await client.klines("kraken", "BTC-USD", "1h", limit=24)
        known = time.time_ns()
        snapshot = await client.pit_get(told.provenance.snapshot_id)
        assert snapshot.to_polars().equals(told.to_polars())
        assert isinstance(snapshot.answer(), warm_pb2.WarmKlinesResponse)
        assert (snapshot.entity, snapshot.rows) == (ENTITY, 24)
        assert (await client.pit_at(ENTITY, known)).equals(told.to_polars())
        assert (await client.pit_find(ENTITY)).id == snapshot.id
        listed = await client.pit_list(ENTITY)
        assert listed["id"].to_list() == [snapshot.id]
        assert listed["timestamp"].cast(int).to_list() == [snapshot.ts_wall]
        assert (await client.pit_list(ENTITY, known)).is_empty()
        assert ENTITY in await client.pit_entities()
        with pytest.raises(PitNotFound):
            await client.pit_at(ENTITY, 1)
        with pytest.raises(InvalidRequest):
            await client.pit_at(ENTITY, known + 10**13)


async def arrow(bench: Bench, snapshot_id: str) -> pl.DataFrame:
    """Return a snapshot as any reader of Arrow gets it."""
    stub: Any = SnapshotServiceStub(bench.channel)
    request = pit_pb2.PitGetRequest(snapshot_id=snapshot_id, encoding=pit_pb2.PIT_ENCODING_ARROW)
    chunks = [chunk async for part in stub.PitGet(request) for chunk in part.chunks]
    return pl.read_ipc_stream(BytesIO(b"".join(chunks)))


async def test_every_kind_with_rows_is_a_frame(bench: Bench) -> None:
    async with Client(bench.address) as client:
        trades = await client.trades("kraken", "BTC-USD", limit=10)
        funding = await client.funding("binance-usdm", "BTC-USDT", limit=3)
        price = await client.price("BTC-USD", sources=["kraken", "coingecko", "coinpaprika"])
        ticker = await client.ticker("kraken", "BTC-USD")
        book = await client.get_book_l2("kraken", "ETH-USD", depth=10, allow_unverified=True)
        found = {}
        for name, answer in (("trades", trades), ("funding", funding), ("price", price)):
            found[name] = (await client.pit_get(answer.provenance.snapshot_id)).to_polars()
        assert found["trades"].equals(trades.to_polars())
        assert found["funding"]["rate"].to_list() == [float(row.rate) for row in funding.rows]
        assert set(found["price"].filter("is_used")["source"]) == {quote.source for quote in price.used}
        levels = await client.pit_at("warm.book/kraken/ETH-USD/10")
        assert levels.filter(side="bid")["price"][0] == float(book.bids[0].price)
        assert levels.height == 20
        listed = await client.pit_find("instruments/kraken/")
        assert "BTC-USD" in listed.to_polars()["symbol"].to_list()
        ids = [answer.provenance.snapshot_id for answer in (trades, funding, price)]
        for snapshot_id in (*ids, listed.id, (await client.pit_find("warm.book/kraken/ETH-USD/10")).id):
            exact = await arrow(bench, snapshot_id)
            frame = (await client.pit_get(snapshot_id)).to_polars()
            assert exact.columns == frame.columns
            floats = [name for name, kind in frame.schema.items() if kind == pl.Float64]
            assert {exact.schema[name] for name in floats} == {pl.String()}
            assert exact.with_columns(pl.col(*floats).cast(pl.Float64)).equals(frame)
        with pytest.raises(ValueError, match="no table"):
            (await client.pit_get(ticker.provenance.snapshot_id)).to_polars()
        with pytest.raises(grpc.aio.AioRpcError, match="no table"):
            await arrow(bench, ticker.provenance.snapshot_id)


async def test_what_was_damaged_is_told(bench: Bench, tmp_path: Path) -> None:
    async with Client(bench.address) as client:
        told = await client.klines("kraken", "BTC-USD", "1h", limit=24)
        cut(tmp_path, told.provenance.snapshot_id)
        with pytest.raises(PitCorrupt):
            await client.pit_get(told.provenance.snapshot_id)


async def test_a_script_asks_the_same(bench: Bench) -> None:
    import asyncio

    def ask() -> int:
        with BlockingClient(bench.address) as client:
            told = client.klines("kraken", "BTC-USD", "1h", limit=24)
            assert client.pit_list(ENTITY).height == 1
            assert client.pit_at(ENTITY).height == 24
            assert client.pit_find(ENTITY).entity in client.pit_entities()
            return client.pit_get(told.provenance.snapshot_id).rows

    assert await asyncio.to_thread(ask) == 24
