"""The service in a process of its own, as an operator starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import yaml

from datafacade.check.held import Held, held
from datafacade.check.probe import identity
from datafacade.v1 import book_pb2, health_pb2
from tests.chaos.harness.environment import ROOT, environment
from tests.chaos.harness.wait import until

START_S: Final = 30
MODULE: Final = "datafacade.cli.main"
SERVICE: Final = "/datafacade.v1.DataFacadeService"
PATHS: Final = {  # path of the WebSocket, as the venues' sheets tell it
    "binance/spot": "/stream",
    "binance/usdm": "/public/stream",
    "binance/coinm": "/stream",
    "okx/public": "/ws/v5/public",
    "coinbase/advanced": "",
    "coinbase/exchange": "",
    "kraken/spot": "/v2",
}
# The venues' own times are divided by the scale, so that scaling gives them back.
SEND_MS: Final = {"binance": 250, "binance-usdm": 125, "binance-coinm": 125, "coinbase": 130}
MESSAGE_BYTES_MAX: Final = 32 * 2**20  # Coinbase sends a whole book in one frame
# What a second source must confirm takes as long as REST does, whatever the scale.
UNSCALED_MS: Final = {
    "stale_ms": 5_000,
    "stale_unknown_ms": 20_000,
    "probe_ms": 10_000,
    "line_probe_ms": 20_000,
    "audit_window_ms": 2_000,
    "audit_confirm_ms": 10_000,
}
PING_MS: Final = {"okx": 5_000, "kraken": 20_000}


def write_config(
    folder: Path,
    ports: Mapping[str, Any],
    *,
    scale: float,
    service: Mapping[str, Any] | None = None,
    spares_dials: bool = True,
    every_venue: Mapping[str, Any] | None = None,
    files: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write a configuration that points at a simulator; return the folder.

    Args:
        folder: Made if it is not there.
        ports: The simulator's ports file.
        scale: Factor of all waits of the hot path.
        service: Further sections of service.yaml.
        spares_dials: Keep the connection budgets of the venues; False: a row makes more dials than a day has.
        every_venue: Further figures of each venue.
        files: Further files, as ``{"pit.yaml": {"books_sec": 1}}``.
    """
    folder.mkdir(exist_ok=True)
    venues: dict[str, Any] = {}
    for venue, products in ports["venues"].items():
        for kind, urls in products.items():
            name = f"{venue}-{kind}" if kind in ("usdm", "coinm") else venue
            section = venues.setdefault(name, {"feeds": {}, "liveness_ms": round(3_000 / scale)})
            ws_url = urls["ws"] + PATHS[f"{venue}/{kind}"]
            section["feeds"][kind] = {"ws_url": ws_url, "base_url": urls["rest"]}
            if name in SEND_MS:
                section["send_ms"] = round(SEND_MS[name] / scale)
            if name == "coinbase":
                section["message_bytes_max"] = MESSAGE_BYTES_MAX
            if name in PING_MS:
                section["ping_ms"] = PING_MS[name]
            section.update(every_venue or {})
    dump(folder / "venues.yaml", {"version": 1, "allow_private_upstream": True, "venues": venues})
    sections = dict(service or {})
    hot = {"venues": list(venues), **sections.pop("hot", {})}
    hot["feed"] = {name: round(ms / scale) for name, ms in UNSCALED_MS.items()} | hot.get("feed", {})
    data = {"dir": str(folder / "data")}
    dump(
        folder / "service.yaml",
        {"version": 1, "timers": {"scale": scale}, "data": data, "hot": hot, **sections},
    )
    if not spares_dials:
        packaged = Path(__file__).resolve().parents[3] / "python/datafacade/config/defaults/rate_limits.yaml"
        limits = yaml.safe_load(packaged.read_text(encoding="utf-8"))
        for section in limits["venues"].values():
            section["connections"] = [{"limit": 1_000, "seconds": 1}]
        dump(folder / "rate_limits.yaml", limits)
    for name, content in (files or {}).items():
        dump(folder / name, {"version": 1, **content})
    return folder


def dump(path: Path, value: object) -> None:
    """Write YAML."""
    path.write_text(yaml.safe_dump(value), encoding="utf-8")


class ServiceProcess:
    """One run of ``datafacade serve``, behind the words of a command that becomes it (``prefix``)."""

    def __init__(
        self,
        config: Path,
        *,
        port: int = 0,
        more: tuple[str, ...] = (),
        module: str = MODULE,
        variables: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.log_path = config / "service.log"
        self.command = [*prefix, sys.executable, "-m", module, "serve", "--config", str(config)]
        self.command += ["--port", str(port), *more]
        self._output = (config / "service.out").open("w+", encoding="utf-8")
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  our own command
                self.command, stdout=self._output, stderr=log, cwd=ROOT, env=environment(variables)
            )
        self.address = ""
        self._channel: grpc.Channel | None = None

    def wait_ready(self) -> ServiceProcess:
        """Wait until it says where it listens."""

        def look() -> str | None:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the service ended with {self.process.returncode}: {self.log()[-3000:]}"
                )
            self._output.seek(0)
            lines = [line for line in self._output.read().splitlines() if line.startswith("serving on ")]
            return lines[0].removeprefix("serving on ").split(", ")[0] if lines else None

        self.address = until(look, within_s=START_S, what="the service is ready")
        return self

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.process.pid

    def held(self, rest_ports: Collection[int] = ()) -> Held:
        """Return what it holds now, as /proc says; connections to these REST ports are counted apart."""
        return held(self.pid, rest_ports)

    def log(self) -> str:
        """Return what it wrote on stderr: for people who look at a red test."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    # Calls

    @property
    def channel(self) -> grpc.Channel:
        """Return a channel of this harness."""
        if self._channel is None:
            self._channel = grpc.insecure_channel(
                self.address, options=(("grpc.use_local_subchannel_pool", 1),)
            )
        return self._channel

    def book(
        self, venue: str, symbol: str, *, depth: int = 10, timeout_s: float = 5
    ) -> book_pb2.L2BookResponse:
        """Ask for a book.

        Raises:
            grpc.RpcError: It was refused.
        """
        call = self.channel.unary_unary(
            f"{SERVICE}/L2Book",
            request_serializer=book_pb2.L2BookRequest.SerializeToString,
            response_deserializer=book_pb2.L2BookResponse.FromString,
        )
        request = book_pb2.L2BookRequest(venue=venue, symbol=symbol, depth=depth)
        response: book_pb2.L2BookResponse = call(request, timeout=timeout_s)
        return response

    def health(self, timeout_s: float = 5) -> health_pb2.HealthResponse:
        """Ask how it is."""
        call = self.channel.unary_unary(
            f"{SERVICE}/Health",
            request_serializer=health_pb2.HealthRequest.SerializeToString,
            response_deserializer=health_pb2.HealthResponse.FromString,
        )
        response: health_pb2.HealthResponse = call(health_pb2.HealthRequest(), timeout=timeout_s)
        return response

    def is_serving(self, service: str = "", timeout_s: float = 2) -> bool:
        """Ask ``grpc.health.v1``."""
        request = bytes([0x0A, len(service)]) + service.encode() if service else b""
        call = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check", request_serializer=identity, response_deserializer=identity
        )
        answer: bytes = call(request, timeout=timeout_s)
        return answer[-1:] == b"\x01"

    # The end

    def signal(self, number: signal.Signals) -> int:
        """Send a signal; return the monotonic time."""
        now = time.monotonic_ns()
        self.process.send_signal(number)
        return now

    def wait_ended(self, within_s: float) -> int:
        """Wait for its end; return the exit code.

        Raises:
            AssertionError: It still runs.
        """
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the service still runs after {within_s} s: {self.log()[-2000:]}") from None

    def close(self) -> None:
        """Let go of everything, whatever state it is in."""
        if self._channel is not None:
            self._channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._output.close()
