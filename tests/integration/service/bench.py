"""Run the whole service against the simulator, on loopback, in this process or in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import yaml

from datafacade.app import run_service
from datafacade.app.run import EdgeName
from datafacade.config import Config, load_config
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.v1 import coverage_pb2, hot_pb2, service_pb2_grpc, stream_pb2, types_pb2

SCALE: Final = 0.2
PATIENCE_S: Final = 60.0  # nothing that is waited for takes longer, even on a busy machine
SILENCES_MS: Final = {"liveness_ms": 3_000, "keepalive_timeout_ms": 5_000}  # a venue's defaults
ROOT: Final = Path(__file__).resolve().parents[3]
RUN: Final = """
import sys
from datafacade.app import run, serve
from datafacade.config import load_config
from datafacade.errors import FacadeError
run.LISTED_WITHIN_S = 300.0  # however busy the machine is
try:
    serve(load_config(sys.argv[1]), port=int(sys.argv[2]), edge=sys.argv[3],
          ready=lambda addresses: print(addresses[0], flush=True))
except FacadeError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""


def simulated(
    simulator: Simulator,
    folder: Path,
    *,
    scale: float = SCALE,
    patience: Mapping[str, float] | None = None,
    service: dict[str, Any] | None = None,
    files: Mapping[str, dict[str, Any]] | None = None,
) -> Config:
    """Write a configuration whose venues are the simulator's, and load it.

    Args:
        simulator: It runs.
        folder: Made if it is not there.
        scale: Factor of all waits of the hot path, but for the silence of a line.
        patience: Factor of that silence by venue, 1 for all others. The simulator beats once a second, as the
            venues do, whatever the scale: with less than a third a line on which nobody trades is lost.
        service: Further sections of service.yaml.
        files: Further files, as ``{"pit.yaml": {"books_sec": 1}}``.
    """
    packaged = Path(str(importlib.resources.files("datafacade.config") / "defaults" / "venues.yaml"))
    venues = yaml.safe_load(packaged.read_text(encoding="utf-8"))
    venues["allow_private_upstream"] = True
    running = {}
    for name, section in venues["venues"].items():
        feeds = {}
        for feed, endpoint in section["feeds"].items():
            urls = simulator.urls.get(f"{name.partition('-')[0]}/{feed}")
            if urls is not None:
                ws_url = urls["ws"] + urlsplit(endpoint["ws_url"]).path
                feeds[feed] = {"ws_url": ws_url, "base_url": urls["rest"]}
        if feeds:
            rests = dict.fromkeys(section.get("rests", {}), next(iter(feeds.values()))["base_url"])
            factor = (patience or {}).get(name, 1.0) / scale
            silences = {key: round(section.get(key, ms) * factor) for key, ms in SILENCES_MS.items()}
            running[name] = section | silences | {"feeds": feeds, "rests": rests}
    venues["venues"] = running
    aggregators = yaml.safe_load(packaged.with_name("aggregators.yaml").read_text(encoding="utf-8"))
    for name, section in aggregators["aggregators"].items():
        urls = simulator.aggregator_urls.get(name)
        path = urlsplit(section["base_url"]).path
        section |= {"base_url": urls["rest"] + path} if urls else {"enabled": False}
    hot = {"venues": list(running)} | (service or {}).get("hot", {})
    data = {"dir": str(folder / "data")}
    sections = {"version": 1, "timers": {"scale": scale}, "data": data} | (service or {}) | {"hot": hot}
    folder.mkdir(exist_ok=True)
    (folder / "venues.yaml").write_text(yaml.safe_dump(venues), encoding="utf-8")
    (folder / "aggregators.yaml").write_text(yaml.safe_dump(aggregators), encoding="utf-8")
    (folder / "service.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    for name, content in (files or {}).items():
        (folder / name).write_text(yaml.safe_dump({"version": 1} | content), encoding="utf-8")
    return load_config(folder)


@dataclass(kw_only=True)
class Bench:
    """A running service and its simulator."""

    simulator: Simulator
    address: str
    channel: grpc.aio.Channel
    stub: Any = field(init=False)

    def __post_init__(self) -> None:
        """Make the stub."""
        self.stub = service_pb2_grpc.DataFacadeServiceStub(self.channel)

    async def kept(self, channel: int) -> None:
        """Wait until all that Kraken's BTC-USD told is on disk: each answer of Coverage waits for it."""
        await self.stub.Coverage(
            coverage_pb2.CoverageRequest(venue="kraken", symbol="BTC-USD", channel=channel)  # type: ignore[arg-type]
        )

    async def health(self, service: str = "") -> int:
        """Ask ``grpc.health.v1``; return its status: 1 SERVING, 2 NOT_SERVING."""
        check: Any = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        answer: bytes = await check(bytes([0x0A, len(service)]) + service.encode() if service else b"")
        return answer[1]


@contextlib.asynccontextmanager
async def service(
    folder: Path,
    *,
    edge: EdgeName = "rust",
    products: Sequence[str] = ("binance/spot", "kraken/spot"),
    settings: dict[str, Any] | None = None,
    scale: float = SCALE,
    rate: float = 25.0,
    files: Mapping[str, dict[str, Any]] | None = None,
) -> AsyncIterator[Bench]:
    """Run simulator and service in this process."""
    made = SimulatorSettings(seed=5, products=tuple(products), bases=("BTC", "ETH"), steps_per_s=rate)  # type: ignore[arg-type]
    async with Simulator(made) as simulator:
        config = simulated(simulator, folder, scale=scale, service=settings, files=files)
        ready: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(run_service(config, port=0, edge=edge, ready=ready.set_result))
        starting: list[asyncio.Future[Any]] = [running, ready]
        await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        address = ready.result()[0]
        async with grpc.aio.insecure_channel(address) as channel:
            yield Bench(simulator=simulator, address=address, channel=channel)
        running.cancel()
        await asyncio.wait([running])


class Reader:
    """One HotSubscribe call and all that it received."""

    def __init__(self, bench: Bench) -> None:
        self.call = bench.stub.HotSubscribe()
        self.updates: list[hot_pb2.Update] = []
        self.responses: list[hot_pb2.HotSubscribeResponse] = []
        self.error: grpc.aio.AioRpcError | None = None

    async def ask(self, **fields: Any) -> None:  # noqa: ANN401  fields of the request
        """Send one request."""
        await self.call.write(hot_pb2.HotSubscribeRequest(**fields))

    async def subscribe(self, symbols: Sequence[str], channels: Sequence[int], **fields: Any) -> None:  # noqa: ANN401
        """Send one request with one subscription."""
        one = hot_pb2.Subscription(symbols=symbols, channels=channels, **fields)  # type: ignore[arg-type]
        await self.ask(request_id=9, subscribe=[one])

    async def until(self, condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
        """Read until something holds; fail after so long."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self.read()
                if self.error is not None and not condition():
                    raise self.error

    async def read(self) -> None:
        """Read one response."""
        try:
            response = await self.call.read()
        except grpc.aio.AioRpcError as error:
            self.error = error
            return
        if response is grpc.aio.EOF:
            raise AssertionError("the stream ended without an error")
        self.responses.append(response)
        self.updates.extend(response.updates)

    def statuses(self) -> list[stream_pb2.SubscriptionStatus]:
        """Return all that was said about items."""
        return [u.subscription_status for u in self.updates if u.HasField("subscription_status")]

    def payloads(self, kind: str, venue: str = "", symbol: str = "") -> list[hot_pb2.Update]:
        """Return the updates of one kind."""
        return [
            update
            for update in self.updates
            if update.HasField(kind)  # type: ignore[arg-type]
            and venue in ("", update.venue)
            and symbol in ("", update.symbol)
        ]

    def is_live(self, venue: str, channel: int = types_pb2.CHANNEL_BOOK_L2) -> bool:
        """Whether the newest state of a venue's topic is LIVE."""
        states = [u for u in self.payloads("stream_state", venue) if u.channel == channel]
        return bool(states) and states[-1].stream_state.state == types_pb2.STATE_LIVE


async def spawn(
    folder: Path, *, port: int = 0, edge: str = "rust", prelude: str = ""
) -> asyncio.subprocess.Process:
    """Run the service in a process of its own, after ``prelude``; its first line of output is its address."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        prelude + RUN,
        str(folder),
        str(port),
        edge,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": f"{ROOT / 'python'}:{ROOT}", "PATH": ""},
    )


@contextlib.asynccontextmanager
async def simulator(folder: Path) -> AsyncIterator[Simulator]:
    """Run the simulator of two venues, with a configuration that points at it."""
    settings = SimulatorSettings(seed=5, products=("kraken/spot", "binance/spot"), bases=("BTC", "ETH"))
    async with Simulator(settings) as running:
        simulated(running, folder)
        yield running


@contextlib.asynccontextmanager
async def started(
    folder: Path, running: Simulator
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Bench]]:
    """Run the service in a process of its own, and kill it at the end."""
    process = await spawn(folder)
    try:
        assert process.stdout is not None
        address = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode().strip()
        async with grpc.aio.insecure_channel(address) as channel:
            yield process, Bench(simulator=running, address=address, channel=channel)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
