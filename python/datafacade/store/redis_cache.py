"""The shared second level in Redis or Valkey: answers for all instances, and references to snapshots by time.

Nothing here can fail a request. Whatever Redis does (absent, hung, full, read-only, wrong password, foreign
values), a call takes at most ``CALL_S``, a look-up is a miss, a write is left out, and after a few failures a
breaker lets all calls pass Redis by until a probe succeeds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

import redis.asyncio as client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, ResponseError

from datafacade.clock import NS_PER_MS, Clock
from datafacade.config import Breaker as BreakerFigures
from datafacade.config.sources import Redis as Settings
from datafacade.guard.breaker import Breaker, BreakerState
from datafacade.store.shared_entry import NoEntry, SharedAnswer, decode, encode

log = logging.getLogger(__name__)

CALL_S: Final = 0.05  # the longest that a call waits for Redis
RETRIES: Final = 1  # within that time: a pooled connection may have died unseen
REFERENCES_MAX: Final = 10_000  # of one entity
BREAKER: Final = BreakerFigures(
    failures_to_open=5,
    open_sec=1.0,
    open_factor=2.0,
    open_sec_max=4.0,  # used again within 5 s of its return
    half_open_probes=1,
    probe_timeout_sec=0.5,
)
_ESCAPED: Final = {number: f"%{number:02X}" for number in (*range(33), ord("%"), 127)}

T = TypeVar("T")


@dataclass(slots=True)
class RedisStats:
    """What happened since the start."""

    hits: int = 0
    misses: int = 0
    corrupt: int = 0  # values that were no entry; deleted
    failures: int = 0  # calls that Redis did not answer in time, or not at all
    refused: int = 0  # calls that Redis answered with an error, as when it is full
    bypassed: int = 0  # calls not made while the breaker was open


class RedisCache:
    """Answers and references shared by all instances. ``close`` it."""

    def __init__(self, settings: Settings, *, clock: Clock, random: Random) -> None:
        """Prepare a pool; nothing is dialled yet.

        Raises:
            ValueError: The URL is no Redis URL. The message does not hold it.
        """
        self._prefix = settings.key_prefix
        self._clock = clock
        self._breaker = Breaker(BREAKER, clock=clock, random=random)
        self._failed: str = ""  # kind of the last failure; "": the last call went well
        self.stats = RedisStats()
        try:
            pool: Any = client.BlockingConnectionPool.from_url(
                settings.url.get_secret_value(),
                max_connections=settings.pool_size,
                timeout=CALL_S,
                socket_timeout=CALL_S,
                socket_connect_timeout=CALL_S,
                retry=Retry(NoBackoff(), RETRIES),
                retry_on_error=[NoConnection],
            )
        except ValueError:
            raise ValueError("redis.url: expected redis://, rediss:// or unix://") from None
        self._redis: client.Redis = client.Redis.from_pool(pool)

    @property
    def is_connected(self) -> bool:
        """Whether Redis answers, as far as the last calls tell."""
        return not self._failed and self._breaker.state() is BreakerState.CLOSED

    async def get(self, key: str) -> SharedAnswer | None:
        """Return the answer of ``key``, fresh or stale; None: a miss, whatever the reason."""
        name = self._name(key)
        value = await self._call(lambda: self._redis.get(name))
        answer = None
        if isinstance(value, bytes):
            try:
                answer = decode(key, value)
            except NoEntry:
                self.stats.corrupt += 1
                log.warning("cache.entry_refused", extra={"key": key, "size_bytes": len(value)})
                await self._call(lambda: self._redis.delete(name))
        if answer is None:
            self.stats.misses += 1
        else:
            self.stats.hits += 1
        return answer

    async def put(self, key: str, answer: SharedAnswer, *, keep_ms: int) -> bool:
        """Keep an answer for ``keep_ms``, stale time included. Return whether Redis has it."""
        name, value = self._name(key), encode(key, answer)
        return bool(await self._call(lambda: self._redis.set(name, value, px=max(1, keep_ms))))

    async def delete(self, key: str) -> None:
        """Forget an answer."""
        name = self._name(key)
        await self._call(lambda: self._redis.delete(name))

    async def add_reference(self, entity: str, ts_ns: int, snapshot_id: str, *, keep_ms: int) -> bool:
        """Note that ``snapshot_id`` tells how ``entity`` was at a time. Return whether Redis has it.

        The newest ``REFERENCES_MAX`` of an entity are kept, for ``keep_ms`` from the last one.
        """
        name = self._name(f"pit:{entity}")
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zadd(name, {snapshot_id: ts_ns // NS_PER_MS})
        pipeline.zremrangebyrank(name, 0, -REFERENCES_MAX - 1)
        pipeline.pexpire(name, max(1, keep_ms))
        return await self._call(pipeline.execute) is not None

    async def reference_at(self, entity: str, ts_ns: int) -> str | None:
        """Return the newest snapshot of ``entity`` that is not after a time; None: none is known."""
        found = await self._references(entity, "-inf", ts_ns // NS_PER_MS, newest=1)
        return found[0][1] if found else None

    async def references(self, entity: str, ts_from: int, ts_until: int) -> list[tuple[int, str]]:
        """Return (ms since 1970 UTC, snapshot id) of a span, both ends included, the newest first."""
        return await self._references(entity, -(-ts_from // NS_PER_MS), ts_until // NS_PER_MS)

    async def close(self) -> None:
        """Close the pool."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def _references(
        self, entity: str, score_min: int | str, score_max: int, *, newest: int | None = None
    ) -> list[tuple[int, str]]:
        name = self._name(f"pit:{entity}")
        found: Any = await self._call(
            lambda: self._redis.zrevrangebyscore(
                name,
                score_max,
                score_min,
                start=None if newest is None else 0,
                num=newest,
                withscores=True,
            )
        )
        return [(int(score), member.decode("ascii", "replace")) for member, score in found or ()]

    def _name(self, key: str) -> str:
        """Return the key in Redis; blanks and control characters are escaped."""
        return self._prefix + key.translate(_ESCAPED)

    async def _call(self, make: Callable[[], Awaitable[T]]) -> T | None:
        """Make one call of at most ``CALL_S``; None: there was no answer."""
        ticket = self._breaker.admit()
        if not ticket:
            self.stats.bypassed += 1
            return None
        try:
            async with asyncio.timeout(CALL_S):
                answer = await make()
        except asyncio.CancelledError:
            self._breaker.abandon(ticket)
            raise
        except ResponseError as error:
            self.stats.refused += 1
            self._breaker.success(ticket)  # it is there, and says no
            log.warning("cache.call_refused", extra={"kind": type(error).__name__})
        except (RedisError, OSError) as error:  # OSError: TimeoutError too
            self._fail(ticket, error)
        else:
            self._breaker.success(ticket)
            self._failed = ""
            return answer
        return None

    def _fail(self, ticket: int, error: Exception) -> None:
        """Count a failure. Its text is not told: it may hold the address or more."""
        self.stats.failures += 1
        self._failed = type(error).__name__
        self._breaker.failure(ticket)
        log.warning("cache.call_failed", extra={"kind": self._failed})
