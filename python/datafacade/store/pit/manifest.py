"""Keep the one list that says what exists: a chain of records in segments that are never changed.

A segment holds the records of one group of commits and is named after its first number. Many of them are
folded into one that holds the same lines and is named after its first and last number.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

from datafacade.store.pit.files import Folder, problem_of
from datafacade.store.pit.record import CUT, ZERO, Broken, is_line, line_of, values_of

FOLDER: Final = ".manifest"
SEGMENT_BYTES_MAX: Final = 24 * 2**20  # a larger one was never written by us
FOLDED_BYTES_MAX: Final = 16 * 2**20
BROKEN_MAX: Final = 100  # lines of one segment that are named; what follows them is not read
_NAME: Final = re.compile(r"([0-9]{16})(?:-([0-9]{16}))?\.jsonl")

Line = dict[str, Any]  # what one line tells
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


class Chain:
    """Judges lines in order: what is broken, missing, doubled or out of place."""

    def __init__(self) -> None:
        self.damages: list[Damage] = []
        self.last: Line | None = None
        self._noted: list[tuple[int, Damage]] = []  # with the last record that it touches
        self._starts: dict[int, str] = {}  # what the first line of a segment follows
        self._is_torn = True  # the next line need not join: it is the first, or one before was unreadable
        self._cut: Line | None = None

    @property
    def seq(self) -> int:
        """Number of the last line; 0: there is none."""
        return int(self.last["seq"]) if self.last else 0

    @property
    def cut_at(self) -> int:
        """Number of the first record that the newest cut left; 0: there is none."""
        return int(self._cut["first"]) if self._cut else 0

    @property
    def head(self) -> str:
        """Hash of the last line."""
        return str(self.last["hash"]) if self.last else ZERO

    def lines(self, segment: Segment, content: bytes) -> Iterator[Line]:
        """Yield every line that is whole, wherever it stands; note what is wrong."""
        wanted, at, broken_lines = segment.last - segment.first + 1, 0, 0
        for at, text in enumerate(BytesIO(content or b"\n"), 1):
            try:
                line = _line_of(text.removesuffix(b"\n"))
            except Broken as broken:
                self.note(segment.path, f"line {at}: {broken}", max(segment.last, self.seq))
                self._is_torn = True
                broken_lines += 1
                if broken_lines >= BROKEN_MAX:
                    return
                continue
            if at == 1:
                self._starts[line["seq"]] = line["prev"]
                wanted = line.get("lines", 1) if segment.is_small else wanted
            self._join(segment, line, at)
            yield line
        if at != wanted and not self._is_torn:
            self.note(segment.path, f"{at} lines, expected {wanted}", max(segment.last, self.seq))
            self._is_torn = True

    def end(self) -> None:
        """Judge the beginning: it is the first line ever, or the one that the newest cut names."""
        first, follows = (1, ZERO) if self._cut is None else (self._cut["first"], self._cut["follows"])
        self.damages = [damage for reach, damage in self._noted if reach >= first]
        if self.last is not None and self._starts.get(first) != follows and not self.damages:
            path = f"{FOLDER}/{_name(first)}"
            self.damages.append(Damage(path, path, "missing, or not what the beginning was"))

    def expect(self, segment: Segment) -> None:
        """Note that a file is missing if the next one begins further on."""
        if self.last is not None and not self._is_torn and segment.first > self.seq + 1:
            self.note(
                f"{FOLDER}/{_name(self.seq + 1)}", f"missing up to {segment.first - 1}", segment.first - 1
            )
            self._is_torn = True

    def miss(self, segment: Segment, problem: str) -> None:
        """Note a file that cannot be read at all."""
        self.note(segment.path, problem, max(segment.last, self.seq))
        self._is_torn = True

    def note(self, file: str, problem: str, reach: int) -> None:
        """Note a damage and the last record that it touches: what was cut off since is none."""
        damage = Damage(file, file, problem)
        self._noted.append((reach, damage))
        self.damages.append(damage)

    def _join(self, segment: Segment, line: Line, at: int) -> None:
        if not self._is_torn and (line["seq"], line["prev"]) != (self.seq + 1, self.head):
            problem = f"line {at}: expected record {self.seq + 1}, found {line['seq']}"
            self.note(segment.path, problem, max(line["seq"], self.seq + 1))
        self._is_torn = False
        if line["op"] == CUT:
            self._cut = line
        if line["seq"] > self.seq:
            self.last = line


class Manifest:
    """The chain as one process sees it. Only the holder of the store's lock may append."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.chain = Chain()
        self.segments: list[Segment] = []
        self._stamp = -1
        self._is_behind = True  # something may stand there that we do not know: all must be read anew

    @property
    def seq_next(self) -> int:
        """Number of the next record."""
        named = (
            self.segments[-1].last if self.segments else 0
        )  # a segment may be unreadable: its name is taken
        return max(self.chain.seq, named) + 1

    def read(self) -> Iterator[Line]:
        """Yield every whole line from the beginning, and judge the chain anew."""
        self._is_behind = True
        self.chain, self._stamp = Chain(), self.folder.stamp()
        self.segments, _ = segments_of(self.folder.names())
        yield from self._lines(self.segments)
        self.chain.end()
        self._is_behind = False

    def news(self) -> Iterator[Line] | None:
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
        lines = list(self._lines(segments[known:]))
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

    def append(self, plan: Plan, publish: Publish) -> list[Line]:
        """Append a segment as planned, durably.

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
        return list(self.chain.lines(segment, text))

    def fold(self, publish: Publish, *, least: int) -> int:
        """Write small segments as one, then remove them; return how many went.

        Args:
            publish: Writes a file by the protocol.
            least: Leave it be while fewer are there.
        """
        small = [segment for segment in self.segments if segment.is_small]
        if len(small) <= least or self.chain.damages:
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
        if not dead or self.chain.damages:
            return 0
        first = self.segments[len(dead)]
        follows = values_of(self.folder.read(first.name).partition(b"\n")[0])["prev"]
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

    def _lines(self, segments: Iterable[Segment]) -> Iterator[Line]:
        for segment in segments:
            self.chain.expect(segment)
            try:
                facts = self.folder.facts(segment.name)
                if facts is not None and facts.size > SEGMENT_BYTES_MAX:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
                content = self.folder.read(segment.name)
            except OSError as error:
                self.chain.miss(segment, problem_of(error))
                continue
            yield from self.chain.lines(segment, content)


def _line_of(text: bytes) -> Line:
    values = values_of(text)
    if not is_line(values):
        raise Broken("it does not tell what it must")
    return values


def _name(seq: int) -> str:
    return f"{seq:016d}.jsonl"
