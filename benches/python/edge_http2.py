"""A load generator for unary calls: as little HTTP/2 as they need (RFC 9113), so that the server is measured.

A call through a Python gRPC client costs more than the servers here need to answer it.
"""

import socket
import struct
from typing import Final

DATA: Final = 0
HEADERS: Final = 1
RST_STREAM: Final = 3
SETTINGS: Final = 4
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
ACK: Final = 1
END_STREAM: Final = 1
END_HEADERS: Final = 4
HEAD_BYTES: Final = 9
GRPC_PREFIX_BYTES: Final = 5
WINDOW_BYTES: Final = 1 << 30
READ_BYTES: Final = 1 << 18


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(index: int, value: bytes) -> bytes:
    """Return a header field of the static table's name ``index``, not indexed (RFC 7541, 6.2.2)."""
    name = bytes([index]) if index < 15 else bytes([15, index - 15])
    return name + bytes([len(value)]) + value


class Calls:
    """One connection that repeats one call."""

    def __init__(self, address: str, method: str, request: bytes, wanted: bytes) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = (
            b"\x83\x86"  # :method POST, :scheme http
            + literal(4, method.encode())
            + literal(1, address.encode())
            + literal(31, b"application/grpc")
            + b"\x00\x02te\x08trailers"
        )
        self._body = b"\0" + struct.pack(">I", len(request)) + request
        self._wanted = wanted
        self._stream = 1
        self._buffer = b""
        self._unread = 0  # bytes of the connection's window that were used
        window = struct.pack(">HI", 4, (1 << 31) - 1)
        self._socket.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + frame(SETTINGS, 0, 0, window)
            + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW_BYTES))
        )

    def run(self, calls: int, in_flight: int) -> int:
        """Make so many calls, so many at a time; return how many were answered as wanted."""
        right, open_calls = 0, 0
        left = calls
        while left or open_calls:
            fresh = min(left, in_flight - open_calls)
            if fresh:
                self._socket.sendall(b"".join(self._call() for _ in range(fresh)))
                left -= fresh
                open_calls += fresh
            ended, good = self._read()
            open_calls -= ended
            right += good
        return right

    def _call(self) -> bytes:
        stream, self._stream = self._stream, self._stream + 2
        return frame(HEADERS, END_HEADERS, stream, self._headers) + frame(
            DATA, END_STREAM, stream, self._body
        )

    def _read(self) -> tuple[int, int]:
        """Return how many calls have ended, and how many wanted messages came."""
        came = self._socket.recv(READ_BYTES)
        if not came:
            raise ConnectionError("the server closed the connection")
        data = self._buffer + came
        at, ended, good, last = 0, 0, 0, len(data) - HEAD_BYTES
        while at <= last:
            end = at + HEAD_BYTES + (data[at] << 16 | data[at + 1] << 8 | data[at + 2])
            if end > len(data):
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind == DATA:
                self._unread += end - at - HEAD_BYTES
                good += data.startswith(self._wanted, at + HEAD_BYTES + GRPC_PREFIX_BYTES)
            elif kind != HEADERS:
                self._control(kind, flags, data[at + HEAD_BYTES : end])
            ended += kind in (DATA, HEADERS) and flags & END_STREAM
            at = end
        self._buffer = data[at:]
        if self._unread > WINDOW_BYTES // 2:
            self._socket.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._unread)))
            self._unread = 0
        return ended, good

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind in (SETTINGS, PING) and not flags & ACK:
            self._socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind in (GOAWAY, RST_STREAM):
            raise ConnectionError(f"the server ended a stream or the connection: {payload.hex()}")
