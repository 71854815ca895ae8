"""One WebSocket connection of the simulator: write, and end it in every way that a network can end it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from websockets.asyncio.connection import broadcast
from websockets.protocol import State

from datafacade.sim.frames import Frame, Topic
from datafacade.sim.limits import SlidingWindow
from datafacade.sim.witness import Witness

SessionT = TypeVar("SessionT")
Who = Literal["client", "venue", "fault"]
CLOSE_TIMEOUT_S: Final = 2.0
PING_HEAD: Final = b"\x89\x08"  # a ping with 8 bytes of payload
NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True, eq=False)
class Connection:
    """State of one connection that every venue has; what only one venue has lies in ``session``."""

    id: int
    product: str
    ws: Witness
    path: str  # with the query
    session: object
    messages: SlidingWindow | None
    opened_ns: int = field(default_factory=time.monotonic_ns)
    sent_ns: int = field(default_factory=time.monotonic_ns)  # last frame to the client
    received_ns: int = field(default_factory=time.monotonic_ns)
    next_number: int = 0  # of the per-connection sequence, where the venue has one
    frames_sent: int = 0
    has_subscribed: bool = False
    data_sent_ns: int | None = None  # first data frame
    ended_by: Who | None = None
    is_deaf: bool = False  # nothing is read from the client
    pings_sent: int = 0  # of a flood
    silenced: set[tuple[str | None, Topic]] = field(default_factory=set)
    held: dict[tuple[str | None, Topic], Frame] = field(default_factory=dict)
    waiting: deque[Frame] = field(default_factory=deque)  # behind a delayed frame

    def session_as(self, kind: type[SessionT]) -> SessionT:
        """Return what only one venue has.

        Raises:
            TypeError: The connection is another venue's.
        """
        if not isinstance(self.session, kind):
            expected, received = kind.__qualname__, type(self.session).__qualname__
            raise TypeError(f"expected a {expected} of {kind.__module__}, received a {received}")
        return self.session

    @property
    def is_open(self) -> bool:
        """Tell whether data can still be sent."""
        return self.ended_by is None and self.ws.protocol.state is State.OPEN

    @property
    def unread_bytes(self) -> int:
        """Return how many bytes the socket has not taken yet."""
        return self.ws.transport.get_write_buffer_size()

    def write(self, payload: bytes) -> None:
        """Send ``payload`` as one text frame, even if it is no valid UTF-8."""
        broadcast((self.ws,), payload, text=True)
        self.frames_sent += 1
        self.sent_ns = time.monotonic_ns()

    def write_raw(self, octets: bytes) -> None:
        """Put ``octets`` on the TCP connection as they are."""
        self.ws.transport.write(octets)

    def listen(self, *, is_deaf: bool) -> None:
        """Stop reading from the client, or go on."""
        if is_deaf == self.is_deaf or self.ws.transport.is_closing():
            return
        self.is_deaf = is_deaf
        if is_deaf:
            self.ws.transport.pause_reading()
        else:
            self.ws.transport.resume_reading()

    def flood(self, count: int) -> None:
        """Send ``count`` pings, each with its number as payload."""
        first = self.pings_sent
        self.pings_sent += count
        numbers = range(first, self.pings_sent)
        self.write_raw(b"".join(PING_HEAD + number.to_bytes(8, "big") for number in numbers))

    def close(self, code: int, reason: str, by: Who) -> None:
        """Send a close frame; cut the connection if the client does not answer it in time."""
        if not self.is_open:
            return
        self.ended_by = by
        self.ws.protocol.send_close(code, reason)
        self.ws.send_data()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.ws.transport.abort)

    def end_of_file(self, by: Who) -> None:
        """End the TCP connection in order, but without a close frame."""
        if self.ended_by is None:
            self.ended_by = by
            self.ws.transport.close()

    def reset(self, by: Who) -> None:
        """Reset the TCP connection: the client reads ECONNRESET."""
        if self.ended_by is not None:
            return
        self.ended_by = by
        handle: socket.socket = self.ws.transport.get_extra_info("socket")
        twin = socket.socket(fileno=os.dup(handle.fileno()))
        try:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        finally:
            twin.close()
        self.ws.transport.abort()
