"""Find snapshots by id and by time: an index in memory, rebuilt from the manifest by the core. No I/O."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final

from datafacade._core import PitIndex, PitShelf
from datafacade.store.pit.names import JSON, NAME_DIGITS, PARQUET, Entity, day_of, stem_of
from datafacade.store.pit.record import TS_MAX, PitRef

_ID_BYTES: Final = 32
_Row = tuple[str, int, str, str, int, int, int, bool, list[str]]


class Index:
    """Everything that is live. About 150 bytes a snapshot; any thread may ask."""

    def __init__(self) -> None:
        self._core = PitIndex()

    def __len__(self) -> int:
        """Return how many are live."""
        return len(self._core)

    def __contains__(self, snapshot_id: object) -> bool:
        """Return whether a snapshot of this id, or of its name on disk, is live."""
        return isinstance(snapshot_id, str) and self._core.has(snapshot_id)

    @property
    def entities(self) -> list[str]:
        """All entities that have a live snapshot, sorted."""
        return sorted(_text(spelling) for spelling, is_live in self._core.entities() if is_live)

    @property
    def seq_last(self) -> int:
        """Number of the newest record of a snapshot, live or not; 0: there is none."""
        return self._core.seq_last

    @property
    def bytes_live(self) -> int:
        """Bytes of all answers that are live."""
        return self._core.bytes_live

    @property
    def newest(self) -> list[dict[str, Any]]:
        """What the lines of the newest 64 snapshots tell, oldest first."""
        return [json.loads(line) for line in self._core.newest()]

    def apply(self, lines: bytes) -> None:
        """Take in whole lines of the manifest; those that were seen before change nothing."""
        self._core.apply(lines)

    def settle(self) -> None:
        """Forget what was dropped, since nothing of it is left on the disk."""
        self._core.settle()

    def find(self, snapshot_id: str) -> PitRef | None:
        """Return the snapshot of an id or of its first 16 digits or more; None: there is none, or several."""
        row = self._core.find(snapshot_id)
        return None if row is None else _ref(row)

    def known(self, snapshot_id: str) -> PitRef:
        """Return the snapshot of an id that is live.

        Raises:
            KeyError: It is not.
        """
        ref = self.find(snapshot_id)
        if ref is None:
            raise KeyError(snapshot_id)
        return ref

    def at(self, entity: str, ts: int) -> PitRef | None:
        """Return the newest snapshot of an entity at a time, ns UTC."""
        row = self._core.at(_spelling(entity), _within(ts))
        return None if row is None else _ref(row)

    def between(
        self,
        entity: str,
        ts_from: int,
        ts_to: int,
        *,
        limit: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> list[PitRef]:
        """Return an entity's snapshots of a half-open interval, oldest first; no more than ``limit``.

        Those of one time come as they were committed; ``after``, a wall time and a number, leaves out all up
        to there.
        """
        behind = None if after is None else (_within(after[0]), min(max(after[1], 0), TS_MAX))
        first, end = _within(ts_from), _within(ts_to)
        rows = self._core.between(_spelling(entity), first, end, limit=limit, after=behind)
        return [_ref(row) for row in rows]

    def refs(self, ts_max: int = TS_MAX) -> Iterator[PitRef]:
        """Yield all snapshots that are live, or those up to a wall time, ns UTC, in their logical order."""
        ids = self._core.ids(_within(ts_max))
        for at in range(0, len(ids), _ID_BYTES):
            ref = self.find(ids[at : at + _ID_BYTES].hex())
            if ref is not None:  # it may have gone since
                yield ref

    def since(self, seq: int, limit: int) -> list[PitRef]:
        """Return live snapshots whose number is greater, in their logical order; no more than ``limit``."""
        return [_ref(row) for row in self._core.since(seq, limit)]

    @property
    def gone(self) -> int:
        """How many went, ever."""
        return self._core.gone

    def gone_since(self, gone: int, limit: int) -> list[PitRef] | None:
        """Return snapshots that went after so many, in the order in which they went; None: not all are known.

        Args:
            gone: How many had gone before.
            limit: The first so many.
        """
        rows = self._core.gone_since(gone, limit)
        return None if rows is None else [_ref(row) for row in rows]

    def seq_first(self) -> int:
        """Return the number of the oldest record that is live; 0: none is."""
        return self._core.seq_first()

    def is_held(self, snapshot_id: str) -> bool:
        """Return whether retention must leave it: by a keep label, or since a live one was made from it."""
        return self._core.is_held(snapshot_id)

    def is_dropped(self, digits: str) -> bool:
        """Return whether a snapshot was dropped and may have left files; until ``settle``."""
        return self._core.is_dropped(digits)

    def shelves(self) -> Shelves:
        """Return who tells which files belong to live snapshots."""
        return Shelves(self._core)


class Shelves:
    """Tells which files belong to live snapshots, an entity at a time; any thread may ask."""

    def __init__(self, core: PitIndex) -> None:
        self._core = core
        self._spellings: Mapping[str, str] = {_folder(spelling): spelling for spelling, _ in core.entities()}

    def of(self, folder: str) -> PitShelf:
        """Return the shelf of the entity that a folder bears the name of; it is empty if there is none."""
        return self._core.shelf(self._spellings.get(folder, ""))


class Catalog:
    """The index as threads share it: one applies what was committed, any may look up under ``lock``."""

    def __init__(self) -> None:
        self.index = Index()
        self.lock = threading.Lock()

    def apply(self, lines: Iterable[bytes]) -> None:
        """Take in what was committed."""
        with self.lock:
            for text in lines:
                self.index.apply(text)

    def rebuild(self, lines: Iterable[bytes]) -> None:
        """Begin anew; readers see the old index until the new one is whole.

        What is judged is taken in by another thread while the next lines are judged; one part may wait.
        """
        fresh, taking = Index(), None
        with ThreadPoolExecutor(1, thread_name_prefix="pit-index") as hand:
            for text in lines:
                if taking is not None:
                    taking.result()
                taking = hand.submit(fresh.apply, text)
        if taking is not None:
            taking.result()
        with self.lock:
            self.index = fresh


def key_of(snapshot_id: str) -> bytes:
    """Return what an id and the names of its files have in common."""
    return bytes.fromhex(snapshot_id[:NAME_DIGITS])


def _ref(row: _Row) -> PitRef:
    snapshot_id, seq, entity, kind, ts, size, rows, is_table, labels = row
    suffix = PARQUET if is_table else JSON
    return PitRef(
        id=snapshot_id,
        seq=seq,
        entity=_text(entity),
        kind=_text(kind),
        ts_wall=ts,
        path=f"{_folder(entity)}/{day_of(ts)}/{stem_of(ts, snapshot_id)}{suffix}",
        size_bytes=size,
        rows=rows,
        labels=tuple(map(_text, labels)),
    )


def _spelling(text: str) -> str:
    """Return a text as JSON spells it; there is one way."""
    return json.dumps(text)[1:-1]


def _text(spelling: str) -> str:
    """Return what a text of the core says."""
    return str(json.loads(f'"{spelling}"')) if "\\" in spelling else spelling


@lru_cache(maxsize=4_096)
def _folder(spelling: str) -> str:
    return Entity.parse(_text(spelling)).folder


def _within(ts: int) -> int:
    return min(max(ts, -1), TS_MAX)
