"""Suite ``core``: frames to encoded, proven updates, against peers that do less, in one run."""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benches.python.works import ROOT, WORKS, Work
from datafacade._core import Clock, Feed, Hub

PEERS: Final = ("msgspec + order-book", "cryptofeed", "ccxt pro")
UNSPOKEN: Final = {"kraken": ("cryptofeed",)}  # cryptofeed 2 speaks Kraken v1 only
PEERS_VENV: Final = ROOT / ".build" / "peers"
WINDOW_S: Final = 1.0


def run() -> list[dict[str, Any]]:
    """Run the suite and return its rows."""
    make_peers()
    return [row(make()) for make in WORKS]


def row(work: Work) -> dict[str, Any]:
    """Measure one work: ours, then every peer."""
    rate, is_right = ours(work)
    peers = sorted(
        (peer(work, name) for name in PEERS if name not in UNSPOKEN.get(work.venue, ())), reverse=True
    )
    best_rate, best_name = peers[0]
    return {
        "work": work.name,
        "ours": round(rate),
        "unit": "frames/s",
        "best_peer": round(best_rate),
        "peer": best_name,
        "ratio": round(rate / best_rate, 2),
        "digest_ok": is_right,
        "peers": {name: round(figure) for figure, name in peers},
    }


def ours(work: Work) -> tuple[float, bool]:
    """Play the frames through a feed as the service does; the best round counts, and all must end right."""
    best, is_right, until = 0.0, True, time.perf_counter() + WINDOW_S
    while time.perf_counter() < until:
        clock = Clock.manual(1_700_000_000_000_000_000)
        hub = Hub(epoch=1)
        feed = Feed(venue=work.venue, product=work.product, hub=hub, clock=clock, epoch=1, is_replay=True)
        feed.add_instruments(work.instruments)
        if work.depth:
            feed.set_book_depth(work.depth)
        feed.on_opened()
        if work.product == "spot" and work.venue == "binance":
            feed.on_recorded_snapshot(work.venue_symbol, work.snapshot, 1)
        else:
            feed.on_frame(work.snapshot, 1)
        start = time.perf_counter()
        for frame in work.frames:
            feed.on_frame(frame, 1)
        best = max(best, len(work.frames) / (time.perf_counter() - start))
        book, stats = feed.report()[work.symbol], feed.stats()
        is_right &= book["sha256"] == work.sha256 and not stats["errors"] and not book["proofs"]["failed"]
    return best, is_right


def peer(work: Work, name: str) -> tuple[float, str]:
    """Play the same frames through one peer, in its own environment."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(work.for_peers(), file)
        file.flush()
        program = [str(PEERS_VENV / "bin" / "python"), str(ROOT / "benches/peers/play.py"), name, file.name]
        done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603  our own script
    if done.returncode:
        raise RuntimeError(f"{name} on {work.name}: {done.stderr[-2_000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    return float(result["frames_per_s"]), str(result["peer"])


def make_peers() -> None:
    """Make the peers' environment once: they must not share ours."""
    stamp = PEERS_VENV / "made"
    wanted = (ROOT / "benches/peers/requirements.txt").read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    uv = Path(ROOT / ".venv/bin/uv")
    for command in (
        [str(uv), "venv", "--quiet", "--clear", "--python", "3.11", str(PEERS_VENV)],
        [
            str(uv),
            "pip",
            "install",
            "--quiet",
            "--python",
            str(PEERS_VENV),
            "-r",
            "benches/peers/requirements.txt",
        ],
    ):
        subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603  our own arguments
    stamp.write_text(wanted)
