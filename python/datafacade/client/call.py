"""One HotSubscribe call: responses in, requests and acknowledgements out, silence noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import grpc

from datafacade.client.errors import ServerUnavailable, error_of
from datafacade.client.outbox import Outbox
from datafacade.client.stamp import Received
from datafacade.v1 import hot_pb2

if TYPE_CHECKING:
    from datafacade.v1.service_pb2_grpc import DataFacadeServiceAsyncStub  # a type only

Metadata = tuple[tuple[str, str], ...]
_Stream = grpc.aio.StreamStreamCall[hot_pb2.HotSubscribeRequest, hot_pb2.HotSubscribeResponse]


class Call:
    """A running call. ``close`` it.

    Args:
        stub: The service.
        first: Requests to begin with.
        silence_s: The service says something every second; after so much silence it counts as lost.
        metadata: Sent once, as credentials.
    """

    def __init__(
        self,
        stub: DataFacadeServiceAsyncStub,
        first: Iterable[hot_pb2.HotSubscribeRequest],
        *,
        silence_s: float,
        metadata: Metadata = (),
    ) -> None:
        self.outbox = Outbox(first)
        self._silence_s = silence_s
        self._stream: _Stream = stub.HotSubscribe(self.outbox.requests(), metadata=metadata or None)

        self._reading: asyncio.Future[object] | None = None  # outlives a reader that was cancelled

    async def read(self) -> tuple[hot_pb2.HotSubscribeResponse, Received]:
        """Return the next response and when it came.

        Raises:
            ClientError: The call ended; `ServerUnavailable` also if it ended in order or fell silent.
        """
        reading = self._reading = self._reading or asyncio.ensure_future(self._stream.read())
        await asyncio.wait([reading], timeout=self._silence_s)
        if not reading.done():
            raise ServerUnavailable(f"nothing came from the service for {self._silence_s:g} s")
        self._reading = None
        try:
            response = reading.result()
        except grpc.aio.AioRpcError as failed:
            raise error_of(failed) from None
        received = Received(time.time_ns(), time.monotonic_ns())
        if not isinstance(response, hot_pb2.HotSubscribeResponse):
            raise ServerUnavailable("the service ended the call")
        return response, received

    async def close(self) -> None:
        """End the call; the service forgets its topics."""
        self._stream.cancel()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)  # how it ended is of no interest now
            self._reading = None
