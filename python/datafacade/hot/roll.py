"""Renew a connection without a hole: a second one beside it takes its topics over, then the first is closed.

One Feed owns a topic at a time. The standby Feed subscribes and proves its books, publishes nothing, and
takes a topic over where both lines meet: the core decides when (``Feed.take_over``), this module keeps both
up.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from datafacade.hot.connection import NORMAL, Connection, Socket

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollFigures:
    """Bounds of one renewal. Seconds."""

    ready_s: float = 30.0  # for the second connection to take everything over
    lost_s: float = 5.0  # likewise, once the first one is gone
    retry_s: float = 10.0  # between two attempts
    overlap_s: float = 1.0  # both stay open at least so long


class Roll:
    """One renewal: the connection in use, and the one that takes over. Make it inside the event loop."""

    def __init__(self, old: Connection, new: Connection, *, figures: RollFigures) -> None:
        self.old = old
        self.new = new
        self.ended = asyncio.Event()  # whether it came to anything or not
        self._figures = figures
        self._moved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._opened_at = 0.0  # of the loop's clock

    @property
    def is_moved(self) -> bool:
        """Whether the second connection owns every topic."""
        return self._moved.done() and self._moved.result()

    def open(self, socket: Socket, tasks: asyncio.TaskGroup) -> None:
        """Serve the second connection's socket; from now on each frame and tick of both may move topics."""
        self._opened_at = asyncio.get_running_loop().time()
        for connection in (self.old, self.new):
            connection.after_frame = self._move
        self.new.after_tick = self._move
        self.new.begin(tasks)
        self.new.open(socket)

    async def wait_moved(self) -> bool:
        """Wait until the second connection has every topic; return whether it got so far in time."""
        try:
            await _first(self._moved, self.new.serving, self.old.serving, seconds=self._figures.ready_s)
            if self.old.serving.done():
                await _first(self._moved, self.new.serving, seconds=self._figures.lost_s)
            return self.is_moved and self.new.is_open
        finally:
            for connection in (self.old, self.new):
                connection.after_frame = None

    async def wait_overlap(self) -> None:
        """Wait until both were open for long enough, or one of them has ended."""
        passed = asyncio.get_running_loop().time() - self._opened_at
        await _first(self.new.serving, self.old.serving, seconds=max(0.0, self._figures.overlap_s - passed))

    async def drop(self, connection: Connection) -> None:
        """Close the connection that owns nothing, and let go of its Feed."""
        connection.end()
        connection.close(NORMAL, "renewed")
        await asyncio.wait([connection.serving])

    def _move(self) -> None:
        """Let the standby take what it can; never wait for a worker inside one of the Feeds."""
        is_pointless = self._moved.done() or not self.new.opened_at_ns
        if is_pointless or self.old.turns.is_busy or self.new.turns.is_busy:
            return
        try:
            is_done, commands = self.new.feed.take_over(self.old.feed)
        except Exception:  # a fault of ours ends the renewal, not the connection in use
            log.exception("feed.fault", extra={"venue": self.old.key.venue, "feed": self.old.key.name})
            self._moved.set_result(False)
            return
        self.new.turns.execute(commands)
        if is_done:
            self._moved.set_result(True)


async def _first(*futures: asyncio.Future[Any], seconds: float) -> None:
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
