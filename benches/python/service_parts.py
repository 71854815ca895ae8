"""The processes of suite ``service``: the player, the product, its clients, the peers; and what they tell.

The product, or a peer, has core 0; the player and the clients have core 1.
"""

import array
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benches.python.core import PEERS_VENV
from benches.python.edge import cpu_s, line_of, tell
from benches.python.works import ROOT
from datafacade.cli.demo.places import moved, packaged_venues
from datafacade.v1 import hot_pb2, types_pb2

BASES: Final = ("BTC", "ETH", "SOL", "XRP")
FORMS: Final = {"cryptofeed": "combined", "ccxt pro": "raw"}
CORE_SERVED: Final = 0
CORE_PLAYER: Final = 1
WINDOW: Final = 8_192  # frames that a flat-out player is ahead of the slowest client
PATIENCE_S: Final = 60.0  # of one point
READ_BYTES: Final = 1 << 20

Child = subprocess.Popen[str]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of measurement."""

    frames: int
    rate: int = 0  # frames/s; 0: flat out
    clients: int = 1


@dataclass(frozen=True, slots=True)
class Played:
    """What one point told."""

    name: str  # of whoever received
    due: Sequence[int]  # monotonic ns, by frame
    sent: Sequence[int]
    came: Sequence[int]  # at the first client; 0: never by itself
    updates: int  # that all clients received
    span_s: float  # in which all but the first tenth came
    cpu_s: float  # of whoever received from the venue
    client_cpu_s: float  # of all clients together, on the player's core; 0: the callback is the client
    is_right: bool  # the final books, and for ours that nothing was lost or doubled


def build() -> Path:
    """Build the player and the clients; return their folder."""
    command = ["cargo", "build", "--quiet", "--release", "--package", "facade-benches"]
    subprocess.run([*command, "--bin", "frame_player", "--bin", "frame_clients"], cwd=ROOT, check=True)  # noqa: S603
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


@contextlib.contextmanager
def started(core: int, *program: str | Path, **environment: str) -> Iterator[Child]:
    """Run a program on one core; it is killed at the end, and when patience is over."""
    pinned = ["taskset", "--cpu-list", str(core)] if shutil.which("taskset") and is_dual() else []
    child = subprocess.Popen(  # noqa: S603  our own programs
        [*pinned, *map(str, program)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(PATIENCE_S, child.kill)
    watchdog.start()
    try:
        yield child
    finally:
        watchdog.cancel()
        child.kill()
        child.wait()


def is_dual() -> bool:
    """Whether there is a core for each side."""
    return len(os.sched_getaffinity(0)) > 1


def figures_of(child: Child) -> dict[str, Any]:
    """Return the next JSON line that a program prints."""
    figures: dict[str, Any] = json.loads(line_of(child))
    return figures


@contextlib.contextmanager
def player(
    binaries: Path, point: Point, times: Path, *, window: int = 0, form: str = "combined"
) -> Iterator[tuple[Child, int]]:
    """Run the venue; yields it and its port. ``form``: as whoever follows asks for its streams."""
    symbols = ",".join(f"{base}USDT" for base in BASES)
    words = (form, symbols, str(point.frames), str(point.rate), str(window), times)
    with started(CORE_PLAYER, binaries / "frame_player", *words) as child:
        yield child, int(figures_of(child)["port"])


@contextlib.contextmanager
def service(folder: Path, port: int) -> Iterator[tuple[Child, str]]:
    """Run ``datafacade serve`` against the player; yields it and its address."""
    place = {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"}
    whole = packaged_venues()
    tree = moved({**whole, "venues": {"binance": whole["venues"]["binance"]}}, {"binance": {"spot": place}})
    config = folder / "config"
    config.mkdir()
    (config / "venues.yaml").write_text(yaml.safe_dump(tree))
    (config / "service.yaml").write_text(
        yaml.safe_dump({"version": 1, "hot": {"venues": ["binance"]}, "log": {"level": "WARNING"}})
    )
    words = ("--config", config, "--data-dir", folder / "data", "--port", "0", "--json")
    with started(CORE_SERVED, sys.executable, "-m", "datafacade.cli.main", "serve", *words) as child:
        yield child, figures_of(child)["addresses"][0]


def request() -> bytes:
    """Return what each client asks for: every change of every book."""
    asked = hot_pb2.HotSubscribeRequest()
    asked.subscribe.add(
        venues=["binance"],
        symbols=[f"{base}-USDT" for base in BASES],
        channels=[types_pb2.CHANNEL_BOOK_L2],
        delivery=types_pb2.DELIVERY_MODE_EVERY,
        subscription_id=1,
    )
    return asked.SerializeToString()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder for one point."""
    with tempfile.TemporaryDirectory(prefix="bench-service-") as folder:
        yield Path(folder)


def ours(binaries: Path, point: Point) -> Played:
    """Play one point through the service to its clients."""
    with scratch() as folder:
        return _ours(binaries, point, folder)


def _ours(binaries: Path, point: Point, folder: Path) -> Played:
    times, came = folder / "times", folder / "came"
    window = 0 if point.rate else WINDOW
    symbols = ",".join(f"{base}-USDT" for base in BASES)
    with (
        player(binaries, point, times, window=window) as (venue, port),
        service(folder, port) as (served, address),
    ):
        asked = (symbols, str(point.frames), request().hex())
        words = (address, str(point.clients), *asked, f"127.0.0.1:{port}", came)
        with started(CORE_PLAYER, binaries / "frame_clients", *words) as clients:
            before = cpu_s(served)
            truth, told = go(venue, clients)
            spent = cpu_s(served) - before
    due, sent = loaded(times, 2)
    return Played(
        name="datafacade",
        due=due,
        sent=sent,
        came=loaded(came, 1)[0],
        updates=told["updates"],
        span_s=(told["end_ns"] - told["warm_ns"]) / 1e9,
        cpu_s=spent,
        client_cpu_s=told["cpu_s"],
        is_right=told["is_whole"]
        and told["digests"] == truth["digests"]
        and told["updates"] == point.clients * point.frames,
    )


def peer(binaries: Path, name: str, point: Point) -> Played:
    """Play one point through a peer to its user's callback."""
    with scratch() as folder:
        return _peer(binaries, name, point, folder)


def _peer(binaries: Path, name: str, point: Point, folder: Path) -> Played:
    times, came = folder / "times", folder / "came"
    program = (PEERS_VENV / "bin" / "python", ROOT / "benches/peers/play_live.py")
    with player(binaries, point, times, form=FORMS[name]) as (venue, port):
        words = (name, str(port), ",".join(BASES), str(point.frames), came)
        with started(CORE_SERVED, *program, *words) as child:
            truth, told = go(venue, child)
    (due, sent), (seen,) = loaded(times, 2), loaded(came, 1)
    warm = [at for at in seen[point.frames // 10 :] if at]
    return Played(
        name=told["peer"],
        due=due,
        sent=sent,
        came=seen,
        updates=told["calls"],
        span_s=(max(warm) - min(warm)) / 1e9 if warm else float("inf"),
        cpu_s=told["cpu_s"],
        client_cpu_s=0.0,
        is_right=told["digests"] == truth["digests"],
    )


def go(venue: Child, reader: Child) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let the venue play once all are ready; return the venue's figures and the reader's."""
    figures_of(venue)
    figures_of(reader)
    tell(venue, "go\n")
    return figures_of(venue), figures_of(reader)


def loaded(path: Path, parts: int) -> list[Sequence[int]]:
    """Return a file of times in equal parts."""
    times = array.array("Q", path.read_bytes())
    length = len(times) // parts
    return [times[at * length : (at + 1) * length] for at in range(parts)]


def drained(binaries: Path, frames: int) -> float:
    """Play into a socket that is only emptied; return frames a second: what the player alone can do."""
    with scratch() as folder, player(binaries, Point(frames), folder / "times") as (venue, port):
        streams = "/".join(f"{base.lower()}usdt@depth@100ms" for base in BASES)
        sink = socket.create_connection(("127.0.0.1", port))
        ask(sink, f"GET /stream?streams={streams} HTTP/1.1\r\nSec-WebSocket-Key: c2luaw==\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as rest:
            for base in BASES:
                ask(rest, f"GET /api/v3/depth?symbol={base}USDT HTTP/1.1\r\n\r\n")
            left = figures_of(venue)["bytes"]
            threading.Thread(target=empty, args=(sink,), daemon=True).start()
            tell(venue, "go\n")
            played = figures_of(venue)
        sink.close()
    if not left:
        raise RuntimeError("nothing was played")
    return frames / (int(played["end_ns"]) - int(played["start_ns"])) * 1e9


def ask(connection: socket.socket, request_text: str) -> None:
    """Send a request whose answer nobody reads yet."""
    connection.sendall(request_text.encode())


def empty(sink: socket.socket) -> None:
    """Read until the end."""
    buffer = bytearray(READ_BYTES)
    with contextlib.suppress(OSError):
        while sink.recv_into(buffer):
            pass
