"""Suite ``edge``: the Rust edge beside ``--edge grpcio``, through the whole service, in one run.

The server has core 0, the client core 1. Both servers get the same trades, handlers and clients.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benches.python.works import ROOT

PEER: Final = f"--edge grpcio {version('grpcio')}"
EDGES: Final = ("rust", "grpcio")


@dataclass(frozen=True, slots=True)
class Streamed:
    """A row of updates."""

    name: str
    subscribers: int
    count: int  # updates for each subscriber
    rate: int = 0  # updates/s; 0: flat out


STREAMS: Final = (
    Streamed("stream_1", 1, 1_200_000),
    Streamed("stream_10", 10, 400_000),
    Streamed("stream_100", 100, 50_000),
)
PACED: Final = (
    Streamed("latency_1k", 1, 6_000, 1_000),
    Streamed("latency_10k", 1, 60_000, 10_000),
    Streamed("latency_50k", 1, 300_000, 50_000),
)
UNARY_CALLS: Final = 20_000


def run() -> list[dict[str, Any]]:
    """Run the suite and return its rows."""
    rows = [throughput(work) for work in STREAMS]
    rows += [latency(work) for work in PACED]
    return rows + unary()


def throughput(work: Streamed) -> dict[str, Any]:
    """Measure how many updates a second leave to all subscribers together."""
    ours, peers = (streamed(edge, work) for edge in EDGES)
    rates = ours["updates_per_s"], peers["updates_per_s"]
    return row(work.name, "updates/s", rates, rates[0] / rates[1], ours, peers)


def latency(work: Streamed) -> dict[str, Any]:
    """Measure publish to receive, open loop; ``due``: from when the venue sent it, so a busy loop counts."""
    ours, peers = (streamed(edge, work) for edge in EDGES)
    return timed(work.name, ours, peers, "published_us") | {
        "due": ours["due_us"],
        "peer_due": peers["due_us"],
    }


def unary(*, is_cached: bool = False) -> list[dict[str, Any]]:
    """Measure ``ListInstruments`` of one symbol through the handler, or cached klines."""
    kind, name = ("cached", "unary_cached") if is_cached else ("unary", "unary_handler")
    ours, peers = (measure(edge, [kind, str(UNARY_CALLS)], 0, 0) for edge in EDGES)
    rates = ours["calls_per_s"], peers["calls_per_s"]
    in_flight = row(name, "calls/s", rates, rates[0] / rates[1], ours, peers)
    return [
        in_flight,
        timed("unary_cached_latency" if is_cached else "unary_latency", ours, peers, "latency_us"),
    ]


def timed(work: str, ours: dict[str, Any], peers: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a row of quantiles; its ratio is of the medians, above 1: ours is faster."""
    mine, theirs = ours[key], peers[key]
    medians = mine["p50"], theirs["p50"]
    return row(work, "us p50", medians, medians[1] / medians[0], ours, peers) | {
        "p99": mine["p99"],
        "p999": mine["p999"],
        "peer_p99": theirs["p99"],
        "peer_p999": theirs["p999"],
    }


def row(
    work: str,
    unit: str,
    figures: tuple[float, float],
    ratio: float,
    ours: dict[str, Any],
    peers: dict[str, Any],
) -> dict[str, Any]:
    """Return what all rows have."""
    return {
        "work": work,
        "ours": round(figures[0]),
        "unit": unit,
        "best_peer": round(figures[1]),
        "peer": PEER,
        "ratio": round(ratio, 2),
        "digest_ok": ours["digest_ok"] and peers["digest_ok"],
        "client_busy_ratio": ours["client_busy_ratio"],
        "server_cpu_s": ours["server_cpu_s"],
        "peer_server_cpu_s": peers["server_cpu_s"],
    }


def streamed(edge: str, work: Streamed) -> dict[str, Any]:
    """Measure one row of updates on one edge."""
    return measure(edge, ["stream", str(work.subscribers), str(work.count)], work.count, work.rate)


def measure(edge: str, asked: list[str], count: int, rate: int) -> dict[str, Any]:
    """Start a server and a client, let the server play once the client has subscribed, return its figures."""
    with start("edge_server", [edge, str(count), str(rate)]) as server:
        try:
            address = line_of(server)
            with start("edge_client", [address, *asked]) as client:
                try:
                    if asked[0] == "stream":
                        line_of(client)
                        tell(server, "go\n")
                    before = cpu_s(server)
                    result: dict[str, Any] = json.loads(line_of(client))
                    result["server_cpu_s"] = round(cpu_s(server) - before, 2)
                finally:
                    client.kill()
        finally:
            server.kill()
    return result


def cpu_s(process: "subprocess.Popen[str]") -> float:
    """Return what a program has used of the processor, seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(module: str, arguments: list[str]) -> "subprocess.Popen[str]":
    """Start one of our two programs."""
    program = [sys.executable, "-m", f"benches.python.{module}", *arguments]
    return subprocess.Popen(  # noqa: S603  our own program
        program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def line_of(process: "subprocess.Popen[str]") -> str:
    """Return the next line that a program prints."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError(f"{process.args!r} ended early")
    return line.strip()


def tell(process: "subprocess.Popen[str]", line: str) -> None:
    """Write a line to a program."""
    if process.stdin is not None:
        process.stdin.write(line)
        process.stdin.flush()
