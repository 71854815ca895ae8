"""Resolve a host, and refuse addresses that lead inside (SSRF, DNS rebinding)."""

from __future__ import annotations

import asyncio
import socket

from datafacade.errors import DialFailed
from datafacade.guard.address import is_public


async def resolve(host: str, port: int, *, allow_private: bool) -> list[tuple[int, str]]:
    """Return the addresses of a host as (family, address), in the resolver's order.

    The caller connects to these addresses, never to the name again.

    Raises:
        DialFailed: The name is unknown, or each address is private and that is not allowed.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise DialFailed("DNS", f"{host}: {error.strerror}", operation="resolve") from error
    addresses = dict.fromkeys((int(family), str(place[0])) for family, _, _, _, place in found)
    allowed = [item for item in addresses if allow_private or is_public(item[1])]
    if not allowed:
        raise DialFailed("ADDRESS", f"{host} leads to a private address", operation="resolve")
    return allowed
