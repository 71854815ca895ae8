"""Put the second tier behind the first: look-ups wait a moment, writes wait for nobody."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from datafacade.clock import NS_PER_MS
from datafacade.store.redis_cache import RedisCache
from datafacade.store.shared_entry import SharedAnswer

QUEUED_MAX: Final = 256  # answers on their way; more are left out, and counted


class SecondStats(NamedTuple):
    """What happened since the start."""

    is_connected: bool
    hits: int
    misses: int
    corrupt: int
    left_out: int


class SharedTier:
    """Answers that all instances share. ``run`` nothing, ``close`` it."""

    def __init__(self, redis: RedisCache) -> None:
        self._redis = redis
        self._queue: asyncio.Queue[tuple[str, SharedAnswer]] = asyncio.Queue(QUEUED_MAX)
        self._writing: asyncio.Task[None] | None = None
        self._left_out = 0

    async def get(self, key: str) -> SharedAnswer | None:
        """Return an answer, fresh or stale; None: a miss, or Redis does not answer in time."""
        return await self._redis.get(key)

    def put(self, key: str, answer: SharedAnswer) -> None:
        """Write an answer some time soon."""
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="second tier")
        try:
            self._queue.put_nowait((key, answer))
        except asyncio.QueueFull:
            self._left_out += 1

    def stats(self) -> SecondStats:
        """Return what happened since the start."""
        stats = self._redis.stats
        return SecondStats(
            self._redis.line.is_connected, stats.hits, stats.misses, stats.corrupt, self._left_out
        )

    async def close(self) -> None:
        """Write nothing more and disconnect."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._redis.close()

    async def _write(self) -> None:
        while True:
            key, answer = await self._queue.get()
            await self._redis.put(key, answer, keep_ms=(answer.ts_expires - answer.ts_cached) // NS_PER_MS)
