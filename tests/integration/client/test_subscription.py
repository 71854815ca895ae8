"""Subscriptions over a real channel against hand-made answers: acknowledgements, renewals, reconnects."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TypeVar

import grpc
import pytest

from datafacade.client import (
    Accepted,
    Book,
    BookMismatch,
    ConnectionLost,
    Event,
    Gap,
    InvalidRequest,
    Reconnected,
    Refused,
    Resumed,
    ServerUnavailable,
    StreamState,
    Subscription,
    Trade,
    UnknownSymbol,
)
from datafacade.v1 import hot_pb2, types_pb2
from tests.integration.client.fake import PATIENCE_S, FakeCall, Server, served
from tests.unit.client.make import EPOCH, checkpoint, cut, delta, state, status, trade

TRADES = types_pb2.CHANNEL_TRADES
BIDS, ASKS = {"10": "1"}, {"11": "1"}
E = TypeVar("E")


async def until(events: AsyncIterator[Event], kind: type[E]) -> E:
    """Pull events until one of a kind comes."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"ended without {kind.__name__}")


async def opened(server: Server, subscription: Subscription) -> tuple[FakeCall, hot_pb2.HotSubscribeRequest]:
    """Start the iteration and return the call that it opens, with its first request."""
    waiting = asyncio.ensure_future(anext(subscription))
    call = await server.service.call()
    request = await call.request()
    call.send(status("ACCEPTED", request.subscribe[0].subscription_id, seq_next=1, channel=TRADES))
    async with asyncio.timeout(PATIENCE_S):
        assert isinstance(await waiting, Accepted)
    return call, request


def refusal(item: hot_pb2.Subscription, symbol: str, **fields: object) -> hot_pb2.Update:
    """Return how the service refuses an unknown symbol."""
    told: dict[str, object] = {
        "requested_symbol": symbol,
        "symbol": "",
        "channel": item.channels[0],
        **fields,
    }
    return status("REJECTED", item.subscription_id, reason="UNKNOWN_SYMBOL", **told)


async def test_trades_are_iterated_and_acknowledged_when_processed() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        call, request = await opened(server, subscription)
        assert list(request.subscribe[0].symbols) == ["BTC-USD"]
        call.send(*(trade(seq, seq + 100) for seq in range(1, 301)))
        ids = [(await until(subscription, Trade)).trade_id for _ in range(299)]
        assert ids == list(range(101, 400))
        assert call.acked < 2, "the last trade of the second response is not processed yet"
        await until(subscription, Trade)
        call.send(trade(301, 401))
        await until(subscription, Trade)
        await call.acknowledged(2)
        assert subscription.reports[0].trades == 301


async def test_a_small_response_is_acknowledged_within_its_time() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        call, _ = await opened(server, subscription)
        call.send(trade(1, 1))
        await until(subscription, Trade)
        waiting = asyncio.ensure_future(anext(subscription))
        await call.acknowledged(2)
        call.send(trade(2, 2))
        assert isinstance(await waiting, Trade)


async def test_topics_are_added_and_removed_in_the_running_call() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        call, first = await opened(server, subscription)
        handle = subscription.add("kraken", ["ETH-USD"], "trades")
        request = await call.request()
        item = request.subscribe[0]
        assert (list(item.symbols), request.request_id) == (["ETH-USD"], first.request_id + 1)
        call.send(
            status("ACCEPTED", item.subscription_id, seq_next=1, symbol="ETH-USD", channel=TRADES),
            trade(1, 9, symbol="ETH-USD"),
        )
        assert (await until(subscription, Trade)).symbol == "ETH-USD"
        subscription.remove(handle)
        assert list((await call.request()).unsubscribe) == [item.subscription_id]
        call.send(trade(2, 10, symbol="ETH-USD"), trade(1, 5))
        assert (await until(subscription, Trade)).symbol == "BTC-USD", "what was removed is not heard"


async def test_a_reader_that_gave_up_waiting_may_come_back() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        call, _ = await opened(server, subscription)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(subscription)
        call.send(trade(1, 7))
        assert (await until(subscription, Trade)).trade_id == 7


# Books


async def test_a_wrong_checkpoint_drops_the_book_and_subscribes_it_anew() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD", "book") as subscription:
        waiting = asyncio.ensure_future(until(subscription, Book))
        call = await server.service.call()
        item = (await call.request()).subscribe[0]
        call.send(
            status("ACCEPTED", item.subscription_id, seq_next=5), state(2, "LIVE"), cut(4, BIDS, ASKS),
            delta(5, {"10": "3"}, {}), checkpoint(5, {"10": "3.5"}, ASKS), delta(6, {"10": "4"}, {}),
        )  # fmt: skip
        assert (await waiting).is_live
        mismatch = await until(subscription, BookMismatch)
        assert (mismatch.reason, mismatch.seq) == ("CHECKPOINT", 5)
        assert subscription.book("kraken", "BTC-USD") is None
        missed = asyncio.ensure_future(until(subscription, Gap))
        request = await call.request()
        assert list(request.unsubscribe) == [item.subscription_id]
        renewed = request.subscribe[0]
        assert renewed.subscription_id != item.subscription_id
        call.send(
            delta(7, {"10": "5"}, {}), status("ENDED", item.subscription_id),
            status("ACCEPTED", renewed.subscription_id, seq_next=8), cut(8, {"10": "6"}, ASKS),
            checkpoint(8, {"10": "6"}, ASKS),
        )  # fmt: skip
        gap = await missed
        assert (gap.scope, gap.cause, gap.seq_first, gap.seq_last) == ("LOCAL", "MISMATCH", 6, 8)
        book = await until(subscription, Book)
        assert book.best_bid == (Decimal(10), Decimal(6))
        call.send(delta(9, {"10": "7"}, {}))
        assert (await until(subscription, Book)).proof.hash_seq == 8
        [report] = subscription.reports
        assert (report.mismatches, report.gaps, report.hashes_checked) == (1, 1, 2)


# Refusals


async def test_the_only_item_refused_raises_with_suggestions() -> None:
    async with served() as (server, client):
        subscription = client.subscribe("kraken", "BTCUS", "book")
        waiting = asyncio.ensure_future(anext(subscription))
        call = await server.service.call()
        item = (await call.request()).subscribe[0]
        call.send(refusal(item, "BTCUS", suggestions=["BTC-USD"]))
        with pytest.raises(UnknownSymbol) as refused:
            await waiting
        assert refused.value.suggestions == ("BTC-USD",)
        assert refused.value.symbol == "BTCUS"
        async with asyncio.timeout(PATIENCE_S):
            await call.ended.wait()


async def test_one_refused_item_among_others_is_an_event() -> None:
    async with (
        served() as (server, client),
        client.subscribe("kraken", ["BTC-USD", "NOPE"]) as subscription,
    ):
        waiting = asyncio.ensure_future(until(subscription, Refused))
        call = await server.service.call()
        good, bad = (await call.request()).subscribe
        call.send(
            refusal(bad, "NOPE"),
            status("ACCEPTED", good.subscription_id, seq_next=1, channel=TRADES),
            trade(1, 1),
        )
        assert (await waiting).requested_symbol == "NOPE"
        assert (await until(subscription, Trade)).trade_id == 1


async def test_an_item_that_a_venue_cannot_serve_yet_is_asked_for_again() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        waiting = asyncio.ensure_future(until(subscription, Trade))
        call = await server.service.call()
        item = (await call.request()).subscribe[0]
        call.send(status("REJECTED", item.subscription_id, symbol="", channel=TRADES, reason="VENUE_FAILED"))
        again = (await call.request()).subscribe[0]
        call.send(status("ACCEPTED", again.subscription_id, seq_next=1, channel=TRADES), trade(1, 3))
        assert (await waiting).trade_id == 3


# Lost connections


async def test_a_server_that_is_not_there_is_said_at_once() -> None:
    async with served() as (server, client):
        await server.stop()
        with pytest.raises(ServerUnavailable):
            await anext(client.subscribe("kraken", "BTC-USD"))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN])
async def test_a_call_that_breaks_is_opened_again_and_the_hole_is_told(code: grpc.StatusCode) -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        call, _ = await opened(server, subscription)
        call.send(trade(1, 1))
        await until(subscription, Trade)
        call.fail(code)
        await until(subscription, ConnectionLost)
        assert subscription.reports[0].state == "DOWN"
        waiting = asyncio.ensure_future(until(subscription, Reconnected))
        again = await server.service.call()
        item = (await again.request()).subscribe[0]
        again.send(status("ACCEPTED", item.subscription_id, seq_next=4, channel=TRADES), trade(4, 4))
        assert (await waiting).attempt == 1
        gap = await until(subscription, Gap)
        assert (gap.cause, gap.seq_first, gap.seq_last) == ("CONNECTION_LOST", 2, 3)
        assert (await until(subscription, Trade)).trade_id == 4


async def test_a_server_that_restarts_is_found_again_and_its_books_begin_anew() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD", "book") as subscription:
        waiting = asyncio.ensure_future(until(subscription, Book))
        call = await server.service.call()
        item = (await call.request()).subscribe[0]
        call.send(status("ACCEPTED", item.subscription_id, seq_next=5), state(2, "LIVE"), cut(4, BIDS, ASKS))
        await waiting
        lost = asyncio.ensure_future(until(subscription, ConnectionLost))
        await server.stop()
        await lost
        assert subscription.book("kraken", "BTC-USD") is None
        found = asyncio.ensure_future(until(subscription, Book))
        await server.start()
        again = await server.service.call()
        item = (await again.request()).subscribe[0]
        again.send(
            status("ACCEPTED", item.subscription_id, seq_next=1, epoch=EPOCH + 9),
            state(1, "LIVE", epoch=EPOCH + 9),
            cut(3, {"9": "2"}, ASKS, epoch=EPOCH + 9),
        )
        book = await found
        assert (book.stamp.epoch, book.best_bid) == (EPOCH + 9, (Decimal(9), Decimal(2)))
        assert subscription.reports[0].gaps == 1


async def test_a_call_that_breaks_is_resumed_exactly_where_it_stood() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        call, first = await opened(server, subscription)
        assert not first.subscribe[0].resume
        call.send(trade(1, 1))
        await until(subscription, Trade)
        stored = subscription.positions
        call.fail(grpc.StatusCode.UNAVAILABLE)
        resumed = asyncio.ensure_future(until(subscription, Resumed))
        again = await server.service.call()
        item = (await again.request()).subscribe[0]
        [position] = item.resume
        assert (position.symbol, position.epoch, position.seq) == ("BTC-USD", EPOCH, 1)
        again.send(status("RESUMED", item.subscription_id, seq_next=2, channel=TRADES), trade(2, 2))
        assert (await resumed).seq_next == 2
        assert (await until(subscription, Trade)).trade_id == 2
        report = subscription.reports[0]
        assert (report.gaps, report.duplicates, report.resumes) == (0, 0, 1)
    async with served() as (server, client), client.resume(stored) as subscription:
        waiting = asyncio.ensure_future(until(subscription, Trade))
        call = await server.service.call()
        item = (await call.request()).subscribe[0]
        assert [(one.venue, one.seq) for one in item.resume] == [("kraken", 1)]
        call.send(status("RESUMED", item.subscription_id, seq_next=2, channel=TRADES), trade(2, 2))
        assert (await waiting).trade_id == 2


async def test_a_refused_position_is_given_up_and_the_hole_is_told() -> None:
    async with served() as (server, client), client.subscribe("kraken", "BTC-USD") as subscription:
        call, _ = await opened(server, subscription)
        call.send(trade(7, 1))
        await until(subscription, Trade)
        call.fail(grpc.StatusCode.UNAVAILABLE)
        gap = asyncio.ensure_future(until(subscription, Gap))
        again = await server.service.call()
        item = (await again.request()).subscribe[0]
        assert item.resume
        refused = status("REJECTED", item.subscription_id, reason="INVALID_REQUEST", channel=TRADES)
        again.send(refused)
        renewed = (await again.request()).subscribe[0]
        assert not renewed.resume
        again.send(status("ACCEPTED", renewed.subscription_id, seq_next=12, channel=TRADES))
        told = await gap
        assert (told.cause, told.seq_first, told.seq_last) == ("CONNECTION_LOST", 8, 11)


async def test_silence_counts_as_a_lost_connection() -> None:
    async with (
        served(silence_s=0.3) as (server, client),
        client.subscribe("kraken", "BTC-USD") as subscription,
    ):
        lost = asyncio.ensure_future(until(subscription, ConnectionLost))
        call = await server.service.call()
        request = await call.request()
        call.send(status("ACCEPTED", request.subscribe[0].subscription_id, seq_next=1, channel=TRADES))
        assert "nothing came" in (await lost).reason


async def test_a_refused_call_ends_the_iteration() -> None:
    async with served() as (server, client):
        subscription = client.subscribe("kraken", "BTC-USD")
        call, _ = await opened(server, subscription)
        call.fail(grpc.StatusCode.INVALID_ARGUMENT)
        with pytest.raises(InvalidRequest):
            await until(subscription, StreamState)
        with pytest.raises(StopAsyncIteration):
            await anext(subscription)


async def test_closing_the_client_ends_its_streams_at_the_service() -> None:
    async with served() as (server, client):
        call, _ = await opened(server, client.subscribe("kraken", "BTC-USD"))
        await client.close()
        async with asyncio.timeout(PATIENCE_S):
            await call.ended.wait()
