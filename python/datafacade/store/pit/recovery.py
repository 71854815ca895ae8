"""Put a store in order at its start: what a crash left half done is finished, taken in, or put aside.

Temps go. Files that retention had dropped go. A snapshot that is complete but in no record was linked and
never acknowledged: it is taken in. What is neither is put into quarantine, never deleted. All is told.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from datafacade._core import is_pit_line
from datafacade.errors import FacadeError
from datafacade.store.pit.audit import Trail
from datafacade.store.pit.content import VERSION
from datafacade.store.pit.files import Folder, opened, problem_of
from datafacade.store.pit.index import Index, Shelves
from datafacade.store.pit.manifest import Manifest
from datafacade.store.pit.names import (
    JSON,
    META,
    NAME_DIGITS,
    PARQUET,
    PROTO,
    TEMP,
    Entity,
    day_of,
    stem_of,
)
from datafacade.store.pit.publish import forget
from datafacade.store.pit.record import PUT, ZERO, Record, line_of, record_from
from datafacade.store.pit.snapshot import read_part
from datafacade.store.pit.writer import Writer

log = logging.getLogger(__name__)

QUARANTINE: Final = ".quarantine"
FILE_NAME_MAX: Final = 200
META_BYTES_MAX: Final = 2**20
WALKERS: Final = 2  # names of many are in memory: more would wait for the processor, not for the disk
_NAMED: Final = re.compile(
    rf"(?:[0-9]{{8}}_[0-9]{{6}}_)?([0-9a-f]{{{NAME_DIGITS}}})\.(?:json\.gz|pb|parquet|meta\.json)"
)


@dataclass(slots=True)
class Findings:
    """What a start found and did; paths in the store."""

    temps: int = 0
    finished: int = 0  # files of dropped snapshots that were still there
    adopted: list[str] = field(default_factory=list)  # ids
    quarantined: list[str] = field(default_factory=list)  # files
    damaged: list[str] = field(default_factory=list)  # ids or files

    def told(self) -> dict[str, Any]:
        """Return it for the audit log."""
        return {
            "temps": self.temps,
            "finished": self.finished,
            "adopted": self.adopted,
            "quarantined": self.quarantined,
            "damaged": self.damaged,
        }


def recover(root: Folder, writer: Writer, *, ts: int) -> Findings:
    """Put everything in order; the caller has the writer's turn.

    Args:
        root: The store.
        writer: Who knows the manifest.
        ts: Wall time for the audit log, ns UTC.

    Raises:
        OSError: The disk refuses.
    """
    found, index = Findings(), writer.catalog.index
    _clear(writer.manifest, found)
    adopted = []
    for paths in clean(root, index, found).values():
        values = adoptable(root, paths)
        if values is None:
            found.quarantined += aside(root, writer.trail, paths, why="in no record, and not whole", ts=ts)
        else:
            adopted.append(values)
            _sync(root, paths)
    if adopted:
        writer.record(adopted)
        found.adopted = [values["id"] for values in adopted]
    index.settle()
    found.damaged = [damage.what for damage in writer.manifest.damages]
    for line in index.newest:
        if line["id"] in index:
            faults = faults_of(root, record_from(line))
            found.damaged += [line["id"]] if faults else []
            found.quarantined += aside(root, writer.trail, [*faults], why="not what was written", ts=ts)
    writer.trail.write("open", ts=ts, told={"last": writer.manifest.chain.seq, **found.told()})
    return found


def aside(root: Folder, trail: Trail, paths: Iterable[str], *, why: str, ts: int) -> list[str]:
    """Move files into quarantine, and tell; return those that were there."""
    moved = [path for path in paths if _put_aside(root, path)]
    if moved:
        trail.write("quarantine", ts=ts, told={"files": moved, "why": why})
        log.error("pit.quarantined", extra={"files": moved, "why": why})
    return moved


def faults_of(root: Folder, record: Record) -> dict[str, str]:
    """Return which files of a snapshot are not what was written, and what is wrong with them.

    Raises:
        OSError: They cannot be looked at now.
    """
    faults = {}
    for file in record.files:
        try:
            content = read_part(root, file.name, size=max(file.size, 1))
        except OSError as error:
            faults[file.name] = problem_of(error)
            continue
        if len(content) != file.size:
            faults[file.name] = f"{len(content)} bytes, expected {file.size}"
        elif sha256(content).hexdigest() != file.sha256:
            faults[file.name] = "its hash is another"
    return faults


def strays(root: Folder, index: Index) -> list[tuple[str, str, list[str]]]:
    """Return the files below entities that belong to no live snapshot, sorted.

    Returns:
        Folder of an entity, folder in it, and names there.

    Raises:
        OSError: Something cannot be looked at now.
    """
    shelves, entities = index.shelves(), [name for name in root.names() if not name.startswith(".")]
    with ThreadPoolExecutor(WALKERS, thread_name_prefix="pit-walk") as hands:
        walks = [hands.submit(_walk, root, shelves, entities[at::WALKERS]) for at in range(WALKERS)]
    return sorted(found for walk in walks for found in walk.result())


def _walk(root: Folder, shelves: Shelves, entities: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    found = []
    for entity in entities:
        if not _is_folder(root, entity):
            continue
        shelf = shelves.of(entity)
        with _passing_by(), opened(root, entity) as folder:
            for day in folder.names():
                if _is_folder(folder, day):
                    with _passing_by(), opened(folder, day) as inner:
                        names = shelf.strays(os.fsencode(day), inner.listing())
                        found += [(entity, day, sorted(map(os.fsdecode, names)))] if names else []
    return found


@contextlib.contextmanager
def _passing_by() -> Iterator[None]:
    """Leave out what went away or is no folder; what cannot be looked at now ends the walk."""
    try:
        yield
    except OSError as error:
        problem_of(error)


def clean(root: Folder, index: Index, findings: Findings) -> dict[str, list[str]]:
    """Remove temps and what retention left over; return files in no record, by digits of their id."""
    unknown: dict[str, list[str]] = defaultdict(list)
    for entity, day, names in strays(root, index):
        with _passing_by(), opened(root, entity, day) as folder:
            for name in names:
                key = id_in(name)
                if name.startswith(TEMP):
                    forget(folder, name)
                    findings.temps += 1
                elif key is not None and index.is_dropped(key):
                    forget(folder, name)
                    findings.finished += 1
                elif key is not None:
                    unknown[key].append(f"{entity}/{day}/{name}")
    return unknown


def adoptable(root: Folder, paths: list[str]) -> dict[str, Any] | None:
    """Return the record of a snapshot whose files are all as its meta file says; None: they are not."""
    metas = [path for path in paths if path.endswith(META)]
    if len(metas) != 1:
        return None
    try:
        content = read_part(root, metas[0], size=META_BYTES_MAX)
        told = json.loads(content)
        if told["version"] != VERSION or {file["path"] for file in told["files"]} != {*paths} - {*metas}:
            return None  # a path that we did not find ourselves is never opened
        for file in told["files"]:
            found = read_part(root, file["path"], size=file["size_bytes"])
            if len(found) != file["size_bytes"] or sha256(found).hexdigest() != file["sha256"]:
                return None
        values = _values(told, paths, meta=[len(content), sha256(content).hexdigest()])
        is_line = values is not None and is_pit_line(line_of(values, seq=1, prev=ZERO)[0].rstrip(b"\n"))
        return values if is_line else None
    except OSError as error:
        problem_of(error)
        return None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, FacadeError):
        return None  # whatever somebody may have planted


def _values(told: dict[str, Any], paths: list[str], *, meta: list[Any]) -> dict[str, Any] | None:
    files = {file["path"]: file for file in told["files"]}
    ts, folder = told["ts_wall"], Entity.parse(told["entity"]).folder
    stem = f"{folder}/{day_of(ts)}/{stem_of(ts, told['id'])}"
    readable = files.get(stem + JSON)
    answer = files.get(stem + PROTO) or files.get(stem + PARQUET)
    if (
        answer is None
        or answer["sha256"] != told["id"]
        or {*files} != {path for path in paths if not path.endswith(META)}
    ):
        return None
    shown = {"json": [readable["size_bytes"], readable["sha256"]]} if readable else {}
    return {
        "op": PUT,
        "id": told["id"],
        "ts": told["ts_wall"],
        "mono": told["ts_mono"],
        "entity": told["entity"],
        "kind": told["kind"],
        "size": told["size_bytes"],
        "rows": told["record_count"],
        **shown,
        "meta": meta,
        **({"labels": told["labels"]} if told["labels"] else {}),
        **({"refs": told["references"]} if told["references"] else {}),
    }


def id_in(name: str) -> str | None:
    """Return the digits of the id that a file's name carries; None: it is none of ours.

    Example:
        >>> id_in("20261121_164129_00112233445566778899aabbccddeeff.json.gz")
        '00112233445566778899aabbccddeeff'
    """
    match = _NAMED.fullmatch(name)
    return match[1] if match else None


def _is_folder(folder: Folder, name: str) -> bool:
    facts = folder.facts(name)
    return facts is not None and facts.is_folder


def _clear(book: Manifest, found: Findings) -> None:
    """Remove temps of the manifest, and segments that were folded."""
    for name in book.folder.names():
        if name.startswith(TEMP):
            forget(book.folder, name)
            found.temps += 1
    book.sweep()


def _sync(root: Folder, paths: Iterable[str]) -> None:
    """Make names of files and of the folders above them durable: who linked them may not have come so far."""
    for parts in sorted({tuple(path.split("/")[:-1]) for path in paths}):
        for depth in range(1, len(parts) + 1):
            with opened(root, *parts[:depth]) as folder:
                folder.sync()
    root.sync()


def _put_aside(root: Folder, path: str) -> bool:
    """Move a file into quarantine under a name that tells where it was; return whether it was there."""
    *folders, name = path.split("/")
    stem = f"{sha256(path.encode()).hexdigest()[:16]}_{name}"[-FILE_NAME_MAX:]
    try:
        with opened(root, QUARANTINE) as quarantine, opened(root, *folders) as folder:
            taken = sum(other.endswith(stem) for other in quarantine.names())
            folder.move(name, quarantine, f"{taken:06d}_{stem}")
            quarantine.sync()
            folder.sync()
    except OSError as error:
        if error.errno != errno.ENOENT:  # it stays where it is, and verify goes on to name it
            log.warning("pit.quarantine_failed", extra={"file": path, "problem": str(error)})
        return False
    return True
