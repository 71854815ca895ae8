"""A service of hand-made answers, in process and on loopback: what the client is told is up to the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # it has no py.typed

from datafacade.client import Client
from datafacade.v1 import book_pb2, health_pb2, hot_pb2, reference_pb2
from datafacade.v1.service_pb2_grpc import (
    DataFacadeServiceServicer,
    add_DataFacadeServiceServicer_to_server,
)

PATIENCE_S = 60.0
Context = grpc.aio.ServicerContext[Message, Message]


class FakeCall:
    """One HotSubscribe call as the service sees it."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[hot_pb2.HotSubscribeRequest] = asyncio.Queue()
        self.out: asyncio.Queue[hot_pb2.HotSubscribeResponse | grpc.StatusCode] = asyncio.Queue()
        self.acked = 0
        self._news = asyncio.Event()
        self.ended = asyncio.Event()
        self._stream_seq = 0

    def received(self, request: hot_pb2.HotSubscribeRequest) -> None:
        """Keep a request; acknowledgements are only noted."""
        self.acked = max(self.acked, request.ack_stream_seq)
        self._news.set()
        if request.subscribe or request.unsubscribe:
            self._requests.put_nowait(request)

    async def request(self) -> hot_pb2.HotSubscribeRequest:
        """Return the next request that subscribes or unsubscribes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._requests.get()

    async def acknowledged(self, stream_seq: int) -> None:
        """Wait until the client has processed so many responses."""
        async with asyncio.timeout(PATIENCE_S):
            while self.acked < stream_seq:
                self._news.clear()
                await self._news.wait()

    def send(self, *updates: hot_pb2.Update) -> None:
        """Send one response."""
        self._stream_seq += 1
        self.out.put_nowait(hot_pb2.HotSubscribeResponse(stream_seq=self._stream_seq, updates=updates))

    def fail(self, code: grpc.StatusCode) -> None:
        """End the call."""
        self.out.put_nowait(code)


class FakeService(DataFacadeServiceServicer):
    """Hands each stream to the test, and answers unary calls with what the test has laid down."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[FakeCall] = asyncio.Queue()
        self.book: book_pb2.L2BookResponse | tuple[grpc.StatusCode, Message] = book_pb2.L2BookResponse()
        self.instruments: list[reference_pb2.Instrument] = []
        self.asked: list[Message] = []

    async def call(self) -> FakeCall:
        """Return the next stream that was opened."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._calls.get()

    async def HotSubscribe(  # noqa: N802  the contract's name
        self, requests: AsyncIterator[hot_pb2.HotSubscribeRequest], context: Context
    ) -> AsyncIterator[hot_pb2.HotSubscribeResponse]:
        call = FakeCall()

        async def receive() -> None:
            async for request in requests:
                call.received(request)

        receiving = asyncio.ensure_future(receive())
        self._calls.put_nowait(call)
        try:
            while True:
                response = await call.out.get()
                if isinstance(response, grpc.StatusCode):
                    if response is not grpc.StatusCode.OK:
                        await context.abort(response, "told to fail")
                    return
                yield response
        finally:
            call.ended.set()
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def L2Book(  # noqa: N802  the contract's name
        self, request: book_pb2.L2BookRequest, context: Context
    ) -> book_pb2.L2BookResponse:
        self.asked.append(request)
        if isinstance(self.book, tuple):
            await refuse(context, *self.book)
        assert isinstance(self.book, book_pb2.L2BookResponse)
        return self.book

    async def Health(  # noqa: N802  the contract's name
        self, request: health_pb2.HealthRequest, _: Context
    ) -> health_pb2.HealthResponse:
        self.asked.append(request)
        return health_pb2.HealthResponse(
            venues=[health_pb2.VenueHealth(venue=name) for name in request.venues]
        )

    async def ListInstruments(  # noqa: N802  the contract's name
        self, request: reference_pb2.ListInstrumentsRequest, _: Context
    ) -> reference_pb2.ListInstrumentsResponse:
        self.asked.append(request)
        at = int(request.page_token or 0)
        rows = self.instruments[at : at + 2]
        token = str(at + 2) if at + 2 < len(self.instruments) else ""
        return reference_pb2.ListInstrumentsResponse(instruments=rows, next_page_token=token)


async def refuse(context: Context, code: grpc.StatusCode, detail: Message) -> None:
    """End a unary call as the service does."""
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=code.value[0], message="refused", details=[packed])
    await context.abort(code, "refused", (("grpc-status-details-bin", status.SerializeToString()),))


def reason(word: str, **metadata: str) -> Message:
    """Return the detail that names a reason."""
    made: Message = error_details_pb2.ErrorInfo(reason=word, domain="datafacade", metadata=metadata)
    return made


class Server:
    """The fake service behind a port that can be closed and opened again."""

    def __init__(self) -> None:
        self.service = FakeService()  # type: ignore[abstract]  # the rest stays unserved
        self.port = 0
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_DataFacadeServiceServicer_to_server(self.service, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Close the port and all calls at once."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None


@asynccontextmanager
async def served(silence_s: float = 600.0) -> AsyncIterator[tuple[Server, Client]]:
    """Run a fake service and a client of it."""
    server = Server()
    await server.start()
    try:
        async with Client(f"127.0.0.1:{server.port}", dice=Random(1), silence_s=silence_s) as client:
            yield server, client
    finally:
        await server.stop()
