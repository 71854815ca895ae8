"""Carry one WebSocket connection: frames as bytes with the time of the socket read. Knows no venue.

The protocol itself comes from the sans-I/O layer of ``websockets``. No compression; every buffer and every
wait has a bound. Our own pings find the line that is dead in one direction only (row A04).
"""

from __future__ import annotations

import asyncio
import fcntl
import ssl
import termios
from collections import deque
from dataclasses import dataclass, field
from typing import Final, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from datafacade.clock import Clock
from datafacade.errors import DialFailed
from datafacade.types import Closed, CloseReason
from datafacade.venues.framing import PING, FrameSplitter
from datafacade.venues.keepalive import NEVER, Act, Keepalive, KeepaliveFigures
from datafacade.venues.retry_after import retry_after_s

FRAGMENTS_MAX: Final = 4_096
HEAD_BYTES_MAX: Final = 64 * 1024
UNREAD_BYTES_MAX: Final = 64 * 1024  # more of it in the kernel: a pong that is missing may wait there
_HEAD_END: Final = b"\r\n\r\n"
ABNORMAL: Final = 1006
_PROTOCOL_ERROR: Final = 1002
_INVALID_TEXT: Final = 1007
_TOO_BIG: Final = 1009


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """Bounds of one connection."""

    message_bytes_max: int
    read_buffer_bytes: int  # received and not yet taken; beyond it reading pauses
    write_buffer_bytes: int
    dial_timeout_s: float
    write_timeout_s: float
    close_timeout_s: float = 1.0  # between our close frame and the end of TCP
    keepalive: KeepaliveFigures = field(default_factory=KeepaliveFigures)


class VenueSocket(asyncio.Protocol):
    """One connection. Iterate over it for ``(frame, ts_recv)``; it ends when the connection does."""

    def __init__(self, url: str, *, limits: SocketLimits, clock: Clock, user_agent: str) -> None:
        loop = asyncio.get_running_loop()
        self._limits = limits
        self._clock = clock
        self._wire = ClientProtocol(parse_uri(url), max_size=limits.message_bytes_max)
        self._head = bytearray()  # of the answer to the upgrade
        self._splitter: FrameSplitter | None = None  # made when the upgrade is answered, as the next one
        self._keepalive: Keepalive | None = None
        self._user_agent = user_agent
        self._transport: asyncio.Transport | None = None
        self._frames: deque[tuple[bytes, int]] = deque()
        self._queued_bytes = 0
        self._ts_recv = 0  # wall ns of the read in hand
        self._is_paused = False
        self._fragments: list[bytes] = []
        self._is_text = False
        self._waiter: asyncio.Future[None] | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._keepalive_timer: asyncio.TimerHandle | None = None
        self._verdict: Closed | None = None  # ours, if we end it
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[Closed] = loop.create_future()

    # For the owner

    def __aiter__(self) -> VenueSocket:
        """Return itself."""
        return self

    async def __anext__(self) -> tuple[bytes, int]:
        """Return the next frame and the time of the read that completed it (wall ns)."""
        while not self._frames:
            if self._closed.done() or self._verdict is not None:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        frame = self._frames.popleft()
        self._queued_bytes -= len(frame[0])
        if self._is_paused and self._queued_bytes * 4 <= self._limits.read_buffer_bytes:
            self._is_paused = False
            if self._transport is not None and not self._closed.done():
                self._transport.resume_reading()
        return frame

    @property
    def has_frame(self) -> bool:
        """Whether the next frame is there already."""
        return bool(self._frames)

    def send(self, text: str) -> None:
        """Send one text frame; nothing happens once the connection is ending."""
        if self._wire.state is State.OPEN and self._verdict is None:
            self._wire.send_text(text.encode())
            self._flush()

    def close(self, code: int, reason: str) -> None:
        """Start to close; frames that still come are dropped."""
        self._end(code, reason)

    async def wait_closed(self) -> Closed:
        """Return how the connection ended, once it has."""
        return await asyncio.shield(self._closed)

    async def wait_open(self) -> None:
        """Wait for the venue's answer to the upgrade.

        Raises:
            DialFailed: The venue refused, or went away.
        """
        await self._opened

    # For the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        request = self._wire.connect()
        request.headers["User-Agent"] = self._user_agent
        self._wire.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take bytes; all frames that they complete share one time."""
        self._ts_recv = self._clock.wall_ns()
        if self._splitter is not None:
            self._splitter.feed(data)
        else:
            self._parse_head(data)
        if self._frames:
            self._wake()

    def eof_received(self) -> None:
        """Take the end of the stream; returning None closes the transport."""
        self._wire.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle how it ended."""
        for timer in (self._write_timer, self._close_timer, self._keepalive_timer):
            if timer is not None:
                timer.cancel()
        if not self._closed.done():
            self._closed.set_result(self._verdict or self._judge(exc))
        if not self._opened.done():
            self._opened.set_exception(self._refusal(exc))
            self._opened.exception()  # whoever dials may be gone already
        self._wake()

    def pause_writing(self) -> None:
        """Give the venue so long to read what we wrote."""
        loop = asyncio.get_running_loop()
        self._write_timer = loop.call_later(self._limits.write_timeout_s, self._write_stuck)

    def resume_writing(self) -> None:
        """Stop the clock."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # Inside

    def _parse_head(self, data: bytes) -> None:
        """Give the full parser the answer to the upgrade and not a byte of what follows."""
        self._head += data
        end = self._head.find(_HEAD_END) + len(_HEAD_END)
        if end < len(_HEAD_END) and len(self._head) < HEAD_BYTES_MAX:
            return
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        self._head.clear()
        self._parse(head)
        if self._splitter is not None:
            self._splitter.feed(rest)
        else:
            self._parse(rest)  # the body of a refusal

    def _parse(self, data: bytes) -> bool:
        """Give bytes to the full parser; return whether it is between two messages."""
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif isinstance(event, Response):
                self._answered(event)
        self._flush()
        if self._wire.parser_exc is not None and self._verdict is None:
            self._broken(self._wire.parser_exc)
        elif self._wire.close_expected():
            self._expect_close()
        return not self._fragments

    def _take(self, frame: Frame) -> None:
        """Collect a data frame; the wire answers a close frame, and odd pings, by itself."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._deliver(bytes(frame.data))
                return
        elif frame.opcode is not Opcode.CONT:
            return
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._deliver(message)
        elif len(self._fragments) >= FRAGMENTS_MAX:
            self._end(_TOO_BIG, "too many fragments")

    def _text(self, message: bytes) -> None:
        self._is_text = True
        self._deliver(message)

    def _deliver(self, message: bytes) -> None:
        if self._verdict is not None:
            return
        if self._is_text and not message.isascii():
            try:
                message.decode()
            except UnicodeDecodeError:
                self._end(_INVALID_TEXT, "text is not UTF-8")
                return
        self._frames.append((message, self._ts_recv))
        self._queued_bytes += len(message)
        if self._queued_bytes > self._limits.read_buffer_bytes and not self._is_paused:
            self._is_paused = True
            if self._transport is not None:
                self._transport.pause_reading()

    def _answered(self, response: Response) -> None:
        if self._wire.handshake_exc is None:
            self._splitter = FrameSplitter(
                message_bytes_max=self._limits.message_bytes_max,
                on_text=self._text,
                on_control=self._control,
                on_other=self._parse,
            )
            loop = asyncio.get_running_loop()
            self._keepalive = Keepalive(self._limits.keepalive, now=loop.time())
            self._keep_alive()
            if not self._opened.done():
                self._opened.set_result(None)
            return
        status = response.status_code
        if not self._opened.done():
            wait = retry_after_s(response.headers.get("Retry-After"), wall_ns=self._clock.wall_ns())
            detail = f"HTTP status {status}" if status != 101 else "bad upgrade answer"
            self._opened.set_exception(
                DialFailed("HTTP", detail, http_status=status, retry_after_s=wait, operation="upgrade")
            )

    def _control(self, kind: int, payload: bytes) -> None:
        if self._keepalive is None or self._verdict is not None:
            return
        hear = self._keepalive.pinged if kind == PING else self._keepalive.ponged
        if hear(payload):
            self._keep_alive()

    def _keep_alive(self) -> None:
        """Send the control frames that are due, or give the line up; come back when the next one is."""
        loop, keepalive = asyncio.get_running_loop(), self._keepalive
        if self._keepalive_timer is not None:
            self._keepalive_timer.cancel()
        if keepalive is None or self._verdict is not None or self._wire.state is not State.OPEN:
            return
        while (due := keepalive.step(loop.time()))[0] is not Act.NOTHING:
            act, payload = due
            if act is Act.PING:
                self._wire.send_ping(payload)
            elif act is Act.PONG:
                self._wire.send_pong(payload)
            elif self._unread_bytes() > UNREAD_BYTES_MAX:
                keepalive.wait_longer(loop.time())
            else:
                self._abort(CloseReason.NO_PONG)
                return
        self._flush()
        if keepalive.due < NEVER:
            self._keepalive_timer = loop.call_at(keepalive.due, self._keep_alive)

    def _unread_bytes(self) -> int:
        """Return how much the kernel holds for us: as far as we are behind, no silence is the venue's."""
        place = self._transport.get_extra_info("socket") if self._transport is not None else None
        if place is None or place.fileno() < 0:
            return 0
        return int.from_bytes(fcntl.ioctl(place.fileno(), termios.FIONREAD, b"\0\0\0\0"), "little")

    def _broken(self, error: Exception) -> None:
        """Note that the venue broke the protocol; the wire has sent the close frame already."""
        if isinstance(error, EOFError):
            return
        code = self._wire.close_sent.code if self._wire.close_sent is not None else _PROTOCOL_ERROR
        self._verdict = Closed(code=code, reason=str(error)[:123])
        self._expect_close()

    def _end(self, code: int, reason: str) -> None:
        if self._verdict is not None or self._closed.done():
            return
        self._verdict = Closed(code=code, reason=reason)
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()  # else the venue's close frame is never seen
        self._frames.clear()
        self._queued_bytes = 0
        if self._wire.state is State.OPEN:
            self._wire.send_close(code, reason)
            self._flush()
        self._expect_close()
        self._wake()

    def _expect_close(self) -> None:
        """Give the venue so long to end TCP, whatever it still sends."""
        if self._close_timer is None and self._transport is not None:
            loop = asyncio.get_running_loop()
            self._close_timer = loop.call_later(self._limits.close_timeout_s, self._transport.abort)

    def _write_stuck(self) -> None:
        self._abort(CloseReason.WRITE_TIMEOUT)

    def _abort(self, reason: CloseReason) -> None:
        """End without a word: the venue does not hear us."""
        self._verdict = self._verdict or Closed(code=ABNORMAL, reason=reason)
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            self._wire.data_to_send()
            return
        for data in self._wire.data_to_send():
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()  # TLS has no half-close

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _judge(self, exc: Exception | None) -> Closed:
        received = self._wire.close_rcvd
        if received is not None:
            return Closed(code=received.code, reason=received.reason)
        if isinstance(exc, ConnectionError):
            return Closed(code=ABNORMAL, reason=CloseReason.RESET)
        return Closed(code=ABNORMAL, reason=CloseReason.EOF)

    def _refusal(self, exc: Exception | None) -> DialFailed:
        if isinstance(exc, ssl.SSLError):
            return DialFailed("TLS", exc.reason or "handshake failed", operation="dial")
        cause = self._wire.handshake_exc
        detail = (
            str(cause) if isinstance(cause, InvalidHandshake) else "closed before the upgrade was answered"
        )
        return DialFailed("REFUSED", detail, operation="upgrade")
