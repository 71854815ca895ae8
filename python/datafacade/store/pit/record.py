"""Tell what happened in one line each: the records of the manifest, chained by hashes. Pure.

A line is one JSON object. Its last member ``hash`` is the SHA-256 of the line up to there, ``prev`` is the
hash of the line before: a line that is changed, lost, doubled or moved shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from datafacade.errors import InvalidRequest
from datafacade.store.pit.names import JSON, METADATA, PARQUET, PROTO, Entity, day_of, meta_name, stem_of

TS_MAX: Final = 253_402_300_799 * 10**9  # 9999-12-31T23:59:59Z: four digits of a year
COUNT_MAX: Final = 2**53  # of any number in a line but times
_ID: Final = re.compile(r"[0-9a-f]{64}")
ZERO: Final = "0" * 64  # what the first line of a chain follows
_MEMBERS: Final = frozenset({"seq", "op", "ts", "prev", "hash"})
_TAIL: Final = b',"hash":"'
_TAIL_BYTES: Final = len(_TAIL) + 64 + 2  # `,"hash":"` 64 digits `"}`

PUT: Final = "put"
DROP: Final = "drop"
LABEL: Final = "label"
CUT: Final = "cut"


class Broken(ValueError):
    """A line is not what was written."""


class Stored(NamedTuple):
    """One file of a snapshot as it was written."""

    name: str
    size: int  # bytes
    sha256: str  # 64 hex digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A snapshot to be kept.

    Example:
        >>> Draft(entity="warm.ticker/okx/BTC-USDT", kind="WarmTicker", message=b"..", readable={}).rows
        0
    """

    entity: str  # as `Entity` writes it
    kind: str  # message type of the bytes, as `WarmKlinesResponse`
    message: bytes  # the encoded answer; its SHA-256 is the id
    readable: (
        Mapping[str, Any] | bytes | None
    )  # the answer as JSON, or what becomes JSON; None: bytes are Parquet
    ts_wall: int = 0  # when it was known, ns UTC; 0: now
    rows: int = 0  # records in the answer, where that means something
    sources: tuple[str, ...] = ()  # who the data come from
    labels: tuple[str, ...] = ()  # `keep`, or `keep:WHY`, exempts from retention
    references: tuple[str, ...] = ()  # ids that this answer was made from


@dataclass(frozen=True, slots=True, kw_only=True)
class PitRef:
    """Where a snapshot stands: durable when anybody sees this."""

    id: str  # SHA-256 of the answer's bytes, 64 hex digits
    seq: int  # logical order of the store, from 1; clocks do not matter
    entity: str
    kind: str
    ts_wall: int  # ns UTC, as the clock said
    path: str  # of the readable file, relative to the store
    size_bytes: int  # of the answer's bytes
    rows: int = 0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the manifest."""

    seq: int
    op: str  # put, drop, label, cut
    id: str
    ts: int  # wall time, ns UTC
    prev: str
    hash: str
    values: Mapping[str, Any] = field(default_factory=dict)  # what this operation adds

    @property
    def entity(self) -> str:
        """Entity of a put."""
        return str(self.values["entity"])

    @property
    def files(self) -> tuple[Stored, ...]:
        """Files of a put, relative to the store; the first is the one that people read."""
        entity = Entity.parse(self.entity)
        stem = f"{entity.folder}/{day_of(self.ts)}/{stem_of(self.ts, self.id)}"
        meta = Stored(f"{entity.folder}/{METADATA}/{meta_name(self.id)}", *self.values["meta"])
        size = int(self.values["size"])
        if "json" not in self.values:
            return Stored(stem + PARQUET, size, self.id), meta
        return Stored(stem + JSON, *self.values["json"]), Stored(stem + PROTO, size, self.id), meta

    @property
    def references(self) -> tuple[str, ...]:
        """Snapshots that must not go before this one."""
        return tuple(self.values.get("refs", ()))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of a put or a label."""
        return tuple(self.values.get("labels", ()))

    def ref(self) -> PitRef:
        """Return it as callers see it."""
        return PitRef(
            id=self.id,
            seq=self.seq,
            entity=self.entity,
            kind=str(self.values["kind"]),
            ts_wall=self.ts,
            path=self.files[0].name,
            size_bytes=int(self.values["size"]),
            rows=int(self.values["rows"]),
            labels=self.labels,
        )


def line_of(values: Mapping[str, Any], *, seq: int, prev: str) -> tuple[bytes, str]:
    """Return a line with its end, and its hash.

    Example:
        >>> line, digest = line_of({"op": "drop", "id": "ab", "ts": 5}, seq=1, prev=ZERO)
        >>> record_of(line.rstrip()).hash == digest
        True
    """
    body = json.dumps({"seq": seq, **values, "prev": prev}, separators=(",", ":")).encode("ascii")[:-1]
    digest = sha256(body).hexdigest()
    return body + _TAIL + digest.encode("ascii") + b'"}\n', digest


def values_of(line: bytes) -> dict[str, Any]:
    """Return what a line tells, if it is whole; without its end.

    Raises:
        Broken: Its hash is another, or it was never written by us.
    """
    body, tail = line[:-_TAIL_BYTES], line[-_TAIL_BYTES:]
    digest = sha256(body).hexdigest()
    if tail != _TAIL + digest.encode("ascii") + b'"}':
        raise Broken("its hash is another")
    try:
        values: dict[str, Any] = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError):
        raise Broken("it is no JSON") from None
    if not isinstance(values, dict) or not values.keys() >= _MEMBERS:
        raise Broken("it lacks a member")
    if not isinstance(values["seq"], int) or not 0 < values["seq"] <= COUNT_MAX:
        raise Broken("its number is none")
    return values


def is_line(values: Mapping[str, Any]) -> bool:
    """Return whether a line of the manifest tells of its operation what everybody relies on.

    Whoever may write here may forge a line that is whole; it must not bring down who reads it.
    """
    shape = _SHAPES.get(values["op"]) if isinstance(values["op"], str) else None
    if shape is None or _count(values["ts"], TS_MAX) < 0 or not isinstance(values["prev"], str):
        return False
    if "lines" in values and _count(values["lines"]) < 1:
        return False
    return shape(values)


def _count(value: object, most: int = COUNT_MAX) -> int:
    """Return a number that is one; else -1."""
    return value if type(value) is int and value <= most else -1


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_stored(value: object) -> bool:
    return type(value) is list and len(value) == 2 and _count(value[0]) >= 0 and type(value[1]) is str


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _is_put(line: Mapping[str, Any]) -> bool:
    """Judge a put; every line is judged at every start, so what is not there costs nothing."""
    entity = line.get("entity")
    return (
        _is_id(line.get("id"))
        and _count(line.get("size")) >= 0
        and _count(line.get("rows")) >= 0
        and type(line.get("kind")) is str
        and _is_stored(line.get("meta"))
        and ("json" not in line or _is_stored(line["json"]))
        and type(entity) is str
        and _is_entity(entity)
        and ("labels" not in line or _are_texts(line["labels"]))
        and ("refs" not in line or (_are_texts(line["refs"]) and all(map(_is_id, line["refs"]))))
    )


@lru_cache(maxsize=4_096)
def _is_entity(text: str) -> bool:
    try:
        return bool(Entity.parse(text).folder)
    except InvalidRequest:
        return False


_SHAPES: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = MappingProxyType(
    {
        PUT: _is_put,
        DROP: lambda line: _is_id(line.get("id")),
        LABEL: lambda line: _is_id(line.get("id")) and _are_texts(line.get("labels")),
        CUT: lambda line: _count(line.get("first")) > 0 and isinstance(line.get("follows"), str),
    }
)


def record_of(line: bytes) -> Record:
    """Return a whole line as a record.

    Raises:
        Broken: Its hash is another.
    """
    return record_from(values_of(line))


def record_from(line: Mapping[str, Any]) -> Record:
    """Return what a line tells as a record."""
    values = dict(line)
    seq, op, snapshot, ts = values.pop("seq"), values.pop("op"), values.pop("id"), values.pop("ts")
    return Record(seq, op, snapshot, ts, values.pop("prev"), values.pop("hash"), values)
