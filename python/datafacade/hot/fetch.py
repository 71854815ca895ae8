"""Fetch what a Feed asks for: one request per path at a time, the newest question gets the answer."""

from __future__ import annotations

import logging
from asyncio import TaskGroup
from collections.abc import Callable
from typing import Protocol

from datafacade.clock import Clock
from datafacade.errors import FacadeError
from datafacade.types import Priority
from datafacade.venues.rest import RestAnswer

log = logging.getLogger(__name__)

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
        self._newest: dict[str, int] = {}  # path: the request id that gets the answer

    def fetch(self, request_id: int, path: str, weight: int, *, tasks: TaskGroup, then: Answered) -> None:
        """Start to fetch, or let the request under way answer this question too."""
        is_under_way = path in self._newest
        self._newest[path] = request_id
        if not is_under_way:
            tasks.create_task(self._run(path, weight, then), name=f"fetch {self._venue}")

    async def _run(self, path: str, weight: int, then: Answered) -> None:
        if self._recorder is not None:
            self._recorder.asked(self._newest[path], self._rest.url(path), self._clock.wall_ns())
        try:
            answer = await self._rest.get(path, priority=Priority.SNAPSHOT, weight=weight)
        except FacadeError as error:
            log.warning("fetch.failed", extra={"venue": self._venue, "path": path, "problem": error.message})
            then(self._newest.pop(path), 0, error.message.encode(), self._clock.wall_ns())
            return
        except BaseException:
            del self._newest[path]
            raise
        request_id = self._newest.pop(path)
        if self._recorder is not None:
            self._recorder.answered(request_id, answer)
        then(request_id, answer.status, answer.body, answer.ts_recv)
