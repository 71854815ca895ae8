"""Delivery and acknowledgements, the same over both servers: a feed, a hub, and clients of several habits."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import grpc
import pytest

from datafacade._core import Clock, Edge, Feed, Hub
from datafacade.config import load_config
from datafacade.hot.reader import HubReader
from datafacade.serve.edge import EdgeServer
from datafacade.serve.grpcio_edge import GrpcioServer
from datafacade.serve.status import Refusal
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.integration.edge.running import EPOCH, PATIENCE_S, SERVICE, Stream, details, until

TOP: Final = types_pb2.CHANNEL_TOP_OF_BOOK
LAG_MS: Final = 1_500
PATIENT_MS: Final = 600_000  # nobody is ended for the machine's slowness
INTERVAL_MS: Final = 200
CLOCKS_MS: Final = 50  # between the end of an interval and the stamp of what it gives
INSTRUMENTS: Final = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "stepSize": "0.00001"},
            ],
        }
    ]
}

Delivery = Literal["every", "latest", "interval"]


@dataclass(kw_only=True)
class World:
    """A server over a hub that one feed publishes into."""

    hub: Hub
    feed: Feed
    clock: Clock
    delivery: Delivery = "every"
    interval_ms: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    closed: list[int] = field(default_factory=list)

    methods: list[str] = field(default_factory=list)
    parted_methods: list[str] = field(default_factory=list)
    channel: grpc.aio.Channel = field(init=False)

    # What a server asks of its handlers

    async def call(self, method: str, request: bytes, **_: object) -> Refusal:
        """Answer no call with one request."""
        raise AssertionError(method, request)

    async def stream_request(self, subscriber: int, request: bytes) -> None:
        """Attach the top of book in the way of this test."""
        if hot_pb2.HotSubscribeRequest.FromString(request).subscribe:
            self.hub.attach(
                subscriber,
                "binance",
                "BTC-USDT",
                TOP,
                "",
                start="next",
                wall_ns=time.time_ns(),
                request_id=1,
                subscription_id=1,
                requested_symbol="BTC-USDT",
                delivery=self.delivery,
                interval_ms=self.interval_ms,
            )

    async def run(self) -> None:
        """Run for ever."""
        await asyncio.get_running_loop().create_future()

    def stream_closed(self, subscriber: int) -> None:
        """Note the end of a stream."""
        self.closed.append(subscriber)

    # The test's own

    def publish(self, count: int = 1) -> None:
        """Publish so many changes of the top of book."""
        for _ in range(count):
            number = next(self.numbers)
            quote = {"u": number, "s": "BTCUSDT", "b": f"{100 + number}.5", "B": "1"}
            data = {**quote, "a": f"{101 + number}.5", "A": "2"}
            frame = json.dumps({"stream": "btcusdt@bookTicker", "data": data}).encode()
            self.feed.on_frame(frame, self.clock.wall_ns())

    async def subscribe(self) -> Reader:
        """Open a stream and read its status."""
        stream: Stream = self.channel.stream_stream(SERVICE + "HotSubscribe")()
        request = hot_pb2.HotSubscribeRequest(subscribe=[hot_pb2.Subscription()])
        await stream.write(request.SerializeToString())
        reader = Reader(stream)
        await until(lambda: bool(reader.phases), "the status")
        assert reader.phases == [stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED]
        return reader


class Reader:
    """A client that reads all it is sent, told apart; what it acknowledges is the test's decision."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.stream_seq = 0
        self.phases: list[int] = []
        self.seqs: list[int] = []
        self.sent_ns: list[int] = []  # when the server gave each of them to the transport
        self.changes: list[stream_pb2.DeliveryChange] = []
        self.gaps: list[stream_pb2.Gap] = []
        self.ended: grpc.aio.AioRpcError | None = None
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while isinstance(message := await self.stream.read(), bytes):
                self._take(hot_pb2.HotSubscribeResponse.FromString(message))
        except grpc.aio.AioRpcError as error:
            self.ended = error

    def _take(self, response: hot_pb2.HotSubscribeResponse) -> None:
        assert response.stream_seq == self.stream_seq + 1
        self.stream_seq = response.stream_seq
        for update in response.updates:
            kind = update.WhichOneof("payload")
            if kind == "subscription_status":
                self.phases.append(update.subscription_status.phase)
            elif kind == "top_of_book":
                self.seqs.append(update.seq)
                self.sent_ns.append(response.ts_send)
            elif kind == "delivery_change":
                self.changes.append(update.delivery_change)
            elif kind == "gap":
                self.gaps.append(update.gap)

    async def read_until(self, seq: int) -> None:
        """Wait until a record of this number came."""
        await until(lambda: bool(self.seqs) and self.seqs[-1] >= seq, f"record {seq}")

    async def read_on(self) -> None:
        """Wait until nothing more comes for a while."""
        seen = -1
        while seen != self.stream_seq:
            seen = self.stream_seq
            await asyncio.sleep(0.2)

    async def read_out(self) -> grpc.aio.AioRpcError:
        """Wait for the end; return it."""
        await until(lambda: self.ended is not None, "the end")
        assert self.ended is not None
        return self.ended

    async def acknowledge(self, stream_seq: int | None = None) -> None:
        """Say that all was processed that was read, or up to ``stream_seq``."""
        acked = self.stream_seq if stream_seq is None else stream_seq
        await self.stream.write(hot_pb2.HotSubscribeRequest(ack_stream_seq=acked).SerializeToString())

    async def acknowledge_slowly(self) -> None:
        """Acknowledge the first response after 50 ms: half a second of such work is 16 records at least."""
        await asyncio.sleep(0.05)
        await self.acknowledge()
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def served(
    kind: str, delivery: Delivery = "every", *, interval_ms: int = 0, lag_ms: int = PATIENT_MS
) -> AsyncIterator[World]:
    """Run a server of either kind."""
    hub = Hub(epoch=EPOCH, lag_ms=lag_ms)
    clock = Clock.real()
    figures = [("liveness_ms", PATIENT_MS)]  # no state of a venue comes between the prices
    feed = Feed(venue="binance", product="spot", hub=hub, clock=clock, epoch=EPOCH, seed=1, figures=figures)
    feed.add_instruments(json.dumps(INSTRUMENTS).encode())
    feed.subscribe("BTCUSDT", TOP)
    feed.start()
    feed.on_opened()
    world = World(hub=hub, feed=feed, clock=clock, delivery=delivery, interval_ms=interval_ms)
    world.publish()
    reader = HubReader(hub)
    reader.start()
    server: EdgeServer | GrpcioServer
    if kind == "rust":
        server = EdgeServer(Edge(hub, epoch=EPOCH, limits={"silence_ms_max": 600_000}), world)  # type: ignore[arg-type]
    else:
        server = GrpcioServer(
            world,  # type: ignore[arg-type]
            address=("127.0.0.1", 0),
            settings=load_config().service.server,
            hub=hub,
            reader=reader,
            clock=clock,
            epoch=EPOCH,
        )
    [address] = await server.start()
    running = asyncio.create_task(server.run())
    try:
        async with grpc.aio.insecure_channel(address) as world.channel:
            yield world
    finally:
        running.cancel()
        await server.stop()
        reader.stop()


both = pytest.mark.parametrize("kind", ["rust", "grpcio"])


@both
async def test_every_record_comes_once_and_in_order(kind: str) -> None:
    async with served(kind) as world:
        reader = await world.subscribe()
        for _ in range(20):
            world.publish(50)
            await asyncio.sleep(0)
        await reader.read_until(world.hub.head("binance", "BTC-USDT", TOP, ""))
        assert reader.seqs == list(range(reader.seqs[0], reader.seqs[0] + 1_000))
        assert not reader.changes


@both
async def test_an_interval_passes_although_nothing_is_published(kind: str) -> None:
    async with served(kind, "interval", interval_ms=INTERVAL_MS) as world:
        reader = await world.subscribe()
        head = world.hub.head("binance", "BTC-USDT", TOP, "")
        for end in (head + 1, head + 6, head + 10):
            world.publish(end - world.hub.head("binance", "BTC-USDT", TOP, ""))
            await reader.read_until(end)
        pauses_ms = [(later - sooner) / 1e6 for sooner, later in itertools.pairwise(reader.sent_ns)]
        assert min(pauses_ms) > INTERVAL_MS - CLOCKS_MS, pauses_ms
        world.hub.drain()
        assert (await reader.read_out()).code() == grpc.StatusCode.UNAVAILABLE
        skipped = sum(change.skipped for change in reader.changes)
        assert skipped == 10 - len(reader.seqs), "each record is given or counted"
        assert {change.mode_new for change in reader.changes} == {types_pb2.DELIVERY_MODE_INTERVAL}


@both
async def test_who_acknowledges_is_given_no_more_than_a_window(kind: str) -> None:
    async with served(kind) as world:
        reader = await world.subscribe()
        await reader.acknowledge_slowly()
        world.publish(200)
        await reader.read_on()
        given = len(reader.seqs)
        assert 0 < given < 200
        async with asyncio.timeout(PATIENCE_S):
            while len(reader.seqs) < 200:
                seen = reader.stream_seq
                await reader.acknowledge()
                await until(lambda seen=seen: reader.stream_seq > seen, "the next response")  # type: ignore[misc]
        assert reader.seqs == list(range(reader.seqs[0], reader.seqs[0] + 200))


@both
async def test_latest_skips_and_counts_while_nothing_is_acknowledged(kind: str) -> None:
    async with served(kind, "latest") as world:
        reader = await world.subscribe()
        await reader.acknowledge_slowly()
        world.publish(100)
        await reader.read_on()
        world.publish(10)
        world.hub.advance(time.time_ns(), time.monotonic_ns())
        await reader.acknowledge()
        head = world.hub.head("binance", "BTC-USDT", TOP, "")
        await reader.read_until(head)
        assert reader.seqs[:-1] == list(range(reader.seqs[0], reader.seqs[0] + len(reader.seqs) - 1))
        [change] = reader.changes
        assert (change.mode_old, change.mode_new, change.cause) == (
            types_pb2.DELIVERY_MODE_EVERY,
            types_pb2.DELIVERY_MODE_LATEST,
            stream_pb2.DELIVERY_CAUSE_BEHIND,
        )
        assert change.skipped == reader.seqs[-1] - reader.seqs[-2] - 1 >= 10, "the newest stands for them"
        assert change.lag_ms > 250


@both
async def test_who_acknowledged_and_stops_is_ended_with_the_position(kind: str) -> None:
    async with served(kind, "latest", lag_ms=LAG_MS) as world:
        reader = await world.subscribe()
        await reader.acknowledge_slowly()
        begin = time.monotonic()
        world.publish(100)
        ended = await reader.read_out()
        assert ended.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert time.monotonic() - begin > LAG_MS / 2_000
        status = details(ended).SerializeToString()
        assert b"SLOW_READER" in status
        assert b"binance/BTC-USDT" in status
        [gap] = reader.gaps
        head = world.hub.head("binance", "BTC-USDT", TOP, "")
        assert (gap.seq_first, gap.seq_last, gap.count) == (reader.seqs[-1] + 1, head, head - reader.seqs[-1])
        assert gap.cause == stream_pb2.GAP_CAUSE_SLOW_READER


@both
async def test_an_acknowledgement_above_what_was_sent_is_invalid(kind: str) -> None:
    async with served(kind) as world:
        reader = await world.subscribe()
        await reader.acknowledge(99)
        ended = await reader.read_out()
        assert ended.code() == grpc.StatusCode.INVALID_ARGUMENT
