"""Read an answer's body within bounds of size and inflation, whole or not at all."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass
from typing import Final

from datafacade.errors import VenueFailed

ENCODINGS: Final = "gzip, deflate"  # what we ask for and understand
_PLAIN: Final = frozenset({"", "identity"})
_DEFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_ANY_HEADER: Final = 47  # zlib: gzip or zlib, whichever the first bytes say
_PIECE_BYTES: Final = 256 * 2**10  # inflated at once: less than a millisecond
_HARMLESS_BYTES: Final = 64 * 2**10  # below it no ratio matters


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyBounds:
    """What a body may be."""

    bytes_max: int  # inflated
    ratio_max: int = 100  # inflated over received


class BodyReader:
    """Takes a body as it comes in. Pure: no I/O."""

    def __init__(self, encoding: str, bounds: BodyBounds) -> None:
        """Prepare for one body.

        Args:
            encoding: The header ``Content-Encoding``; "": absent.
            bounds: What the body may be.

        Raises:
            VenueFailed: We did not ask for this encoding.
        """
        name = encoding.strip().lower()
        if name not in _PLAIN | _DEFLATED:
            raise _refused(f"body is encoded as {name[:32]!r}, expected {ENCODINGS}")
        self._inflater = None if name in _PLAIN else zlib.decompressobj(_ANY_HEADER)
        self._bounds = bounds
        self._received = 0
        self._parts: list[bytes] = []
        self._bytes = 0

    def feed(self, raw: bytes) -> Iterator[None]:
        """Take what was received, step by step: each step is short, others may run between two.

        Raises:
            VenueFailed: The body is larger than allowed, or no such stream.
        """
        self._received += len(raw)
        if self._inflater is None:
            self._add(raw)
            return
        rest = raw
        while rest:
            try:
                piece = self._inflater.decompress(rest, _PIECE_BYTES)
            except zlib.error:
                raise _refused("body is no compressed stream") from None
            self._add(piece)
            rest = self._inflater.unconsumed_tail
            if self._inflater.eof and not rest:
                rest = self._inflater.unused_data
                if rest:  # the next member of the same stream
                    self._inflater = zlib.decompressobj(_ANY_HEADER)
            yield

    def end(self) -> bytes:
        """Return the whole body.

        Raises:
            VenueFailed: It is cut off.
        """
        if self._inflater is not None and self._received and not self._inflater.eof:
            raise VenueFailed("body ends in the middle of its compressed stream")
        return b"".join(self._parts)

    def _add(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > self._bounds.bytes_max:
            raise _refused(f"body is larger than {self._bounds.bytes_max} bytes")
        if self._bytes > max(_HARMLESS_BYTES, self._bounds.ratio_max * self._received):
            raise _refused(f"body inflates more than {self._bounds.ratio_max} times")
        self._parts.append(piece)


async def read_body(chunks: AsyncIterable[bytes], encoding: str, bounds: BodyBounds) -> bytes:
    """Return the body that arrives in chunks.

    Raises:
        VenueFailed: It breaks a bound, or is not whole.
    """
    reader = BodyReader(encoding, bounds)
    async for chunk in chunks:
        for _ in reader.feed(chunk):
            await asyncio.sleep(0)
    return reader.end()


def _refused(problem: str) -> VenueFailed:
    return VenueFailed(problem, is_final=True)
