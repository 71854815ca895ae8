"""Encoded answers: found by key, with their age, in virtual time."""

from __future__ import annotations

import hashlib

import pytest

from datafacade._core import AnswerCache, Clock

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
WALL_NS = 1_700_000_000 * SECOND_NS
CLASSES = [("prices_hot", 5_000), ("funding", 300_000)]


def made(clock: Clock, *, entries_max: int = 10) -> AnswerCache:
    return AnswerCache(entries_max=entries_max, bytes_max=0, clock=clock, classes=CLASSES)


@pytest.mark.proves("ROW-C13")
@pytest.mark.parametrize("jump_ns", [0, HOUR_NS, -HOUR_NS])
def test_past_its_time_an_answer_is_marked_and_then_gone_whatever_the_wall_clock_says(jump_ns: int) -> None:
    clock = Clock.manual(WALL_NS)
    cache = made(clock)
    snapshot_id = cache.put(
        "k", b"x", cache_class="prices_hot", ts_cached=WALL_NS, ttl_ms=5_000, stale_ms=10_000, age_ns=7
    )
    assert snapshot_id == hashlib.sha256(b"x").hexdigest()
    for passed_ns, is_stale in (
        (5 * SECOND_NS - 1, False),
        (5 * SECOND_NS, True),
        (15 * SECOND_NS - 1, True),
    ):
        clock.set(WALL_NS + jump_ns, passed_ns)
        held = cache.get("k")
        assert held is not None
        assert (held.message, held.snapshot_id, held.is_stale) == (b"x", snapshot_id, is_stale)
        assert (held.age_ns, held.cache_class) == (passed_ns + 7, "prices_hot")
        assert (held.ts_cached, held.ts_expires) == (WALL_NS, WALL_NS + 5 * SECOND_NS)
    clock.set(WALL_NS + jump_ns, 15 * SECOND_NS)
    assert cache.get("k", cache_class="prices_hot") is None
    figures = cache.stats()[0]
    assert (figures["hits"], figures["stale_hits"], figures["misses"], figures["ttl_ms"]) == (1, 2, 1, 5_000)


def test_a_peek_neither_counts_nor_keeps() -> None:
    cache = made(Clock.manual(0), entries_max=2)
    for key in ("a", "b"):
        cache.put(key, b"", cache_class="funding", ts_cached=0, ttl_ms=1_000, stale_ms=0)
    assert cache.peek("a") is not None
    cache.put("c", b"", cache_class="funding", ts_cached=0, ttl_ms=1_000, stale_ms=0)
    assert (cache.peek("a"), len(cache), cache.stats()[1]["hits"]) == (None, 2, 0)


@pytest.mark.proves("REQ-K2")
def test_what_is_over_is_swept() -> None:
    clock = Clock.manual(0)
    cache = made(clock)
    for number in range(5):
        cache.put(f"k{number}", b"", cache_class="funding", ts_cached=0, ttl_ms=1_000, stale_ms=0)
    clock.advance(SECOND_NS)
    cache.sweep(3)
    assert len(cache) == 2
    cache.clear()
    assert (len(cache), cache.stats()[1]["expirations"]) == (0, 3)


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match="no class"):
        made(Clock.manual(0)).put("k", b"", cache_class="other", ts_cached=0, ttl_ms=1, stale_ms=0)


def test_an_alias_needs_its_answer() -> None:
    cache = made(Clock.manual(0))
    assert not cache.alias("/m", b"request", "k")
    cache.put("k", b"", cache_class="funding", ts_cached=0, ttl_ms=1_000, stale_ms=0)
    assert cache.alias("/m", b"request", "k")
    assert cache.remove("k")
    assert not cache.remove("k")
