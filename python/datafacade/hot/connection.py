"""Carry out what one Feed decides: its socket's frames in, its commands out, a tick whenever it wants one.

The Feed decides everything that has a meaning (when to reconnect, what to subscribe, what is stale). Nothing
here looks into a frame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Protocol

from datafacade.clock import NS_PER_S, Clock
from datafacade.hot.fetch import Fetcher
from datafacade.hot.ports import Command, Commands, Feed
from datafacade.hot.recorder import Recorder
from datafacade.hot.turns import Turns
from datafacade.types import Channel, Closed, FeedKey

log = logging.getLogger(__name__)

NORMAL: Final = 1000
INTERNAL_FAULT: Final = 1011
FRAMES_AT_ONCE: Final = 256  # then other tasks get their turn
LATE_NS: Final = (
    200_000_000  # a tick so late comes before the next frame: the Feed must hear of the time first
)
BUSY_TICK_S: Final = 0.05  # until the next try while a worker is inside the Feed


class Socket(Protocol):
    """What this module needs of an open connection."""

    def __aiter__(self) -> Socket:
        """Return itself."""
        ...

    async def __anext__(self) -> tuple[bytes, int]:
        """Return the next frame and the wall time of its read, ns."""
        ...

    @property
    def has_frame(self) -> bool:
        """Whether the next frame is there already."""
        ...

    def send(self, text: str) -> None:
        """Send one text frame."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Start to close."""
        ...

    async def wait_closed(self) -> Closed:
        """Return how it ended, once it has."""
        ...


class Connection:
    """One Feed and the socket that it has, loses and gets again. ``begin`` it, ``end`` it."""

    def __init__(
        self,
        key: FeedKey,
        *,
        feed: Feed,
        fetcher: Fetcher,
        clock: Clock,
        product: str,
        url: str,
        large_bytes: int,
        recorder: Recorder | None = None,
    ) -> None:
        self.key = key
        self.feed = feed
        self.turns = Turns(self._execute)
        self.url = url
        self.dial_at_ns = 0  # monotonic; when the Feed wants the next dial
        self.opened_at_ns = 0  # monotonic; 0: never
        self.after_tick: Callable[[], None] | None = None
        self.after_frame: Callable[[], None] | None = None  # while it is being renewed
        self._fetcher = fetcher
        self._clock = clock
        self._product = product
        self._large_bytes = large_bytes
        self._recorder = recorder
        self._socket: Socket | None = None
        self._serving: asyncio.Task[Closed] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._late_at_ns = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"parse-{key.venue}")
        self._stats = feed.stats()
        self._topics = feed.topics()

    # For the owner

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Tick from now on, with or without a socket; what it starts are tasks of this group."""
        self._tasks = tasks
        self._tick()

    def end(self) -> None:
        """Tick no more. Its tasks end with their group."""
        self._tasks = None
        self._stop_timer()
        self._worker.shutdown(wait=False)

    def subscribe(
        self, venue_symbol: str, channel: Channel, variant: str, told: tuple[int, int] | None = None
    ) -> None:
        """Follow a topic of an instrument; ``told``: the newest trade that was told before, id and time."""
        self.turns.call(partial(self.feed.subscribe, venue_symbol, int(channel), variant, told=told))

    def unsubscribe(self, venue_symbol: str, channel: Channel, variant: str) -> None:
        """Follow it no more."""
        self.turns.call(partial(self.feed.unsubscribe, venue_symbol, int(channel), variant))

    def open(self, socket: Socket) -> None:
        """Take a socket that has just opened, and serve it until it ends."""
        if self._tasks is None:
            raise RuntimeError("begin comes first")
        self._socket = socket
        self._serving = self._tasks.create_task(self._serve(socket), name=f"connection {self.key.venue}")

    def close(self, code: int, reason: str) -> None:
        """Start to close the socket, if there is one."""
        if self._socket is not None:
            self._socket.close(code, reason)

    @property
    def serving(self) -> asyncio.Task[Closed]:
        """The task that serves the newest socket: it ends with it, when nothing of it is left."""
        if self._serving is None:
            raise RuntimeError("open comes first")
        return self._serving

    @property
    def is_open(self) -> bool:
        """Whether it has a socket."""
        return self._socket is not None

    async def detached(self, work: Callable[[], Commands]) -> None:
        """Call the Feed on the worker thread, in turn."""
        await self.turns.detached(self._worker, work)

    def stats(self) -> dict[str, Any]:
        """Return the Feed's counters; while a worker is inside it, those of the last time."""
        if not self.turns.is_busy:
            self._stats = self.feed.stats()
        return self._stats

    def topics(self) -> list[dict[str, Any]]:
        """Return a row per topic; while a worker is inside the Feed, those of the last time."""
        if not self.turns.is_busy:
            self._topics = self.feed.topics()
        return self._topics

    # One socket

    async def _serve(self, socket: Socket) -> Closed:
        """Serve one socket and leave nothing of it behind, whatever happens."""
        try:
            return await self._read(socket)
        except Exception:  # the root of this connection: it alone starts over (row H01)
            self._log_fault()
            return Closed(code=INTERNAL_FAULT, reason="internal fault")
        finally:
            self._socket = None
            socket.close(NORMAL, "the service is stopping")
            closed = await socket.wait_closed()
            self._log(logging.INFO, "feed.closed", code=closed.code, reason=closed.reason)
            if self._recorder is not None:
                self._recorder.closed(closed.code, closed.reason)
            await self.turns.idle()

    async def _read(self, socket: Socket) -> Closed:
        """Feed frames until the socket ends. This loop is the hot path."""
        recorder = self._recorder
        if recorder is not None:
            recorder.opened(venue=self.key.venue, product=self._product, url=self.url)
        self._log(logging.INFO, "feed.opened", url=self.url)
        self.opened_at_ns = self._clock.monotonic_ns()
        self.turns.call(self.feed.on_opened)
        self._tick()
        turns, on_frame, large_bytes = self.turns, self.feed.on_frame, self._large_bytes
        monotonic_ns = self._clock.monotonic_ns
        count = 0
        async for frame, ts_recv in socket:
            if recorder is not None:
                recorder.received(frame, ts_recv)
            if turns.is_busy:
                await turns.idle()
            if monotonic_ns() > self._late_at_ns:
                self._tick()  # the loop was held up, or the whole process (rows E19, H06)
            if len(frame) > large_bytes:
                await self.detached(partial(self.feed.on_large_frame, frame, ts_recv))
            else:
                is_turn_over = count % FRAMES_AT_ONCE == FRAMES_AT_ONCE - 1
                commands = on_frame(frame, ts_recv, socket.has_frame and not is_turn_over)
                if commands:
                    turns.execute(commands)
            if self.after_frame is not None:
                self.after_frame()
            count += 1
            if count % FRAMES_AT_ONCE == 0:
                await asyncio.sleep(0)
        return await socket.wait_closed()

    # Time

    def _tick(self) -> None:
        """Let the Feed do what is due, and come back when it says so."""
        self._stop_timer()
        if self._tasks is None:
            return
        wait_s = BUSY_TICK_S
        if not self.turns.is_busy:  # else a worker holds the Feed: even to ask for the time would wait for it
            self._guarded(self.feed.on_tick)
            if self.after_tick is not None:
                self.after_tick()
            wait_s = max(0.0, (self.feed.deadline_ns() - self._clock.monotonic_ns()) / NS_PER_S)
        self._late_at_ns = self._clock.monotonic_ns() + int(wait_s * NS_PER_S) + LATE_NS
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Commands

    def _execute(self, command: Command) -> None:
        if command[0] == "send":
            if self._socket is not None:
                self._socket.send(command[1])
                if self._recorder is not None:
                    self._recorder.sent(command[1])
        elif command[0] == "fetch":
            if self._tasks is not None:
                self._fetcher.fetch(command, tasks=self._tasks, then=self._answered)
        elif command[0] == "close":
            self.close(command[1], command[2])
        else:
            self.dial_at_ns = self._clock.monotonic_ns() + command[1]

    def _answered(self, request_id: int, status: int, body: bytes, ts_recv: int) -> None:
        if len(body) > self._large_bytes and self._tasks is not None:
            work = partial(self.feed.on_large_response, request_id, status, body, ts_recv)
            self._tasks.create_task(self._answer_detached(work), name=f"answer {self.key.venue}")
        else:
            self._guarded(partial(self.feed.on_response, request_id, status, body, ts_recv))

    async def _answer_detached(self, work: Callable[[], Commands]) -> None:
        try:
            await self.detached(work)
        except Exception:  # the root of a task
            self._fault()

    def _guarded(self, work: Callable[[], Commands]) -> None:
        """Call the Feed from a timer or the end of a task: a fault of ours costs this connection only."""
        try:
            self.turns.call(work)
        except Exception:  # the root of a timer
            self._fault()

    def _fault(self) -> None:
        self._log_fault()
        self.close(INTERNAL_FAULT, "internal fault")

    def _log_fault(self) -> None:
        log.exception("feed.fault", extra={"venue": self.key.venue, "feed": self.key.name})

    def _log(self, level: int, event: str, **fields: object) -> None:
        log.log(level, event, extra={"venue": self.key.venue, "feed": self.key.name, **fields})
