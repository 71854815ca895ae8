"""Callbacks and unary answers over a real gRPC channel against hand-made answers."""

import asyncio
import logging
from collections.abc import Sequence
from decimal import Decimal

import grpc
import pytest

from datafacade.client import Book, Client, Event, ServerUnavailable, StreamState, Trade, UnknownSymbol
from datafacade.v1 import book_pb2, hot_pb2, reference_pb2, types_pb2
from tests.integration.client.fake import PATIENCE_S, FakeCall, Server, reason, served
from tests.unit.client.make import cut, delta, state, status, trade

MORE = types_pb2.UPDATE_FLAG_MORE
TRADES = types_pb2.CHANNEL_TRADES


async def accept(
    server: Server, channel: int = types_pb2.CHANNEL_BOOK_L2
) -> tuple[FakeCall, hot_pb2.Subscription]:
    """Accept the first item of the next call."""
    call = await server.service.call()
    item = (await call.request()).subscribe[0]
    call.send(status("ACCEPTED", item.subscription_id, seq_next=1, channel=channel))
    return call, item


@pytest.mark.proves("REQ-A1")
async def test_trades_of_one_venue_frame_come_as_one_batch() -> None:
    batches: asyncio.Queue[Sequence[Trade]] = asyncio.Queue()
    async with served() as (server, client):
        following = asyncio.ensure_future(client.subscribe_trades("kraken", "BTC-USD", batches.put_nowait))
        call, _ = await accept(server, channel=TRADES)
        await following
        call.send(trade(1, 1, flags=MORE), trade(2, 2))
        call.send(trade(3, 3))
        async with asyncio.timeout(PATIENCE_S):
            assert [one.trade_id for one in await batches.get()] == [1, 2]
            assert [one.trade_id for one in await batches.get()] == [3]


@pytest.mark.proves("REQ-A2")
async def test_an_async_callback_sees_each_book_with_all_its_levels() -> None:
    seen: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
    states: list[Event] = []

    async def on_book(book: Book) -> None:
        await asyncio.sleep(0)
        seen.put_nowait((book.seq, len(book.bids)))

    async with served() as (server, client):
        following = asyncio.ensure_future(
            client.subscribe_book_l2("kraken", "BTC-USD", on_book, on_event=states.append)
        )
        call, _ = await accept(server)
        handle = await following
        call.send(
            state(1, "LIVE"), cut(1, {"1": "1"}, {}), delta(2, {"2": "1"}, {}), delta(3, {"1": "0"}, {})
        )
        async with asyncio.timeout(PATIENCE_S):
            assert [await seen.get() for _ in range(3)] == [(1, 1), (2, 2), (3, 1)]
        assert any(isinstance(event, StreamState) for event in states)
        assert handle.reports[0].updates == 3
        await handle.close()
        async with asyncio.timeout(PATIENCE_S):
            await call.ended.wait()


async def test_a_callback_that_fails_is_logged_and_told_to_who_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def on_trades(_: Sequence[Trade]) -> None:
        raise ZeroDivisionError

    async with served() as (server, client):
        following = asyncio.ensure_future(client.subscribe_trades("kraken", "BTC-USD", on_trades))
        call, _ = await accept(server, channel=TRADES)
        handle = await following
        call.send(trade(1, 1))
        with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(PATIENCE_S):
                await handle.wait()
        assert "callback.failed" in caplog.text


async def test_subscribing_an_unknown_symbol_raises_before_any_callback() -> None:
    async with served() as (server, client):
        following = asyncio.ensure_future(client.subscribe_trades("kraken", "NOPE", lambda _: None))
        call = await server.service.call()
        item = (await call.request()).subscribe[0]
        call.send(status("REJECTED", item.subscription_id, symbol="", reason="UNKNOWN_SYMBOL"))
        with pytest.raises(UnknownSymbol):
            await following


@pytest.mark.proves("REQ-A5")
@pytest.mark.proves("REQ-L5")
async def test_one_book_is_answered_with_levels_of_its_own() -> None:
    rows = book_pb2.BookSnapshot(
        bid_prices=[6160201, 6160200], bid_quantities=[5, 7], ask_prices=[6160202], ask_quantities=[1]
    )
    answer = book_pb2.L2BookResponse(
        venue="kraken",
        symbol="BTC-USD",
        seq=9,
        state=types_pb2.STATE_LIVE,
        integrity=types_pb2.INTEGRITY_CHECKSUM,
        price_exponent=-2,
        quantity_exponent=-1,
        book=rows,
        checkpoint=book_pb2.Checkpoint(proof_seq=9, proof_levels=10),
    )
    async with served() as (server, client):
        server.service.book = answer
        book = await client.get_book_l2("kraken", "XBT/USD", depth=2)
        [asked] = server.service.asked
        assert isinstance(asked, book_pb2.L2BookRequest)
        assert (asked.symbol, asked.depth) == ("XBT/USD", 2)
    assert book.is_proven
    assert book.bids == [(Decimal("61602.01"), Decimal("0.5")), (Decimal(61602), Decimal("0.7"))]
    assert (book.spread, book.proof.seq, book.proof.levels) == (Decimal("0.01"), 9, 10)


async def test_a_refused_book_is_a_typed_error() -> None:
    async with served() as (server, client):
        server.service.book = grpc.StatusCode.NOT_FOUND, reason("UNKNOWN_SYMBOL", suggestions="BTC-USD")
        with pytest.raises(UnknownSymbol) as refused:
            await client.get_book_l2("kraken", "BTCUS")
        assert refused.value.suggestions == ("BTC-USD",)


async def test_instruments_are_read_over_all_pages() -> None:
    async with served() as (server, client):
        names = [f"S{number}-USD" for number in range(5)]
        server.service.instruments = [reference_pb2.Instrument(venue="kraken", symbol=name) for name in names]
        assert [row.symbol for row in await client.list_instruments("kraken")] == names
        assert len(server.service.asked) == 3


@pytest.mark.proves("REQ-A6")
async def test_health_of_one_venue() -> None:
    async with served() as (_, client):
        assert (await client.venue_health("kraken")).venue == "kraken"


async def test_a_unary_call_without_a_server_is_a_typed_error() -> None:
    async with served() as (server, client):
        await server.stop()
        with pytest.raises(ServerUnavailable):
            await client.health()


async def test_a_client_that_is_not_open_says_how_to_open_it() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Client().health()
