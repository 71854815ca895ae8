"""Suite ``warm``: what an answer of the warm tier costs, beside what makes the same."""

import hashlib
import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import polars as pl

from benches.python.core import PEERS_VENV, make_peers
from benches.python.edge import unary
from benches.python.works import ROOT, SEED
from datafacade.warm.reconcile import Rules
from datafacade.warm.reconcile_table import reconcile_many

SYMBOLS: Final = 1_000
SOURCES: Final = ("binance", "coinbase", "coingecko", "kraken", "okx")
ROUNDS: Final = 1_000
PEER_ROUNDS: Final = {"numpy": 1_000, "pure Python": 100}
TARGET_S: Final = 0.000_15


def run() -> list[dict[str, Any]]:
    """Run the suite and return its rows."""
    make_peers()
    return [*unary(is_cached=True), *unary(), *reconcile()]


def reconcile() -> list[dict[str, Any]]:
    """Reconcile 1,000 symbols of 5 sources; the ratio is to plain Python, which gives evidence too."""
    prices = make_prices()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.json"
        path.write_text(json.dumps({"sources": SOURCES, "prices": prices}))
        table = quotes(prices)
        texts = table.with_columns(pl.Series("price", [f"{px / 100:.2f}" for row in prices for px in row]))
        core = Rules(aggregators=("coingecko",)).core()
        works: dict[str, tuple[Callable[[], Any], pl.DataFrame]] = {
            "reconcile_kernel": (lambda: core.judge_columns(table, price_digits=2), table),
            "reconcile_frame": (lambda: reconcile_many(table, price_digits=2), table),
            "reconcile_frame_texts": (lambda: reconcile_many(texts), texts),
        }
        peers = [peer(name, path) for name in PEER_ROUNDS]
        return [row(work, best_of(make), digest(frame), peers) for work, (make, frame) in works.items()]


def make_prices() -> list[list[int]]:
    """Return seeded mantissas of two digits: near one another, one in five 3 % off."""
    draw = random.Random(SEED)
    rows = []
    for _ in range(SYMBOLS):
        price = draw.randrange(100_000, 10_000_000)
        row = [price + draw.randrange(-price // 1_000, price // 1_000) for _ in SOURCES]
        if draw.random() < 0.2:
            row[draw.randrange(len(row))] = price * 103 // 100
        rows.append(row)
    return rows


def quotes(prices: list[list[int]]) -> pl.DataFrame:
    """Return the quotes as the service holds them: mantissas and ages, sorted by symbol."""
    return pl.DataFrame(
        {
            "symbol": [f"S{at:04}-USD" for at in range(SYMBOLS) for _ in SOURCES],
            "source": [source for _ in range(SYMBOLS) for source in SOURCES],
            "price": [price for row in prices for price in row],
            "age_ns": [0] * (SYMBOLS * len(SOURCES)),
        }
    )


def best_of(work: Callable[[], Any]) -> float:
    """Return the seconds of the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def digest(table: pl.DataFrame) -> str:
    """Return the digest of the prices that come out, as the peers make it."""
    answers = reconcile_many(table, price_digits=2).answers
    prices = answers.get_column("price").cast(pl.Float64).to_list()
    text = ";".join("" if price is None else f"{price:.3f}" for price in prices)
    return hashlib.sha256(text.encode()).hexdigest()


def peer(name: str, path: Path) -> dict[str, Any]:
    """Play one peer, in its own environment."""
    program = [str(PEERS_VENV / "bin" / "python"), str(ROOT / "benches/peers/play_reconcile.py")]
    done = subprocess.run(  # noqa: S603  our own script
        [*program, name, str(path), str(PEER_ROUNDS[name])],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2_000:]}")
    played: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return played


def row(work: str, seconds: float, made: str, peers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one row; the best peer is the one that gives evidence too."""
    best = next(played for played in peers if played["peer"] == "pure Python")
    return {
        "work": work,
        "ours": round(SYMBOLS / seconds),
        "unit": "symbols/s",
        "best_peer": round(SYMBOLS / best["best_s"]),
        "peer": f"{best['peer']} ({best['version']})",
        "ratio": round(best["best_s"] / seconds, 2),
        "digest_ok": all(played["digest"] == made for played in peers),
        "peers": {played["version"]: round(SYMBOLS / played["best_s"]) for played in peers},
        "ours_us": round(seconds * 1e6, 1),
        "target_us": round(TARGET_S * 1e6),
    }
