"""Keep a feed's instrument list: fetched before anything is subscribed, and again every hour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol, cast

from datafacade.clock import Clock
from datafacade.errors import FacadeError
from datafacade.hot.feed import FeedRunner
from datafacade.hot.fetch import Rest
from datafacade.types import InstrumentRow, Priority
from datafacade.venues.rest import RestAnswer

log = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 0.5  # between two tries, doubling
_LAST_WAIT_S: Final = 15.0
_STATUS_OK: Final = 200


class ListRecorder(Protocol):
    """What this module tells the recorder of a session."""

    def keep_list(self, url: str, answer: RestAnswer) -> None:
        """Keep an instrument list."""
        ...


@dataclass(slots=True, kw_only=True)
class InstrumentList:
    """One feed's list and how to get it."""

    runner: FeedRunner
    rest: Rest
    paths: tuple[str, ...]
    clock: Clock
    random: Random
    refresh_s: float
    scale: float
    recorder: ListRecorder | None = None
    rows: Sequence[InstrumentRow] = ()
    ts_listed: int = 0  # wall ns; 0: not read yet
    is_known: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, changed: Callable[[InstrumentList], None]) -> None:
        """Fetch for ever, and call ``changed`` after each success."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._load()
            except (FacadeError, ValueError) as error:
                venue = self.runner.key.venue
                log.warning("instruments.failed", extra={"venue": venue, "problem": str(error)})
                await asyncio.sleep(wait_s * self.scale * self.random.uniform(0.5, 1.0))
                wait_s = min(2 * wait_s, _LAST_WAIT_S)
                continue
            wait_s = _FIRST_WAIT_S
            changed(self)
            self.is_known.set()
            await asyncio.sleep(self.refresh_s)

    async def _load(self) -> None:
        for path in self.paths:
            answer = await self.rest.get(path, priority=Priority.CLIENT)
            if answer.status != _STATUS_OK:
                raise ValueError(f"{path}: HTTP status {answer.status}")
            await self.runner.add_instruments(answer.body)
            if self.recorder is not None:
                self.recorder.keep_list(self.rest.url(path), answer)
        self.rows = cast("list[InstrumentRow]", self.runner.feed.instruments())
        self.ts_listed = self.clock.wall_ns()
        count = len(self.rows)
        log.info("instruments.listed", extra={"venue": self.runner.key.venue, "count": count})
