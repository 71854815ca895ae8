"""Call one Feed in order, also while a worker thread is inside it, and hand its commands on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from datafacade.hot.ports import Command, Commands

DEFERRED_MAX: Final = 10_000


class Turns:
    """The one door to a Feed. Calls that come while a worker is inside wait for it, in order."""

    def __init__(self, execute: Callable[[Command], None]) -> None:
        self._execute = execute
        self.is_busy = False  # whether a worker is inside
        self._deferred: deque[Callable[[], Commands]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    def call(self, work: Callable[[], Commands]) -> None:
        """Call now and execute the commands, or once the worker has left the Feed."""
        if self.is_busy:
            if len(self._deferred) < DEFERRED_MAX:
                self._deferred.append(work)
            return
        self.execute(work())

    def execute(self, commands: Commands) -> None:
        """Execute commands in order."""
        if commands:
            for command in commands:
                self._execute(command)

    async def detached(self, executor: Executor, work: Callable[[], Commands]) -> None:
        """Call on a worker thread; nothing else calls the Feed meanwhile."""
        await self.idle()
        self.is_busy = True
        self._idle.clear()
        try:
            commands = await self._run(executor, work)
        finally:
            self.is_busy = False
            self._idle.set()
            deferred, self._deferred = self._deferred, deque()
        self.execute(commands)
        for waiting in deferred:
            self.call(waiting)

    async def idle(self) -> None:
        """Wait until no worker is inside."""
        while self.is_busy:
            await self._idle.wait()

    @staticmethod
    async def _run(executor: Executor, work: Callable[[], Commands]) -> Commands:
        future = asyncio.get_running_loop().run_in_executor(executor, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])  # the Feed must not be called while the thread is inside
            raise
