"""The venue socket against real servers on loopback: bytes in order, every bound kept, every end told."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection, serve

from datafacade.clock import SystemClock
from datafacade.types import Closed, CloseReason
from datafacade.venues.keepalive import KeepaliveFigures
from datafacade.venues.socket import SocketLimits, VenueSocket
from tests.integration.service.peer import LIMITS, frame, open_socket, raw_venue

IMPATIENT = replace(LIMITS, close_timeout_s=0.3)  # with a peer that does not answer a close frame


@contextlib.asynccontextmanager
async def venue(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[int]:
    async with serve(handler, "127.0.0.1", 0, compression=None, max_size=None) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def read_all(socket: VenueSocket) -> list[bytes]:
    return [message async for message, _ in socket]


async def read_close(reader: asyncio.StreamReader) -> int:
    """Return the code of the client's close frame."""
    while True:
        first, second = await reader.readexactly(2)
        length = second & 0x7F
        mask = await reader.readexactly(4)
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(length)))
        if first & 0xF == 8:
            return int.from_bytes(payload[:2], "big")


@pytest.mark.proves("CTL-S20")
async def test_frames_come_as_bytes_in_order_with_their_read_time() -> None:
    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.headers["User-Agent"] == "test/1"
        assert "Sec-WebSocket-Extensions" not in connection.request.headers
        for number in range(100):
            await connection.send(f"frame {number} ü")
        await connection.send(b"\x00\xff binary")

    clock = SystemClock()
    async with venue(handler) as port:
        before = clock.wall_ns()
        socket = await open_socket(port)
        seen = [item async for item in socket]
    assert [message for message, _ in seen[:100]] == [f"frame {n} ü".encode() for n in range(100)]
    assert seen[100][0] == b"\x00\xff binary"
    stamps = [ts for _, ts in seen]
    assert stamps == sorted(stamps)
    assert before <= stamps[0] <= clock.wall_ns()


async def test_what_we_send_arrives_as_text() -> None:
    got: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        got.set_result(await connection.recv())

    async with venue(handler) as port:
        socket = await open_socket(port)
        socket.send('{"op":"ping"}')
        assert await got == '{"op":"ping"}'
        await socket.wait_closed()
        socket.send("too late")  # nothing happens


@pytest.mark.proves("ROW-A02")
@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4004])
async def test_the_close_code_and_reason_of_the_venue_are_told(code: int) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(code, "so long")

    async with venue(handler) as port:
        socket = await open_socket(port)
        assert await read_all(socket) == []
        assert await socket.wait_closed() == Closed(code=code, reason="so long")


@pytest.mark.proves("ROW-A02")
async def test_an_end_without_close_frame_is_told_as_1006() -> None:
    async def peer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"last"))

    async with raw_venue(peer) as port:
        socket = await open_socket(port)
        assert await read_all(socket) == [b"last"]
        assert await socket.wait_closed() == Closed(code=1006, reason=CloseReason.EOF)


@pytest.mark.proves("ROW-A01")
async def test_a_reset_is_told_as_1006() -> None:
    async def peer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: RST
        writer.transport.abort()

    async with raw_venue(peer) as port:
        socket = await open_socket(port)
        await read_all(socket)
        closed = await socket.wait_closed()
        assert closed.code == 1006
        assert closed.reason in (CloseReason.RESET, CloseReason.EOF)


@pytest.mark.proves("ROW-A15")
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(b"x", bits=0x40), 1002),  # reserved bit
        (frame(b"x", opcode=3), 1002),  # reserved opcode
        (b"\x81\x81\x00\x00\x00\x00x", 1002),  # masked by a server
        (frame(b"x", opcode=0), 1002),  # continuation of nothing
        (frame(b"\xff\xfe"), 1007),  # no UTF-8
        (frame(b"\xc3", fin=False) + frame(b"\x28", opcode=0), 1007),  # no UTF-8, fragmented
        (b"\x81\x7f" + struct.pack("!Q", 2**40), 1009),  # announces a terabyte
        (frame(b"x" * (2**20 + 1)), 1009),
    ],
)
async def test_broken_protocol_is_answered_with_its_code_and_ends_the_connection(
    bad: bytes, code: int
) -> None:
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"good") + bad + frame(b"never"))
        told.set_result(await read_close(reader))

    async with raw_venue(peer) as port:
        socket = await open_socket(port)
        messages = await read_all(socket)
        assert messages in ([b"good"], [])
        assert (await socket.wait_closed()).code == code
        assert await told == code


async def test_a_message_of_endless_fragments_ends_the_connection() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"", fin=False) + frame(b"", opcode=0, fin=False) * 5_000)
        await reader.read()

    async with raw_venue(peer) as port:
        socket = await open_socket(port, IMPATIENT)
        assert await read_all(socket) == []
        assert await socket.wait_closed() == Closed(code=1009, reason="too many fragments")


@pytest.mark.proves("ROW-A17")
async def test_single_bytes_and_fragments_with_pings_between_give_the_same_messages() -> None:
    text = "Zürich €".encode()
    stream = (
        frame(text[:2], fin=False)
        + frame(b"beat", opcode=9)
        + frame(text[2:5], opcode=0, fin=False)
        + frame(text[5:], opcode=0)
        + frame(b"second")
    )

    async def peer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(len(stream)):
            writer.write(stream[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)

    async with raw_venue(peer) as port:
        socket = await open_socket(port)
        assert await read_all(socket) == [text, b"second"]


async def test_pings_are_answered_with_their_payload() -> None:
    async def handler(connection: ServerConnection) -> None:
        await (await connection.ping(b"1784620800123"))
        await connection.send("ponged")

    async with venue(handler) as port:
        socket = await open_socket(port)
        assert await read_all(socket) == [b"ponged"]


async def read_control(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return opcode and content of one short frame of a client."""
    head = await reader.readexactly(6)
    masked = await reader.readexactly(head[1] & 0x7F)
    return head[0] & 0x0F, bytes(byte ^ head[2 + at % 4] for at, byte in enumerate(masked))


def pinging(*, pong_s: float) -> SocketLimits:
    """Return limits of a line that is pinged soon, and left after so long without a pong."""
    return replace(LIMITS, keepalive=KeepaliveFigures(ping_s=0.2, pong_s=pong_s, control_s=0.05))


@pytest.mark.proves("ROW-A04")
async def test_a_line_on_which_data_come_but_no_pong_is_left() -> None:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bytes] = loop.create_future()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def talk() -> None:
            while True:
                writer.write(frame(b"data") + frame(b"old", opcode=10))
                await asyncio.sleep(0.02)

        talking = asyncio.ensure_future(talk())
        try:
            heard.set_result(await reader.readexactly(7))
            await reader.read()
        finally:
            talking.cancel()

    async with raw_venue(peer) as port:
        started = loop.time()  # before the socket begins to count
        socket = await open_socket(port, pinging(pong_s=0.2))
        messages = await read_all(socket)
        assert await socket.wait_closed() == Closed(code=1006, reason=CloseReason.NO_PONG)
        assert loop.time() - started >= 0.4
        assert messages
        assert (await heard)[:2] == bytes([0x89, 0x81])  # a ping


async def test_a_line_that_answers_pings_stays() -> None:
    pings = 0

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pings
        for _ in range(4):
            opcode, payload = await read_control(reader)
            pings += opcode == 9
            writer.write(frame(payload, opcode=10))
        writer.write(frame(b"still here"))

    async with raw_venue(peer) as port:
        socket = await open_socket(port, pinging(pong_s=60))
        assert await read_all(socket) == [b"still here"]
    assert pings == 4


async def test_a_pong_that_waits_unread_on_our_side_is_no_silence_of_the_venue() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer() -> None:
            while True:
                writer.write(frame((await read_control(reader))[1], opcode=10))

        answering = asyncio.ensure_future(answer())
        for _ in range(80):
            writer.write(frame(b"x" * 100_000))
            await writer.drain()
        writer.write(frame(b"end"))
        await answering

    async with raw_venue(peer) as port:
        socket = await open_socket(port, pinging(pong_s=2))
        await asyncio.sleep(2.5)  # a busy program: nobody takes the frames
        async with asyncio.timeout(30):
            while (await anext(socket))[0] != b"end":
                pass
        socket.close(1000, "done")


@pytest.mark.proves("ROW-A18")
async def test_of_a_flood_of_pings_the_newest_is_answered_and_few_of_the_others() -> None:
    heard: list[tuple[int, bytes]] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(5_000):
            writer.write(frame(b"%d" % number, opcode=9))
            if number % 100 == 0:
                await writer.drain()
                await asyncio.sleep(0)
        while (10, b"4999") not in heard:
            heard.append(await read_control(reader))
        writer.write(frame(b"heard"))

    limits = replace(LIMITS, keepalive=KeepaliveFigures(ping_s=0, control_s=0.1))
    loop = asyncio.get_running_loop()
    async with raw_venue(peer) as port:
        started = loop.time()
        socket = await open_socket(port, limits)
        assert await read_all(socket) == [b"heard"]
    assert len(heard) <= 1 + (loop.time() - started) / limits.keepalive.control_s


@pytest.mark.proves("ROW-A16")
async def test_a_message_of_24_mib_passes_where_the_venue_sends_such() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("x" * (24 * 2**20))
        await connection.send("after")

    limits = SocketLimits(
        message_bytes_max=32 * 2**20,
        read_buffer_bytes=2**20,
        write_buffer_bytes=65_536,
        dial_timeout_s=60,
        write_timeout_s=60,
    )
    async with venue(handler) as port:
        socket = await open_socket(port, limits)
        messages = await read_all(socket)
    assert [len(message) for message in messages] == [24 * 2**20, 5]


async def test_reading_pauses_while_nobody_takes_the_frames() -> None:
    sent = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(400):
            await connection.send("x" * 100_000)
            sent += 1

    async with venue(handler) as port:
        socket = await open_socket(port)
        await anext(socket)
        last = -1
        while last != sent:  # until the venue is stuck
            last = sent
            await asyncio.sleep(0.05)
        assert sent < 400
        rest = await read_all(socket)
    assert len(rest) == 399


@pytest.mark.proves("ROW-A21")
async def test_a_venue_that_stops_reading_is_left_after_the_write_timeout() -> None:
    async def peer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.get_running_loop().create_future()

    async with raw_venue(peer) as port:
        socket = await open_socket(port, replace(LIMITS, write_timeout_s=0.2))
        for _ in range(200):
            socket.send("x" * 60_000)
        assert await socket.wait_closed() == Closed(code=1006, reason=CloseReason.WRITE_TIMEOUT)


async def test_our_close_ends_even_if_the_venue_goes_on_talking() -> None:
    async def peer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(frame(b"noise"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_venue(peer) as port:
        socket = await open_socket(port, IMPATIENT)
        await anext(socket)
        socket.close(1000, "enough")
        assert await read_all(socket) == []
        assert await socket.wait_closed() == Closed(code=1000, reason="enough")
