"""Keep the one list that says what exists: a chain of records in segments that are never changed.

A segment holds the records of one group of commits and is named after its first number. Many of them are
folded into one that holds the same lines and is named after its first and last number.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

from datafacade._core import PitChain
from datafacade.store.pit.files import Folder, problem_of
from datafacade.store.pit.record import CUT, line_of

FOLDER: Final = ".manifest"
SEGMENT_BYTES_MAX: Final = 24 * 2**20  # a larger one was never written by us
FOLDED_BYTES_MAX: Final = 16 * 2**20
_NAME: Final = re.compile(r"([0-9]{16})(?:-([0-9]{16}))?\.jsonl")

Lines = bytes  # of a segment that are whole, as they stand there
Publish = Callable[[Folder, str, bytes], None]  # writes a file by the protocol


class Damage(NamedTuple):
    """Something that is not what was written."""

    what: str  # id of a snapshot, or the file's path in the store
    file: str  # path in the store
    problem: str


class Segment(NamedTuple):
    """One file of the manifest."""

    first: int
    last: int  # of a folded one; else the same as the first, whatever it holds
    name: str

    @property
    def path(self) -> str:
        """Path in the store."""
        return f"{FOLDER}/{self.name}"

    @property
    def is_small(self) -> bool:
        """Whether it holds one group as it was committed."""
        return "-" not in self.name


class Plan(NamedTuple):
    """A segment that is to be appended; it holds as long as nobody else appends."""

    segment: Segment
    text: bytes


def segments_of(names: Iterable[str]) -> tuple[list[Segment], list[Segment]]:
    """Return the segments that hold the chain, in order, and those that a folded one has made superfluous.

    Example:
        >>> names = [f"{1:016d}-{2:016d}.jsonl", f"{2:016d}.jsonl", f"{3:016d}.jsonl"]
        >>> [[segment.first for segment in part] for part in segments_of(names)]
        [[1, 3], [2]]
    """
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            first = int(match[1])
            found.append(Segment(first, int(match[2] or first), name))
    found.sort(key=lambda segment: (segment.first, -segment.last))
    holding: list[Segment] = []
    spare: list[Segment] = []
    reach = 0
    for segment in found:
        (spare if segment.last <= reach else holding).append(segment)
        reach = max(reach, segment.last)
    return holding, spare


class Manifest:
    """The chain as one process sees it. Only the holder of the store's lock may append."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.chain = PitChain(FOLDER)
        self.segments: list[Segment] = []
        self._stamp = -1
        self._is_behind = True  # something may stand there that we do not know: all must be read anew

    @property
    def damages(self) -> list[Damage]:
        """What is wrong in the chain."""
        return [Damage(file, file, problem) for file, problem in self.chain.damages()]

    @property
    def seq_next(self) -> int:
        """Number of the next record."""
        named = (
            self.segments[-1].last if self.segments else 0
        )  # a segment may be unreadable: its name is taken
        return max(self.chain.seq, named) + 1

    def read(self) -> Iterator[Lines]:
        """Yield all whole lines from the beginning, a segment at a time, and judge the chain anew."""
        self._is_behind = True
        self.chain, self._stamp = PitChain(FOLDER), self.folder.stamp()
        self.segments, _ = segments_of(self.folder.names())
        yield from self._lines(self.segments)
        self.chain.end()
        self._is_behind = False

    def told(self) -> Iterator[dict[str, Any]]:
        """Yield what every whole line tells, as ``read`` does."""
        for lines in self.read():
            yield from told_in(lines)

    def news(self) -> Iterator[Lines] | None:
        """Return what other processes appended since; None: read it anew, they folded or cut it.

        Raises:
            OSError: It cannot be looked at now; the next call returns None.
        """
        if self._is_behind:
            return None
        if self.folder.stamp() == self._stamp and self.folder.facts(_name(self.seq_next)) is None:
            return iter(())
        self._is_behind = True
        self._stamp = self.folder.stamp()
        segments, _ = segments_of(self.folder.names())
        known = len(self.segments)
        if segments[:known] != self.segments:
            return None
        self.segments = segments
        lines = [*self._lines(segments[known:])]
        self._is_behind = False
        return iter(lines)

    def plan(self, told: Sequence[Mapping[str, Any]]) -> Plan:
        """Return the next segment with these records in it; nothing is written.

        Args:
            told: What each record tells, without its number.
        """
        seq, prev = self.seq_next, self.chain.head
        text = bytearray()
        for number, values in enumerate(told, seq):
            more = {"lines": len(told)} if number == seq and len(told) > 1 else {}
            line, prev = line_of({**values, **more}, seq=number, prev=prev)
            text += line
        return Plan(Segment(seq, seq, _name(seq)), bytes(text))

    def append(self, plan: Plan, publish: Publish) -> list[Lines]:
        """Append a segment as planned, durably; return its lines.

        Args:
            plan: What to append.
            publish: Writes a file by the protocol; raises ``FileExistsError`` if the name is taken.
        """
        segment, text = plan
        self._is_behind = True  # until it is there, or surely not
        publish(self.folder, segment.name, text)
        self.segments.append(segment)
        self._stamp = self.folder.stamp()
        self._is_behind = False
        return [whole(self.chain, segment, text)]

    def fold(self, publish: Publish, *, least: int) -> int:
        """Write small segments as one, then remove them; return how many went.

        Args:
            publish: Writes a file by the protocol.
            least: Leave it be while fewer are there.
        """
        small = [segment for segment in self.segments if segment.is_small]
        if len(small) <= least or self.chain.damages():
            return 0
        texts = [self.folder.read(segment.name) for segment in small[:-1]]  # processes look for the newest
        count = sum(size <= FOLDED_BYTES_MAX for size in accumulate(map(len, texts)))
        if count < 2:
            return 0
        first, last = small[0].first, small[count].first - 1
        whole = Segment(first, last, f"{first:016d}-{last:016d}.jsonl")
        publish(self.folder, whole.name, b"".join(texts[:count]))
        at = self.segments.index(small[0])
        self.segments[at : at + count] = [whole]
        self.sweep()
        return count

    def cut(self, seq_live: int, publish: Publish, *, ts: int) -> int:
        """Let go of segments of which nothing is live any more; return how many went.

        Args:
            seq_live: Number of the oldest record that is live; 0: none is.
            publish: Writes a file by the protocol.
            ts: Wall time, ns UTC.
        """
        reach = seq_live or self.seq_next
        dead = [left for left, right in pairwise(self.segments) if right.first <= reach]
        if not dead or self.chain.damages():
            return 0
        first = self.segments[len(dead)]
        follows = json.loads(self.folder.read(first.name).partition(b"\n")[0])["prev"]
        told = {"op": CUT, "id": "", "ts": ts, "first": first.first, "follows": follows}
        self.append(self.plan([told]), publish)
        self.segments = self.segments[len(dead) :]
        self.sweep()
        return len(dead)

    def sweep(self) -> None:
        """Remove segments whose lines stand in a folded one or were cut off, after that is durable."""
        holding, spare = segments_of(self.folder.names())
        spare += [left for left, right in pairwise(holding) if right.first <= self.chain.cut_at]
        for segment in spare:
            self.folder.unlink(segment.name)
        self.segments = [segment for segment in self.segments if segment not in spare]
        self._stamp = self.folder.stamp()

    def _lines(self, segments: Iterable[Segment]) -> Iterator[Lines]:
        for segment in segments:
            self.chain.expect(segment.first)
            try:
                facts = self.folder.facts(segment.name)
                if facts is not None and facts.size > SEGMENT_BYTES_MAX:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
                content = self.folder.read(segment.name)
            except OSError as error:
                self.chain.miss(segment.last, segment.path, problem_of(error))
                continue
            yield whole(self.chain, segment, content)


def whole(chain: PitChain, segment: Segment, content: bytes) -> Lines:
    """Let a chain judge a segment; return all lines that are whole, wherever they stand."""
    return chain.take(segment.first, segment.last, segment.path, segment.is_small, content)


def told_in(lines: Lines) -> Iterator[dict[str, Any]]:
    """Yield what each of these lines tells."""
    return map(json.loads, BytesIO(lines))


def _name(seq: int) -> str:
    return f"{seq:016d}.jsonl"
