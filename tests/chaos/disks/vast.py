"""Make a store of a million snapshots within a minute: all records and all names, few contents.

A start reads every record and every name, and of the contents only those of the newest. So the newest are
whole, and all other files are hard links to a few empty ones: their directories are as large as real ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from datafacade.store.pit.content import prepare
from datafacade.store.pit.names import JSON, METADATA, PROTO, Entity, day_of, meta_name, stem_of
from datafacade.store.pit.record import ZERO, Draft, line_of
from datafacade.store.pit.vault import Vault

NEWEST: Final = 64  # of which the contents are there
SEGMENT_LINES: Final = 32_768  # 16 MiB: as large as folded ones become
LINKS_MAX: Final = 60_000  # names that one empty file gets: ext4 takes 65,000
DAY_NS: Final = 24 * 3_600 * 10**9
START_NS: Final = 1_795_219_200_000_000_000  # 2026-11-21T00:00:00Z


def entity_of(number: int, entities: int) -> str:
    """Return the entity of a snapshot."""
    return f"warm.klines/binance/S{number % entities:04d}-USDT/1h"


def ts_of(number: int, count: int) -> int:
    """Return the wall time of a snapshot, ns UTC: they are spread over one day that ends at noon."""
    return START_NS - DAY_NS // 2 + number * (DAY_NS // count)


def make(path: Path, count: int, *, entities: int) -> None:
    """Fill a fresh directory.

    Args:
        path: The store.
        count: Snapshots, more than 64.
        entities: What they are about; each has the same share.
    """
    Vault.open(path, is_writable=True).close()
    _link_all(path, count - NEWEST, entities)
    prev, lines, first = ZERO, bytearray(), 1
    for seq, values in enumerate(_records(path, count, entities), 1):
        line, prev = line_of(values, seq=seq, prev=prev)
        lines += line
        if seq - first + 1 == SEGMENT_LINES or seq == count:
            (path / ".manifest" / f"{first:016d}-{seq:016d}.jsonl").write_bytes(lines)
            lines, first = bytearray(), seq + 1


def _records(path: Path, count: int, entities: int) -> Iterator[dict[str, Any]]:
    for number in range(count - NEWEST):
        identity = sha256(b"%d" % number).hexdigest()
        yield {
            "op": "put",
            "id": identity,
            "ts": ts_of(number, count),
            "mono": number,
            "entity": entity_of(number, entities),
            "kind": "WarmKlinesResponse",
            "size": 0,
            "rows": 100,
            "json": [0, identity],
            "meta": [0, identity],
        }
    for number in range(count - NEWEST, count):
        draft = Draft(
            entity=entity_of(number, entities), kind="WarmKlinesResponse", message=b"%d" % number, readable={}
        )
        prepared = prepare(draft, ts_wall=ts_of(number, count), ts_mono=number)
        for part in prepared.parts:
            folder = path.joinpath(*part.folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / part.name).write_bytes(part.content)
        yield prepared.values


def _link_all(path: Path, count: int, entities: int) -> None:
    """Give every file its name, one entity after the other."""
    links, source = LINKS_MAX, path / ".empty"
    for start in range(entities):
        folder = path / Entity.parse(entity_of(start, entities)).folder
        for number in range(start, count, entities):
            ts, identity = ts_of(number, count + NEWEST), sha256(b"%d" % number).hexdigest()
            day, stem = folder / day_of(ts), stem_of(ts, identity)
            if number < 2 * entities or day_of(ts) != day_of(ts_of(number - entities, count + NEWEST)):
                day.mkdir(parents=True, exist_ok=True)
                (folder / METADATA).mkdir(exist_ok=True)
            for place in (day / (stem + JSON), day / (stem + PROTO), folder / METADATA / meta_name(identity)):
                if links == LINKS_MAX:
                    source.unlink(missing_ok=True)
                    source.touch()
                    links = 0
                os.link(source, place)
                links += 1
    source.unlink(missing_ok=True)
