"""Play one cache and print what it did: one JSON line. Runs in the peers' own environment, ours in ours.

``play_cache.py PLAYER ENTRIES ROUNDS``. All caches get the same seeded order of the same keys, as the same
string objects, with values of 1 KB, each its own object; the capacity is never exceeded. The best round
counts. What the look-ups found goes out with the figures, as a digest.
"""

import gc
import hashlib
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Any

SEED = 20261121
OPERATIONS = 300_000
OPERATIONS_REMOTE = 6_000  # of what answers over a socket
THREADS = 4
VALUE_BYTES = 1_024
TTL_S = 3_600
Get = Callable[[str], Any]
Set = Callable[[str, Any], Any]


def datafacade(entries: int) -> tuple[Get, Set]:
    """Play ours: LRU, TTL, thread-safe."""
    from datafacade.cache import Cache

    cache = Cache(entries_max=entries)
    put = cache.set

    def keep(key: str, value: Any) -> None:
        put(key, value, ttl_ms=TTL_S * 1_000)

    return cache.get, keep


def moka(entries: int) -> tuple[Get, Set]:
    """Play moka: LRU, TTL, thread-safe."""
    from moka_py import Moka

    cache = Moka(entries, ttl=TTL_S, policy="lru")
    return cache.get, cache.set


def cachetools(entries: int) -> tuple[Get, Set]:
    """Play cachetools: LRU, TTL; thread-safe by the lock that its documentation asks for."""
    from cachetools import TTLCache

    cache: Any = TTLCache(entries, TTL_S)
    lock = threading.Lock()

    def find(key: str) -> Any:
        with lock:
            return cache.get(key)

    def keep(key: str, value: Any) -> None:
        with lock:
            cache[key] = value

    return find, keep


def theine(entries: int) -> tuple[Get, Set]:
    """Play theine: W-TinyLFU, not LRU; TTL, thread-safe."""
    from datetime import timedelta

    import theine as peer

    cache: Any = peer.Cache(entries)
    ttl = timedelta(seconds=TTL_S)
    find, put = cache.get, cache.set
    return (lambda key: find(key)[0]), (lambda key, value: put(key, value, ttl))


def lru_dict(entries: int) -> tuple[Get, Set]:
    """Play lru-dict: LRU in C; no TTL."""
    from lru import LRU

    cache = LRU(entries)
    return cache.get, cache.__setitem__


def redis(_: int) -> tuple[Get, Set]:
    """Ask a local server over a socket, one connection a thread."""
    from redis import Redis

    server = Redis(port=int(os.environ["REDIS_PORT"]))
    server.flushall()
    return server.get, lambda key, value: server.set(key, value, ex=TTL_S)


PLAYERS = {
    "datafacade": (datafacade, "datafacade"),
    "moka-py": (moka, "moka-py"),
    "cachetools + lock": (cachetools, "cachetools"),
    "theine": (theine, "theine"),
    "lru-dict": (lru_dict, "lru-dict"),
    "redis": (redis, "redis"),
}


def value_of(number: int) -> bytes:
    """Return the value of a key."""
    return number.to_bytes(8, "little") * (VALUE_BYTES // 8)


def resident() -> int:
    """Return the memory of this process, bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def best(rounds: int, count: int, work: Callable[[], Any]) -> float:
    """Return the best rate, operations a second."""
    rate = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        rate = max(rate, count / (time.perf_counter() - start))
    return rate


def look_up(get: Get, keys: list[str]) -> None:
    """Look every key up."""
    for key in keys:
        get(key)


def keep_all(put: Set, pairs: list[tuple[str, bytes]]) -> None:
    """Put every pair in."""
    for key, value in pairs:
        put(key, value)


def mixed(get: Get, put: Set, parts: list[list[tuple[str, bytes]]]) -> None:
    """Make nine look-ups and put one value in, over and over, in several threads."""

    def work(pairs: list[tuple[str, bytes]]) -> None:
        for step, (key, value) in enumerate(pairs):
            if step % 10:
                get(key)
            else:
                put(key, value)

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    """Play one cache."""
    name, entries, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    make, package = PLAYERS[name]
    count = OPERATIONS_REMOTE if name == "redis" else OPERATIONS
    held = entries if name != "redis" else min(entries, 100_000)
    chance = random.Random(SEED)
    gc.disable()
    keys, values = [""] * held, [b""] * held
    make(16)  # so that what the library itself takes is not counted
    before = resident()
    get, put = make(entries)
    for number in range(held):
        keys[number] = f"klines:kraken:pair-{number}:1h:24"
        values[number] = value_of(number)
        put(keys[number], values[number])
    entry_bytes = (resident() - before) / held
    others = [f"trades:kraken:pair-{number}:100" for number in range(held)]
    places = [chance.randrange(held) for _ in range(count)]
    hits, misses = [keys[place] for place in places], [others[place] for place in places]
    pairs = [(keys[place], values[place]) for place in places]
    parts = [pairs[at::THREADS] for at in range(THREADS)]
    rates = {
        "get_hit": best(rounds, count, lambda: look_up(get, hits)),
        "get_miss": best(rounds, count, lambda: look_up(get, misses)),
        "set": best(rounds, count, lambda: keep_all(put, pairs)),
        "mix": best(rounds, count, lambda: mixed(get, put, parts)),
    }
    found = hashlib.sha256()
    for place in range(0, min(held, 10_000), 7):
        found.update(get(keys[place]) or b"missing")
        found.update(get(others[place]) or b"missing")
    told = package
    with suppress(ModuleNotFoundError):
        told = f"{name} {version(package)}"
    print(json.dumps({"player": told, "bytes": entry_bytes, "digest": found.hexdigest(), **rates}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
