"""Suite ``cache``: look-ups and insertions from Python and inside Rust, beside other caches."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from benches.python.core import PEERS_VENV, make_peers
from benches.python.works import ROOT

SIZES: Final = {"10k": 10_000, "1m": 1_000_000}
WORKS: Final = ("get_hit", "get_miss", "set", "mix")
ROUNDS: Final = 3
TURNS: Final = 2  # of all players, one after the other, so that all meet the same machine
QUALIFIED: Final = (
    "moka-py",
    "cachetools + lock",
)  # LRU, TTL and thread-safe: the ratio is to the best of these
PEERS: Final = (*QUALIFIED, "theine", "lru-dict", "redis")
RUST_FLOOR: Final = 5_000_000  # operations a second: FAULTS L8


def run() -> list[dict[str, Any]]:
    """Run the suite and return its rows."""
    make_peers()
    rows = []
    with redis_server() as port:
        for size, entries in SIZES.items():
            played = play_all(entries, port)
            rows += [speed(work, size, played) for work in WORKS]
            rows.append(memory(size, played))
    for size, entries in SIZES.items():
        rows += inside(size, entries)
    return rows


@contextlib.contextmanager
def redis_server() -> Iterator[int | None]:
    """Run a local Redis; yield its port, or None where there is no Redis."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        print("cache: redis-server is not installed, its figures are left out", file=sys.stderr)
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603  our own arguments
    try:
        while server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield port
    finally:
        server.kill()
        server.wait()


def play_all(entries: int, port: int | None) -> dict[str, dict[str, Any]]:
    """Play every cache; of each figure the best turn counts, of memory the smallest."""
    played: dict[str, dict[str, Any]] = {}
    for _ in range(TURNS):
        for name in ("datafacade", *PEERS):
            if name == "redis" and port is None:
                continue
            figures = play(name, entries, port)
            before = played.setdefault(name, figures)
            for work in WORKS:
                before[work] = max(before[work], figures[work])
            before["bytes"] = min(before["bytes"], figures["bytes"])
    return played


def play(name: str, entries: int, port: int | None) -> dict[str, Any]:
    """Play one cache, in its own environment and process."""
    python = sys.executable if name == "datafacade" else str(PEERS_VENV / "bin" / "python")
    done = subprocess.run(  # noqa: S603  our own script
        [python, str(ROOT / "benches/peers/play_cache.py"), name, str(entries), str(ROUNDS)],
        env=os.environ | {"REDIS_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} with {entries} entries: {done.stderr[-2_000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def speed(work: str, size: str, played: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the row of one kind of operation."""
    ours = played["datafacade"][work]
    best = max((played[name] for name in QUALIFIED), key=lambda figures: float(figures[work]))
    return {
        "work": f"{work}_{size}",
        "ours": round(ours),
        "unit": "ops/s",
        "best_peer": round(best[work]),
        "peer": best["player"],
        "ratio": round(ours / best[work], 2),
        "digest_ok": is_right(played),
        "peers": {played[name]["player"]: round(played[name][work]) for name in PEERS if name in played},
    }


def memory(size: str, played: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the row of memory: key, value of 1 KB and all that the cache adds; a ratio above 1: less."""
    ours = played["datafacade"]["bytes"]
    best = min((played[name] for name in QUALIFIED), key=lambda figures: float(figures["bytes"]))
    own = [name for name in PEERS if name in played and name != "redis"]  # which keeps it elsewhere
    return {
        "work": f"entry_bytes_{size}",
        "ours": round(ours),
        "unit": "B/entry",
        "best_peer": round(best["bytes"]),
        "peer": best["player"],
        "ratio": round(best["bytes"] / ours, 2),
        "digest_ok": is_right(played),
        "peers": {played[name]["player"]: round(played[name]["bytes"]) for name in own},
    }


def is_right(played: dict[str, dict[str, Any]]) -> bool:
    """Return whether all that keep everything found the same; theine may refuse entries."""
    found = {figures["digest"] for name, figures in played.items() if name not in ("theine", "redis")}
    return len(found) == 1


def inside(size: str, entries: int) -> list[dict[str, Any]]:
    """Return the rows inside Rust; every look-up is checked there."""
    command = ["cargo", "bench", "--quiet", "--package", "facade-cache", "--bench", "cache", "--"]
    done = subprocess.run(  # noqa: S603  our own arguments
        [*command, str(entries), str(ROUNDS)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    return [
        {
            "work": f"rust_{work}_{size}",
            "ours": figures[work],
            "unit": "ops/s",
            "best_peer": RUST_FLOOR,
            "peer": "floor of FAULTS L8",
            "ratio": round(figures[work] / RUST_FLOOR, 2),
            "digest_ok": True,
            "peers": {},
        }
        for work in WORKS
    ]
