"""Write a session down as a capture (CAPTURE.md): every frame byte for byte, in appended zstd frames."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import zstandard

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import RecordingFailed
from datafacade.venues.rest import RestAnswer

_LEVEL: Final = 3
_FLUSH_BYTES: Final = 4 * 2**20  # of text between two zstd frames: what a crash can cost at most
_FLUSH_NS: Final = 2 * NS_PER_S


class Recorder(Protocol):
    """What a feed runner tells about one connection after another."""

    def opened(self, *, venue: str, product: str, url: str) -> None:
        """Hear that a connection opened; what follows belongs to it."""
        ...

    def sent(self, text: str) -> None:
        """Hear what was sent."""
        ...

    def received(self, frame: bytes, ts_recv: int) -> None:
        """Hear what was received."""
        ...

    def asked(self, request_id: int, url: str, ts: int) -> None:
        """Hear of a REST request."""
        ...

    def answered(self, request_id: int, answer: RestAnswer) -> None:
        """Hear of its answer."""
        ...

    def closed(self, code: int, reason: str) -> None:
        """Hear that the connection ended."""
        ...


class CaptureFile:
    """One capture under construction: ``NAME.dfcap.zst``. ``close`` it."""

    def __init__(self, path: Path, *, clock: Clock, note: str = "") -> None:
        self._clock = clock
        self._file = path.open("xb")  # a recording is never overwritten
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._flushed_at = clock.monotonic_ns()
        self._connections = 0
        header = json.dumps({"created_ns": clock.wall_ns(), "note": note}, ensure_ascii=False)
        self._append(f"DFCAP1 {header}\n".encode())
        self.flush()

    def connection(self) -> int:
        """Return a new connection number, from 1."""
        self._connections += 1
        return self._connections

    def write(self, ts_recv: int, connection: int, kind: str, content: bytes) -> None:
        """Append one record."""
        self._append(b"%d %d %s %d\n%s\n" % (ts_recv, connection, kind.encode(), len(content), content))
        now = self._clock.monotonic_ns()
        if self._pending_bytes >= _FLUSH_BYTES or now - self._flushed_at >= _FLUSH_NS:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one whole zstd frame."""
        self._flushed_at = self._clock.monotonic_ns()
        if self._pending:
            self._file.write(self._compressor.compress(b"".join(self._pending)))
            self._file.flush()
            self._pending.clear()
            self._pending_bytes = 0

    def close(self) -> None:
        """Write the rest."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _append(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)


class ConnectionRecorder:
    """Writes one feed's connections into a shared capture; each gets a new number."""

    def __init__(self, capture: CaptureFile, *, clock: Clock) -> None:
        self._capture = capture
        self._clock = clock
        self._connection = 0
        self._lists: dict[str, RestAnswer] = {}  # instrument lists, by URL
        self._is_written = False

    def beside(self) -> ConnectionRecorder:
        """Return a recorder for a second connection at the same time; it need not write the lists."""
        other = ConnectionRecorder(self._capture, clock=self._clock)
        other._lists, other._is_written = self._lists, True
        return other

    def keep_list(self, url: str, answer: RestAnswer) -> None:
        """Keep an instrument list: it follows the first opening."""
        self._lists[url] = answer

    def opened(self, *, venue: str, product: str, url: str) -> None:
        """Begin a connection."""
        self._connection = self._capture.connection()
        content = _json({"venue": venue.partition("-")[0], "url": url, "product": product})
        self._capture.write(self._clock.wall_ns(), self._connection, "o", content)
        if not self._is_written:
            self._is_written = True
            for number, (list_url, answer) in enumerate(self._lists.items(), 1):
                self.asked(-number, list_url, self._clock.wall_ns())
                self.answered(-number, answer)

    def sent(self, text: str) -> None:
        """Write what was sent."""
        self._write(self._clock.wall_ns(), "s", text.encode())

    def received(self, frame: bytes, ts_recv: int) -> None:
        """Write what was received."""
        self._write(ts_recv, "f", frame)

    def asked(self, request_id: int, url: str, ts: int) -> None:
        """Write a REST request."""
        self._write(ts, "q", _json({"id": request_id, "url": url}))

    def answered(self, request_id: int, answer: RestAnswer) -> None:
        """Write a REST answer."""
        head = _json({"id": request_id, "status": answer.status, "headers": answer.headers})
        self._write(answer.ts_recv, "r", head + b"\n" + answer.body)

    def closed(self, code: int, reason: str) -> None:
        """End the connection."""
        self._write(self._clock.wall_ns(), "c", _json({"code": code, "reason": reason}))
        self._connection = 0

    def _write(self, ts: int, kind: str, content: bytes) -> None:
        if self._connection == 0:
            return  # an answer that comes after its connection has ended belongs to nobody
        try:
            self._capture.write(ts, self._connection, kind, content)
        except OSError as error:
            raise RecordingFailed(str(error)) from error


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
