"""A TCP proxy that breaks on demand: between a service and its venues, or a client and its service.

It knows no protocol: it passes bytes, and does to them what a network could do (proxy_verbs.py).

Example:
    >>> async def check_my_bot() -> None:
    ...     route = Route("venue", upstream=("127.0.0.1", 8080))
    ...     async with Proxy((route,)) as proxy:
    ...         await my_bot_connects_to(f"ws://127.0.0.1:{proxy.ports['venue']}")
    ...         fault = proxy.arm({"verb": "black_hole", "direction": "to_client"})
    ...         proxy.heal(fault.id)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from datafacade.sim.proxy_faults import ProxyBoard, ProxyFault, fits_route
from datafacade.sim.proxy_link import Link
from datafacade.sim.truth import TruthLog

BACKLOG: Final = 1_024
LOOPBACK: Final = "127.0.0.1"
RECORDS_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Route:
    """A port that is listened on, and where its connections lead."""

    name: str
    upstream: tuple[str, int]
    listen: tuple[str, int] = (LOOPBACK, 0)


class Proxy:
    """All routes of one process, and the faults on them."""

    def __init__(self, routes: Iterable[Route] = (), *, log: TruthLog | None = None) -> None:
        self.routes = {route.name: route for route in routes}
        self.log = log if log is not None else TruthLog(None, kept=RECORDS_KEPT)
        self.faults = ProxyBoard(self.log)
        self.faults.on_over.append(self._on_over)
        self.ports: dict[str, int] = {}
        self.links: dict[int, Link] = {}
        self._numbers = itertools.count(1)
        self._listeners: dict[str, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    # Listening

    async def start(self) -> None:
        """Listen on all routes."""
        for route in self.routes.values():
            self.listen(route)

    def listen(self, route: Route) -> int:
        """Listen for ``route``, new or known; return the port."""
        host, port = route.listen
        handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            handle.setblocking(False)
            handle.bind((host, self.ports.get(route.name, port)))
            handle.listen(BACKLOG)
        except OSError:
            handle.close()
            raise
        self.routes[route.name] = route
        self.ports[route.name] = int(handle.getsockname()[1])
        accepting = self._accept(route.name, handle)
        self._listeners[route.name] = asyncio.create_task(accepting, name=f"proxy-{route.name}")
        return self.ports[route.name]

    def retarget(self, name: str, upstream: tuple[str, int]) -> None:
        """Let later connections of a route lead to ``upstream``."""
        route = self.routes[name]
        self.routes[name] = Route(route.name, upstream, route.listen)

    async def _accept(self, name: str, handle: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                client, _ = await loop.sock_accept(handle)
                client.setblocking(False)
                link = Link(
                    next(self._numbers), name, client, self.routes[name].upstream, self.faults, self.log
                )
                self.links[link.id] = link
                task = asyncio.create_task(self._serve(link), name=f"proxy-link-{link.id}")
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            handle.close()

    async def _serve(self, link: Link) -> None:
        for fault in self.faults.active(link):
            self._act(fault, link)
        try:
            await link.run()
        finally:
            self.links.pop(link.id, None)

    async def stop(self) -> None:
        """Close all connections and ports."""
        for listener in self._listeners.values():
            listener.cancel()
        for link in list(self.links.values()):
            link.stop()
        tasks = {*self._listeners.values(), *self._running}
        if tasks:
            await asyncio.wait(tasks)
        self._listeners.clear()

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    # Faults

    def arm(self, request: Mapping[str, object]) -> ProxyFault:
        """Arm the fault that ``request`` describes.

        Raises:
            FaultRefused: The request is not understood.
        """
        fault = self.faults.arm(request)
        for link in list(self.links.values()):
            if fault.fits(link):
                self._act(fault, link)
        if fault.verb.name == "down":
            for name in list(self._listeners):
                if fits_route(fault.route, name):
                    self._listeners.pop(name).cancel()
        elif fault.verb.is_instant and fault.until_ns is None:
            self.faults.heal(fault.id)
        return fault

    def heal(self, fault_id: int | None = None) -> int:
        """End one fault, or all without a number; return how many were ended."""
        return self.faults.heal(fault_id)

    def _act(self, fault: ProxyFault, link: Link) -> None:
        """Do to one connection what ``fault`` does to whole connections."""
        loop = asyncio.get_running_loop()
        match fault.verb.name:
            case "down":
                self.faults.use(fault, link)
                link.reset(fault)
            case "reset_peer":
                self.faults.use(fault, link)
                loop.call_later(fault.integer("ms") / 1000, link.reset, fault)
            case "half_close":
                link.half_close(fault)
            case "timeout" if fault.integer("ms"):
                loop.call_later(fault.integer("ms") / 1000, self._time_out, fault, link)

    def _time_out(self, fault: ProxyFault, link: Link) -> None:
        if not fault.is_over():
            self.faults.use(fault, link)
            link.close(fault)

    def _on_over(self, fault: ProxyFault) -> None:
        """Undo what a fault did to whole routes; reset the connections that it robbed of bytes."""
        for link in list(self.links.values()):
            if link.broken_by is fault:
                link.reset(fault)
        for name, route in list(self.routes.items()):
            is_down = name not in self._listeners and name in self.ports
            if fault.verb.name == "down" and is_down and self.faults.on_route("down", name) is None:
                with contextlib.suppress(OSError):
                    self.listen(route)

    # What is told

    def facts(self) -> dict[str, object]:
        """Return the routes with their ports, and whether they listen."""
        return {
            name: {
                "listen": f"{route.listen[0]}:{self.ports.get(name, 0)}",
                "upstream": f"{route.upstream[0]}:{route.upstream[1]}",
                "is_listening": name in self._listeners,
                "connections": sum(link.route == name for link in self.links.values()),
            }
            for name, route in self.routes.items()
        }
