"""A hub and a journal as naive models: lists of records, and what one stream was told in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from datafacade._core import PositionAhead, PositionLost
from datafacade.v1 import hot_pb2

STREAM = 1  # the subscriber that is told
SCOUT = 2  # one that only asks


class Told(NamedTuple):
    """One thing that a stream was told: a phase, ``gap``, ``update``, ``snapshot``."""

    kind: str
    epoch: int = 0
    seq: int = 0
    detail: Any = None


def entries_of(epoch: int, seqs: range) -> bytes:
    """Encode records as entries of field 4."""
    updates = [hot_pb2.Update(epoch=epoch, seq=seq, ts_publish=epoch * 1000 + seq) for seq in seqs]
    return hot_pb2.HotSubscribeResponse(updates=updates).SerializeToString()


@dataclass
class FakeHub:
    """Topics of one epoch, of which the ring holds the newest records; one subscriber."""

    epoch: int
    head_seq: int = 0
    ring_from: int = 1  # oldest seq in the ring
    told: list[Told] = field(default_factory=list)
    attached: dict[str, Any] | None = None
    owed_bytes: int = 0
    is_ended: bool = False

    def publish(self, count: int, *, ring: int) -> None:
        """Add records; the ring keeps so many."""
        before = self.head_seq
        self.head_seq += count
        self.ring_from = max(self.ring_from, self.head_seq - ring + 1)
        if self.attached is not None:
            self.told += [Told("update", self.epoch, seq) for seq in range(before + 1, self.head_seq + 1)]

    def head(self, *_: object) -> int:
        return self.head_seq

    def subscriber(self) -> int:
        return SCOUT

    def close(self, subscriber: int) -> None:
        assert subscriber == SCOUT

    def owed(self, _: int) -> int | None:
        return None if self.is_ended else self.owed_bytes

    def attach(
        self,
        subscriber: int,
        *_: object,
        start: str,
        seq_after: int = 0,
        phase: str = "accepted",
        **rest: object,
    ) -> tuple[int, int]:
        if subscriber == SCOUT:
            return self.head_seq + 1, self.ring_from
        if self.is_ended:
            raise ValueError("the stream has ended")
        if start == "after" and seq_after > self.head_seq:
            raise PositionAhead(self.head_seq)
        if start == "after" and seq_after + 1 < self.ring_from:
            raise PositionLost(self.ring_from)
        if phase:
            self.told.append(Told(phase))
        if start == "after":
            self.told += [Told("update", self.epoch, seq) for seq in range(seq_after + 1, self.head_seq + 1)]
            self.told.append(Told("caught_up"))
        elif start in ("cut", "newest"):
            self.told.append(Told("snapshot", self.epoch, self.head_seq))
        self.attached = {"start": start, **rest}
        return self.head_seq + 1, self.ring_from

    def status(self, _: int, *__: object, phase: str, **rest: object) -> bool:
        self.told.append(Told(phase, detail=rest))
        return not self.is_ended

    def gap(
        self, _: int, *__: object, epoch: int, seq_first: int, seq_last: int, cause: str, **rest: object
    ) -> bool:
        named = {"first": seq_first, "last": seq_last, "cause": cause}
        self.told.append(Told("gap", epoch, detail=rest | named))
        return not self.is_ended

    def push_entries(self, _: int, entries: bytes) -> bool:
        updates = hot_pb2.HotSubscribeResponse.FromString(entries).updates
        self.told += [Told("update", update.epoch, update.seq) for update in updates]
        return not self.is_ended


@dataclass
class FakeJournal:
    """What the disk holds: for each epoch the first and the last seq."""

    held: dict[int, tuple[int, int]] = field(default_factory=dict)
    chunk: int = 7  # records a read
    is_broken: bool = False

    def ranges(self, *_: object) -> list[tuple[int, int, int]]:
        if self.is_broken:
            raise OSError("disk")
        return [(epoch, first, last) for epoch, (first, last) in self.held.items()]

    def read(self, *_: object, epoch: int, seq_after: int, bytes_max: int) -> tuple[bytes, int]:
        assert bytes_max > 0
        first, last = self.held.get(epoch, (1, 0))
        seqs = range(max(first, seq_after + 1), min(last, seq_after + self.chunk) + 1)
        return (entries_of(epoch, seqs), seqs[-1]) if seqs else (b"", seq_after)
