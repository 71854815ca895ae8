"""The shared second level in Redis or Valkey: answers for all instances. What it does not tell is a miss."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from datafacade.store.redis_line import RedisLine
from datafacade.store.shared_entry import NoEntry, SharedAnswer, decode, encode

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RedisStats:
    """What happened since the start."""

    hits: int = 0
    misses: int = 0
    corrupt: int = 0  # values that were no entry; deleted


class RedisCache:
    """Answers shared by all instances. ``close`` it: the line ends with it."""

    def __init__(self, line: RedisLine) -> None:
        self.line = line
        self.stats = RedisStats()

    async def get(self, key: str) -> SharedAnswer | None:
        """Return the answer of ``key``, fresh or stale; None: a miss, whatever the reason."""
        name = self.line.name(key)
        value = await self.line.call(lambda: self.line.redis.get(name))
        answer = None
        if isinstance(value, bytes):
            try:
                answer = decode(key, value)
            except NoEntry:
                self.stats.corrupt += 1
                log.warning("cache.entry_refused", extra={"key": key, "size_bytes": len(value)})
                await self.line.call(lambda: self.line.redis.delete(name))
        if answer is None:
            self.stats.misses += 1
        else:
            self.stats.hits += 1
        return answer

    async def put(self, key: str, answer: SharedAnswer, *, keep_ms: int) -> bool:
        """Keep an answer for ``keep_ms``, stale time included. Return whether Redis has it."""
        name, value = self.line.name(key), encode(key, answer)
        return bool(await self.line.call(lambda: self.line.redis.set(name, value, px=max(1, keep_ms))))

    async def delete(self, key: str) -> None:
        """Forget an answer."""
        name = self.line.name(key)
        await self.line.call(lambda: self.line.redis.delete(name))

    async def close(self) -> None:
        """Hang up."""
        await self.line.close()
