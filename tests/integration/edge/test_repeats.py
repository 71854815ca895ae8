"""Answers out of the cache, as a Python client sees them, without a word to the handlers."""

from __future__ import annotations

import time

import pytest

from datafacade._core import AnswerCache, Call, Clock
from datafacade.v1 import lineage_pb2, warm_pb2
from datafacade.warm.freshness import EXPIRED_NS_MIN, FRESH_NS_MAX, penalty_ratio
from tests.integration.edge.running import SERVICE, running, until

TICKER = SERVICE + "WarmTicker"
REQUEST = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD").SerializeToString()
ANSWER = warm_pb2.WarmTickerResponse(venue="kraken", symbol="BTC-USD").SerializeToString()
FIELDS = {TICKER: [1, 2]}


def cache(clock: Clock) -> AnswerCache:
    return AnswerCache(entries_max=10, bytes_max=0, clock=clock, classes=[("prices_hot", 5_000)])


async def test_an_equal_request_is_answered_by_the_edge_with_the_same_bytes() -> None:
    clock = Clock.manual(0)
    answers = cache(clock)

    async def handler(call: Call) -> None:
        snapshot_id = answers.put(
            "t", ANSWER, cache_class="prices_hot", ts_cached=1_000, ttl_ms=5_000, stale_ms=0, age_ns=9
        )
        call.reply(ANSWER, cache_tier=1, key="t", age_ns=9, snapshot_id=snapshot_id)

    async with running(handler, served_methods=[TICKER], answers=answers, cached_methods=FIELDS) as edge:
        ask = edge.unary("WarmTicker")
        first = warm_pb2.WarmTickerResponse.FromString(await ask(REQUEST)).served
        clock.advance(90_000_000_000 // 30)
        again = warm_pb2.WarmTickerResponse.FromString(await ask(REQUEST)).served
        assert (first.cache_tier, again.cache_tier) == (
            lineage_pb2.CACHE_TIER_MISS,
            lineage_pb2.CACHE_TIER_L1,
        )
        assert (first.age_ns, again.age_ns) == (9, 3_000_000_009)
        assert (again.ts_cached, again.ts_expires) == (1_000, 5_000_001_000)
        assert first.snapshot_id == again.snapshot_id
        assert len(edge.calls) == 1
        assert edge.edge.stats()["unary_repeated"] == 1
        other = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD", ts_as_of=1).SerializeToString()
        await ask(other)
        assert [call.is_refresh for call in edge.calls] == [False, False]


async def test_a_stale_answer_is_refreshed_by_a_call_that_nobody_waits_for() -> None:
    clock = Clock.manual(time.time_ns())
    answers = cache(clock)

    async def handler(call: Call) -> None:
        answers.put("t", ANSWER, cache_class="prices_hot", ts_cached=1, ttl_ms=5_000, stale_ms=600_000)
        call.reply(ANSWER, cache_tier=1, key="t")

    async with running(handler, served_methods=[TICKER], answers=answers, cached_methods=FIELDS) as edge:
        ask = edge.unary("WarmTicker")
        await ask(REQUEST)
        clock.advance(300_000_000_000)
        served = warm_pb2.WarmTickerResponse.FromString(await ask(REQUEST)).served
        assert served.is_stale
        assert served.freshness_penalty_ratio == 0.95
        await until(lambda: len(edge.calls) == 2, "the refresh")
        assert edge.calls[1].is_refresh
        assert edge.calls[1].request == REQUEST
        await until(lambda: edge.edge.stats()["calls_open"] == 0, "its end")
        served = warm_pb2.WarmTickerResponse.FromString(await ask(REQUEST)).served
        assert (served.is_stale, served.age_ns) == (False, 0)


async def test_the_edge_and_the_handlers_know_one_penalty_of_age() -> None:
    ages = [
        0,
        FRESH_NS_MAX,
        FRESH_NS_MAX + 1,
        *range(10**9, 2 * EXPIRED_NS_MIN, 7_654_321_987),
        EXPIRED_NS_MIN,
    ]
    left = iter(ages)

    async def handler(call: Call) -> None:
        call.reply(ANSWER, cache_tier=1, age_ns=next(left))

    async with running(handler, served_methods=[TICKER]) as edge:
        ask = edge.unary("WarmTicker")
        for age_ns in ages:
            served = warm_pb2.WarmTickerResponse.FromString(await ask(REQUEST)).served
            assert served.age_ns == age_ns
            assert served.freshness_penalty_ratio == pytest.approx(penalty_ratio(age_ns), abs=1e-12)
