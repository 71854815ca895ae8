"""Fetch what a Feed asks for, the most urgent first. Of equal questions the newest gets the one answer."""

from __future__ import annotations

import logging
from asyncio import TaskGroup
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from datafacade.clock import Clock
from datafacade.errors import FacadeError
from datafacade.hot.ports import Fetch
from datafacade.types import Priority
from datafacade.venues.rest import RestAnswer

log = logging.getLogger(__name__)

PRIORITIES: Final[Mapping[str, Priority]] = MappingProxyType(
    {
        "snapshot": Priority.SNAPSHOT,
        "backfill": Priority.BACKFILL,
        "probe": Priority.PROBE,
        "fallback": Priority.FALLBACK,
        "audit": Priority.WARMING,
    }
)

Answered = Callable[[int, int, bytes, int], None]  # request id, status (0: none), body, ts_recv


class Rest(Protocol):
    """What this module needs of a REST client."""

    def url(self, path: str) -> str:
        """Return the whole URL of a path with query."""
        ...

    async def get(self, path: str, *, priority: Priority, weight: int | None = None) -> RestAnswer:
        """Fetch a path with query, as soon as the budget allows."""
        ...


class RestRecorder(Protocol):
    """What this module tells the recorder of a session."""

    def asked(self, request_id: int, url: str, ts: int) -> None:
        """Write down a request."""
        ...

    def answered(self, request_id: int, answer: RestAnswer) -> None:
        """Write down an answer."""
        ...


class Fetcher:
    """Executes the fetches of one Feed. A book that asks again while its request waits keeps its place."""

    def __init__(self, rest: Rest, *, venue: str, clock: Clock, recorder: RestRecorder | None = None) -> None:
        self._rest = rest
        self._venue = venue
        self._clock = clock
        self._recorder = recorder
        self._newest: dict[tuple[str, Priority], int] = {}  # the request id that gets the answer

    def fetch(self, command: Fetch, *, tasks: TaskGroup, then: Answered) -> None:
        """Start to fetch, or let the request under way answer this question too, if it is as urgent."""
        _, request_id, path, weight, *rest = command
        asked = (path, PRIORITIES[rest[0]] if rest else Priority.SNAPSHOT)
        is_under_way = asked in self._newest
        self._newest[asked] = request_id
        if not is_under_way:
            tasks.create_task(self._run(asked, weight, then), name=f"fetch {self._venue}")

    async def _run(self, asked: tuple[str, Priority], weight: int, then: Answered) -> None:
        path, priority = asked
        if self._recorder is not None:
            self._recorder.asked(self._newest[asked], self._rest.url(path), self._clock.wall_ns())
        try:
            answer = await self._rest.get(path, priority=priority, weight=weight)
        except FacadeError as error:
            log.warning("fetch.failed", extra={"venue": self._venue, "path": path, "problem": error.message})
            then(self._newest.pop(asked), 0, error.message.encode(), self._clock.wall_ns())
            return
        except BaseException:
            del self._newest[asked]
            raise
        request_id = self._newest.pop(asked)
        if self._recorder is not None:
            self._recorder.answered(request_id, answer)
        then(request_id, answer.status, answer.body, answer.ts_recv)
