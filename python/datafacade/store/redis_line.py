"""The one way of this process to Redis or Valkey: a pool, a breaker, and a bound of each call.

Nothing here can fail a request. Whatever Redis does (absent, hung, full, read-only, wrong password, foreign
values), a call takes at most ``call_s`` and has no answer then, and after a few failures a breaker lets all
calls pass Redis by until a probe succeeds.
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

from datafacade.clock import Clock
from datafacade.config import Breaker as BreakerFigures
from datafacade.config.sources import Redis as Settings
from datafacade.guard.breaker import Breaker, BreakerState

log = logging.getLogger(__name__)

CALL_S: Final = 0.05  # the longest that a call of the service waits for Redis
RETRIES: Final = 1  # within that time: a pooled connection may have died unseen
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
class LineStats:
    """What happened since the start."""

    failures: int = 0  # calls that Redis did not answer in time, or not at all
    refused: int = 0  # calls that Redis answered with an error, as when it is full
    bypassed: int = 0  # calls not made while the breaker was open


class RedisLine:
    """One pool of connections, used by ``call``. ``close`` it."""

    def __init__(self, settings: Settings, *, clock: Clock, random: Random, call_s: float = CALL_S) -> None:
        """Prepare a pool; nothing is dialled yet.

        Args:
            settings: Where Redis is, and what keys begin with.
            clock: Where times come from.
            random: Jitter of the breaker.
            call_s: The longest that a call waits.

        Raises:
            ValueError: The URL is no Redis URL. The message does not hold it.
        """
        self._prefix = settings.key_prefix
        self._call_s = call_s
        self._breaker = Breaker(BREAKER, clock=clock, random=random)
        self._failed: str = ""  # kind of the last failure; "": the last call went well
        self.stats = LineStats()
        try:
            pool: Any = client.BlockingConnectionPool.from_url(
                settings.url.get_secret_value(),
                max_connections=settings.pool_size,
                timeout=call_s,
                socket_timeout=call_s,
                socket_connect_timeout=call_s,
                retry=Retry(NoBackoff(), RETRIES),
                retry_on_error=[NoConnection],
            )
        except ValueError:
            raise ValueError("redis.url: expected redis://, rediss:// or unix://") from None
        self.redis: client.Redis = client.Redis.from_pool(pool)

    @property
    def is_connected(self) -> bool:
        """Whether Redis answers, as far as the last calls tell."""
        return not self._failed and self._breaker.state() is BreakerState.CLOSED

    def name(self, key: str) -> bytes:
        """Return the key in Redis; blanks and control characters are escaped.

        Two keys never have one name, whatever text they are made of.
        """
        return (self._prefix + key.translate(_ESCAPED)).encode("utf-8", "surrogatepass")

    async def call(self, make: Callable[[], Awaitable[T]]) -> T | None:
        """Make one call; None: there was no answer in time."""
        ticket = self._breaker.admit()
        if not ticket:
            self.stats.bypassed += 1
            return None
        try:
            async with asyncio.timeout(self._call_s):
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

    async def close(self) -> None:
        """Close the pool."""
        await self.redis.aclose()
        await self.redis.connection_pool.disconnect()
