"""Open HTTP sessions that reach only addresses that may be contacted, keep no cookies and no idle lines."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from datafacade.errors import DialFailed
from datafacade.guard.address import is_public
from datafacade.venues.address import resolve
from datafacade.venues.body import ENCODINGS

IDLE_S: Final = 2.0  # how long an idle connection is kept: 5 s after a fault all is as it was before
CONNECTIONS_MAX: Final = 16  # of one host


def open_session(
    *, tls: ssl.SSLContext, user_agent: str, timeout_s: float, allow_private: bool
) -> aiohttp.ClientSession:
    """Return a session for one host; bodies come as they were sent, compressed or not.

    A `Sent` as ``trace_request_ctx`` of a request learns whether the request left.
    """
    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(_note_sent)
    return aiohttp.ClientSession(
        trace_configs=[tracing],
        connector=aiohttp.TCPConnector(
            resolver=_Resolver(allow_private), ssl=tls, limit=CONNECTIONS_MAX, keepalive_timeout=IDLE_S
        ),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers={"User-Agent": user_agent, "Accept-Encoding": ENCODINGS},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )


@dataclass(slots=True)
class Sent:
    """Whether a request left, or is leaving. One that waits for a connection of its host did not."""

    is_sent: bool = False


async def _note_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.is_sent = True


def literal_refusal(host: str, *, allow_private: bool) -> str:
    """Judge an address that needs no resolver; names are judged when they are resolved. "": no objection."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ""
    return "" if allow_private or is_public(host) else "the configured address is private"


class _Resolver(AbstractResolver):
    """Gives aiohttp only addresses that may be contacted."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host."""
        try:
            found = await resolve(host, port, allow_private=self._allow_private)
        except DialFailed as error:
            raise OSError(error.detail) from error
        wanted = (family, socket.AF_UNSPEC)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
            for kind, address in found
            if kind in wanted or family is socket.AF_UNSPEC
        ]

    async def close(self) -> None:
        """Release nothing: there is nothing."""
        await asyncio.sleep(0)
