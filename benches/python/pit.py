"""Suite ``pit``: durable commits beside plain files and DuckDB; as-of, start and size at 100,000."""

import asyncio
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from benches.python.core import PEERS_VENV, make_peers
from benches.python.works import ROOT, SEED
from datafacade.store.pit import Draft, PitStore
from datafacade.store.pit.content import prepare
from datafacade.store.pit.files import DiskFile, DiskFolder
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify

COMMITS: Final = {1: 200, 16: 1_500, 64: 3_000}  # by clients that each wait for their own commit
PEERS: Final = ("json.gz", "parquet", "duckdb")
FLOOR: Final = "floor"  # one synced file a commit, no more: what the disk gives
MANY: Final = int(os.environ.get("PIT_MANY", "100000"))
ENTITIES: Final = 100
LOOKUPS: Final = 20_000
ROWS: Final = 100
START_NS: Final = 1_723_161_600_000_000_000


def run() -> list[dict[str, Any]]:
    """Run the suite and return its rows."""
    make_peers()
    with tempfile.TemporaryDirectory(prefix="pit-bench-") as folder:
        return [*(commits(Path(folder), clients) for clients in COMMITS), *many(Path(folder) / "many")]


def answer(number: int) -> tuple[dict[str, Any], bytes]:
    """Return an answer of 100 klines, readable and encoded; the peers make the same."""
    base = 6_000_000 + number % 10_000
    rows = [
        {
            "ts": START_NS + at * 60_000_000_000,
            "open": base + at,
            "high": base + at + 7,
            "low": base + at - 7,
            "close": base + at + 3,
            "volume": 1_000 + (number * 31 + at * 17) % 9_000,
        }
        for at in range(ROWS)
    ]
    message = b"".join(row[name].to_bytes(8, "little") for row in rows for name in row)
    return {"klines": rows}, b"%016d" % number + message


def draft(number: int, entity: str = "klines/bench/BTC-USDT/1h", ts_wall: int = 0) -> Draft:
    """Return an answer as what is to be kept."""
    readable, message = answer(number)
    return Draft(entity=entity, kind="K", message=message, readable=readable, ts_wall=ts_wall, rows=ROWS)


def commits(folder: Path, clients: int) -> dict[str, Any]:
    """Commit with so many clients at once, ours between the peers; the better of two rounds counts."""
    played: dict[str, dict[str, Any]] = {}
    mine: list[tuple[float, float, bool]] = []
    for turn in range(2):
        for name in (FLOOR, *PEERS):
            figures = peer(name, folder / f"{name}-{clients}-{turn}", COMMITS[clients], clients)
            if name not in played or figures["commits_per_s"] > played[name]["commits_per_s"]:
                played[name] = figures
        mine.append(ours(folder / f"ours-{clients}-{turn}", COMMITS[clients], clients))
    rate, p99, _ = max(mine)
    floor = played.pop(FLOOR)
    best = max(played.values(), key=lambda figures: float(figures["commits_per_s"]))
    return {
        "work": f"durable_commits_{clients}_clients",
        "ours": round(rate),
        "unit": "commits/s",
        "best_peer": round(best["commits_per_s"]),
        "peer": best["peer"],
        "ratio": round(rate / best["commits_per_s"], 2),
        "floor": round(floor["commits_per_s"]),
        "of_floor": round(rate / floor["commits_per_s"], 2),
        "create_us": round(floor["create_us"]),
        "digest_ok": all(whole for *_, whole in mine)
        and all(figures["count"] == COMMITS[clients] for figures in played.values()),
        "p99_ms": round(p99, 2),
        "peers": {name: round(figures["commits_per_s"]) for name, figures in played.items()},
        "peers_p99_ms": {name: round(figures["p99_ms"], 2) for name, figures in played.items()},
        "peers_bytes": {name: round(figures["bytes_each"]) for name, figures in played.items()},
    }


def ours(folder: Path, count: int, clients: int) -> tuple[float, float, bool]:
    """Return commits a second, their 99th percentile in ms, and whether all are whole.

    Our clients are tasks of one loop, as in the service; those of the peers are threads, as they are called.
    """
    store, drafts = PitStore.open(folder), [draft(number) for number in range(count)]
    times: list[float] = []

    async def client(waiting: Iterator[Draft]) -> None:
        for one in waiting:
            start = time.perf_counter()
            await asyncio.wrap_future(store.submit(one))
            times.append(time.perf_counter() - start)

    async def play() -> float:
        waiting = iter(drafts)
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client(waiting))
        return time.perf_counter() - start

    store.submit(draft(10**9)).result()
    took = asyncio.run(play())
    store.close()
    reader = Vault.open(folder, is_writable=False)
    verdict = verify(reader.root)
    reader.close()
    is_whole = not verdict.damages and verdict.ok == count + 1
    return count / took, statistics.quantiles(times, n=100)[98] * 1e3, is_whole


def many(folder: Path) -> list[dict[str, Any]]:
    """Build a large store, then look up, start and measure it."""
    build(folder)
    start = time.perf_counter()
    vault = Vault.open(folder, is_writable=True)
    started = time.perf_counter() - start
    draw, times, is_right = random.Random(SEED), [], True
    for _ in range(LOOKUPS):
        number = draw.randrange(ENTITIES, MANY)
        entity, ts = f"klines/bench/S{number % ENTITIES}/1h", START_NS + number * 1_000
        begin = time.perf_counter()
        found = vault.at(entity, ts + 999)
        times.append(time.perf_counter() - begin)
        is_right &= found.ts_wall == ts
    is_right &= len(vault.catalog.index) == MANY
    vault.close()
    theirs = peer("as_of", folder.parent / "duck", MANY, 1)
    sizes = [path.stat() for path in folder.rglob("*") if path.is_file()]
    payload = len(answer(0)[1])
    each = sum(size.st_size for size in sizes) / MANY
    blocks = sum(size.st_blocks * 512 for size in sizes) / MANY
    p99 = statistics.quantiles(times, n=100)[98] * 1e3
    return [
        ratio_row("as_of_p99_at_100k", "ms", p99, theirs["as_of_p99_ms"], "duckdb", is_right=is_right),
        ratio_row("start_at_100k", "s", started, theirs["start_s"], "duckdb", is_right=is_right),
        ratio_row("bytes_a_snapshot_at_100k", "bytes", each, payload, "its answer alone", is_right=is_right)
        | {"allocated_bytes": round(blocks)},
    ]


def ratio_row(
    work: str, unit: str, mine: float, theirs: float, name: str, *, is_right: bool
) -> dict[str, Any]:
    """Return a row of which less is better: the ratio is theirs to ours."""
    return {
        "work": work,
        "ours": round(mine, 3),
        "unit": unit,
        "best_peer": round(theirs, 3),
        "peer": name,
        "ratio": round(theirs / mine, 2),
        "digest_ok": is_right,
    }


def build(folder: Path) -> None:
    """Fill a store without waiting for the disk: what is measured here is reading."""
    with patch.object(DiskFile, "sync", lambda _: None), patch.object(DiskFolder, "sync", lambda _: None):
        vault = Vault.open(folder, is_writable=True)
        for first in range(0, MANY, 64):
            drafts = [
                draft(number, f"klines/bench/S{number % ENTITIES}/1h", START_NS + number * 1_000)
                for number in range(first, min(first + 64, MANY))
            ]
            vault.commit([prepare(one, ts_wall=one.ts_wall, ts_mono=0) for one in drafts])
        vault.close()


def peer(name: str, folder: Path, count: int, clients: int) -> dict[str, Any]:
    """Play one peer, in its own environment."""
    program = [str(PEERS_VENV / "bin" / "python"), str(ROOT / "benches/peers/play_pit.py")]
    done = subprocess.run(  # noqa: S603  our own script
        [*program, name, str(folder), str(count), str(clients)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2_000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
