"""Run what outlives the process: start it, watch it, say what is wrong with it, and end it in order."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from datafacade._core import Journal

log = logging.getLogger(__name__)

WATCH_S: Final = 1.0

# Warnings in Health: what an operator should know.
JOURNAL_STOPPED: Final = "JOURNAL_STOPPED"  # nothing is written: after a crash, resumes begin with a gap
JOURNAL_INCOMPLETE: Final = "JOURNAL_INCOMPLETE"  # updates are missing: resumes across them begin with a gap
JOURNAL_DAMAGED: Final = "JOURNAL_DAMAGED"  # files are not what was written


class Keeper:
    """The journal of one run."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._failure: str | None = None

    def start(self) -> None:
        """Begin to write."""
        self.journal.start()

    async def watch(self) -> None:
        """Tell the log when the journal stops and when it goes on, until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            self._tell(self.journal.stats()["failure"])

    async def stop(self) -> None:
        """Write what is left, and end."""
        await asyncio.to_thread(self.journal.stop)
        self._tell(self.journal.stats()["failure"])

    def warnings(self) -> list[str]:
        """Return what Health warns of, in UPPER_SNAKE."""
        stats = self.journal.stats()
        facts = (
            (JOURNAL_STOPPED, stats["failure"] is not None),
            (JOURNAL_INCOMPLETE, stats["records_lost"] > 0),
            (JOURNAL_DAMAGED, stats["damages"] > 0),
        )
        return [name for name, is_so in facts if is_so]

    def _tell(self, failure: str | None) -> None:
        if failure is not None and self._failure is None:
            log.error("journal.stopped", extra={"problem": failure})
        elif failure is None and self._failure is not None:
            log.info("journal.resumed")
        self._failure = failure
