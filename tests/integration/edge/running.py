"""A running Rust edge with handlers of the test, and a grpcio channel to it. No market, no venue."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypedDict, Unpack

import grpc
from google.rpc import status_pb2  # type: ignore[import-untyped]  # no py.typed

from datafacade._core import AnswerCache, Call, Edge, Hub

SERVICE: Final = "/datafacade.v1.DataFacadeService/"
EPOCH: Final = 1_700_000_000
PATIENCE_S: Final = 60.0  # nothing that is waited for takes longer, even on a busy machine
SILENCE_MS: Final = 600_000  # no sign of life comes between what a test reads, unless it asks for one

Handler = Callable[[Call], Awaitable[None]]
Unary = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
Stream = grpc.aio.StreamStreamCall[bytes, bytes]


class Options(TypedDict, total=False):
    """What an edge can be told beside its hub."""

    hosts: list[str]
    port: int
    descriptor: bytes
    served_methods: list[str]
    answers: AnswerCache
    cached_methods: dict[str, list[int]]
    dev: bool
    limits: dict[str, int]


@dataclass(kw_only=True)
class Running:
    """An edge, its hub, what its doorbell told, and a channel to it."""

    edge: Edge
    hub: Hub
    address: str
    channel: grpc.aio.Channel
    handler: Handler
    calls: list[Call] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def fetch(self) -> None:
        """Do what an owner of the edge does when its doorbell rings."""
        for call in self.edge.calls():
            self.calls.append(call)
            task = asyncio.ensure_future(self.handler(call))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        self.cancelled += self.edge.cancelled()
        self.closed += self.edge.closed()

    def unary(self, method: str) -> Unary:
        """Return a callable that sends and receives bytes."""
        return self.channel.unary_unary(SERVICE + method)

    def subscribe(self) -> Stream:
        """Open a subscription."""
        opened: Stream = self.channel.stream_stream(SERVICE + "HotSubscribe")()
        return opened


def details(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the `google.rpc.Status` of a refusal."""
    metadata = dict(error.trailing_metadata())
    return status_pb2.Status.FromString(metadata["grpc-status-details-bin"])


async def until(condition: Callable[[], bool], what: str) -> float:
    """Wait for ``condition``; return how long it took, in seconds."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < PATIENCE_S, f"never came: {what}"
        await asyncio.sleep(0.002)
    return time.monotonic() - begin


async def forget(_: Call) -> None:
    """Answer nothing; the test holds the call."""


@contextlib.asynccontextmanager
async def running(handler: Handler = forget, **options: Unpack[Options]) -> AsyncIterator[Running]:
    """Start an edge with ``handler`` and stop it."""
    hub = Hub(epoch=EPOCH)
    options["limits"] = {"silence_ms_max": SILENCE_MS} | options.get("limits", {})
    edge = Edge(hub, epoch=EPOCH, **options)
    address = f"127.0.0.1:{edge.start()}"
    loop = asyncio.get_running_loop()
    async with grpc.aio.insecure_channel(address) as channel:
        made = Running(edge=edge, hub=hub, address=address, channel=channel, handler=handler)
        loop.add_reader(edge.fd(), made.fetch)
        try:
            yield made
        finally:
            loop.remove_reader(edge.fd())
            for task in made.tasks:
                task.cancel()
            await asyncio.to_thread(edge.stop)
