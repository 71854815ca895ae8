"""Keep snapshots as others do: ``play_pit.py NAME DIR COUNT CLIENTS``, one JSON line.

Every peer is asked for what ours promises: when a commit returns, a power loss does not take it. Files are
written beside their place, synced, renamed, their directory is synced; DuckDB commits a transaction for each.
``floor`` keeps nothing that one could rely on: it shows what one synced file a commit costs here.
"""

import gzip
import hashlib
import io
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Rows = list[dict[str, int]]
Store = tuple[Callable[[Rows, bytes], None], Callable[[], int]]

ROWS = 100
CREATED = 500
SEED_NS = 1_723_161_600_000_000_000


def answer(number: int) -> tuple[list[dict[str, int]], bytes]:
    """Return rows of klines, different for each number, and the bytes that stand for the protobuf."""
    base = 6_000_000 + number % 10_000
    rows = [
        {"ts": SEED_NS + at * 60_000_000_000, "open": base + at, "high": base + at + 7, "low": base + at - 7,
         "close": base + at + 3, "volume": 1_000 + (number * 31 + at * 17) % 9_000}
        for at in range(ROWS)
    ]  # fmt: skip
    message = b"".join(
        row[name].to_bytes(8, "little")
        for row in rows
        for name in ("ts", "open", "high", "low", "close", "volume")
    )
    return rows, b"%016d" % number + message


def write_durably(folder: Path, name: str, content: bytes) -> None:
    """Write a file so that it is whole or not there."""
    temp = folder / f".{name}"
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temp.rename(folder / name)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def json_gz(folder: Path) -> Store:
    """Keep each answer as a json.gz file."""

    def commit(rows: Rows, message: bytes) -> None:
        name = hashlib.sha256(message).hexdigest()[:32]
        text = json.dumps({"klines": rows}, separators=(",", ":")).encode()
        write_durably(folder, f"{name}.json.gz", gzip.compress(text, 6))

    return commit, lambda: len(list(folder.glob("*.json.gz")))


def floor(folder: Path) -> Store:
    """Sync one file of one answer; nothing is packed, renamed or made durable by its name."""

    def commit(rows: Rows, message: bytes) -> None:
        del rows
        name = hashlib.sha256(message).hexdigest()[:32]
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            os.write(descriptor, message)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    return commit, lambda: len(list(folder.iterdir()))


def creation_us(folder: Path) -> float:
    """Return what it takes to create an empty file in a new directory here: ext4 passes over freed inodes."""
    place = folder / "empty"
    place.mkdir()
    start = time.perf_counter()
    for number in range(CREATED):
        os.close(os.open(place / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
    return (time.perf_counter() - start) / CREATED * 1e6


def parquet(folder: Path) -> Store:
    """Keep each answer as a Parquet file."""
    import polars as pl

    def commit(rows: Rows, message: bytes) -> None:
        name = hashlib.sha256(message).hexdigest()[:32]
        packed = io.BytesIO()
        pl.DataFrame(rows).write_parquet(packed, compression="zstd")
        write_durably(folder, f"{name}.parquet", packed.getvalue())

    return commit, lambda: len(list(folder.glob("*.parquet")))


def duckdb(folder: Path) -> Store:
    """Keep each answer as a row of a table, in a transaction of its own."""
    import duckdb as duck

    base = duck.connect(str(folder / "pit.duckdb"))
    base.execute("CREATE TABLE pit (id VARCHAR, entity VARCHAR, ts BIGINT, message BLOB, readable VARCHAR)")
    local = threading.local()

    def commit(rows: Rows, message: bytes) -> None:
        if not hasattr(local, "cursor"):
            local.cursor = base.cursor()
        name = hashlib.sha256(message).hexdigest()
        text = json.dumps({"klines": rows}, separators=(",", ":"))
        local.cursor.execute(
            "INSERT INTO pit VALUES (?, ?, ?, ?, ?)",
            [name, "klines/BTC-USDT/1h", SEED_NS, message, text],
        )

    return commit, lambda: base.execute("SELECT count(*) FROM pit").fetchone()[0]


def as_of(folder: Path, count: int) -> dict[str, object]:
    """Fill DuckDB with many snapshots, and ask it what was known at a time."""
    import duckdb as duck

    path = folder / "many.duckdb"
    base = duck.connect(str(path))
    base.execute(
        "CREATE TABLE pit AS SELECT sha256(i::VARCHAR) AS id, 'klines/S' || (i % 100) || '/1h' AS entity,"
        " ? + i::BIGINT * 1000 AS ts FROM range(?) t(i)",
        [SEED_NS, count],
    )
    base.execute("CREATE INDEX by_entity ON pit (entity)")
    base.close()
    start = time.perf_counter()
    base = duck.connect(str(path))
    base.execute("SELECT count(*) FROM pit").fetchone()
    started = time.perf_counter() - start
    times = []
    for at in range(300):
        moment = SEED_NS + (at * 7_919 % count) * 1_000
        start = time.perf_counter()
        base.execute(
            "SELECT id FROM pit WHERE entity = ? AND ts <= ? ORDER BY ts DESC LIMIT 1",
            [f"klines/S{at % 100}/1h", moment],
        ).fetchone()
        times.append(time.perf_counter() - start)
    return {"peer": "duckdb", "as_of_p99_ms": quantile(times) * 1e3, "start_s": started}


def quantile(times: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]


def main() -> None:
    """Play one peer."""
    name, folder, count, clients = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    if name == "as_of":
        print(json.dumps(as_of(folder, count)))
        return
    commit, counted = {"floor": floor, "json.gz": json_gz, "parquet": parquet, "duckdb": duckdb}[name](folder)

    def timed(made: tuple[Rows, bytes]) -> float:
        start = time.perf_counter()
        commit(*made)
        return time.perf_counter() - start

    commit(*answer(10**9))
    answers = [answer(number) for number in range(count)]
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = list(pool.map(timed, answers))
    took = time.perf_counter() - start
    size = sum(path.stat().st_size for path in folder.iterdir())
    figures = {
        "peer": name,
        "commits_per_s": count / took,
        "p99_ms": quantile(times) * 1e3,
        "count": counted() - 1,
        "bytes_each": size / (count + 1),
        "create_us": creation_us(folder),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
