"""Routes on one port, from start to stop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiohttp import web

PORT_MAX: Final = 65_535


def port(text: str) -> int:
    """Return the number of a port, 0 for any free one.

    Raises:
        ValueError: It is none.
    """
    number = int(text)
    if not 0 <= number <= PORT_MAX:
        raise ValueError(f"expected 0 to {PORT_MAX}, received {number}")
    return number


class HttpPort:
    """An HTTP server. ``stop`` it."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None

    async def start(self, routes: Iterable[web.RouteDef], host: str, port: int) -> int:
        """Listen on ``host``; return the port."""
        app = web.Application()
        app.add_routes(routes)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and end open requests."""
        if self._runner is not None:
            await self._runner.cleanup()
