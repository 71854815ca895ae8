"""Run one venue connection: frames into the Feed, its commands out again.

The Feed decides everything that has a meaning (when to reconnect, what to subscribe, what is stale); this
module only carries it out. One task owns the connection; nothing here looks into a frame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import DialFailed
from datafacade.guard.breaker import Breaker, BreakerState
from datafacade.guard.budget import Budget
from datafacade.hot.fetch import Fetcher
from datafacade.hot.ports import Command, DialCause, Feed
from datafacade.hot.recorder import Recorder
from datafacade.hot.turns import Turns
from datafacade.types import Channel, Closed, FeedKey, Priority

log = logging.getLogger(__name__)

NORMAL: Final = 1000
INTERNAL_FAULT: Final = 1011
FRAMES_AT_ONCE: Final = 256  # then other tasks get their turn
RETRY_JITTER_RATIO: Final = 0.1  # added to a wait that a venue asked for
_FAULTS: Final = frozenset({1002, 1007, 1009})  # closes that say: the venue breaks the protocol


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How one feed reaches its venue."""

    dial: Callable[[], Awaitable[Socket]]
    url: str
    product: str
    dials: Budget  # shared by all feeds of the venue
    breaker: Breaker  # shared likewise
    large_frame_bytes: int


class FeedRunner:
    """One Feed with its connection. ``run`` it as a task; cancel the task to end it."""

    def __init__(
        self,
        key: FeedKey,
        *,
        feed: Feed,
        line: Line,
        fetcher: Fetcher,
        clock: Clock,
        random: Random,
        recorder: Recorder | None = None,
    ) -> None:
        self.key = key
        self.feed = feed
        self.turns = Turns(self._execute)
        self._line = line
        self._fetcher = fetcher
        self._clock = clock
        self._random = random
        self._recorder = recorder
        self._wanted: set[tuple[str, Channel, str]] = set()
        self._has_work = asyncio.Event()
        self._socket: Socket | None = None
        self._dial_at = 0  # monotonic ns
        self._tasks: asyncio.TaskGroup | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"parse-{key.venue}")

    # For the owner

    def subscribe(self, venue_symbol: str, channel: Channel, variant: str = "") -> None:
        """Follow a channel of an instrument; connects if nothing was followed yet."""
        self._wanted.add((venue_symbol, channel, variant))
        self.turns.call(partial(self.feed.subscribe, venue_symbol, int(channel), variant))
        self._has_work.set()

    def unsubscribe(self, venue_symbol: str, channel: Channel, variant: str = "") -> None:
        """Follow it no more; with nothing left the connection is closed."""
        self._wanted.discard((venue_symbol, channel, variant))
        self.turns.call(partial(self.feed.unsubscribe, venue_symbol, int(channel), variant))
        if not self._wanted:
            self._has_work.clear()
            if self._socket is not None:
                self._socket.close(NORMAL, "nothing is followed any more")

    @property
    def is_needed(self) -> bool:
        """Whether anything is followed."""
        return bool(self._wanted)

    @property
    def is_open(self) -> bool:
        """Whether the connection is open."""
        return self._socket is not None

    @property
    def url(self) -> str:
        """Where it connects to."""
        return self._line.url

    @property
    def breaker(self) -> Breaker:
        """The breaker before its dials."""
        return self._line.breaker

    @property
    def dial_at_ns(self) -> int:
        """When the next dial is due at the earliest (monotonic ns)."""
        return self._dial_at

    async def detached(self, work: Callable[[], None]) -> None:
        """Call the Feed on the worker thread, in turn."""
        await self.turns.detached(self._worker, work)

    async def run(self) -> None:
        """Connect whenever something is followed, for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                while True:
                    await self._has_work.wait()
                    self.turns.call(self.feed.start)
                    await self._connect_and_serve()
        finally:
            self._tasks = None
            self._stop_timer()
            self._worker.shutdown(wait=False)

    # One connection

    async def _connect_and_serve(self) -> None:
        await self._until_due()
        breaker = self._line.breaker
        if not self._wanted:
            breaker.abandon()
            return
        try:
            socket = await self._line.dial()
        except DialFailed as error:
            self._refused(error)
            return
        if breaker.state() is BreakerState.HALF_OPEN:
            breaker.success()  # else only a connection that ends well clears earlier faults
        closed = await self._until_closed(socket)
        if closed.code in _FAULTS:
            breaker.failure()
        else:
            breaker.success()
        self._log(logging.INFO, "feed.closed", code=closed.code, reason=closed.reason)
        self.turns.call(partial(self.feed.on_closed, closed.code, closed.reason))

    async def _until_closed(self, socket: Socket) -> Closed:
        """Serve one connection and leave nothing of it behind, whatever happens."""
        try:
            return await self._serve(socket)
        except Exception:  # the root of this connection: it alone starts over (row H01)
            log.exception("feed.fault", extra={"venue": self.key.venue, "feed": self.key.name})
            return Closed(code=INTERNAL_FAULT, reason="internal fault")
        finally:
            self._socket = None
            self._stop_timer()
            socket.close(NORMAL, "the service is stopping")
            closed = await socket.wait_closed()
            if self._recorder is not None:
                self._recorder.closed(closed.code, closed.reason)
            await self.turns.idle()

    async def _until_due(self) -> None:
        """Wait for the Feed's own time, the breaker, and the venue's connection budget."""
        await self._sleep_until(self._dial_at)
        while not self._line.breaker.admit():
            wait_ns = self._line.breaker.wait_ms() * 1_000_000
            await self._sleep_until(self._clock.monotonic_ns() + wait_ns)
        await self._line.dials.acquire(1, Priority.SNAPSHOT)

    async def _sleep_until(self, monotonic_ns: int) -> None:
        wait_ns = monotonic_ns - self._clock.monotonic_ns()
        if wait_ns > 0:
            await asyncio.sleep(wait_ns / NS_PER_S)

    def _refused(self, error: DialFailed) -> None:
        self._log(logging.WARNING, "feed.dial_failed", reason=error.reason, problem=error.detail)
        if error.reason in ("HTTP", "TLS", "ADDRESS"):
            self._line.breaker.failure()  # the venue's or the operator's doing, not the network's
        else:
            self._line.breaker.abandon()
        self.turns.call(partial(self.feed.on_dial_failed, dial_cause(error), error.message))
        if error.retry_after_s is not None:
            wait_s = error.retry_after_s * (1 + self._random.uniform(0, RETRY_JITTER_RATIO))
            asked_for = self._clock.monotonic_ns() + int(wait_s * NS_PER_S)
            self._dial_at = max(self._dial_at, asked_for)

    async def _serve(self, socket: Socket) -> Closed:
        """Feed frames until the connection ends. This loop is the hot path."""
        self._socket = socket
        recorder = self._recorder
        if recorder is not None:
            recorder.opened(venue=self.key.venue, product=self._line.product, url=self._line.url)
        self._log(logging.INFO, "feed.opened", url=self._line.url)
        self.turns.call(self.feed.on_opened)
        self._tick()
        turns, on_frame, large = self.turns, self.feed.on_frame, self._line.large_frame_bytes
        count = 0
        async for frame, ts_recv in socket:
            if recorder is not None:
                recorder.received(frame, ts_recv)
            if turns.is_busy:
                await turns.idle()
            if len(frame) > large:
                work = partial(self.feed.on_large_frame, frame, ts_recv)
                await turns.detached(self._worker, work)
            else:
                is_turn_over = count % FRAMES_AT_ONCE == FRAMES_AT_ONCE - 1
                commands = on_frame(frame, ts_recv, socket.has_frame and not is_turn_over)
                if commands:
                    turns.execute(commands)
            count += 1
            if count % FRAMES_AT_ONCE == 0:
                await asyncio.sleep(0)
        return await socket.wait_closed()

    def _tick(self) -> None:
        """Let the Feed do what is due, and come back when it says so."""
        self._timer = None
        if self._socket is None:
            return
        try:
            self.turns.call(self.feed.on_tick)
        except Exception:  # the root of a timer: the connection starts over
            log.exception("feed.fault", extra={"venue": self.key.venue, "feed": self.key.name})
            self._socket.close(INTERNAL_FAULT, "internal fault")
            return
        wait_s = max(0.0, (self.feed.deadline_ns() - self._clock.monotonic_ns()) / NS_PER_S)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _log(self, level: int, event: str, **fields: object) -> None:
        log.log(level, event, extra={"venue": self.key.venue, "feed": self.key.name, **fields})

    # Commands

    def _execute(self, command: Command) -> None:
        if command[0] == "send":
            if self._socket is not None:
                self._socket.send(command[1])
                if self._recorder is not None:
                    self._recorder.sent(command[1])
        elif command[0] == "fetch":
            if self._tasks is not None:
                _, request_id, path, weight = command
                self._fetcher.fetch(request_id, path, weight, tasks=self._tasks, then=self._answered)
        elif command[0] == "close":
            if self._socket is not None:
                self._socket.close(command[1], command[2])
        else:
            self._dial_at = self._clock.monotonic_ns() + command[1]

    def _answered(self, request_id: int, status: int, body: bytes, ts_recv: int) -> None:
        self.turns.call(partial(self.feed.on_response, request_id, status, body, ts_recv))


def dial_cause(error: DialFailed) -> DialCause:
    """Return the core's word for why a dial failed."""
    if error.reason == "TLS":
        return "tls"
    if error.http_status == 429 or error.retry_after_s is not None:
        return "rate_limited"
    return "upgrade_refused" if error.reason == "HTTP" else "dial_failed"
