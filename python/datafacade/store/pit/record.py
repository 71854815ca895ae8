"""Tell what happened in one line each: the records of the manifest, chained by hashes. Pure.

A line is one JSON object. Its last member ``hash`` is the SHA-256 of the line up to there, ``prev`` is the
hash of the line before: a line that is changed, lost, doubled or moved shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple

from datafacade.store.pit.names import JSON, METADATA, PARQUET, PROTO, Entity, day_of, meta_name, stem_of

TS_MAX: Final = 2**63 - 1  # ns: a day in the year 2262
COUNT_MAX: Final = 2**53  # of any number in a line but times
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
