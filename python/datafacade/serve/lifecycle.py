"""Bring the service up, tell its health, and take it down in order when the system says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from datafacade.facade import DataFacade
from datafacade.serve.handlers import SERVICE, SNAPSHOT_SERVICE
from datafacade.v1 import health_pb2

log = logging.getLogger(__name__)

HEALTH_S: Final = 0.5

Ready = Callable[[Sequence[str]], None]


class Server(Protocol):
    """A gRPC server with its handlers."""

    async def start(self) -> list[str]:
        """Listen; return the addresses.

        Raises:
            AddressTaken: Another program listens there.
        """
        ...

    async def run(self) -> None:
        """Serve until cancelled."""
        ...

    def figures(self) -> health_pb2.EdgeHealth | None:
        """Return the server's part of Health."""
        ...

    def set_health(self, service: str, is_serving: bool) -> None:
        """Tell ``grpc.health.v1`` how a part is."""
        ...

    async def drain(self, grace_s: float, end_streams: Callable[[], None]) -> None:
        """Refuse what is new, end the streams in order, wait for what runs."""
        ...

    async def stop(self) -> None:
        """End what still runs."""
        ...


class Lifecycle:
    """One run of the service, from listening to the last answer."""

    def __init__(self, facade: DataFacade, server: Server, *, listed_within_s: float, drain_s: float) -> None:
        self._facade = facade
        self._server = server
        self._listed_within_s = listed_within_s
        self._drain_s = drain_s
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        facade.edge_figures = server.figures

    def request_stop(self) -> None:
        """Drain; asked a second time, stop at once."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def run(self, ready: Ready | None) -> None:
        """Run until ``request_stop``.

        Args:
            ready: Called with the addresses once requests are answered.

        Raises:
            AddressTaken: Another program listens there.
        """
        addresses = await self._server.start()
        log.info("service.listening", extra={"addresses": addresses})
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self._server.run(), name="server"),
                    tasks.create_task(self._serve(ready, addresses), name="facade"),
                ]
                await self._stop.wait()
                await self._drain()
                for task in running:
                    task.cancel()
        finally:
            await self._server.stop()
            await self._facade.shutdown()
            log.info("service.stopped")

    async def _serve(self, ready: Ready | None, addresses: Sequence[str]) -> None:
        """Start the venues, tell health from then on, and fail if a venue's task fails."""
        await self._facade.start(listed_within_s=self._listed_within_s)
        for name in ("", SERVICE, SNAPSHOT_SERVICE):
            self._server.set_health(name, True)
        log.info("service.ready", extra={"addresses": list(addresses)})
        if ready is not None:
            ready(addresses)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._facade.wait_failed(), name="venues")
            tasks.create_task(self._tell_health(), name="health")

    async def _tell_health(self) -> None:
        while not self._stop.is_set():
            for name, venue in self._facade.tier.venues.items():
                self._server.set_health(f"venue/{name}", venue.is_up)
            await asyncio.sleep(HEALTH_S)

    async def _drain(self) -> None:
        """End the streams with their positions; a second signal ends the wait."""
        log.info("service.draining")
        self._facade.is_draining = True
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(self._server.drain(self._drain_s, self._facade.hub.drain))
            hurrying = tasks.create_task(self._hurry.wait())
            await asyncio.wait([draining, hurrying], return_when=asyncio.FIRST_COMPLETED)
            draining.cancel()
            hurrying.cancel()
