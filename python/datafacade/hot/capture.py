"""Read recorded sessions: the format of CAPTURE, zstd frames over lines and byte counts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

MAGIC: Final = b"DFCAP1 "
CHUNK_BYTES: Final = 1 << 20
HEADER_BYTES_MAX: Final = 64 << 10
KINDS: Final = frozenset("osfqrc")


class NotACapture(Exception):
    """The file is no capture; the message says what was found instead."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a capture."""

    ts_recv: int  # ns since 1970 UTC
    conn: int  # from 1
    kind: str  # one of o s f q r c
    payload: bytes


class CaptureReader:
    """Iterate over the whole records of a capture.

    Args:
        path: The file.

    Raises:
        NotACapture: The file does not begin as a capture does.
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        try:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._is_frame_begun = False
            self._is_damaged = False
            self._buffer = bytearray()
            self._at = 0
            self.is_cut = False  # whether the file ended inside a record or a zstd frame
            self.created_ns = self._read_header(path)
        except BaseException:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[Record]:
        """Yield record after record; set ``is_cut`` if the last one is not whole."""
        try:
            while (line := self._line()) is not None:
                try:
                    ts_recv, conn, kind, length = line.split(b" ")
                    size = int(length)
                    record = (int(ts_recv), int(conn), kind.decode("ascii"))
                except (ValueError, UnicodeDecodeError):
                    self.is_cut = True
                    return
                payload = self._take(size + 1)
                if payload is None or record[2] not in KINDS or size < 0:
                    self.is_cut = True
                    return
                yield Record(*record, payload[:-1])
            self.is_cut = self.is_cut or self._at < len(self._buffer)
        finally:
            self._file.close()

    def _read_header(self, path: Path) -> int:
        """Return ``created_ns``; 0 if the file is cut before its header can be unpacked."""
        line = self._line(HEADER_BYTES_MAX)
        is_cut_early = line is None and self.is_cut and not self._is_damaged
        if is_cut_early and MAGIC.startswith(self._buffer[: len(MAGIC)]):
            self._buffer.clear()
            return 0
        if line is None or not line.startswith(MAGIC):
            raise NotACapture(f"{path}: expected a capture (DFCAP1 in zstd frames), received something else")
        try:
            header = json.loads(line[len(MAGIC) :])
            return int(header["created_ns"])
        except (ValueError, KeyError, TypeError) as error:
            raise NotACapture(f"{path}: the header line has no created_ns") from error

    def _fill(self) -> bool:
        """Decompress the next piece of the file into the buffer; False at its end."""
        del self._buffer[: self._at]
        self._at = 0
        piece = self._file.read(CHUNK_BYTES)
        if not piece:
            self.is_cut = self.is_cut or self._is_frame_begun
            return False
        try:
            while piece:
                self._buffer += self._frame.decompress(piece)
                self._is_frame_begun = not self._frame.eof
                piece = b""
                if self._frame.eof:
                    piece = self._frame.unused_data
                    self._frame = zstandard.ZstdDecompressor().decompressobj()
        except zstandard.ZstdError:
            self.is_cut = self._is_damaged = True
            return False
        return True

    def _line(self, bytes_max: int = 256) -> bytes | None:
        while (end := self._buffer.find(b"\n", self._at, self._at + bytes_max)) < 0:
            if len(self._buffer) - self._at >= bytes_max or not self._fill():
                return None
        line = bytes(self._buffer[self._at : end])
        self._at = end + 1
        return line

    def _take(self, size: int) -> bytes | None:
        while len(self._buffer) - self._at < size:
            if not self._fill():
                return None
        payload = bytes(self._buffer[self._at : self._at + size])
        self._at += size
        return payload
