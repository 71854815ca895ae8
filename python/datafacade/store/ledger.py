"""Keep the completeness of every topic on disk: what was covered, what is missing, what became of it.

One writer, and one thread at a time. What is written survives the death of the process; time behind the last
mark of life counts as not covered. A span that is open has no end yet: it reaches to its run's mark of life.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from datafacade.errors import DataDirUnusable
from datafacade.store.notes import GapNote, Note, Standing
from datafacade.store.spans import Hole, Span, SpanState, join
from datafacade.types import Channel, Topic
from datafacade.v1 import stream_pb2

FILE_MODE: Final = 0o640
ROWS_MAX: Final = 1_000_000  # spans, and gaps; the oldest leave first
GAPS_TOLD_MAX: Final = 10_000  # of one answer

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS topic (
    id INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL, channel INTEGER NOT NULL,
    variant TEXT NOT NULL, UNIQUE (venue, symbol, channel, variant));
CREATE TABLE IF NOT EXISTS run (epoch INTEGER PRIMARY KEY, ts_alive INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS span (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, epoch INTEGER NOT NULL, ts_start INTEGER NOT NULL,
    ts_end INTEGER, state INTEGER NOT NULL, seq_first INTEGER NOT NULL, seq_last INTEGER NOT NULL,
    venue_sequence_first INTEGER, venue_sequence_last INTEGER);
CREATE INDEX IF NOT EXISTS span_of_topic ON span (topic, ts_start);
CREATE INDEX IF NOT EXISTS span_end ON span (ts_end);
CREATE TABLE IF NOT EXISTS gap (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, epoch INTEGER NOT NULL, gap_id INTEGER NOT NULL,
    ts_start INTEGER NOT NULL, ts_end INTEGER, is_filled INTEGER NOT NULL, message BLOB NOT NULL,
    UNIQUE (topic, epoch, gap_id));
CREATE INDEX IF NOT EXISTS gap_of_topic ON gap (topic, ts_start);
"""
_REACHES: Final = "coalesce(ts_end, (SELECT ts_alive FROM run WHERE run.epoch = {table}.epoch))"

SeqLast = Callable[[Topic, int], int]  # the newest seq of a topic in an epoch; 0: unknown


class Coverage(NamedTuple):
    """An answer: spans that together are the interval, and the gaps that touch it."""

    spans: list[Span]
    gaps: list[stream_pb2.Gap]


class _Open(NamedTuple):
    """The span of a topic that has not ended."""

    id: int
    state: SpanState
    epoch: int


class Ledger:
    """The ledger of one data directory."""

    def __init__(self, base: sqlite3.Connection, *, epoch: int) -> None:
        self._base = base
        self._epoch = epoch
        self._topics: dict[Topic, int] = {}
        self._open: dict[int, _Open] = {}  # by topic
        self._floor: dict[int, int] = {}  # by topic: the end of its newest span

    @classmethod
    def open(
        cls, path: Path, *, epoch: int, now_ns: int, seq_last: SeqLast = lambda _topic, _epoch: 0
    ) -> Ledger:
        """Open the ledger; what an earlier run left open ends at its last mark of life.

        Args:
            path: The file; made if it is not there, put aside if it is damaged.
            epoch: Of this run.
            now_ns: Wall time, ns UTC.
            seq_last: Asked for the newest seq of spans that a crash left open.

        Raises:
            DataDirUnusable: The file cannot be made, read or written.
        """
        try:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE))
            if path.is_symlink():
                raise DataDirUnusable(str(path), "expected a file, received a link")
            base = _connect(path)
        except OSError as error:
            raise DataDirUnusable(str(path), str(error.strerror).lower()) from error
        except sqlite3.Error as error:
            raise DataDirUnusable(str(path), str(error)) from error
        ledger = cls(base, epoch=epoch)
        ledger._begin(now_ns, seq_last)
        return ledger

    def close(self) -> None:
        """Close the file. Open spans end at the last mark of life."""
        self._base.close()

    # Writing

    def write(self, notes: Iterable[Note], *, ts_alive: int, is_torn: bool = False) -> None:
        """Write notes, in their order, and that everything up to ``ts_alive`` was noted; all or nothing.

        Args:
            notes: What happened since the last call.
            ts_alive: Mark of life, ns UTC; it never goes back.
            is_torn: Whether notes are missing: then what was proven before is unproven from the last mark on.

        Raises:
            sqlite3.Error: Nothing was written.
        """
        opened, floor, topics = dict(self._open), dict(self._floor), dict(self._topics)
        try:
            with self._base:
                if is_torn:
                    self._doubt()
                for note in notes:
                    self._note(note)
                self._base.execute(
                    "UPDATE run SET ts_alive = max(ts_alive, ?) WHERE epoch = ?", (ts_alive, self._epoch)
                )
        except BaseException:
            self._open, self._floor, self._topics = opened, floor, topics
            raise

    def forget(self, *, ts_before: int) -> None:
        """Remove what ended before an instant, and the oldest rows beyond the bound."""
        with self._base:
            self._base.execute("DELETE FROM span WHERE ts_end < ?", (ts_before,))
            self._base.execute("DELETE FROM gap WHERE coalesce(ts_end, ts_start) < ?", (ts_before,))
            for table in ("span", "gap"):
                self._base.execute(
                    f"DELETE FROM {table} WHERE ts_end IS NOT NULL AND id <="  # noqa: S608  our own names
                    f" (SELECT max(id) FROM {table}) - ?",
                    (ROWS_MAX,),
                )

    # Reading

    def coverage(self, topic: Topic, *, ts_start: int, ts_end: int) -> Coverage:
        """Return what is known of a topic in an interval.

        Args:
            topic: In its canonical spelling.
            ts_start: First instant, ns UTC; 0: the oldest that is known.
            ts_end: First instant behind it, ns UTC; above 0.
        """
        number = self._topics.get(topic, -1)
        if ts_start <= 0:
            ts_start = self._oldest(number, ts_end)
        spans = self._spans(number, ts_start, ts_end)
        holes, gaps = self._gaps(number, ts_start, ts_end)
        return Coverage(join(spans, holes, ts_start=ts_start, ts_end=ts_end), gaps)

    def _oldest(self, number: int, ts_end: int) -> int:
        row = self._base.execute("SELECT min(ts_start) FROM span WHERE topic = ?", (number,)).fetchone()
        return ts_end - 1 if row[0] is None else min(int(row[0]), ts_end - 1)

    def _spans(self, number: int, ts_start: int, ts_end: int) -> list[Span]:
        reaches = _REACHES.format(table="span")
        rows = self._base.execute(
            f"SELECT ts_start, {reaches} AS reach, state, epoch, seq_first, seq_last, venue_sequence_first,"  # noqa: S608  our own names
            " venue_sequence_last FROM span WHERE topic = ? AND ts_start < ? AND reach > ?"
            " ORDER BY ts_start, id",
            (number, ts_end, ts_start),
        )
        return [
            Span(
                ts_start=start,
                ts_end=end,
                state=SpanState(state),
                epoch=epoch,
                seq_first=seq_first if seq_last >= seq_first else 0,
                seq_last=seq_last if seq_last >= seq_first else 0,
                venue_sequence_first=venue_first,
                venue_sequence_last=venue_last,
            )
            for start, end, state, epoch, seq_first, seq_last, venue_first, venue_last in rows
            if end > start
        ]

    def _gaps(self, number: int, ts_start: int, ts_end: int) -> tuple[list[Hole], list[stream_pb2.Gap]]:
        reaches = _REACHES.format(table="gap")
        rows = self._base.execute(
            f"SELECT ts_start, {reaches} AS reach, epoch, is_filled, message FROM gap"  # noqa: S608  our own names
            " WHERE topic = ? AND ts_start < ? AND reach > ? ORDER BY ts_start, id",
            (number, ts_end, ts_start),
        ).fetchall()
        holes = [
            Hole(ts_start=start, ts_end=end, epoch=epoch, is_filled=bool(is_filled))
            for start, end, epoch, is_filled, _ in rows
        ]
        return holes, [stream_pb2.Gap.FromString(row[4]) for row in rows[:GAPS_TOLD_MAX]]

    # One note

    def _begin(self, now_ns: int, seq_last: SeqLast) -> None:
        for number, *name in self._base.execute("SELECT id, venue, symbol, channel, variant FROM topic"):
            self._topics[_topic(*name)] = number
        numbers = {number: topic for topic, number in self._topics.items()}
        with self._base:
            left = self._base.execute(
                f"SELECT id, topic, epoch, {_REACHES.format(table='span')} FROM span WHERE ts_end IS NULL"  # noqa: S608  our own names
            ).fetchall()
            for row, number, epoch, reach in left:
                newest = seq_last(numbers[number], epoch) if number in numbers else 0
                self._base.execute(
                    "UPDATE span SET ts_end = max(?, ts_start), seq_last = max(seq_last, ?) WHERE id = ?",
                    (reach or 0, newest, row),
                )
            self._base.execute(
                f"UPDATE gap SET ts_end = max(ts_start, {_REACHES.format(table='gap')})"  # noqa: S608  our own names
                " WHERE ts_end IS NULL"
            )
            self._base.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (self._epoch, now_ns))
            self._base.execute("DELETE FROM run WHERE epoch < ?", (self._epoch,))
        self._floor = dict(self._base.execute("SELECT topic, max(ts_end) FROM span GROUP BY topic"))

    def _note(self, note: Note) -> None:
        number = self._number(note.topic)
        if isinstance(note, GapNote):
            self._base.execute(
                "INSERT INTO gap (topic, epoch, gap_id, ts_start, ts_end, is_filled, message)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (topic, epoch, gap_id) DO UPDATE SET"
                " ts_start = excluded.ts_start, ts_end = excluded.ts_end, is_filled = excluded.is_filled,"
                " message = excluded.message",
                (number, note.epoch, note.gap_id, note.ts_start, note.ts_end, note.is_filled, note.message),
            )
            return
        current = self._open.get(number)
        if current is not None and current.state == note.state and current.epoch == note.epoch:
            return
        ts = max(note.ts, self._floor.get(number, 0))
        if current is not None:
            ts = self._end(number, current, ts, seq_last=note.seq - 1, venue_sequence=note.venue_sequence)
        if note.state != SpanState.NOT_COVERED:
            self._start(number, note, ts)

    def _start(self, number: int, note: Standing, ts: int) -> None:
        row = self._base.execute(
            "INSERT INTO span (topic, epoch, ts_start, state, seq_first, seq_last, venue_sequence_first)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, note.epoch, ts, note.state, note.seq, note.seq, note.venue_sequence),
        ).lastrowid
        self._open[number] = _Open(row or 0, note.state, note.epoch)

    def _end(self, number: int, current: _Open, ts: int, *, seq_last: int, venue_sequence: int | None) -> int:
        """End the open span of a topic; return when it did: never before it began."""
        ended = self._base.execute(
            "UPDATE span SET ts_end = max(ts_start, ?), seq_last = max(seq_last, ?),"
            " venue_sequence_last = ? WHERE id = ? RETURNING ts_end",
            (ts, seq_last, venue_sequence, current.id),
        ).fetchone()
        del self._open[number]
        self._floor[number] = int(ended[0])
        return self._floor[number]

    def _doubt(self) -> None:
        """Take the proof from all that is open, from the last mark of life on."""
        row = self._base.execute("SELECT ts_alive FROM run WHERE epoch = ?", (self._epoch,)).fetchone()
        names = {number: topic for topic, number in self._topics.items()}
        for number, current in list(self._open.items()):
            if current.state == SpanState.COMPLETE:
                ts = self._end(number, current, int(row[0]), seq_last=0, venue_sequence=None)
                doubted = Standing(
                    topic=names[number],
                    epoch=current.epoch,
                    ts=ts,
                    state=SpanState.UNPROVEN,
                    seq=0,
                    venue_sequence=None,
                )
                self._start(number, doubted, ts)

    def _number(self, topic: Topic) -> int:
        number = self._topics.get(topic)
        if number is None:
            row = self._base.execute(
                "INSERT INTO topic (venue, symbol, channel, variant) VALUES (?, ?, ?, ?)", tuple(topic)
            ).lastrowid
            number = self._topics[topic] = row or 0
        return number


def _topic(venue: str, symbol: str, channel: int, variant: str) -> Topic:
    return Topic(venue, symbol, Channel(channel), variant)


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file; one that is damaged is put aside, and a new one made."""
    try:
        return _prepared(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        path.replace(path.with_suffix(".damaged"))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE))
        return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.executescript(_SCHEMA)
    except sqlite3.Error:
        base.close()
        raise
    return base
