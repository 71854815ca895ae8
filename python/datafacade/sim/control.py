"""The control endpoint: arm faults, read proofs, the true books and the counts. HTTP and JSON on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Protocol

from aiohttp import web

from datafacade.sim.books import Book
from datafacade.sim.fault_paths import FaultPaths, missing, refused
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.http_port import HttpPort
from datafacade.sim.proxy import Proxy
from datafacade.sim.proxy_control import ProxyControl
from datafacade.sim.stats import Stats
from datafacade.sim.verbs import VERBS

COUNT_MAX: Final = 10_000  # candles of one answer, and minutes of one candle


class Controlled(Protocol):
    """What the control endpoint needs of the simulator."""

    faults: FaultBoard
    stats: Stats

    def arm(self, request: Mapping[str, object]) -> Fault:
        """Arm a fault."""

    def book(self, product: str, symbol: str) -> Book | None:
        """Return a true book."""

    def candles(self, product: str, symbol: str, length_min: int, count: int) -> list[list[str | int]] | None:
        """Return true candles."""

    def connections(self) -> list[dict[str, object]]:
        """Return the open connections."""

    def ports(self) -> dict[str, object]:
        """Return the URLs."""

    def ledger(self, last_s: int) -> dict[str, object]:
        """Return what REST clients spent."""


class ControlServer:
    """Serves the control paths."""

    def __init__(self, simulator: Controlled, proxy: Proxy | None = None) -> None:
        self._simulator = simulator
        self._proxy = proxy
        self._port = HttpPort()

    async def start(self, host: str, port: int) -> int:
        """Listen on ``host``; return the port."""
        simulator = self._simulator
        faults = FaultPaths(arm=simulator.arm, all=simulator.faults.all, end=simulator.faults.remove)
        routes = [
            web.get("/", self._index),
            web.get("/verbs", self._verbs),
            web.get("/ports", self._ports),
            *faults.routes(),
            web.get("/truth/book", self._book),
            web.get("/truth/candles", self._candles),
            web.get("/stats", self._stats),
            web.get("/connections", self._connections),
            web.get("/ledger", self._ledger),
        ]
        if self._proxy is not None:
            routes += ProxyControl(self._proxy).routes("/proxy")
        return await self._port.start(routes, host, port)

    async def stop(self) -> None:
        """Stop listening."""
        await self._port.stop()

    async def _index(self, _: web.Request) -> web.Response:
        paths = {
            "GET /verbs": "the fault verbs and their options",
            "POST /faults": 'arm a fault: {"verb": "drop", "venue": "binance", "symbol": "BTCUSDT"}',
            "GET /faults": "all faults with the proof of what they did; also /faults/ID",
            "DELETE /faults": "end all faults; also /faults/ID",
            "GET /truth/book?venue=binance&symbol=BTCUSDT": "the true book; also product=, depth=",
            "GET /truth/candles?venue=kraken&symbol=BTC/USD&minutes=60&count=24": "true candles",
            "GET /stats": "connections, attempts, messages, weights, violations by product",
            "GET /connections": "the open connections and their numbers",
            "GET /ledger?last_s=60": "REST: calls, weights, refusals, limits and their use by product",
            "GET /ports": "the URLs of the venues",
            "GET /proxy/": "the fault proxy, if there is one",
        }
        return web.json_response(paths)

    async def _verbs(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                name: {"summary": verb.summary, "acts_on": verb.stage, "options": dict(verb.options)}
                for name, verb in VERBS.items()
            }
        )

    async def _ports(self, _: web.Request) -> web.Response:
        return web.json_response(self._simulator.ports())

    async def _book(self, request: web.Request) -> web.Response:
        product = request.query.get("product") or request.query.get("venue", "")
        symbol, depth = request.query.get("symbol", ""), request.query.get("depth", "")
        book = self._simulator.book(product, symbol)
        if book is None:
            return missing(f"no market {symbol[:40]!r} at {product[:40]!r}")
        text = book.text(int(depth) if depth.isdigit() else None)
        return web.json_response(
            {
                "symbol": symbol,
                "bids": len(book.bids),
                "asks": len(book.asks),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "text": text,
            }
        )

    async def _candles(self, request: web.Request) -> web.Response:
        product = request.query.get("product") or request.query.get("venue", "")
        symbol = request.query.get("symbol", "")
        numbers = [request.query.get(name, "") for name in ("minutes", "count")]
        if not all(text.isdigit() and 0 < int(text) <= COUNT_MAX for text in numbers):
            return refused(f"minutes and count: expected whole numbers from 1 to {COUNT_MAX}")
        rows = self._simulator.candles(product, symbol, int(numbers[0]), int(numbers[1]))
        if rows is None:
            return missing(f"no market {symbol[:40]!r} at {product[:40]!r}")
        return web.json_response({"symbol": symbol, "candles": rows})

    async def _connections(self, _: web.Request) -> web.Response:
        return web.json_response(self._simulator.connections())

    async def _ledger(self, request: web.Request) -> web.Response:
        last = request.query.get("last_s", "60")
        if not last.isdigit():
            return refused("last_s: expected whole seconds")
        return web.json_response(self._simulator.ledger(int(last)))

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(self._simulator.stats.report())
