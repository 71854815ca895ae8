"""The control paths of the fault proxy. HTTP and JSON on loopback; docs/simulator.md tells them to users."""

from __future__ import annotations

import json

from aiohttp import web

from datafacade.sim.faults import FaultRefused
from datafacade.sim.proxy import Proxy
from datafacade.sim.proxy_verbs import PROXY_VERBS


class ProxyControl:
    """Answers control requests about one proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._runner: web.AppRunner | None = None

    def routes(self, prefix: str = "") -> list[web.RouteDef]:
        """Return the paths, each behind ``prefix``."""
        return [
            web.get(f"{prefix}/", self._index),
            web.get(f"{prefix}/verbs", self._verbs),
            web.get(f"{prefix}/routes", self._routes),
            web.put(f"{prefix}/routes/{{name:.+}}", self._retarget),
            web.get(f"{prefix}/connections", self._connections),
            web.get(f"{prefix}/log", self._log),
            web.post(f"{prefix}/faults", self._arm),
            web.get(f"{prefix}/faults", self._faults),
            web.get(f"{prefix}/faults/{{id}}", self._fault),
            web.delete(f"{prefix}/faults", self._heal),
            web.delete(f"{prefix}/faults/{{id}}", self._heal),
        ]

    async def start(self, host: str, port: int) -> int:
        """Listen on ``host``; return the port."""
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _index(self, _: web.Request) -> web.Response:
        paths = {
            "GET /verbs": "the fault verbs and their options",
            "POST /faults": 'arm a fault: {"verb": "black_hole", "route": "binance", "duration_ms": 5000}',
            "GET /faults": "all faults with the proof of what they did; also /faults/ID",
            "DELETE /faults": "heal all; also /faults/ID",
            "GET /routes": "ports and upstreams",
            "PUT /routes/NAME": 'lead later connections elsewhere: {"upstream": "127.0.0.1:8080"}',
            "GET /connections": "the open connections, their bytes and times",
            "GET /log?since=MONO_NS": "the newest records: opened, closed, dial_failed, fault",
        }
        return web.json_response(paths)

    async def _verbs(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                name: {"summary": verb.summary, "options": dict(verb.options)}
                for name, verb in PROXY_VERBS.items()
            }
        )

    async def _routes(self, _: web.Request) -> web.Response:
        return web.json_response(self._proxy.facts())

    async def _retarget(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._proxy.routes:
            return web.json_response({"error": f"no route {name[:40]!r}"}, status=404)
        try:
            upstream = address(str(json.loads(await request.text())["upstream"]))
        except (ValueError, KeyError, TypeError):
            return _refused('expected {"upstream": "HOST:PORT"}')
        self._proxy.retarget(name, upstream)
        return web.json_response(self._proxy.facts()[name])

    async def _connections(self, _: web.Request) -> web.Response:
        return web.json_response([link.facts() for link in self._proxy.links.values()])

    async def _log(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdigit():
            return _refused("since: expected monotonic nanoseconds")
        rows = [row for row in self._proxy.log.recent if row["type"] == "proxy"]
        return web.json_response([row for row in rows if int(str(row["t_mono_ns"])) > int(since)])

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.text())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return _refused("expected a JSON object")
        try:
            fault = self._proxy.arm(body)
        except FaultRefused as refused:
            return _refused(str(refused))
        return web.json_response(fault.proof(), status=201)

    async def _faults(self, _: web.Request) -> web.Response:
        return web.json_response([fault.proof() for fault in self._proxy.faults.all()])

    async def _fault(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        for fault in self._proxy.faults.all():
            if str(fault.id) == wanted:
                return web.json_response(fault.proof())
        return web.json_response({"error": f"no fault {wanted[:20]}"}, status=404)

    async def _heal(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("id")
        if wanted is not None and not wanted.isdigit():
            return _refused("expected the number of a fault")
        return web.json_response({"ended": self._proxy.heal(int(wanted) if wanted else None)})


def address(text: str) -> tuple[str, int]:
    """Return ``HOST:PORT`` as a pair.

    Raises:
        ValueError: It is none, or the port is out of range.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"expected HOST:PORT, received {text!r}")
    return host, int(port)


def _refused(reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=400)
