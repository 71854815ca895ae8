"""What one call sends: requests in order, and acknowledgements in between, few but in time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Final

from datafacade.v1 import hot_pb2

ACK_UPDATES: Final = 256
ACK_S: Final = 0.25
REQUESTS_MAX: Final = 1_024  # that wait to be sent


class Outbox:
    """Requests of one call. ``requests`` is what grpc reads from; it never ends by itself."""

    def __init__(self, first: Iterable[hot_pb2.HotSubscribeRequest]) -> None:
        self._waiting = deque(first)
        self._wake = asyncio.Event()
        self._processed = 0  # newest ``stream_seq``
        self._updates = 0  # processed and not acknowledged
        self._due: float | None = None  # loop time of the next acknowledgement; None: nothing to acknowledge

    def put(self, request: hot_pb2.HotSubscribeRequest) -> None:
        """Send a request soon.

        Raises:
            BufferError: Too many wait already.
        """
        if len(self._waiting) >= REQUESTS_MAX:
            raise BufferError(f"expected at most {REQUESTS_MAX} requests waiting")
        self._waiting.append(request)
        self._wake.set()

    def processed(self, stream_seq: int, updates: int) -> None:
        """Hear that a response was processed, and how many updates it had."""
        self._processed = stream_seq
        self._updates += updates
        if self._updates == 0:
            return  # signs of life need no answer
        if self._due is None:
            self._due = asyncio.get_running_loop().time() + ACK_S
            self._wake.set()
        elif self._updates >= ACK_UPDATES:
            self._wake.set()

    async def requests(self) -> AsyncIterator[hot_pb2.HotSubscribeRequest]:
        """Yield what is to be sent, when it is to be sent."""
        loop = asyncio.get_running_loop()
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._due is not None and (self._updates >= ACK_UPDATES or loop.time() >= self._due):
                self._updates, self._due = 0, None
                yield hot_pb2.HotSubscribeRequest(ack_stream_seq=self._processed)
                continue
            self._wake.clear()
            try:
                async with asyncio.timeout_at(self._due):
                    await self._wake.wait()
            except TimeoutError:
                pass  # an acknowledgement is due
