"""A stored answer as a reader gets it."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any, Final

from datafacade.errors import PitCorrupt
from datafacade.store.pit.files import FILE_BYTES_MAX, Folder, opened
from datafacade.store.pit.record import PitRef

READABLE_BYTES_MAX: Final = FILE_BYTES_MAX  # of the unpacked text


@dataclass(frozen=True, slots=True, kw_only=True)
class PitSnapshot:
    """A stored answer; its bytes were compared with its id."""

    ref: PitRef
    message: bytes

    def frame(self) -> Any:  # noqa: ANN401  polars is loaded only by those who want tables
        """Return a stored table as a Polars frame; its bytes are Parquet."""
        import polars as pl

        return pl.read_parquet(BytesIO(self.message))


def read_part(root: Folder, path: str) -> bytes:
    """Return a file of the store; no link on the way is followed.

    Raises:
        OSError: It is missing, a link, or no regular file.
    """
    *folders, name = path.split("/")
    with opened(root, *folders) as folder:
        return folder.read(name)


def read_answer(root: Folder, ref: PitRef, path: str) -> PitSnapshot:
    """Return an answer if its bytes are those of its id.

    Raises:
        PitCorrupt: They are not, or cannot be read.
    """
    try:
        message = read_part(root, path)
    except OSError as error:
        raise PitCorrupt(ref.id) from error
    if sha256(message).hexdigest() != ref.id:
        raise PitCorrupt(ref.id)
    return PitSnapshot(ref=ref, message=message)


def unpack(packed: bytes) -> Any:  # noqa: ANN401  JSON of any shape
    """Return the readable form.

    Raises:
        ValueError: It is no gzip file, or no JSON, or larger than 256 MiB.

    Example:
        >>> from datafacade.store.pit.content import squeeze
        >>> unpack(squeeze(b'{"a":1}'))
        {'a': 1}
    """
    return json.loads(unpack_text(packed))


def unpack_text(packed: bytes) -> bytes:
    """Return the readable form as text.

    Raises:
        ValueError: It is no gzip file, or larger than 256 MiB.
    """
    opener = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = opener.decompress(packed, READABLE_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not opener.eof:
        raise ValueError("cut short, or too large")
    return text
