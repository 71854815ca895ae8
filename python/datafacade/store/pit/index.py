"""Find snapshots by id and by time: columns in memory, rebuilt from the manifest. No I/O."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from datafacade.store.pit.names import ID_DIGITS, JSON, NAME_DIGITS, PARQUET, Entity, day_of, stem_of
from datafacade.store.pit.record import CUT, DROP, LABEL, PUT, PitRef

NEWEST: Final = 64  # snapshots whose files are read at every start
GONE_MAX: Final = 65_536  # of the newest that went, as many are named to those who follow
KEEP: Final = "keep"
_ID_BYTES: Final = ID_DIGITS // 2
_KEY_BYTES: Final = NAME_DIGITS // 2  # what names on disk carry is what must be unique


class Names:
    """Small numbers for texts that repeat."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """Return the text's number."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return number

    def find(self, text: str) -> int | None:
        """Return the text's number if it has one."""
        return self._numbers.get(text)


class Timeline:
    """Snapshots of one entity, by wall time; what came later wins where the clock says the same."""

    def __init__(self) -> None:
        self.ts = array("q")
        self.slots = array("L")

    def add(self, ts: int, slot: int) -> None:
        """Take one in."""
        if not self.ts or self.ts[-1] <= ts:
            self.ts.append(ts)
            self.slots.append(slot)
        else:
            at = bisect_right(self.ts, ts)
            self.ts.insert(at, ts)
            self.slots.insert(at, slot)

    def remove(self, ts: int, slot: int) -> None:
        """Take one out."""
        at = self.slots.index(slot, bisect_left(self.ts, ts), bisect_right(self.ts, ts))
        del self.ts[at], self.slots[at]


class Index:
    """Everything that is live. About 150 bytes a snapshot."""

    def __init__(self) -> None:
        self.dropped: set[bytes] = set()  # keys whose files may still be there
        self.bytes_live = 0  # of the answers
        self.newest: deque[dict[str, Any]] = deque(maxlen=NEWEST)  # their lines
        self._slots: dict[bytes, int] = {}
        self._ids = bytearray()
        self._ts, self._seq = array("q"), array("Q")
        self._size, self._rows = array("Q"), array("Q")
        self._entity, self._kind = array("L"), array("L")
        self._is_table = bytearray()
        self._entities, self._kinds = Names(), Names()
        self._timelines: list[Timeline] = []
        self._labels: dict[bytes, tuple[str, ...]] = {}
        self._references: dict[bytes, tuple[bytes, ...]] = {}
        self._referenced: Counter[bytes] = Counter()
        self.gone = 0  # that went, ever
        self._gone: deque[int] = deque(maxlen=GONE_MAX)  # slots of the newest of them

    def __len__(self) -> int:
        """Return how many are live."""
        return len(self._slots)

    def __contains__(self, snapshot_id: object) -> bool:
        """Return whether a snapshot of this id, or of its name on disk, is live."""
        return isinstance(snapshot_id, str) and key_of(snapshot_id) in self._slots

    @property
    def entities(self) -> list[str]:
        """All entities that have a live snapshot, sorted."""
        named = zip(self._entities.texts, self._timelines, strict=True)
        return sorted(text for text, line in named if line.ts)

    @property
    def seq_last(self) -> int:
        """Number of the newest record of a snapshot, live or not; 0: there is none."""
        return self._seq[-1] if self._seq else 0

    def apply(self, line: dict[str, Any]) -> None:
        """Take in one line of the manifest; one that was seen before changes nothing."""
        operation = line["op"]
        if operation == CUT:
            self._cut(line["first"])
            return
        key = key_of(line["id"])
        if operation == PUT and key not in self._slots:
            self._put(key, line)
        elif operation == DROP and key in self._slots:
            self._drop(key)
        elif operation == LABEL and key in self._slots:
            self._label(key, tuple(line["labels"]))

    def find(self, snapshot_id: str) -> PitRef | None:
        """Return the snapshot of an id or of its first 16 digits or more; None: there is none, or several."""
        if len(snapshot_id) >= NAME_DIGITS:
            slot = self._slots.get(key_of(snapshot_id))
            ref = None if slot is None else self._ref(slot)
            return ref if ref is not None and ref.id.startswith(snapshot_id) else None
        found = [slot for key, slot in self._slots.items() if key.hex().startswith(snapshot_id)]
        return self._ref(found[0]) if len(found) == 1 else None

    def known(self, snapshot_id: str) -> PitRef:
        """Return the snapshot of an id that is live.

        Raises:
            KeyError: It is not.
        """
        return self._ref(self._slots[key_of(snapshot_id)])

    def at(self, entity: str, ts: int) -> PitRef | None:
        """Return the newest snapshot of an entity at a time, ns UTC."""
        line = self._timeline(entity)
        at = bisect_right(line.ts, ts) if line else 0
        return self._ref(line.slots[at - 1]) if line and at else None

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
        line = self._timeline(entity)
        if line is None:
            return []
        first, end = bisect_left(line.ts, ts_from), bisect_left(line.ts, ts_to)
        if after is not None:
            first = max(first, bisect_right(line.slots, after, key=self._place))
        if limit is not None:
            end = min(end, first + limit)
        return [self._ref(slot) for slot in line.slots[first:end]]

    def refs(self) -> Iterator[PitRef]:
        """Yield all live snapshots in their logical order."""
        for slot in sorted(self._slots.values()):
            yield self._ref(slot)

    def since(self, seq: int, limit: int) -> list[PitRef]:
        """Return live snapshots whose number is greater, in their logical order; no more than ``limit``."""
        slots = range(bisect_right(self._seq, seq), len(self._seq))
        return [self._ref(slot) for slot in islice(filter(self._is_live, slots), limit)]

    def gone_since(self, gone: int, limit: int) -> list[PitRef] | None:
        """Return snapshots that went after so many, in the order in which they went; None: not all are known.

        Args:
            gone: How many had gone before.
            limit: The first so many.
        """
        first = len(self._gone) - (self.gone - gone)
        if first < 0:
            return None
        return [self._ref(slot) for slot in islice(self._gone, first, first + limit)]

    def folders(self) -> dict[str, int]:
        """Return the folder of each entity and what ``holds`` calls it."""
        return {Entity.parse(text).folder: number for number, text in enumerate(self._entities.texts)}

    def holds(self, key: bytes, entity: int) -> int | None:
        """Return the wall time of an entity's live snapshot, ns UTC; None: it is not live, or another's."""
        slot = self._slots.get(key)
        return None if slot is None or self._entity[slot] != entity else self._ts[slot]

    def seq_first(self) -> int:
        """Return the number of the oldest record that is live; 0: none is."""
        return min((self._seq[slot] for slot in self._slots.values()), default=0)

    def is_held(self, snapshot_id: str) -> bool:
        """Return whether retention must leave it: by a keep label, or since a live one was made from it."""
        key = key_of(snapshot_id)
        kept = any(label == KEEP or label.startswith(f"{KEEP}:") for label in self._labels.get(key, ()))
        return kept or self._referenced[key] > 0

    def references(self, snapshot_id: str) -> list[str]:
        """Return the names of the snapshots that it was made from."""
        return [key.hex() for key in self._references.get(key_of(snapshot_id), ())]

    def _put(self, key: bytes, line: dict[str, Any]) -> None:
        slot = len(self._ts)
        self.newest.append(line)
        entity = self._entities.number(line["entity"])
        if entity == len(self._timelines):
            self._timelines.append(Timeline())
        self._slots[key] = slot
        self._ids += bytes.fromhex(line["id"])
        self.dropped.discard(key)
        self._ts.append(line["ts"])
        self._seq.append(line["seq"])
        self._size.append(line["size"])
        self._rows.append(line["rows"])
        self._entity.append(entity)
        self._kind.append(self._kinds.number(line["kind"]))
        self._is_table.append("json" not in line)
        self._timelines[entity].add(line["ts"], slot)
        self.bytes_live += line["size"]
        if "labels" in line:
            self._labels[key] = tuple(line["labels"])
        if "refs" in line:
            self._references[key] = tuple(key_of(name) for name in line["refs"])
            self._referenced.update(self._references[key])

    def _drop(self, key: bytes) -> None:
        slot = self._slots.pop(key)
        self._timelines[self._entity[slot]].remove(self._ts[slot], slot)
        self.bytes_live -= self._size[slot]
        self.dropped.add(key)
        self.gone += 1
        self._gone.append(slot)
        self._labels.pop(key, None)
        self._referenced.subtract(self._references.pop(key, ()))

    def _cut(self, first: int) -> None:
        """Let go of what is before the cut: a power loss may have left records without their ends."""
        for key in [key for key, slot in self._slots.items() if self._seq[slot] < first]:
            self._drop(key)

    def _label(self, key: bytes, labels: tuple[str, ...]) -> None:
        if labels:
            self._labels[key] = labels
        else:
            self._labels.pop(key, None)

    def _place(self, slot: int) -> tuple[int, int]:
        return self._ts[slot], self._seq[slot]

    def _is_live(self, slot: int) -> bool:
        start = slot * _ID_BYTES
        return self._slots.get(bytes(self._ids[start : start + _KEY_BYTES])) == slot

    def _timeline(self, entity: str) -> Timeline | None:
        number = self._entities.find(entity)
        return None if number is None else self._timelines[number]

    def _ref(self, slot: int) -> PitRef:
        entity = self._entities.texts[self._entity[slot]]
        identity = bytes(self._ids[slot * _ID_BYTES : (slot + 1) * _ID_BYTES])
        snapshot_id, ts = identity.hex(), self._ts[slot]
        suffix = PARQUET if self._is_table[slot] else JSON
        return PitRef(
            id=snapshot_id,
            seq=self._seq[slot],
            entity=entity,
            kind=self._kinds.texts[self._kind[slot]],
            ts_wall=ts,
            path=f"{Entity.parse(entity).folder}/{day_of(ts)}/{stem_of(ts, snapshot_id)}{suffix}",
            size_bytes=self._size[slot],
            rows=self._rows[slot],
            labels=self._labels.get(identity[:_KEY_BYTES], ()),
        )


class Catalog:
    """The index as threads share it: one applies what was committed, any may look up under ``lock``."""

    def __init__(self) -> None:
        self.index = Index()
        self.lock = threading.Lock()

    def apply(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take in what was committed."""
        with self.lock:
            for line in lines:
                self.index.apply(line)

    def rebuild(self, lines: Iterable[dict[str, Any]]) -> None:
        """Begin anew; readers see the old index until the new one is whole."""
        fresh = Index()
        for line in lines:
            fresh.apply(line)
        with self.lock:
            self.index = fresh


def key_of(snapshot_id: str) -> bytes:
    """Return what an id and the names of its files have in common."""
    return bytes.fromhex(snapshot_id[:NAME_DIGITS])
