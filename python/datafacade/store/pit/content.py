"""Turn a draft into the files that keep it. Pure; runs on the writer's thread."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from datafacade.errors import InvalidRequest
from datafacade.store.pit.names import (
    ID_DIGITS,
    JSON,
    METADATA,
    PARQUET,
    PROTO,
    Entity,
    day_of,
    is_id,
    meta_name,
    stem_of,
    utc_text,
)
from datafacade.store.pit.record import PUT, TS_MAX, Draft, Stored

MESSAGE_BYTES_MAX: Final = 64 * 2**20
LABELS_MAX: Final = 16
REFERENCES_MAX: Final = 256
READABLE_BYTES_MAX: Final = 192 * 2**20  # of the text
READABLE_RATIO_MAX: Final = 200  # text to packed bytes, beyond the first MiB: what is more is a bomb
LEVEL: Final = 3  # of gzip: half the time of 5 for 6 % more bytes of klines, 17 % of mere numbers
VERSION: Final = 1  # of the meta file


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file to be written."""

    folder: tuple[str, str]  # below the store
    name: str
    content: bytes

    def stored(self) -> Stored:
        """Return how the manifest tells of it."""
        path = "/".join((*self.folder, self.name))
        return Stored(path, len(self.content), sha256(self.content).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A snapshot that only has to be written."""

    id: str
    values: dict[str, Any]  # of its line in the manifest
    parts: tuple[Part, ...]  # readable, bytes, meta

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(len(part.content) for part in self.parts)

    @property
    def readable(self) -> tuple[int, int]:
        """Bytes of the readable form before and after it was packed; none: it is a table."""
        packed = self.parts[0].content
        if not self.parts[0].name.endswith(JSON):
            return 0, 0
        return int.from_bytes(packed[-4:], "little"), len(packed)  # gzip ends with the length of the text


def prepare(draft: Draft, *, ts_wall: int, ts_mono: int) -> Prepared:
    """Return the files of a draft.

    Args:
        draft: What to keep.
        ts_wall: What the wall clock said, ns UTC.
        ts_mono: What the monotonic clock said, ns: tells whether the wall clock was turned.

    Raises:
        InvalidRequest: A field is beyond its bound, or the readable form is no JSON.
    """
    _check(draft, ts_wall)
    entity = Entity.parse(draft.entity)
    snapshot_id = sha256(draft.message).hexdigest()
    day, stem = (entity.folder, day_of(ts_wall)), stem_of(ts_wall, snapshot_id)
    if draft.readable is None:
        answer = [Part(folder=day, name=stem + PARQUET, content=draft.message)]
    else:
        text = _json(draft.readable)
        if len(text) > READABLE_BYTES_MAX:
            problem = f"expected at most {READABLE_BYTES_MAX} bytes of JSON, received {len(text)}"
            raise InvalidRequest("readable", problem)
        proto = Part(folder=day, name=stem + PROTO, content=draft.message)
        answer = [Part(folder=day, name=stem + JSON, content=squeeze(text)), proto]
    stored = [part.stored() for part in answer]
    meta = _meta(draft, entity, snapshot_id, stored, ts_wall=ts_wall, ts_mono=ts_mono)
    parts = (*answer, Part(folder=(entity.folder, METADATA), name=meta_name(snapshot_id), content=meta))
    shown = {"json": stored[0][1:]} if draft.readable is not None else {}
    values = {
        "op": PUT,
        "id": snapshot_id,
        "ts": ts_wall,
        "mono": ts_mono,
        "entity": str(entity),
        "kind": draft.kind,
        "size": len(draft.message),
        "rows": draft.rows,
        **shown,
        "meta": parts[-1].stored()[1:],
        **({"labels": draft.labels} if draft.labels else {}),
        **({"refs": draft.references} if draft.references else {}),
    }
    return Prepared(id=snapshot_id, values=values, parts=parts)


def squeeze(text: bytes) -> bytes:
    """Return it as a gzip file without a time: the same text gives the same bytes.

    Text that repeats itself so much that a reader would take it for a bomb is not made smaller.
    """
    packed = _gzip(text, LEVEL)
    return packed if len(text) <= text_max(len(packed)) else _gzip(text, 0)


def text_max(packed: int) -> int:
    """Return how many bytes of text so many packed ones may hold."""
    return min(READABLE_BYTES_MAX, 2**20 + READABLE_RATIO_MAX * packed)


def _gzip(text: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(text) + packer.flush()


def _check(draft: Draft, ts_wall: int) -> None:
    bounds = (
        ("message", len(draft.message), MESSAGE_BYTES_MAX, "bytes"),
        ("labels", len(draft.labels), LABELS_MAX, "labels"),
        ("references", len(draft.references), REFERENCES_MAX, "ids"),
        ("kind", len(draft.kind), 128, "signs"),
        ("ts_wall", ts_wall, TS_MAX, "ns"),
    )
    for name, value, most, unit in bounds:
        if not 0 <= value <= most:
            raise InvalidRequest(name, f"expected 0 to {most} {unit}, received {value}")
    for name in draft.references:
        if len(name) != ID_DIGITS or not is_id(name):
            raise InvalidRequest("references", f"expected ids of {ID_DIGITS} digits, received {name[:64]!r}")


def _json(readable: Mapping[str, Any] | bytes) -> bytes:
    if isinstance(readable, bytes):
        return readable
    try:
        return json.dumps(readable, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
    except (TypeError, ValueError) as error:
        raise InvalidRequest("readable", f"expected what becomes JSON: {error}") from None


def _meta(
    draft: Draft, entity: Entity, snapshot_id: str, stored: list[Stored], *, ts_wall: int, ts_mono: int
) -> bytes:
    told = {
        "version": VERSION,
        "id": snapshot_id,
        "entity": str(entity),
        "kind": draft.kind,
        "symbol": entity.symbol,
        "venue": entity.venue,
        "sources": draft.sources,
        "timestamp": utc_text(ts_wall),
        "ts_wall": ts_wall,
        "ts_mono": ts_mono,
        "record_count": draft.rows,
        "size_bytes": len(draft.message),
        "labels": draft.labels,
        "references": draft.references,
        "files": [{"path": file.name, "size_bytes": file.size, "sha256": file.sha256} for file in stored],
    }
    return json.dumps(told, separators=(",", ":")).encode("ascii") + b"\n"
