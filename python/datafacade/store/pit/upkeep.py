"""What is done to the store of a running service besides keeping answers: reading it again, and its index."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from datafacade.store.pit.scrub import DAMAGED, Scrub

if TYPE_CHECKING:
    from datafacade.store.pit.index_keeper import IndexKeeper  # with it comes the client of Redis

log = logging.getLogger(__name__)

AGAIN_S: Final = 5.0  # after a failure that nobody thought of


class Upkeep:
    """Both, where they are wanted. ``run`` it as a task."""

    def __init__(self, *, scrub: Scrub | None = None, index: IndexKeeper | None = None) -> None:
        self.scrub = scrub
        self.index = index

    async def run(self) -> None:
        """Do both until cancelled."""
        async with asyncio.TaskGroup() as group:
            for work in (self.scrub, self.index):
                if work is not None:
                    group.create_task(_for_ever(work))

    def warnings(self) -> list[str]:
        """Return what Health warns of, in UPPER_SNAKE."""
        damaged = [DAMAGED] if self.scrub is not None and self.scrub.damaged() else []
        return damaged + ([] if self.index is None else self.index.warnings())


async def _for_ever(work: Scrub | IndexKeeper) -> None:
    """Run it; what nobody thought of is logged, and costs it a moment."""
    while True:
        try:
            await work.run()
        except Exception:  # the root of the task
            log.exception("pit.upkeep_failed")
        await asyncio.sleep(AGAIN_S)
