"""Subscriptions from grpcio: the Hub's records behind the edge's header."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from datafacade._core import Call, Hub
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.integration.edge.running import EPOCH, Running, Stream, running, until

TRADES = types_pb2.CHANNEL_TRADES


def attach(hub: Hub, call: Call, symbol: str = "BTC-USD") -> None:
    """Attach the call's subscriber to a topic, as the service would."""
    assert call.subscriber is not None
    hub.attach(
        call.subscriber,
        "kraken",
        symbol,
        TRADES,
        "",
        start="next",
        wall_ns=time.time_ns(),
        request_id=7,
        subscription_id=3,
        requested_symbol=symbol,
    )


async def read(stream: Stream) -> hot_pb2.HotSubscribeResponse:
    """Read one response."""
    message = await asyncio.wait_for(stream.read(), 10)
    assert isinstance(message, bytes)
    return hot_pb2.HotSubscribeResponse.FromString(message)


async def opened(edge: Running) -> Stream:
    """Open a stream whose first request is accepted and attached."""

    async def handler(call: Call) -> None:
        attach(edge.hub, call)
        call.reply()

    edge.handler = handler
    stream = edge.subscribe()
    await stream.write(
        hot_pb2.HotSubscribeRequest(request_id=7, subscribe=[hot_pb2.Subscription()]).SerializeToString()
    )
    return stream


async def test_a_response_is_one_message_of_the_contract() -> None:
    async with running() as edge:
        stream = await opened(edge)
        before_ns = time.time_ns()
        response = await read(stream)
        assert response.stream_seq == 1
        assert abs(response.ts_send - before_ns) < 10_000_000_000
        [update] = response.updates
        assert (update.venue, update.symbol, update.channel, update.epoch) == (
            "kraken",
            "BTC-USD",
            TRADES,
            EPOCH,
        )
        assert update.seq == 0
        assert update.subscription_status.phase == stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED
        assert (update.subscription_status.request_id, update.subscription_status.subscription_id) == (7, 3)


async def test_silence_is_broken_once_a_second_by_an_empty_response() -> None:
    async with running(limits={"silence_ms_max": 100}) as edge:
        stream = await opened(edge)
        await read(stream)
        for stream_seq in (2, 3, 4):
            response = await read(stream)
            assert (response.stream_seq, len(response.updates)) == (stream_seq, 0)


async def test_half_closing_keeps_the_stream() -> None:
    async with running() as edge:
        stream = await opened(edge)
        await read(stream)
        await stream.done_writing()
        update = hot_pb2.Update(venue="kraken", symbol="BTC-USD", channel=TRADES)
        subscriber = edge.calls[0].subscriber
        assert subscriber is not None
        assert edge.hub.push(subscriber, update.SerializeToString())
        assert list((await read(stream)).updates) == [update]


async def test_a_later_request_adds_and_an_acknowledgement_stays_in_the_edge() -> None:
    async with running() as edge:
        stream = await opened(edge)
        first = await read(stream)
        acknowledge = hot_pb2.HotSubscribeRequest(request_id=8, ack_stream_seq=first.stream_seq)
        await stream.write(acknowledge.SerializeToString())

        async def handler(call: Call) -> None:
            attach(edge.hub, call, "ETH-USD")
            call.reply()

        edge.handler = handler
        await stream.write(
            hot_pb2.HotSubscribeRequest(request_id=9, subscribe=[hot_pb2.Subscription()]).SerializeToString()
        )
        [update] = (await read(stream)).updates
        assert update.symbol == "ETH-USD"
        assert [hot_pb2.HotSubscribeRequest.FromString(call.request).request_id for call in edge.calls] == [
            7,
            9,
        ]
        assert len({call.subscriber for call in edge.calls}) == 1


async def test_an_acknowledgement_above_what_was_sent_is_invalid() -> None:
    async with running() as edge:
        stream = await opened(edge)
        await read(stream)
        await stream.write(hot_pb2.HotSubscribeRequest(ack_stream_seq=99).SerializeToString())
        assert await stream.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "ack_stream_seq: expected at most 1, received 99" in await stream.details()


async def test_a_refused_request_ends_the_stream_with_its_status() -> None:
    async def refuse(call: Call) -> None:
        call.fail(8, "max_pairs: at most 30")

    async with running(refuse) as edge:
        stream = edge.subscribe()
        await stream.write(
            hot_pb2.HotSubscribeRequest(subscribe=[hot_pb2.Subscription()]).SerializeToString()
        )
        assert await stream.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await stream.details() == "max_pairs: at most 30"
        await until(lambda: edge.closed == [edge.calls[0].subscriber], "the end of the stream")


@pytest.mark.proves("ROW-E04")
async def test_a_client_that_leaves_is_forgotten_within_a_second() -> None:
    async with running() as edge:
        stream = await opened(edge)
        await read(stream)
        subscriber = edge.calls[0].subscriber
        assert edge.hub.subscribers("kraken", "BTC-USD", TRADES, "") == 1
        stream.cancel()
        assert await until(lambda: edge.closed == [subscriber], "the end of the stream") < 1
        assert edge.hub.subscribers("kraken", "BTC-USD", TRADES, "") == 0
        assert edge.edge.stats()["streams_open"] == 0


async def test_a_hub_that_drains_says_where_to_resume_and_ends_the_stream() -> None:
    async with running() as edge:
        stream = await opened(edge)
        await read(stream)
        edge.hub.drain()
        [update] = (await read(stream)).updates
        [position] = update.draining.positions
        assert (position.venue, position.symbol, position.epoch, position.seq) == (
            "kraken",
            "BTC-USD",
            EPOCH,
            0,
        )
        assert await stream.code() == grpc.StatusCode.UNAVAILABLE
        metadata = dict(await stream.trailing_metadata())
        assert b"DRAINING" in metadata["grpc-status-details-bin"]


async def test_a_reader_beyond_its_bound_is_told_in_band_and_in_the_trailers() -> None:
    async with running() as edge:
        stream = await opened(edge)
        await read(stream)
        subscriber = edge.calls[0].subscriber
        assert subscriber is not None
        update = hot_pb2.Update(venue="kraken", symbol="BTC-USD", channel=TRADES, variant="x" * 60_000)
        encoded = update.SerializeToString()
        while edge.hub.push(subscriber, encoded):
            pass
        responses = [hot_pb2.HotSubscribeResponse.FromString(message) for message in await read_all(stream)]
        assert [response.stream_seq for response in responses] == list(range(2, len(responses) + 2))
        assert await stream.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        metadata = dict(await stream.trailing_metadata())
        assert b"SLOW_READER" in metadata["grpc-status-details-bin"]
        assert b"kraken/BTC-USD/1/" in metadata["grpc-status-details-bin"]


async def read_all(stream: Stream) -> list[bytes]:
    """Read to the end; the status is asked for afterwards."""
    messages: list[bytes] = []
    while True:
        try:
            message = await stream.read()
        except grpc.aio.AioRpcError:
            return messages
        if not isinstance(message, bytes):
            return messages
        messages.append(message)
