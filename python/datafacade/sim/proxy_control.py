"""The control paths of the fault proxy. HTTP and JSON on loopback; docs/simulator.md tells them to users."""

from __future__ import annotations

import json

from aiohttp import web

from datafacade.sim.fault_paths import FaultPaths, missing, refused
from datafacade.sim.http_port import PORT_MAX
from datafacade.sim.proxy import Proxy
from datafacade.sim.proxy_verbs import PROXY_VERBS


class ProxyControl:
    """Answers control requests about one proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def routes(self, prefix: str = "") -> list[web.RouteDef]:
        """Return the paths, each behind ``prefix``."""
        proxy = self._proxy
        faults = FaultPaths(arm=proxy.arm, all=proxy.faults.all, end=proxy.heal)
        return [
            web.get(f"{prefix}/", self._index),
            web.get(f"{prefix}/verbs", self._verbs),
            web.get(f"{prefix}/routes", self._routes),
            web.put(f"{prefix}/routes/{{name:.+}}", self._retarget),
            web.get(f"{prefix}/connections", self._connections),
            web.get(f"{prefix}/log", self._log),
            *faults.routes(prefix),
        ]

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
            return missing(f"no route {name[:40]!r}")
        try:
            upstream = address(str(json.loads(await request.text())["upstream"]))
        except (ValueError, KeyError, TypeError):
            return refused('expected {"upstream": "HOST:PORT"}')
        self._proxy.retarget(name, upstream)
        return web.json_response(self._proxy.facts()[name])

    async def _connections(self, _: web.Request) -> web.Response:
        return web.json_response([link.facts() for link in self._proxy.links.values()])

    async def _log(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdigit():
            return refused("since: expected monotonic nanoseconds")
        rows = [row for row in self._proxy.log.recent if row["type"] == "proxy"]
        return web.json_response([row for row in rows if int(str(row["t_mono_ns"])) > int(since)])


def address(text: str) -> tuple[str, int]:
    """Return ``HOST:PORT`` as a pair.

    Raises:
        ValueError: It is none, or the port is out of range.
    """
    host, colon, number = text.strip().rpartition(":")
    if not colon or not host or not number.isdigit() or int(number) > PORT_MAX:
        raise ValueError(f"expected HOST:PORT, received {text!r}")
    return host, int(number)
