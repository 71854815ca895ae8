"""Wake Python's own subscribers of the Hub: the reference server, in-process subscriptions, unary reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from datafacade.hot.ports import Hub

TAKE_BYTES: Final = 64 * 1024


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

    async def take(self, subscriber: int, bytes_max: int = TAKE_BYTES) -> tuple[bytes, int, str | None]:
        """Return what waits, or wait for it: entries of field 4, the watermark (wall ns), the end."""
        while True:
            entries, watermark, end = self._hub.take(subscriber, bytes_max)
            if entries or end is not None:
                return entries, watermark, end
            await self._ring(subscriber)

    async def _ring(self, subscriber: int) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting[subscriber] = future
        try:
            await future
        finally:
            self._waiting.pop(subscriber, None)

    def _wake(self) -> None:
        for subscriber in self._hub.ready():
            future = self._waiting.get(subscriber)
            if future is not None and not future.done():
                future.set_result(None)
