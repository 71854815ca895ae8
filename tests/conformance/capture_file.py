"""Captures as files: the format of CAPTURE, written and read without the product."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import zstandard

FRAME_BYTES: Final = 1 << 20  # text of one zstd frame: a cut file loses little
LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a capture."""

    ts_recv: int  # ns since 1970 UTC
    conn: int  # from 1
    kind: str  # one of o s f q r c
    payload: bytes
    origin: int | None = None  # place in the undamaged capture; None: put in by a test


@dataclass(frozen=True, slots=True)
class Capture:
    """A whole session in memory."""

    name: str
    note: str
    records: tuple[Record, ...]

    @property
    def created_ns(self) -> int:
        """Time of the first record, ns UTC."""
        return self.records[0].ts_recv

    def with_records(self, records: Iterable[Record]) -> "Capture":
        """Return the same capture with other records."""
        return Capture(self.name, self.note, tuple(records))

    def until(self, end: int) -> "Capture":
        """Return the capture cut before record ``end``."""
        return Capture(self.name, self.note, self.records[:end])


@dataclass(slots=True)
class CaptureBuilder:
    """Collect the records of one session in order."""

    name: str
    note: str
    records: list[Record] = field(default_factory=list)
    _requests: "count[int]" = field(default_factory=lambda: count(1))

    def add(self, ts_recv: int, kind: str, payload: bytes, *, conn: int = 1) -> None:
        """Append one record."""
        self.records.append(Record(ts_recv, conn, kind, payload, origin=len(self.records)))

    def open(self, ts_recv: int, *, venue: str, product: str, url: str) -> None:
        """Append the opening of connection 1."""
        self.add(ts_recv, "o", dump({"venue": venue, "url": url, "product": product}))

    def answer(self, ts_recv: int, url: str, body: bytes, *, is_derived: bool = False) -> None:
        """Append a REST request and its answer; a derived one says so in its headers."""
        request_id = next(self._requests)
        headers = {"x-derived": "made from the recording, not recorded"} if is_derived else {}
        self.add(ts_recv, "q", dump({"id": request_id, "url": url}))
        self.add(ts_recv, "r", dump({"id": request_id, "status": 200, "headers": headers}) + b"\n" + body)

    def build(self) -> Capture:
        """Return the capture, records in the order of their times."""
        times = [record.ts_recv for record in self.records]
        assert times == sorted(times), f"{self.name}: time runs backwards"
        return Capture(self.name, self.note, tuple(self.records))


def dump(value: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def encode(capture: Capture) -> bytes:
    """Return the file of a capture: the same capture gives the same bytes."""
    header = (
        b"DFCAP1 " + json.dumps({"created_ns": capture.created_ns, "note": capture.note}).encode() + b"\n"
    )
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    packed, text = bytearray(), bytearray(header)
    for record in capture.records:
        text += b"%d %d %s %d\n" % (record.ts_recv, record.conn, record.kind.encode(), len(record.payload))
        text += record.payload + b"\n"
        if len(text) >= FRAME_BYTES:
            packed += compressor.compress(bytes(text))
            text.clear()
    if text:
        packed += compressor.compress(bytes(text))
    return bytes(packed)


def write(capture: Capture, folder: Path) -> Path:
    """Write a capture as ``NAME.dfcap.zst``; return the path."""
    path = folder / f"{capture.name}.dfcap.zst"
    path.write_bytes(encode(capture))
    return path


def whole_records(packed: bytes) -> int:
    """Count the records that a cut file still holds whole."""
    text = bytearray()
    rest = packed
    while rest:
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        try:
            for at in range(0, len(rest), 64):
                text += unpacker.decompress(rest[at : at + 64])
                if unpacker.eof:
                    rest = unpacker.unused_data + rest[at + 64 :]
                    break
            else:
                break
        except zstandard.ZstdError:
            break
    at = text.find(b"\n") + 1
    records = 0
    while (end := text.find(b"\n", at)) >= 0:
        size = int(text[at:end].split(b" ")[3])
        at = end + 1 + size + 1
        if at > len(text):
            break
        records += 1
    return records
