"""The scene of a storm: simulator and proxy, a service that may be killed, and three clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from datafacade.check.control import ControlLog
from datafacade.check.held import rest_ports
from datafacade.check.names import BOOK, KLINES, TRADES, Topic
from datafacade.cli.demo.children import Child, running
from datafacade.cli.demo.places import moved, packaged_venues
from datafacade.cli.output import remark

SERVING: Final = "serving on "
SCALE: Final = 0.2  # of the service's waits, so that a minute sees many recoveries
PRODUCTS: Final = ("binance/spot", "okx/public", "coinbase/advanced", "coinbase/exchange", "kraken/spot")
BASES: Final = ("BTC", "ETH")
QUOTES: Final = {"binance": "USDT", "okx": "USDT", "coinbase": "USD", "kraken": "USD"}
SPELLINGS: Final = {"binance": "{}{}", "okx": "{}-{}", "coinbase": "{}-{}", "kraken": "{}/{}"}
RATE: Final = 10.0  # market steps a symbol and second
DEPTH: Final = 200  # levels a side
BAR: Final = "5s"
WINDOW: Final = "25"
SLOW_PER_S: Final = 4.0  # responses that the slow client handles
# These belong to the venue or the network: divided by the scale, so that scaling gives them back.
REAL_MS: Final = {"liveness_ms": 3_000, "keepalive_ms": 5_000, "keepalive_timeout_ms": 5_000}
OWN_MS: Final = ("send_ms", "ping_ms")
BARS_MS: Final = {"kline_close_ms": 250, "kline_late_ms": 2_000, "kline_provisional_ms": 1_000}
AUDITS_MS: Final = {"audit_window_ms": 2_000, "audit_confirm_ms": 10_000}  # REST takes as long as ever
CONTROL_S: Final = 10.0


def markets() -> dict[str, tuple[str, ...]]:
    """Return the venue's spellings of all symbols, by product."""
    return {
        product: tuple(SPELLINGS[venue].format(base, QUOTES[venue]) for base in BASES)
        for product in PRODUCTS
        for venue in [product.partition("/")[0]]
    }


def topics(*kinds: tuple[int, str]) -> list[Topic]:
    """Return the topics of all instruments for some channels and variants."""
    return [
        Topic(venue, f"{base}-{quote}", channel, variant)
        for venue, quote in QUOTES.items()
        for base in BASES
        for channel, variant in kinds
    ]


CLIENTS: Final = {  # what each follows, and how many responses it handles a second (0: all)
    "fast": (topics((BOOK, ""), (TRADES, ""), (KLINES, BAR), (BOOK, WINDOW)), 0.0),
    "slow": (topics((BOOK, ""), (TRADES, "")), SLOW_PER_S),
    "crashing": (topics((BOOK, ""), (TRADES, ""), (KLINES, BAR)), 0.0),
}


def service_files(ports: Mapping[str, Any]) -> dict[str, str]:
    """Return the configuration of the service by file name."""
    whole = packaged_venues()
    tree = moved({**whole, "venues": {name: whole["venues"][name] for name in QUOTES}}, ports)
    venues = {}
    for name in QUOTES:
        section = dict(tree["venues"][name])
        section |= {key: round(ms / SCALE) for key, ms in REAL_MS.items()}
        section |= {key: round(section[key] / SCALE) for key in OWN_MS if key in section}
        venues[name] = section
    feed = {key: round(ms / SCALE) for key, ms in (BARS_MS | AUDITS_MS).items()}
    hot = {"venues": list(QUOTES), "feed": feed}
    service = {"version": 1, "timers": {"scale": SCALE}, "hot": hot}
    return {
        "venues.yaml": yaml.safe_dump({**tree, "venues": venues}, sort_keys=False),
        "service.yaml": yaml.safe_dump(service, sort_keys=False),
    }


@dataclass(slots=True)
class Scene:
    """What runs now. Whoever kills a part starts it again.

    Args:
        folder: Where files go.
        seed: Of the markets.
        stack: Ends everything.
        control: What was done and seen.
    """

    folder: Path
    seed: int
    stack: contextlib.AsyncExitStack
    control: ControlLog
    target: str = ""
    control_url: str = ""
    rest_ports: Collection[int] = ()  # of the venues
    simulator: Child | None = None
    metronome: Child | None = None
    service: Child | None = None
    clients: dict[str, Child] = field(default_factory=dict)
    calm: dict[str, int] = field(default_factory=dict)  # what the service held before the storm

    @property
    def truth_path(self) -> Path:
        """Return where the truth log is."""
        return self.folder / "truth.jsonl"

    @property
    def pauses_path(self) -> Path:
        """Return where the machine's own pauses are."""
        return self.folder / "pauses.jsonl"

    def log_path(self, client: str) -> Path:
        """Return where a client writes."""
        return self.folder / f"{client}.probe"

    async def start(self) -> None:
        """Start all parts.

        Raises:
            ProgramFailed: One does not start.
        """
        words: tuple[str, ...] = (
            "--seed",
            str(self.seed),
            "--proxy",
            "--truth",
            str(self.truth_path),
            "--rate",
            str(RATE),
        )
        words += ("--symbols", ",".join(BASES), "--products", ",".join(PRODUCTS), "--depth", str(DEPTH))
        simulator = await self.stack.enter_async_context(running("simulator", "datafacade.sim", *words))
        ports = json.loads(await simulator.first_line())
        self.simulator, self.control_url = simulator, ports["control"]
        self.rest_ports = rest_ports(ports["venues"])
        remark(
            f"simulated venues behind a fault proxy are ready, seed {self.seed}, control {self.control_url}"
        )
        config = self.folder / "config"
        config.mkdir()
        for name, text in service_files(ports["venues"]).items():
            (config / name).write_text(text, encoding="utf-8")
        words = ("--out", str(self.pauses_path))
        self.metronome = await self.stack.enter_async_context(
            running("metronome", "datafacade.check.metronome", *words)
        )
        await self.start_service()
        remark(f"the service is ready at {self.target}")
        for name in CLIENTS:
            await self.start_client(name)

    async def start_service(self) -> None:
        """Start the service on its data directory, and on its port if it had one."""
        port = self.target.rpartition(":")[2] or "0"
        words = ("--config", str(self.folder / "config"), "--data-dir", str(self.folder / "data"))
        self.service = await self.stack.enter_async_context(
            running("service", "datafacade.cli.main", "serve", *words, "--port", port)
        )
        self.target = (await self.service.first_line()).removeprefix(SERVING).split(",")[0]
        self.control.note("restart", pid=self.service.pid)
        if self.calm:  # another process, the same bounds
            self.control.note("resources", phase="control", **{**self.calm, "pid": self.service.pid})

    async def kill_service(self) -> None:
        """End the service as a lack of memory would."""
        service, self.service = self.service, None
        if service is not None:
            self.control.note("kill", pid=service.pid)
            await service.kill()

    async def rehearse(self) -> None:
        """Restart the service in order: what it holds after a resume is what it may hold after others."""
        service, self.service = self.service, None
        if service is not None:
            self.control.note("kill", pid=service.pid, is_planned=True)
            await service.stop()
            await self.start_service()

    async def start_client(self, name: str) -> None:
        """Start a client; it goes on where its file ends."""
        followed, per_second = CLIENTS[name]
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(followed), encoding="utf-8")
        words: tuple[str, ...] = (
            "--address",
            self.target,
            "--out",
            str(self.log_path(name)),
            "--topics",
            str(path),
        )
        words += ("--per-second", str(per_second))
        self.clients[name] = await self.stack.enter_async_context(
            running(f"{name} client", "datafacade.check.recorder", *words)
        )

    async def kill_client(self, name: str) -> None:
        """End a client in the middle of whatever it does."""
        await self.clients.pop(name).kill()

    async def ask(self, method: str, path: str, body: object = None) -> int:
        """Ask the simulator's control port; return the HTTP status."""
        timeout = aiohttp.ClientTimeout(total=CONTROL_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, f"{self.control_url}{path}", json=body) as answer,
        ):
            await answer.read()
            return answer.status

    async def heal(self) -> None:
        """End all faults."""
        for path in ("/faults", "/proxy/faults"):
            await self.ask("DELETE", path)

    async def stop(self) -> None:
        """End all parts in order, so that their logs are whole."""
        parts: Sequence[Child | None] = (*self.clients.values(), self.metronome, self.service, self.simulator)
        await asyncio.gather(*(part.stop() for part in parts[:-1] if part is not None))
        if self.simulator is not None:
            await self.simulator.stop()
