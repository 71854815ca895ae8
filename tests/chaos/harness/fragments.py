"""A relay that cuts each message of a WebSocket server into fragments, with pings between them (row A17)."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from types import TracebackType
from typing import Final, Self

FIN: Final = 0x80
CONTINUATION: Final = 0x0
DATA: Final = frozenset({0x1, 0x2})
PING: Final = 0x9
PARTS: Final = 3


def framed(payload: bytes, opcode: int, *, is_last: bool = True) -> bytes:
    """Return one frame of a server: not masked."""
    head = bytes([(FIN if is_last else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 1 << 16:
        return head + b"\x7e" + struct.pack("!H", len(payload)) + payload
    return head + b"\x7f" + struct.pack("!Q", len(payload)) + payload


def fragments(payload: bytes, opcode: int) -> bytes:
    """Return a message in three frames, a ping before each but the first; the middle one may be empty."""
    third = len(payload) // PARTS
    parts = [payload[:third], payload[third : 2 * third], payload[2 * third :]]
    ping = framed(b"between", PING)
    return ping.join(
        framed(part, opcode if at == 0 else CONTINUATION, is_last=at == PARTS - 1)
        for at, part in enumerate(parts)
    )


class Fragmenter:
    """Listens on a port and leads to ``upstream`` (``HOST:PORT``), in a thread with a loop of its own."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fragmenter")
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut = 0  # messages
        self.address = ""

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        return server

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("not in a task")
        self._tasks.add(task)
        venue, to_venue = await asyncio.open_connection(*self._upstream)
        up = asyncio.ensure_future(copied(reader, to_venue))
        down = asyncio.ensure_future(self._cut(venue, writer))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            return  # the relay ends: asyncio's own callback would log a cancelled task as a fault
        finally:
            for direction in (up, down):
                direction.cancel()
            for end in (writer, to_venue):
                end.close()
            self._tasks.discard(task)

    async def _cut(self, venue: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            writer.write(await venue.readuntil(b"\r\n\r\n"))  # the answer to the upgrade
            while True:
                first, size = await venue.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack("!H", await venue.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await venue.readexactly(8))
                payload, opcode = await venue.readexactly(size), first & 0x0F
                is_message = opcode in DATA and first & FIN and size >= PARTS
                self.cut += bool(is_message)
                writer.write(fragments(payload, opcode) if is_message else framed(payload, opcode))
                await writer.drain()


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass everything on until the end."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
