"""Keep tables as Parquet, and finished hours and days of snapshots as one table each, for queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final, Literal

import polars as pl

from datafacade.errors import PitExists
from datafacade.store.pit.content import prepare
from datafacade.store.pit.names import JSON, Entity
from datafacade.store.pit.record import Draft, PitRef
from datafacade.store.pit.snapshot import read_part
from datafacade.store.pit.vault import Vault

HOUR_NS: Final = 3_600 * 10**9
SPANS: Final = {"hour": HOUR_NS, "day": 24 * HOUR_NS}
LATE_NS: Final = 60 * 10**9  # a span is finished so long behind its end
COMPACTED: Final = "keep:compacted"  # tables outlive the answers that they were made of
LEVEL: Final = 3  # of either codec
TABLE_BYTES_MAX: Final = 12 * 2**20  # of answers in one table: with their readable form they fit into memory
Codec = Literal["zstd", "gzip"]
SCHEMA: Final = {
    "id": pl.String,
    "seq": pl.UInt64,
    "ts_wall": pl.Int64,
    "kind": pl.String,
    "rows": pl.UInt64,
    "message": pl.Binary,
    "readable": pl.Binary,  # the json.gz as it is
}


def table_draft(
    entity: str,
    frame: pl.DataFrame,
    *,
    ts_wall: int = 0,
    kind: str = "table",
    labels: Sequence[str] = (),
    references: Sequence[str] = (),
    codec: Codec = "zstd",
) -> Draft:
    """Return a table as what can be kept; its id is the hash of the Parquet bytes.

    Args:
        entity: What it is about.
        frame: The rows.
        ts_wall: When it was known, ns UTC; 0: now.
        kind: What kind of table.
        labels: As of any snapshot.
        references: Ids of the answers that it was made from.
        codec: How its pages are packed.
    """
    packed = BytesIO()
    frame.write_parquet(packed, compression=codec, compression_level=LEVEL, statistics=True)
    return Draft(
        entity=entity,
        kind=kind,
        message=packed.getvalue(),
        readable=None,
        ts_wall=ts_wall,
        rows=frame.height,
        labels=tuple(labels),
        references=tuple(references),
    )


def compact(vault: Vault, entity: str, *, span: str = "hour") -> list[PitRef]:
    """Write each finished hour or day of an entity as one table; return those that are new.

    A span that was compacted before is not written again, unless it got a late snapshot since: then another
    table stands for it. The answers stay until retention takes them.

    Args:
        vault: The store, open for writing.
        entity: Whose snapshots.
        span: ``hour`` or ``day``.
    """
    now, length = vault.clock.wall_ns(), SPANS[span]
    groups: dict[int, list[PitRef]] = defaultdict(list)
    for ref in vault.list(entity, 0, (now - LATE_NS) // length * length):
        groups[ref.ts_wall // length * length].append(ref)
    about = Entity.parse(entity)
    variant = "/".join(part for part in (about.kind, about.variant) if part)
    target = str(Entity(f"pit.{span}", about.venue, about.symbol, variant))
    written: list[PitRef] = []
    for start, refs in sorted(groups.items()):
        if sum(table.rows for table in vault.list(target, start, start + 1)) < len(refs):
            written += _write(vault, target, start, refs)
    return written


def _write(vault: Vault, entity: str, start: int, refs: Sequence[PitRef]) -> Sequence[PitRef]:
    if sum(ref.size_bytes for ref in refs) > TABLE_BYTES_MAX:
        middle = len(refs) // 2
        return [*_write(vault, entity, start, refs[:middle]), *_write(vault, entity, start, refs[middle:])]
    frame = pl.DataFrame([_row(vault, ref) for ref in refs], schema=SCHEMA, orient="row")
    made = table_draft(entity, frame, ts_wall=start, kind="snapshots", labels=(COMPACTED,))
    (outcome,) = vault.commit([prepare(made, ts_wall=start, ts_mono=vault.clock.monotonic_ns())])
    if isinstance(outcome, PitExists):
        return []
    if isinstance(outcome, Exception):
        raise outcome
    return [outcome]


def _row(vault: Vault, ref: PitRef) -> tuple[Any, ...]:
    readable = read_part(vault.root, ref.path) if ref.path.endswith(JSON) else b""
    return ref.id, ref.seq, ref.ts_wall, ref.kind, ref.rows, vault.get(ref.id).message, readable
