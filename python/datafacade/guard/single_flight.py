"""Let equal questions that come together share one answer. Owned by the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    """One piece of work and how many wait for it."""

    task: asyncio.Task[T]
    waiters: int = 0


class SingleFlight(Generic[T]):
    """Runs one piece of work a key at a time. ``close`` it.

    The work belongs to nobody who asks: it goes on while anybody waits, is cancelled as soon as nobody does,
    and its end, good or bad, is that of all who wait. Who comes later starts anew.

    Example:
        >>> flights = SingleFlight[str]()
        >>> async def ask() -> list[str]:
        ...     async def work() -> str:
        ...         return "one call"
        ...     async with asyncio.TaskGroup() as group:
        ...         asked = [group.create_task(flights.do("key", work)) for _ in range(2)]
        ...     return [task.result() for task in asked]
        >>> asyncio.run(ask())
        ['one call', 'one call']
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()  # also those that were cancelled and have not ended yet

    def __len__(self) -> int:
        """Return how many pieces of work are under way."""
        return len(self._flights)

    async def do(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return what the work under this key returns; start it if there is none.

        A caller's own deadline is a timeout around this call: it ends this caller's waiting and nothing else.

        Args:
            key: What makes questions equal.
            make: Starts the work; not called while work under the same key is under way.

        Raises:
            BaseException: What the work raised, one and the same object for all who waited.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._start(key, make)
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0:
                self._leave(key, flight)

    async def close(self) -> None:
        """Cancel all work and wait for its end."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> _Flight[T]:
        task = asyncio.ensure_future(_run(make))
        flight = self._flights[key] = _Flight(task)
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(key, flight, ended))
        return flight

    def _ended(self, key: Hashable, flight: _Flight[T], task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        self._forget(key, flight)
        if not task.cancelled():
            task.exception()  # those who waited have it; with none left it is nobody's

    def _leave(self, key: Hashable, flight: _Flight[T]) -> None:
        """End work that nobody waits for; the next who asks does not join it."""
        self._forget(key, flight)
        flight.task.cancel()

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _run(make: Callable[[], Awaitable[T]]) -> T:
    return await make()
