"""Make a WebSocket connection, or say at which stage it failed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from websockets.uri import parse_uri

from datafacade.clock import Clock
from datafacade.errors import DialFailed
from datafacade.venues.address import resolve
from datafacade.venues.socket import SocketLimits, VenueSocket


async def dial(
    url: str, *, limits: SocketLimits, clock: Clock, user_agent: str, allow_private: bool, tls: ssl.SSLContext
) -> VenueSocket:
    """Return an open connection; name, TCP, TLS and upgrade together take ``dial_timeout_s`` at most.

    Raises:
        DialFailed: It could not be made; ``reason`` names the stage.
    """
    try:
        async with asyncio.timeout(limits.dial_timeout_s):
            return await _dial(
                url, limits=limits, clock=clock, user_agent=user_agent, allow_private=allow_private, tls=tls
            )
    except TimeoutError:
        detail = f"no connection within {limits.dial_timeout_s:g} s"
        raise DialFailed("TIMEOUT", detail, operation="dial") from None


async def _dial(
    url: str, *, limits: SocketLimits, clock: Clock, user_agent: str, allow_private: bool, tls: ssl.SSLContext
) -> VenueSocket:
    uri = parse_uri(url)

    def make() -> VenueSocket:
        return VenueSocket(url, limits=limits, clock=clock, user_agent=user_agent)

    failure = DialFailed("TCP", "no address", operation="dial")
    for family, address in await resolve(uri.host, uri.port, allow_private=allow_private):
        try:
            transport, opened = await _connect(
                make, address, uri.port, family=family, tls=tls if uri.secure else None, name=uri.host
            )
        except ssl.SSLError as error:
            raise DialFailed("TLS", error.reason or "handshake failed", operation="dial") from error
        except OSError as error:
            failure = DialFailed("TCP", error.strerror or "connection failed", operation="dial")
            continue
        try:
            await opened.wait_open()
        except BaseException:
            transport.abort()
            await opened.wait_closed()  # a turn of the loop later: the next wait counts from this end
            raise
        return opened
    raise failure


async def _connect(
    make: Callable[[], VenueSocket],
    address: str,
    port: int,
    *,
    family: int,
    tls: ssl.SSLContext | None,
    name: str,
) -> tuple[asyncio.Transport, VenueSocket]:
    """Connect to an address that was checked; TLS still demands the name."""
    loop = asyncio.get_running_loop()
    return await loop.create_connection(
        make, address, port, family=family, ssl=tls, server_hostname=name if tls is not None else None
    )


def tls_context() -> ssl.SSLContext:
    """Return the one way we speak TLS: 1.2 or later, certificates and names verified."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
