"""Serve with grpcio on loopback: the reference for the Rust edge, over the same handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, NoReturn, TypeAlias

import grpc

from datafacade.clock import Clock
from datafacade.config import Server
from datafacade.errors import AddressTaken, Draining, InvalidRequest
from datafacade.hot.ports import Hub
from datafacade.hot.reader import HubReader
from datafacade.serve.handlers import STREAM_METHOD, Handlers, path
from datafacade.serve.served import served
from datafacade.serve.status import Refusal, refuse, refuse_slow_reader
from datafacade.v1 import health_pb2, hot_pb2

SILENCE_S: Final = 1.0
_HEALTH: Final = "/grpc.health.v1.Health/"
_SERVING: Final = b"\x08\x01"
_NOT_SERVING: Final = b"\x08\x02"
_UNKNOWN: Final = b"\x08\x03"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class GrpcioServer(grpc.GenericRpcHandler):
    """The reference server. It listens on loopback only."""

    def __init__(
        self,
        handlers: Handlers,
        *,
        address: tuple[str, int],
        settings: Server,
        hub: Hub,
        reader: HubReader,
        clock: Clock,
        epoch: int,
    ) -> None:
        self._handlers = handlers
        self._address = address
        self._settings = settings
        self._hub = hub
        self._reader = reader
        self._clock = clock
        self._epoch = epoch
        self._health: dict[str, bool] = {}
        self._health_changed = asyncio.Event()
        self._is_draining = False
        self._server: grpc.aio.Server | None = None

    async def start(self) -> list[str]:
        """Listen; return the addresses.

        Raises:
            AddressTaken: Another program listens there.
        """
        settings, (host, port) = self._settings, self._address
        options = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", settings.request_bytes_max),
            ("grpc.max_metadata_size", settings.metadata_bytes_max),
            ("grpc.max_concurrent_streams", settings.streams_per_connection_max),
            ("grpc.keepalive_time_ms", int(settings.keepalive_sec * 1000)),
            ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout_sec * 1000)),
            ("grpc.http2.ping_timeout_ms", int(settings.keepalive_timeout_sec * 1000)),
        ]
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=settings.calls_queued_max)
        self._server.add_generic_rpc_handlers((self,))
        try:
            port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            raise AddressTaken(f"{host}:{port}") from None
        await self._server.start()
        return [f"{host}:{port}"]

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._handlers.run()

    def figures(self) -> health_pb2.EdgeHealth | None:
        """Return nothing: this server counts nothing."""
        return None

    def set_health(self, service: str, is_serving: bool) -> None:
        """Tell ``grpc.health.v1`` how a part is."""
        if self._health.get(service) != is_serving:
            self._health[service] = is_serving
            self._health_changed.set()
            self._health_changed = asyncio.Event()

    async def drain(self, grace_s: float, end_streams: Callable[[], None]) -> None:
        """Tell health, end the streams in order, refuse what is new, wait for what runs."""
        self._is_draining = True
        for service in self._health:
            self.set_health(service, False)
        self._health_changed.set()  # a part that was down already is watched too
        end_streams()
        if self._server is not None:
            await self._server.stop(grace_s)

    async def stop(self) -> None:
        """End what still runs."""
        if self._server is not None:
            await self._server.stop(0)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Method | None:
        """Find the handler of a method; messages stay bytes."""
        method = handler_call_details.method
        name = method.rpartition("/")[2]
        if method == path(STREAM_METHOD):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        if name in self._handlers.parted_methods and method == path(name):
            return grpc.unary_stream_rpc_method_handler(partial(self._parted, method))
        if name in self._handlers.methods and method == path(name):
            return grpc.unary_unary_rpc_method_handler(partial(self._unary, method))
        if method == f"{_HEALTH}Check":
            return grpc.unary_unary_rpc_method_handler(self._check)
        if method == f"{_HEALTH}Watch":
            return grpc.unary_stream_rpc_method_handler(self._watch)
        return None

    # Methods

    async def _parted(self, method: str, request: bytes, context: Context) -> None:
        await context.write(await self._unary(method, request, context))

    async def _unary(self, method: str, request: bytes, context: Context) -> bytes:
        """Return the last message of an answer; those before it are written."""
        started = self._clock.monotonic_ns()
        answer = await self._handlers.call(method, request, send=context.write)
        if isinstance(answer, Refusal):
            await _abort(context, answer)
        return answer.message + served(answer, self._clock.monotonic_ns() - started)

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        async with self._reader.subscriber() as subscriber:
            sent = [0]
            failed: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
            receiving = asyncio.ensure_future(self._receive(subscriber, requests, sent, failed))
            try:
                async for response in self._responses(subscriber, sent, failed, context):
                    yield response
            finally:
                receiving.cancel()
                self._handlers.stream_closed(subscriber)

    async def _receive(
        self,
        subscriber: int,
        requests: AsyncIterator[bytes],
        sent: list[int],
        failed: asyncio.Future[Refusal],
    ) -> None:
        """Apply requests one by one; half-closing keeps the stream."""
        async for request in requests:
            refusal = await self._handlers.stream_request(subscriber, request)
            received = 0 if refusal else hot_pb2.HotSubscribeRequest.FromString(request).ack_stream_seq
            if received > sent[0]:
                problem = f"expected at most {sent[0]}, received {received}"
                refusal = refuse(InvalidRequest("ack_stream_seq", problem))
            if refusal is not None:
                failed.set_result(refusal)
                return
            if received:
                self._reader.ack(subscriber, received)

    async def _responses(
        self, subscriber: int, sent: list[int], failed: asyncio.Future[Refusal], context: Context
    ) -> AsyncIterator[bytes]:
        taking: asyncio.Future[tuple[bytes, int, str | None]] | None = None
        try:
            while True:
                taking = taking or asyncio.ensure_future(self._take(subscriber, lambda: sent[0] + 1))
                waited: list[asyncio.Future[Any]] = [taking, failed]
                await asyncio.wait(waited, timeout=SILENCE_S, return_when=asyncio.FIRST_COMPLETED)
                if failed.done():
                    await _abort(context, failed.result())
                entries, watermark, end = b"", self._clock.wall_ns(), None
                if taking.done():
                    entries, watermark, end = taking.result()
                    taking = None
                if end is not None:
                    await self._end(subscriber, end, context)
                    return
                sent[0] += 1
                header = hot_pb2.HotSubscribeResponse(
                    stream_seq=sent[0], ts_send=self._clock.wall_ns(), ts_watermark=watermark
                )
                yield header.SerializeToString() + entries
        finally:
            if taking is not None:
                taking.cancel()

    async def _take(self, subscriber: int, stream_seq: Callable[[], int]) -> tuple[bytes, int, str | None]:
        return await self._reader.take(subscriber, stream_seq=stream_seq)

    async def _end(self, subscriber: int, end: str, context: Context) -> None:
        if end == "draining":
            await _abort(context, refuse(Draining()))
        if end == "slow_reader":
            await _abort(context, refuse_slow_reader(self._hub.positions(subscriber), self._epoch))

    # grpc.health.v1, written by hand: two fields do not need a dependency

    async def _check(self, request: bytes, context: Context) -> bytes:
        status = self._health_of(request)
        if status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return status

    async def _watch(self, request: bytes, _: Context) -> AsyncIterator[bytes]:
        while True:
            changed, is_last = self._health_changed, self._is_draining
            yield self._health_of(request)
            if is_last:
                return
            await changed.wait()

    def _health_of(self, request: bytes) -> bytes:
        name = request[2:].decode("utf-8", "replace")  # field 1, a short string
        is_serving = self._health.get(name)
        return _UNKNOWN if is_serving is None else _SERVING if is_serving else _NOT_SERVING


async def _abort(context: Context, refusal: Refusal) -> NoReturn:
    trailers = (("grpc-status-details-bin", refusal.details),)
    await context.abort(_CODES[refusal.code], refusal.message, trailers)
    raise AssertionError("abort returned")
