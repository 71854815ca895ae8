"""A venue made of bytes, which may break every rule, and our socket to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from datafacade.clock import SystemClock
from datafacade.venues.dial import dial, tls_context
from datafacade.venues.socket import SocketLimits, VenueSocket

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMITS = SocketLimits(  # no machine is so slow that one of these times passes
    message_bytes_max=2**20,
    read_buffer_bytes=2**20,
    write_buffer_bytes=64 * 1024,
    dial_timeout_s=60,
    write_timeout_s=60,
    close_timeout_s=60,
)


async def open_socket(port: int, limits: SocketLimits = LIMITS) -> VenueSocket:
    return await dial(
        f"ws://127.0.0.1:{port}/x",
        limits=limits,
        clock=SystemClock(),
        user_agent="test/1",
        allow_private=True,
        tls=tls_context(),
    )


@contextlib.asynccontextmanager
async def raw_venue(peer: Peer, *, upgrades: bool = True) -> AsyncIterator[int]:
    """Serve bytes: such a peer may break every rule."""
    serving: set[asyncio.Task[None] | None] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                if upgrades:
                    await upgrade(reader, writer)
                await peer(reader, writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        except asyncio.CancelledError:
            writer.transport.abort()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(line.split(": ")[1] for line in request.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324  RFC 6455
    accept = base64.b64encode(digest).decode()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )


def frame(payload: bytes, *, opcode: int = 1, fin: bool = True, bits: int = 0) -> bytes:
    head = bytes([(0x80 if fin else 0) | bits | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + b"\x7f" + struct.pack("!Q", len(payload)) + payload
