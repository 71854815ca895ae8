"""Wake Python's own subscribers of the Hub: the reference server, in-process subscriptions, unary reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from datafacade.hot.ports import Hub

TAKE_BYTES: Final = 64 * 1024
NS_PER_S: Final = 1_000_000_000
TIMER_S: Final = 0.001  # a timer may ring early by as much


class HubReader:
    """The one watcher of ``Hub.ready_fd``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def start(self) -> None:
        """Begin to watch."""
        asyncio.get_running_loop().add_reader(self._hub.ready_fd(), self._wake)

    def stop(self) -> None:
        """Watch no more; nobody may wait then."""
        asyncio.get_running_loop().remove_reader(self._hub.ready_fd())

    @asynccontextmanager
    async def subscriber(self) -> AsyncIterator[int]:
        """Lend a subscriber's handle."""
        subscriber = self._hub.subscriber()
        try:
            yield subscriber
        finally:
            self._waiting.pop(subscriber, None)
            self._hub.close(subscriber)

    async def take(
        self, subscriber: int, bytes_max: int = TAKE_BYTES, *, stream_seq: Callable[[], int] | None = None
    ) -> tuple[bytes, int, str | None]:
        """Return what waits, or wait for it: entries of field 4, the watermark (wall ns), the end.

        Args:
            subscriber: Handle of the subscriber.
            bytes_max: Bytes of entries at most, but at least one entry.
            stream_seq: Returns the number of the response that is filled, for acknowledgements; None: none.
        """
        while True:
            entries, watermark, end, wake_at = self._hub.take(
                subscriber,
                bytes_max,
                monotonic_ns=_monotonic_ns(),
                stream_seq=0 if stream_seq is None else stream_seq(),
            )
            if entries or end is not None:
                return entries, watermark, end
            await self._ring(subscriber, wake_at)

    def ack(self, subscriber: int, stream_seq: int) -> None:
        """Note that a client has processed responses up to here."""
        self._hub.ack(subscriber, stream_seq, monotonic_ns=_monotonic_ns())

    async def _ring(self, subscriber: int, wake_at: int | None) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting[subscriber] = future
        timer = None if wake_at is None else loop.call_at(wake_at / NS_PER_S + TIMER_S, _set, future)
        try:
            await future
        finally:
            self._waiting.pop(subscriber, None)
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        for subscriber in self._hub.ready():
            future = self._waiting.get(subscriber)
            if future is not None:
                _set(future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _monotonic_ns() -> int:
    """Return the time of the running loop: timers and the Hub must agree on it."""
    return int(asyncio.get_running_loop().time() * NS_PER_S)
