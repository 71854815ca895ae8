"""A stored answer as a reader gets it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any, Final

from datafacade.errors import InvalidRequest, PitCorrupt, PitUnusable, QuotaExceeded
from datafacade.store.pit.content import READABLE_BYTES_MAX, text_max
from datafacade.store.pit.files import DAMAGED, Folder, opened
from datafacade.store.pit.names import PARQUET
from datafacade.store.pit.parquet import Unbelievable, cost_of
from datafacade.store.pit.record import PitRef

TABLE_BYTES_MAX: Final = 48 * 2**20  # that a table may take once it is decoded, unless the caller allows more
PIECE_BYTES: Final = 2**20  # of an answer that is read piece by piece
_CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PitSnapshot:
    """A stored answer; its bytes were compared with its id."""

    ref: PitRef
    message: bytes

    def frame(self, *, bytes_max: int = TABLE_BYTES_MAX) -> Any:  # noqa: ANN401  polars is loaded late
        """Return a stored table as a Polars frame; its bytes are Parquet.

        Args:
            bytes_max: What it may take in memory.

        Raises:
            InvalidRequest: The snapshot is an answer, not a table.
            PitCorrupt: It says of itself what cannot be.
            QuotaExceeded: It takes more memory.
        """
        if not self.ref.path.endswith(PARQUET):
            raise InvalidRequest("snapshot_id", f"expected the id of a table, received {self.ref.id}")
        try:
            cost = cost_of(self.message)
        except Unbelievable as error:
            raise PitCorrupt(self.ref.id) from error
        if cost > bytes_max:
            raise QuotaExceeded("pit.table_bytes", bytes_max, cost)
        import polars as pl

        try:
            return pl.read_parquet(BytesIO(self.message))
        except (Exception, pl.exceptions.PanicException) as error:
            raise PitCorrupt(self.ref.id) from error


def read_part(root: Folder, path: str, *, size: int = READABLE_BYTES_MAX + 2**20) -> bytes:
    """Return a file of the store; no link on the way is followed.

    Args:
        root: The store.
        path: In it.
        size: What it may have, bytes.

    Raises:
        OSError: It is missing, a link, no regular file, or larger.
    """
    *folders, name = path.split("/")
    with opened(root, *folders) as folder:
        facts = folder.facts(name)
        if facts is not None and facts.size > size:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return folder.read(name)


def read_answer(root: Folder, ref: PitRef, path: str) -> PitSnapshot:
    """Return an answer if its bytes are those of its id.

    Raises:
        PitCorrupt: They are not, or are not there.
        PitUnusable: They cannot be read now; that says nothing of them.
    """
    with _told(ref, path):
        message = read_part(root, path, size=ref.size_bytes)
    if sha256(message).hexdigest() != ref.id:
        raise PitCorrupt(ref.id)
    return PitSnapshot(ref=ref, message=message)


def read_piece(root: Folder, ref: PitRef, path: str, at: int) -> bytes:
    """Return up to 1 MiB of an answer's bytes, unproven; empty: behind the end.

    Args:
        root: The store.
        ref: The snapshot.
        path: Of the file that holds the bytes.
        at: The first one.

    Raises:
        PitCorrupt: The file is lost or has another length.
        PitUnusable: It cannot be read now; that says nothing of it.
    """
    wanted = min(PIECE_BYTES, ref.size_bytes - at)
    *folders, name = path.split("/")
    with _told(ref, path), opened(root, *folders) as folder:
        # One byte more than there is: a file that has grown shows.
        piece = folder.read(name, offset=at, size=wanted + (at + wanted == ref.size_bytes))
    if len(piece) != wanted:
        raise PitCorrupt(ref.id)
    return piece


def prove_answer(root: Folder, ref: PitRef, path: str) -> None:
    """Compare an answer's bytes with its id; no more than a piece of it is in memory.

    Raises:
        PitCorrupt: They are not those of its id, or are not there.
        PitUnusable: They cannot be read now; that says nothing of them.
    """
    digest = sha256()
    for at in range(0, ref.size_bytes, PIECE_BYTES):
        digest.update(read_piece(root, ref, path, at))
    if digest.hexdigest() != ref.id:
        raise PitCorrupt(ref.id)


@contextlib.contextmanager
def _told(ref: PitRef, path: str) -> Iterator[None]:
    """Tell what is damaged from what cannot be looked at."""
    try:
        yield
    except OSError as error:
        if error.errno in DAMAGED:
            raise PitCorrupt(ref.id) from error
        raise PitUnusable(path, (error.strerror or type(error).__name__).lower()) from error


def unpack(packed: bytes) -> Any:  # noqa: ANN401  JSON of any shape
    """Return the readable form.

    Raises:
        ValueError: It is no gzip file, or no JSON, or a bomb.

    Example:
        >>> from datafacade.store.pit.content import squeeze
        >>> unpack(squeeze(b'{"a":1}'))
        {'a': 1}
    """
    try:
        return json.loads(unpack_text(packed))
    except RecursionError:
        raise ValueError("too many levels") from None


def unpack_text(packed: bytes) -> bytes:
    """Return the readable form as text.

    Raises:
        ValueError: It is no gzip file, or a bomb: beyond 192 MiB, or 200 times what is packed.
    """
    size = _unpacked(packed)
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, size) if size else b""


def _unpacked(packed: bytes) -> int:
    """Return how long the text is; it is unpacked piece by piece and let go of."""
    opener = zlib.decompressobj(zlib.MAX_WBITS | 16)
    most = text_max(len(packed))
    size, rest = 0, packed
    try:
        while not opener.eof:
            text = opener.decompress(rest, _CHUNK)
            size, rest = size + len(text), opener.unconsumed_tail
            if size > most or (not text and not rest and not opener.eof):
                raise ValueError("cut short, or too large")
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return size
