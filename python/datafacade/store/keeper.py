"""Run what outlives the process: start it, feed the ledger, say what is wrong, and end it in order."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple, TypeVar

from datafacade._core import Journal
from datafacade.clock import Clock
from datafacade.store.ledger import Coverage, Ledger
from datafacade.store.notes import read_notes
from datafacade.types import Topic

log = logging.getLogger(__name__)

T = TypeVar("T")

NOTE_S: Final = 1.0  # between two marks of life
FORGET_S: Final = 3_600
PENDING_BYTES_MAX: Final = 4 * 2**20  # notes that wait for a ledger which cannot be written
DAY_NS: Final = 86_400 * 10**9

# Warnings in Health: what an operator should know.
JOURNAL_STOPPED: Final = "JOURNAL_STOPPED"  # nothing is written: after a crash, resumes begin with a gap
JOURNAL_INCOMPLETE: Final = "JOURNAL_INCOMPLETE"  # updates are missing: resumes across them begin with a gap
JOURNAL_DAMAGED: Final = "JOURNAL_DAMAGED"  # files are not what was written
LEDGER_STOPPED: Final = "LEDGER_STOPPED"  # nothing is written: Coverage calls this time not covered


class Pending(NamedTuple):
    """Notices that are not in the ledger yet."""

    entries: bytes = b""
    is_torn: bool = False


class Keeper:
    """Journal and ledger of one run. The ledger is fed and asked on one thread of its own."""

    def __init__(self, journal: Journal, ledger: Ledger, *, clock: Clock, coverage_days: int) -> None:
        self.journal = journal
        self._ledger = ledger
        self._clock = clock
        self._kept_ns = coverage_days * DAY_NS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._pending = Pending()
        self._failures: dict[str, str] = {}  # what is wrong now, by event

    def start(self) -> None:
        """Begin to write."""
        self.journal.start()

    async def watch(self) -> None:
        """Mark life once a second, tell the log what stops and what goes on, until cancelled."""
        turns = 0
        while True:
            await self._run(partial(self._note, is_due=turns % FORGET_S == 0))
            turns += 1
            await asyncio.sleep(NOTE_S)

    async def stop(self) -> None:
        """Write what is left, and end."""
        await self._run(self._end)
        self._thread.shutdown()

    async def coverage(self, topic: Topic, *, ts_start: int, ts_end: int) -> Coverage:
        """Return what is known of a topic in an interval, up to this moment.

        Args:
            topic: In its canonical spelling.
            ts_start: First instant, ns UTC; 0: the oldest that is known.
            ts_end: First instant behind it, ns UTC; 0, or what lies ahead: now.
        """
        return await self._run(partial(self._answer, topic, ts_start, ts_end))

    def warnings(self) -> list[str]:
        """Return what Health warns of, in UPPER_SNAKE."""
        stats = self.journal.stats()
        facts = (
            (JOURNAL_STOPPED, stats["failure"] is not None),
            (JOURNAL_INCOMPLETE, stats["records_lost"] > 0),
            (JOURNAL_DAMAGED, stats["damages"] > 0),
            (LEDGER_STOPPED, "ledger" in self._failures),
        )
        return [name for name, is_so in facts if is_so]

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # On the thread

    def _note(self, *, is_due: bool = False) -> int:
        """Bring the ledger up to now; return how far it is, ns UTC."""
        now = self._clock.wall_ns()
        is_whole = self.journal.flush()
        self._write(now if is_whole else 0)
        if is_due:
            self._guarded(partial(self._ledger.forget, ts_before=now - self._kept_ns))
        self._tell("journal", self.journal.stats()["failure"])
        return now

    def _answer(self, topic: Topic, ts_start: int, ts_end: int) -> Coverage:
        now = self._note()
        end = min(ts_end, now) if ts_end > 0 else now
        return self._ledger.coverage(topic, ts_start=min(ts_start, end - 1), ts_end=end)

    def _end(self) -> None:
        now = self._clock.wall_ns()
        self.journal.stop()
        failure = self.journal.stats()["failure"]
        self._write(now if failure is None else 0)
        self._tell("journal", failure)
        self._ledger.close()

    def _write(self, ts_alive: int) -> None:
        """Write what waits; if that fails it waits on, within its bound."""
        entries, is_torn = self.journal.take_notices()
        entries, is_torn = self._pending.entries + entries, self._pending.is_torn or is_torn
        if len(entries) > PENDING_BYTES_MAX:
            entries, is_torn = b"", True
        self._pending = Pending(entries, is_torn)
        write = partial(self._ledger.write, read_notes(entries), ts_alive=ts_alive, is_torn=is_torn)
        if self._guarded(write):
            self._pending = Pending()

    def _guarded(self, work: partial[None]) -> bool:
        try:
            work()
        except sqlite3.Error as error:
            self._tell("ledger", str(error))
            return False
        self._tell("ledger", None)
        return True

    def _tell(self, part: str, failure: str | None) -> None:
        """Log it when a part stops, and when it goes on."""
        if failure is not None and part not in self._failures:
            log.error(f"{part}.stopped", extra={"problem": failure})
        elif failure is None and part in self._failures:
            log.info(f"{part}.resumed")
        if failure is None:
            self._failures.pop(part, None)
        else:
            self._failures[part] = failure
