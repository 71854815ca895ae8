"""Lay a stored answer out as it is wanted, piece by piece; all of this blocks: it runs beside the loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from datafacade.errors import InvalidRequest, PitCorrupt
from datafacade.rows.columns import CARRIERS, frame_of
from datafacade.store.pit.names import JSON
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.snapshot import PIECE_BYTES, PitSnapshot, read_part, unpack_text
from datafacade.store.pit.vault import Vault
from datafacade.v1 import pit_pb2
from datafacade.warm.snapshots import Snapshots

if TYPE_CHECKING:
    from polars import DataFrame

CHUNK_BYTES: Final = 64 * 1024
Encoding: TypeAlias = pit_pb2.PitEncoding.ValueType


class Piece(NamedTuple):
    """Up to 1 MiB of a content."""

    content: bytes
    is_last: bool

    def chunks(self) -> Iterator[bytes]:
        """Yield it as the contract wants it."""
        for at in range(0, len(self.content), CHUNK_BYTES):
            yield self.content[at : at + CHUNK_BYTES]


def is_made(ref: PitRef, encoding: Encoding) -> bool:
    """Return whether much is held in memory: stored bytes are read piece by piece, all else at once."""
    return ref.size_bytes > PIECE_BYTES and encoding in {
        pit_pb2.PIT_ENCODING_JSON,
        pit_pb2.PIT_ENCODING_ARROW,
    }


def pieces_of(snapshots: Snapshots, ref: PitRef, encoding: Encoding) -> Iterator[Piece]:
    """Yield a content; before the first piece its bytes were compared with their hashes.

    Args:
        snapshots: Where it is kept.
        ref: Which.
        encoding: How it is wanted; what is readable and what is rows is made of what was proven.

    Raises:
        PitCorrupt: It is damaged.
        InvalidRequest: It has no such form.
    """
    store = snapshots.store
    if encoding == pit_pb2.PIT_ENCODING_JSON:
        yield from _cut(_readable(snapshots, ref))
    elif encoding == pit_pb2.PIT_ENCODING_ARROW:
        yield from _cut(_arrow(store.get(ref.id)))
    elif ref.size_bytes <= PIECE_BYTES:
        yield Piece(store.get(ref.id).message, is_last=True)
    else:
        store.prove(ref)
        for at in range(0, ref.size_bytes, PIECE_BYTES):
            yield Piece(store.piece(ref, at), is_last=at + PIECE_BYTES >= ref.size_bytes)


def reader(snapshots: Snapshots) -> closing[Vault]:
    """Open the store a second time, for reading: a long walk keeps no answer waiting."""
    return closing(Vault.open(snapshots.path, is_writable=False))


def _cut(content: bytes) -> Iterator[Piece]:
    ends = range(PIECE_BYTES, len(content) + PIECE_BYTES, PIECE_BYTES) or (0,)
    for end in ends:
        yield Piece(content[max(0, end - PIECE_BYTES) : end], is_last=end >= len(content))


def _readable(snapshots: Snapshots, ref: PitRef) -> bytes:
    if not ref.path.endswith(JSON):
        raise InvalidRequest("encoding", "expected PROTOBUF or ARROW: a table has no JSON")
    with reader(snapshots) as vault:
        if vault.bad_files(ref.id):
            raise PitCorrupt(ref.id)
        return unpack_text(read_part(vault.root, ref.path))


def _arrow(found: PitSnapshot) -> bytes:
    from polars import CompatLevel  # late: a service that gives no tables needs no Polars

    packed = BytesIO()
    # Texts as Arrow had them from the start: not every reader knows their newer layout.
    _frame(found).write_ipc_stream(packed, compat_level=CompatLevel.oldest())
    return packed.getvalue()


def _frame(found: PitSnapshot) -> DataFrame:
    ref = found.ref
    if not ref.path.endswith(JSON):
        table: DataFrame = found.frame()
        return table
    if ref.kind not in CARRIERS:
        raise InvalidRequest("encoding", f"expected PROTOBUF or JSON: a {ref.kind[:64]} is no table")
    return frame_of(CARRIERS[ref.kind].FromString(found.message), is_exact=True)
