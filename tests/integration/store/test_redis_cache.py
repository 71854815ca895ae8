"""The second level with a real Redis: what it keeps, and that nothing it does reaches a caller."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final

import pytest

from datafacade.clock import SystemClock
from datafacade.config.fields import Secret
from datafacade.config.sources import Redis
from datafacade.store.redis_cache import RedisCache
from datafacade.store.redis_line import RedisLine
from datafacade.store.shared_entry import SharedAnswer
from tests.integration.store.redis_server import PATIENCE_S, RedisServer, redis_server
from tests.starved import Starved

__all__ = ["redis_server"]

KEY: Final = "klines:kraken:BTC-USD:1h:24"
NAME: Final = "cryptorun:klines:kraken:BTC-USD:1h:24"
ANSWER: Final = SharedAnswer(
    message=b"answer",
    snapshot_id=hashlib.sha256(b"answer").hexdigest(),
    source="kraken",
    cache_class="prices_warm",
    ts_cached=1_707_350_400_000_000_000,
    ts_expires=1_707_350_430_000_000_000,
)
CALL_S: Final = 0.05  # the demanded figure
CALL_S_MAX: Final = 3 * CALL_S  # FAULTS 1.4: in the quick tier each is at most three times the figure
RECONNECT_S_MAX: Final = 5.0


class StoppableClock(SystemClock):
    """Stands still from ``stop`` to ``go``, so that no breaker opens while the machine is busy elsewhere."""

    def __init__(self) -> None:
        self._stood_ns: int | None = None

    def stop(self) -> None:
        self._stood_ns = super().monotonic_ns()

    def go(self) -> None:
        self._stood_ns = None

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() if self._stood_ns is None else self._stood_ns


@contextlib.asynccontextmanager
async def opened(
    url: str,
    *,
    call_s: float = PATIENCE_S,
    clock: SystemClock = SystemClock(),  # noqa: B008  stateless
) -> AsyncIterator[RedisCache]:
    """Open a cache; a busy machine makes no call of it late, unless ``call_s`` is the figure."""
    line = RedisLine(Redis(url=Secret(url)), clock=clock, random=random.Random(7), call_s=call_s)
    cache = RedisCache(line)
    try:
        yield cache
    finally:
        await cache.close()


async def timed(call: Awaitable[Any]) -> tuple[float, Any]:
    """Return how long a call took, less what the machine held it up, and its answer."""
    with Starved() as starved:
        begin = time.monotonic()
        answer = await call
        took_s = time.monotonic() - begin
    return took_s - starved.seconds, answer


async def until_kept(cache: RedisCache) -> float:
    """Ask until the answer is kept; return how long it took, less what the machine held it up."""
    with Starved() as starved:
        begin = time.monotonic()
        while not await cache.put(KEY, ANSWER, keep_ms=60_000):
            assert time.monotonic() - begin < PATIENCE_S, "Redis is not used again"
        took_s = time.monotonic() - begin
    return took_s - starved.seconds


async def until_found(cache: RedisCache) -> None:
    """Ask again and again until the kept answer is given: a busy machine makes a call late now and then."""
    begin = time.monotonic()
    while (answer := await cache.get(KEY)) is None:
        assert time.monotonic() - begin < PATIENCE_S, "the answer is not found again"
    assert answer == ANSWER


@pytest.mark.proves("REQ-K5")
async def test_an_answer_is_kept_under_the_demanded_key_for_its_time(redis_server: RedisServer) -> None:
    redis_server.start()
    async with opened(redis_server.url) as cache:
        assert await cache.get(KEY) is None
        assert await cache.put(KEY, ANSWER, keep_ms=30_000)
        assert await cache.get(KEY) == ANSWER
        assert redis_server.command("EXISTS", NAME) == b":1\r\n"
        left_ms = int(redis_server.command("PTTL", NAME)[1:-2])
        assert 0 < left_ms <= 30_000
        await cache.delete(KEY)
        assert await cache.get(KEY) is None
        assert (cache.stats.hits, cache.stats.misses, cache.line.is_connected) == (1, 2, True)


async def test_signs_that_mean_something_elsewhere_are_escaped(redis_server: RedisServer) -> None:
    redis_server.start()
    async with opened(redis_server.url) as cache:
        assert await cache.put("a b\r\n%", ANSWER, keep_ms=30_000)
        assert redis_server.command("EXISTS", "cryptorun:a%20b%0D%0A%25") == b":1\r\n"
        assert await cache.get("a b\r\n%") == ANSWER


@pytest.mark.proves("ROW-C15")
@pytest.mark.parametrize(
    "value",
    ["", "null", "\x00\x01\x02", '{"data": "", "source": 1}', '{"schema": 0, "klines": []}', "x" * 100_000],
)
async def test_foreign_values_are_missed_deleted_and_counted(redis_server: RedisServer, value: str) -> None:
    redis_server.start()
    async with opened(redis_server.url) as cache:
        redis_server.command("SET", NAME, value)
        assert await cache.get(KEY) is None
        assert redis_server.command("EXISTS", NAME) == b":0\r\n"
        assert (cache.stats.corrupt, cache.stats.misses) == (1, 1)
        redis_server.command("RPUSH", NAME, "another type")
        assert await cache.get(KEY) is None
        assert await cache.put(KEY, ANSWER, keep_ms=60_000)
        assert await cache.get(KEY) == ANSWER
        assert cache.line.is_connected


@pytest.mark.proves("ROW-C15")
async def test_an_answer_damaged_in_redis_is_missed_and_deleted(redis_server: RedisServer) -> None:
    redis_server.start()
    async with opened(redis_server.url) as cache:
        await cache.put(KEY, ANSWER, keep_ms=60_000)
        redis_server.command("SETRANGE", NAME, "120", "~")
        assert await cache.get(KEY) is None
        assert cache.stats.corrupt == 1
        assert redis_server.command("EXISTS", NAME) == b":0\r\n"


@pytest.mark.proves("ROW-G01")
async def test_redis_may_be_absent_come_die_and_come_again(redis_server: RedisServer) -> None:
    async with opened(redis_server.url, call_s=CALL_S) as cache:
        for _ in range(20):
            taken, answer = await timed(cache.get(KEY))
            assert (answer, taken < CALL_S_MAX) == (None, True), taken
        assert not cache.line.is_connected
        assert cache.line.stats.bypassed > 0
        for _ in range(2):
            redis_server.start()
            taken = await until_kept(cache)
            assert taken <= RECONNECT_S_MAX
            await until_found(cache)
            assert cache.line.is_connected
            redis_server.kill()
            for _ in range(20):
                taken, answer = await timed(cache.get(KEY))
                assert (answer, taken < CALL_S_MAX) == (None, True), taken
            assert not cache.line.is_connected


@pytest.mark.proves("ROW-G02")
async def test_a_hung_redis_costs_50_ms_a_call_and_is_then_passed_by(redis_server: RedisServer) -> None:
    redis_server.start()
    clock = StoppableClock()
    async with opened(redis_server.url, call_s=CALL_S, clock=clock) as cache:
        await until_kept(cache)
        redis_server.signal(signal.SIGSTOP)
        clock.stop()
        taken = [(await timed(cache.get(KEY)))[0] for _ in range(5)]
        assert max(taken) <= CALL_S_MAX, taken
        assert not cache.line.is_connected
        passed_by = [(await timed(cache.get(KEY)))[0] for _ in range(10)]
        assert max(passed_by) < CALL_S / 2, passed_by
        assert cache.line.stats.bypassed == 10
        clock.go()
        redis_server.signal(signal.SIGCONT)
        assert await until_kept(cache) <= RECONNECT_S_MAX
        await until_found(cache)


@pytest.mark.proves("ROW-G03")
async def test_a_full_redis_refuses_writes_and_still_answers(redis_server: RedisServer) -> None:
    redis_server.start("--maxmemory-policy", "noeviction")
    async with opened(redis_server.url) as cache:
        assert await cache.put(KEY, ANSWER, keep_ms=60_000)
        redis_server.command("CONFIG", "SET", "maxmemory", "1")
        assert not await cache.put("other", ANSWER, keep_ms=60_000)
        assert await cache.get(KEY) == ANSWER
        assert (cache.line.stats.refused, cache.line.stats.failures, cache.line.is_connected) == (1, 0, True)


@pytest.mark.proves("ROW-G03")
async def test_a_read_only_and_a_flushed_redis_are_misses(redis_server: RedisServer) -> None:
    redis_server.start()
    async with opened(redis_server.url) as cache:
        assert await cache.put(KEY, ANSWER, keep_ms=60_000)
        redis_server.command("FLUSHALL")
        assert await cache.get(KEY) is None
        redis_server.command("REPLICAOF", "127.0.0.1", "1")
        assert not await cache.put(KEY, ANSWER, keep_ms=60_000)
        assert await cache.get(KEY) is None
        redis_server.command("REPLICAOF", "NO", "ONE")
        assert await until_kept(cache) <= RECONNECT_S_MAX


@pytest.mark.proves("ROW-G03")
async def test_a_redis_that_takes_a_second_is_given_up_after_50_ms(redis_server: RedisServer) -> None:
    redis_server.start()
    async with opened(redis_server.url, call_s=CALL_S) as cache:
        await until_kept(cache)
        redis_server.command("CLIENT", "PAUSE", "1000", "ALL")
        taken, answer = await timed(cache.get(KEY))
        assert taken <= CALL_S_MAX
        assert answer is None
        assert await until_kept(cache) <= RECONNECT_S_MAX
        await until_found(cache)  # no answer of an earlier call is taken for a later one


@pytest.mark.proves("ROW-G03")
async def test_a_wrong_password_is_a_miss_and_stands_in_no_message(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.start("--requirepass", "right")
    url = f"redis://:hunter2@127.0.0.1:{redis_server.port}/0"
    with caplog.at_level(logging.DEBUG):
        async with opened(url) as cache:
            for _ in range(8):
                assert await cache.get(KEY) is None
                assert not await cache.put(KEY, ANSWER, keep_ms=1_000)
            assert not cache.line.is_connected
            told = repr(cache) + repr(cache.stats)
    told += caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "hunter2" not in told
    with pytest.raises(ValueError, match="expected redis://") as caught:
        RedisLine(Redis(url=Secret("http://hunter2@host")), clock=SystemClock(), random=random.Random(7))
    assert "hunter2" not in str(caught.value)


async def test_many_callers_share_ten_connections(redis_server: RedisServer) -> None:
    redis_server.start()
    async with opened(redis_server.url) as cache:
        await cache.put(KEY, ANSWER, keep_ms=60_000)
        await asyncio.gather(*(cache.get(KEY) for _ in range(100)))
        clients = redis_server.command("CLIENT", "LIST").count(b"id=")
        assert clients <= 10 + 1
