"""Drive a simulator with raw sockets and compare naive books with its truth log."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from datafacade.sim.listings import ProductKey
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator

PATIENCE_S = 60.0
Json: TypeAlias = Any  # decoded JSON, into which a test looks as it likes
AnyClient: TypeAlias = Any  # one of the naive clients
Option: TypeAlias = Any  # value of a SimulatorSettings field


class Client(Protocol):
    """A naive client."""

    book: Any

    def on_frame(self, text: str) -> bool: ...


@asynccontextmanager
async def simulator(*products: ProductKey, **changes: Option) -> AsyncIterator[Simulator]:
    """Run a simulator whose every book is hashed."""
    settings: dict[str, Any] = {
        "seed": 7,
        "products": products,
        "bases": ("BTC", "ETH"),
        "steps_per_s": 200.0,
        "depth": 60,
        "top_hash_every_ms": 0,
        "full_hash_every_ms": 0,
        "records_kept": 100_000,
    }
    async with Simulator(SimulatorSettings(**(settings | changes))) as running:
        yield running


@asynccontextmanager
async def socket(running: Simulator, product: ProductKey, path: str) -> AsyncIterator[ClientConnection]:
    """Open a raw WebSocket to a product."""
    url = running.urls[product]["ws"] + path
    async with connect(
        url, max_size=None, compression=None, proxy=None, close_timeout=1, open_timeout=PATIENCE_S
    ) as ws:
        yield ws


async def send(ws: ClientConnection, *messages: object) -> None:
    """Send texts as they are and objects as JSON."""
    for message in messages:
        await ws.send(message if isinstance(message, str) else json.dumps(message))


async def receive(ws: ClientConnection) -> str:
    """Return the next frame as text."""
    async with asyncio.timeout(PATIENCE_S):
        message = await ws.recv()
    assert isinstance(message, str)
    return message


async def until(ws: ClientConnection, wanted: Callable[[Json], object]) -> Json:
    """Read on until a JSON frame satisfies ``wanted``; return it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            text = str(await ws.recv())
            body = json.loads(text) if text[0] in "{[" else text
            if wanted(body):
                return body


async def get(running: Simulator, product: ProductKey, path: str) -> tuple[int, Any, Mapping[str, str]]:
    """Fetch a REST path; return status, decoded body and headers."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(running.urls[product]["rest"] + path) as answer,
    ):
        text = await answer.text()
        body = json.loads(text) if "json" in answer.content_type else text
        return answer.status, body, answer.headers


class Comparison:
    """Pairs of a frame and the book held after it, to be judged by the truth log."""

    def __init__(self, running: Simulator) -> None:
        self._running = running
        self._held: dict[str, str] = {}
        self.applied = 0

    def note(self, text: str, client: Client) -> None:
        """Remember what ``client`` holds after the frame ``text``."""
        self.applied += 1
        self._held[hashlib.sha256(text.encode()).hexdigest()] = client.book.sha256()

    def judge(self, *, snapshot_id: int | None = None) -> int:
        """Assert that every book equals the truth; return how many were compared.

        Args:
            snapshot_id: Compare with the view of this REST snapshot where the log tells one.
        """
        compared = 0
        for record in self._running.truth.recent:
            held = self._held.get(str(record.get("sha256")))
            if held is None or "book_sha256" not in record:
                continue
            views: list[dict[str, Any]] = record.get("views", [])  # type: ignore[assignment]
            cut = [view["book_sha256"] for view in views if view["last_update_id"] == snapshot_id]
            assert held == (cut[0] if cut else record["book_sha256"]), record
            compared += 1
        return compared


async def follow(
    ws: ClientConnection, client: Client, comparison: Comparison, frames: int, *, seconds: float = PATIENCE_S
) -> None:
    """Feed frames to ``client`` until ``frames`` of them changed its book."""
    async with asyncio.timeout(seconds):
        while comparison.applied < frames:
            text = await ws.recv()
            assert isinstance(text, str)
            if client.on_frame(text):
                comparison.note(text, client)


async def binance_sync(
    running: Simulator, product: ProductKey, client: AnyClient, ws: ClientConnection, limit: int
) -> None:
    """Buffer, fetch, bridge; fetch again while the snapshot is too old, as the sheet says."""
    from tests.integration.sim.naive import SnapshotTooOld

    root = {"binance/spot": "/api/v3", "binance/usdm": "/fapi/v1", "binance/coinm": "/dapi/v1"}[product]
    symbol = {"binance/coinm": "BTCUSD_PERP"}.get(product, "BTCUSDT")
    for _ in range(20):
        while len(client.buffer) < 2:
            client.on_frame(await receive(ws))
        kept = list(client.buffer)
        _, body, _ = await get(running, product, f"{root}/depth?symbol={symbol}&limit={limit}")
        try:
            client.on_snapshot(body)
        except SnapshotTooOld:
            client.last, client.is_bridged, client.buffer = None, False, kept
            client.buffer.pop(0)
            continue
        return
    raise AssertionError("no snapshot could be bridged")


async def drain(ws: ClientConnection, seconds: float) -> list[str]:
    """Return all that arrives within ``seconds``."""
    texts: list[str] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                texts.append(str(await ws.recv()))
    except TimeoutError:
        return texts


async def ended(ws: ClientConnection) -> None:
    """Read on until the connection ends, which raises ConnectionClosed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await ws.recv()


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  the condition lies in another process's or task's counters
            await asyncio.sleep(0.005)
