"""Suite ``klines``: trades to klines, in batch and one by one, against peers on the same trades."""

import array
import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import polars as pl

from benches.python.core import PEERS_VENV, make_peers
from benches.python.works import ROOT, SEED
from datafacade.query.klines import klines_from_trades

BATCH_TRADES: Final = 10_000_000
STREAM_TRADES: Final = 1_000_000
ROUNDS: Final = 7
THREADS: Final = 2  # of every peer that can use them, and of ours
BATCH_PEERS: Final = ("polars", "duckdb")  # the ratio is to the best of these
YARDSTICK: Final = "numba loop"  # one thread: what the arithmetic itself costs
START_NS: Final = 1_723_161_600_000_000_000


def run() -> list[dict[str, Any]]:
    """Run the suite and return its rows."""
    make_peers()
    trades = make_trades(BATCH_TRADES)
    with tempfile.TemporaryDirectory() as folder:
        table, numbers = Path(folder) / "trades.arrow", Path(folder) / "trades.bin"
        trades.write_ipc(table)
        write_numbers(trades.head(STREAM_TRADES), numbers)
        rows = [batch(trades, table)]
        rows += [streaming(numbers, variant) for variant in ("1m", "100t")]
    return rows


def make_trades(count: int) -> pl.DataFrame:
    """Return trades of a seeded walk, about 1,000 a minute, in order of time."""
    rows = pl.int_range(count, eager=True, dtype=pl.UInt64)
    draw = [rows.hash(SEED + at) for at in range(4)]
    return pl.DataFrame(
        {
            "ts_event": START_NS + (draw[0] % 120_000_000).cast(pl.Int64).cum_sum(),
            "price": 6_000_000 + ((draw[1] % 7).cast(pl.Int64) - 3).cum_sum(),
            "quantity": 1 + (draw[2] % 1_000_000).cast(pl.Int64),
            "is_buy": draw[3] % 2 == 0,
        }
    ).rechunk()


def write_numbers(trades: pl.DataFrame, path: Path) -> None:
    """Write four integers a trade, for those that do not read Arrow."""
    numbers = array.array("q", bytes(32 * trades.height))
    for at, column in enumerate(trades.iter_columns()):
        numbers[at::4] = array.array("q", column.cast(pl.Int64).to_list())
    path.write_bytes(numbers.tobytes())


def batch(trades: pl.DataFrame, table: Path) -> dict[str, Any]:
    """Make minutes of a whole table; peers play between our rounds, so that all meet the same machine."""
    rate, made = 0.0, ""
    peers = {}
    for name in (*BATCH_PEERS, YARDSTICK):
        peers[name] = peer(name, table, "1m")
        figure, made = ours_in_batch(trades)
        rate = max(rate, figure)
    best = max((peers[name] for name in BATCH_PEERS), key=lambda played: float(played["trades_per_s"]))
    return row("batch_10m_trades_to_1m", rate, made, best, list(peers.values()))


def ours_in_batch(trades: pl.DataFrame) -> tuple[float, str]:
    """Return trades a second of the best round, and the digest of the klines."""
    best, klines = 0.0, trades
    for _ in range(ROUNDS):
        start = time.perf_counter()
        klines = klines_from_trades(trades, "1m", price_digits=2, quantity_digits=5)
        best = max(best, trades.height / (time.perf_counter() - start))
    prices = [(pl.col(name) * 100).cast(pl.Int64) for name in ("open", "high", "low", "close")]
    whole = klines.select(
        pl.col("ts_open").cast(pl.Int64),
        *prices,
        (pl.col("volume") * 100_000).cast(pl.Int64),
        (pl.col("quote_volume") * 10_000_000).cast(pl.Int64),
        pl.col("trade_count").cast(pl.Int64),
        (pl.col("taker_buy_volume") * 100_000).cast(pl.Int64),
    )
    return best, digest(whole.rows())


def streaming(numbers: Path, variant: str) -> dict[str, Any]:
    """Make klines trade by trade; both sides hand over one trade at a time, each in its own language."""
    command = ["cargo", "bench", "--quiet", "--package", "facade-klines", "--bench", "stream", "--"]
    done = subprocess.run(  # noqa: S603  our own arguments
        [*command, str(numbers), variant, str(ROUNDS)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = json.loads(done.stdout.splitlines()[-1])
    played = peer("nautilus_trader", numbers, variant)
    return row(f"streaming_{variant}", ours["trades_per_s"], digest(ours["bars"]), played, [played])


def peer(name: str, path: Path, variant: str) -> dict[str, Any]:
    """Play a file through one peer, in its own environment."""
    program = [str(PEERS_VENV / "bin" / "python"), str(ROOT / "benches/peers/play_klines.py")]
    done = subprocess.run(  # noqa: S603  our own script
        [*program, name, str(path), variant, str(ROUNDS)],
        env=os.environ | {"POLARS_MAX_THREADS": str(THREADS)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} on {variant}: {done.stderr[-2_000:]}")
    played: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return played


def row(
    work: str, rate: float, made: str, best: dict[str, Any], peers: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return one row: all klines must be the same."""
    return {
        "work": work,
        "ours": round(rate),
        "unit": "trades/s",
        "best_peer": round(best["trades_per_s"]),
        "peer": best["peer"],
        "ratio": round(rate / best["trades_per_s"], 2),
        "digest_ok": all(played["digest"] == made for played in peers),
        "peers": {played["peer"]: round(played["trades_per_s"]) for played in peers},
    }


def digest(rows: Iterable[Iterable[int]]) -> str:
    """Return the digest of klines as integers, as the peers make it."""
    text = ";".join(",".join(str(number) for number in row) for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()
