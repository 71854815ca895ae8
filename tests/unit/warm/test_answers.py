"""The age of an answer over both tiers: what its sources were old when it was made is never forgotten."""

from __future__ import annotations

import pytest

from datafacade._core import AnswerCache, Clock
from datafacade.clock import NS_PER_S
from datafacade.store.pit.names import Entity
from datafacade.store.shared_entry import SharedAnswer
from datafacade.types import Priority
from datafacade.v1 import lineage_pb2
from datafacade.warm.answers import Answers, Made, Question

WALL_NS = 1_700_000_000 * NS_PER_S
QUESTION = Question(
    key="price:BTC-USD",
    cache_class="prices_warm",
    ttl_ms=30_000,
    source="reconciled",
    entity=Entity("warm.price", "reconciled", "BTC-USD"),
)


class Second:
    """A second tier that two services share."""

    def __init__(self) -> None:
        self.kept: dict[str, SharedAnswer] = {}

    async def get(self, key: str) -> SharedAnswer | None:
        return self.kept.get(key)

    def put(self, key: str, answer: SharedAnswer) -> None:
        self.kept[key] = answer


async def made(_: Priority) -> Made:
    return Made(message=b"price", age_ns=90 * NS_PER_S)


@pytest.mark.proves("REQ-H10")
async def test_what_the_oldest_source_was_old_then_counts_in_every_tier() -> None:
    clock, second = Clock.manual(WALL_NS), Second()
    services = []
    for _ in range(2):
        first = AnswerCache(entries_max=9, bytes_max=0, clock=clock, classes=[("prices_warm", 30_000)])
        services.append(Answers(first, clock=clock, second=second))
    one, other = services
    found = [await one.ask(QUESTION, made)]
    clock.advance(4 * NS_PER_S)
    found += [await service.ask(QUESTION, made) for service in (one, other, other)]
    clock.advance(3 * NS_PER_S)
    found.append(await other.ask(QUESTION, made))
    miss, l1, l2 = lineage_pb2.CACHE_TIER_MISS, lineage_pb2.CACHE_TIER_L1, lineage_pb2.CACHE_TIER_L2
    told = [(served.cache_tier, served.age_ns // NS_PER_S) for served in found]
    assert told == [(miss, 90), (l1, 94), (l2, 94), (l1, 94), (l1, 97)]
    for service in services:
        await service.close()
