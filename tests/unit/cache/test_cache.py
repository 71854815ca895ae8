"""The mapping: any value, in virtual time."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade._core import Clock
from datafacade.cache import Cache

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS


def test_a_value_is_there_for_its_time_and_not_longer() -> None:
    clock = Clock.manual(0)
    cache = Cache(entries_max=10, clock=clock)
    cache.set("k", value := object(), ttl_ms=5_000)
    clock.advance(5 * SECOND_NS - 1)
    assert cache.get("k") is value
    clock.advance(1)
    assert cache.get("k") is None
    assert "k" not in cache
    assert len(cache) == 0


@pytest.mark.proves("ROW-C13")
@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS])
def test_the_wall_clock_may_jump_an_hour_and_ttls_do_not_notice(jump_ns: int) -> None:
    clock = Clock.manual(100 * HOUR_NS, 7)
    cache = Cache(entries_max=10, clock=clock)
    cache.set("k", 1, ttl_ms=5_000)
    clock.set(100 * HOUR_NS + jump_ns, 7 + 5 * SECOND_NS - 1)
    assert cache.get("k") == 1
    clock.set(100 * HOUR_NS + jump_ns, 7 + 5 * SECOND_NS)
    assert cache.get("k") is None


def test_it_is_a_mapping() -> None:
    cache = Cache(entries_max=10)
    cache["a"] = 1
    cache[b"a"] = 2  # a text and bytes are two keys
    assert (cache["a"], cache[b"a"], len(cache), list(cache)) == (1, 2, 2, ["a", b"a"])
    assert cache.get("missing", 3) == 3
    assert cache.pop("a") == 1
    assert cache.pop("a", 4) == 4
    del cache[b"a"]
    with pytest.raises(KeyError, match="a"):
        cache["a"]
    with pytest.raises(KeyError, match="a"):
        del cache["a"]
    cache["b"] = None
    cache.clear()
    assert cache.keys() == []


@pytest.mark.parametrize("key", [1, None, ("a",), type("Text", (str,), {})("a")])
def test_other_keys_are_refused_because_comparing_them_would_run_code(key: str) -> None:
    cache = Cache(entries_max=10)
    for ask in (cache.get, cache.pop, cache.__getitem__, cache.__contains__):
        with pytest.raises(TypeError, match="expected str or bytes"):
            ask(key)
    with pytest.raises(TypeError, match="expected str or bytes"):
        cache.set(key, 1, ttl_ms=1)


@pytest.mark.proves("REQ-K2")
@given(st.lists(st.tuples(st.sampled_from("gsp"), st.sampled_from("abcdef")), max_size=60), st.integers(1, 4))
def test_the_order_of_use_is_that_of_an_ordered_dict(steps: list[tuple[str, str]], entries_max: int) -> None:
    cache, model = Cache(entries_max=entries_max), OrderedDict[str, int]()
    for number, (step, key) in enumerate(steps):
        if step == "g":
            assert cache.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        elif step == "s":
            cache.set(key, number, ttl_ms=60_000)
            model[key] = number
            model.move_to_end(key)
            if len(model) > entries_max:
                model.popitem(last=False)
        else:
            assert cache.pop(key) == model.pop(key, None)
        assert cache.keys() == list(model)


def test_bytes_are_bounded_by_what_values_say_they_take() -> None:
    cache = Cache(entries_max=10, bytes_max=100)
    cache.set("a", b"x" * 60, ttl_ms=1_000)
    cache.set("b", object(), ttl_ms=1_000, size_bytes=50)
    assert cache.keys() == ["b"]
    cache.set("c", "x" * 101, ttl_ms=1_000)
    assert cache.keys() == ["b"]


@pytest.mark.proves("REQ-K2")
def test_classes_have_their_own_figures() -> None:
    clock = Clock.manual(0)
    cache = Cache(entries_max=10, clock=clock)
    cache.set("a", b"1234", ttl_ms=1_000, stale_ms=1_000, cache_class="funding")
    cache.get("a")
    clock.advance(SECOND_NS)
    cache.get("a")
    clock.advance(SECOND_NS)
    cache.get("a")
    cache.get("never")
    figures = {row["cache_class"]: row for row in cache.stats()}
    expected = {"hits": 1, "stale_hits": 1, "expirations": 1, "entries": 0, "entries_bytes": 0}
    assert {name: figures["funding"][name] for name in expected} == expected
    assert figures[""]["misses"] == 2
    for number in range(62):
        cache.set("a", 1, ttl_ms=1, cache_class=f"class{number}")
    with pytest.raises(ValueError, match="at most 64"):
        cache.set("a", 1, ttl_ms=1, cache_class="one too many")


def test_a_value_whose_end_runs_code_may_use_the_cache() -> None:
    cache = Cache(entries_max=1)

    class Last:
        def __del__(self) -> None:
            cache.set("from the end", 1, ttl_ms=1_000)

    cache.set("a", Last(), ttl_ms=1_000)
    cache.set("b", 1, ttl_ms=1_000)
    gc.collect()
    assert cache.keys() == ["from the end"]


def test_a_cache_inside_itself_is_collected() -> None:
    class Holder:
        cache: Cache

    holder = Holder()
    holder.cache = Cache(entries_max=1)
    holder.cache.set("self", holder, ttl_ms=60_000)
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None


@pytest.mark.proves("REQ-K2")
def test_threads_share_it() -> None:
    cache = Cache(entries_max=50)

    def work(thread: int) -> None:
        for number in range(5_000):
            key = f"k{number % 80}"
            cache.set(key, (thread, key), ttl_ms=60_000)
            found = cache.get(key)
            assert found is None or found[1] == key

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 50


def test_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Cache(entries_max=0)
