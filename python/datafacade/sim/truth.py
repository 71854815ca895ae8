"""The truth log: what was sent, when, what a correct client holds afterwards, and every fault. JSON lines.

Each record has ``type`` (start, frame, fault, connection, rest), ``t_mono_ns`` (CLOCK_MONOTONIC, taken just
before the bytes go to the socket) and ``t_wall_ns``. The format is told to users in docs/simulator.md.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from datafacade.sim.books import Book
from datafacade.sim.frames import Frame

FORMAT: Final = 1
TOP_LEVELS: Final = 50
BUFFER_BYTES: Final = 1 << 20
DEEP_LEVELS: Final = 5_000  # a book with more levels is hashed whole at most every DEEP_EVERY_NS
DEEP_EVERY_NS: Final = 5_000_000_000
Record = dict[str, object]


class TruthLog:
    """Append-only log with one writer. Without a path it only keeps the last records in memory."""

    def __init__(self, path: Path | None, *, kept: int) -> None:
        self.recent: deque[Record] = deque(maxlen=kept)
        self.written = 0
        self._file: IO[str] | None = None
        if path is not None:
            self._file = path.open("w", encoding="utf-8", buffering=BUFFER_BYTES)

    def record(self, type_: str, fields: Mapping[str, object]) -> None:
        """Write one record of ``type_`` with the present times."""
        line: Record = {
            "type": type_,
            "t_mono_ns": time.monotonic_ns(),
            "t_wall_ns": time.time_ns(),
            **fields,
        }
        self.written += 1
        self.recent.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def frame(self, origin: Mapping[str, object], frame: Frame, payload: bytes, fault: int | None) -> None:
        """Write the record of a frame that leaves now.

        Args:
            origin: Venue, product and connection number.
            frame: What the simulator meant to send.
            payload: What is sent; it differs from ``frame.text`` when a fault damaged it.
            fault: Number of that fault.
        """
        fields: Record = {
            **origin,
            "symbol": frame.symbol,
            "channel": frame.channel,
            "kind": frame.kind,
            "sequence": frame.sequence,
            "bytes": len(payload),
            "sha256": hashlib.sha256(payload).hexdigest(),
        }
        if frame.trades is not None:
            fields["trades"] = frame.trades
        if frame.digest is not None:
            fields.update(frame.digest)
        if fault is not None:
            fields["fault"] = fault
        self.record("frame", fields)

    def flush(self) -> None:
        """Hand what is buffered to the operating system, so that a reader sees whole lines."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Digester:
    """Decides when a book is hashed, so that proof stays cheap, and hashes it."""

    def __init__(self, *, top_every_ms: int, full_every_ms: int) -> None:
        self._top_every_ns = top_every_ms * 1_000_000
        self._full_every_ns = full_every_ms * 1_000_000
        self._top_due: dict[str, int] = {}
        self._full_due: dict[str, int] = {}

    def is_full_due(self, key: str) -> bool:
        """Tell whether the next digest of ``key`` will hash the whole book."""
        return time.monotonic_ns() >= self._full_due.get(key, 0)

    def take(self, key: str, book: Book, *, is_forced: bool = False) -> Record | None:
        """Return the digest fields of ``book`` if one is due for ``key``.

        Args:
            key: Names the stream of books: product, symbol and, where it matters, the window.
            book: What a correct client holds.
            is_forced: Hash both parts now, as for a snapshot.
        """
        now = time.monotonic_ns()
        if not is_forced and now < self._top_due.get(key, 0):
            return None
        self._top_due[key] = now + self._top_every_ns
        fields: Record = {
            "bids": len(book.bids),
            "asks": len(book.asks),
            "top50_sha256": book.sha256(TOP_LEVELS),
        }
        if is_forced or now >= self._full_due.get(key, 0):
            is_deep = len(book.bids) + len(book.asks) > DEEP_LEVELS
            self._full_due[key] = now + max(self._full_every_ns, DEEP_EVERY_NS if is_deep else 0)
            fields["book_sha256"] = book.sha256()
        return fields
