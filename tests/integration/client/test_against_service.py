"""The client against the real service and simulated venues: faults at the venue, restarts of the service."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

from datafacade.app import run_service
from datafacade.client import (
    Book,
    Client,
    ConnectionLost,
    Event,
    Gap,
    Reconnected,
    StreamState,
    Subscription,
    Trade,
    UnknownSymbol,
)
from datafacade.config import Config
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from tests.integration.service.bench import service, simulated
from tests.ports import reserved_port

PATIENCE_S = 60.0
E = TypeVar("E")


async def until(events: AsyncIterator[Event], kind: type[E], count: int = 1) -> E:
    """Pull events until so many of a kind came; return the last."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            if isinstance(event, kind):
                count -= 1
                if count == 0:
                    return event
    raise AssertionError(f"ended without {kind.__name__}")


async def hashed(subscription: Subscription, times: int, linked: Collection[str] = ()) -> None:
    """Go on until every book's copy was compared with so many checkpoints, and followed the venue's links.

    A client that a busy machine holds up is given books of another moment for a while: they have no links.
    """
    async with asyncio.timeout(PATIENCE_S):
        async for _ in subscription:
            books = [report for report in subscription.reports if report.topic.channel == "book_l2"]
            is_linked = all(report.links_checked for report in books if str(report.topic) in linked)
            if books and is_linked and all(report.hashes_checked >= times for report in books):
                return


@pytest.mark.parametrize("edge", ["rust", "grpcio"])
async def test_copies_of_live_books_hold_against_every_checkpoint(edge: str, tmp_path: Path) -> None:
    products = ("binance/spot", "okx/public", "coinbase/advanced", "coinbase/exchange", "kraken/spot")
    async with (
        service(tmp_path / "config", edge=edge, products=products, rate=10.0) as bench,  # type: ignore[arg-type]
        Client(bench.address, dice=Random(1)) as client,
    ):
        subscription = client.subscribe(["binance", "okx"], ["BTC-USDT", "ETH-USDT"], ["book", "trades"])
        subscription.add(["coinbase", "kraken"], "BTC-USD", ["book", "trades", "top", "ticker"])
        await hashed(subscription, 3, ["binance:BTC-USDT/book_l2", "okx:ETH-USDT/book_l2"])
        reports = {str(report.topic): report for report in subscription.reports}
        assert len(reports) == 8 + 8
        for report in reports.values():
            assert (report.state, report.gaps, report.mismatches, report.duplicates) == ("LIVE", 0, 0, 0)
        assert reports["binance:BTC-USDT/book_l2"].links_checked > 0
        assert reports["okx:ETH-USDT/book_l2"].links_checked > 0
        book = subscription.book("kraken", "BTC-USD")
        assert book is not None
        assert book.is_proven
        assert book.bids == sorted(book.bids, reverse=True)
        answer = await client.get_book_l2("kraken", "XBT/USD", depth=7)
        assert (answer.is_proven, answer.level_counts) == (True, (7, 7))


async def test_a_broken_venue_chain_is_told_and_the_fresh_copy_holds(tmp_path: Path) -> None:
    async with (
        service(tmp_path / "config", products=("binance/spot",)) as bench,
        Client(bench.address, dice=Random(1)) as client,
        client.subscribe("binance", "BTCUSDT", "book") as subscription,
    ):
        await hashed(subscription, 1)
        bench.simulator.arm({"verb": "drop", "venue": "binance", "symbol": "BTCUSDT", "channel": "book"})
        states: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            async for event in subscription:
                if isinstance(event, StreamState):
                    states.append(event.state)
                    if event.state == "LIVE":
                        break
                if isinstance(event, Book) and states:
                    assert not event.is_live
        assert states == ["RESYNC", "LIVE"]
        [report] = subscription.reports
        checked = report.hashes_checked
        await hashed(subscription, checked + 1)
        assert (report.gaps, report.mismatches) == (1, 0)


async def test_unknown_symbols_come_with_near_matches(tmp_path: Path) -> None:
    async with (
        service(tmp_path / "config", products=("kraken/spot",)) as bench,
        Client(bench.address) as client,
    ):
        with pytest.raises(UnknownSymbol) as refused:
            await anext(client.subscribe("kraken", "BTCUS"))
        assert "BTC-USD" in refused.value.suggestions
        with pytest.raises(UnknownSymbol) as asked:
            await client.get_book_l2("kraken", "BTCUS")
        assert "BTC-USD" in asked.value.suggestions


@contextlib.asynccontextmanager
async def running(config: Config, port: int) -> AsyncIterator[None]:
    """Run the service on a port."""
    ready: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(run_service(config, port=port, ready=ready.set_result))
    waiting: list[asyncio.Future[object]] = [serving, ready]  # type: ignore[list-item]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def test_a_service_that_restarts_is_found_again_and_the_hole_is_told(tmp_path: Path) -> None:
    settings = SimulatorSettings(seed=5, products=("kraken/spot",), bases=("BTC",))
    async with Simulator(settings) as simulator, contextlib.AsyncExitStack() as stack:
        config = simulated(simulator, tmp_path / "config")
        port = reserved_port()  # the service is started there again
        async with running(config, port):
            client = await stack.enter_async_context(Client(f"127.0.0.1:{port}", dice=Random(1)))
            subscription = client.subscribe("kraken", "BTC-USD", ["book", "trades"])
            await until(subscription, Trade)
            await hashed(subscription, 1)
            epoch = subscription.reports[0].epoch
        await until(subscription, ConnectionLost)
        assert subscription.book("kraken", "BTC-USD") is None
        await asyncio.sleep(1.01 - time.time() % 1)  # an epoch is the second of a start
        async with running(config, port):
            await until(subscription, Reconnected)
            gap = await until(subscription, Gap)
            assert (gap.scope, gap.cause) == ("DELIVERY", "SERVER_RESTART")
            await until(subscription, Trade)
            before = {report.topic: report.hashes_checked for report in subscription.reports}
            await hashed(subscription, max(before.values()) + 1)
            reports = subscription.reports
            assert {report.epoch > epoch for report in reports} == {True}
            assert [report.gaps for report in reports] == [1, 1]
