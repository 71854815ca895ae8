"""Keep one feed of a venue connected: dial, serve, dial again; renew the line before the venue cuts it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final, Protocol

from datafacade.clock import NS_PER_MS, NS_PER_S, Clock
from datafacade.errors import DialFailed
from datafacade.guard.breaker import Breaker, BreakerState
from datafacade.guard.budget import Budget
from datafacade.hot.connection import NORMAL, Connection, Socket
from datafacade.hot.ports import DialCause, Feed
from datafacade.hot.roll import Roll, RollFigures
from datafacade.types import Channel, FeedKey, Priority
from datafacade.venues.retry_after import with_jitter_s

log = logging.getLogger(__name__)

_FAULTS: Final = frozenset({1002, 1007, 1009})  # closes that say: the venue breaks the protocol
_REFUSALS: Final = frozenset({"HTTP", "TLS", "ADDRESS"})  # the venue's or the operator's doing


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How one feed reaches its venue."""

    dial: Callable[[], Awaitable[Socket]]
    dials: Budget  # shared by all feeds of the venue
    breaker: Breaker  # shared likewise


class ConnectionMaker(Protocol):
    """Makes a feed's connections: the first one, and each that takes over from another."""

    def __call__(self, predecessor: Connection | None = None) -> Connection:
        """Return a connection that has not begun; with a predecessor its Feed is a standby."""
        ...


class FeedRunner:
    """One feed with its one connection, or two in a renewal. ``run`` it as a task; cancel it to end it."""

    def __init__(
        self,
        key: FeedKey,
        *,
        make: ConnectionMaker,
        line: Line,
        clock: Clock,
        random: Random,
        roll: RollFigures,
    ) -> None:
        self.key = key
        self._make = make
        self._line = line
        self._clock = clock
        self._random = random
        self._roll_figures = roll
        self._current = make()
        self._roll: Roll | None = None
        self._roll_at = 0  # monotonic ns; not before it
        self._wanted: set[tuple[str, Channel, str]] = set()
        self._has_work = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    # For the owner

    def subscribe(
        self,
        venue_symbol: str,
        channel: Channel,
        variant: str = "",
        *,
        told: tuple[int, int] | None = None,
    ) -> None:
        """Follow a topic of an instrument; connects if nothing was followed yet.

        Args:
            venue_symbol: As the venue's list spells it.
            channel: Of the contract.
            variant: Of the channel.
            told: Id and time (ns UTC) of the newest trade that was told before; None: none is known.
        """
        self._wanted.add((venue_symbol, channel, variant))
        for connection in self._followers:
            connection.subscribe(venue_symbol, channel, variant, told)
        self._has_work.set()

    def unsubscribe(self, venue_symbol: str, channel: Channel, variant: str = "") -> None:
        """Follow it no more; with nothing left the connection is closed."""
        self._wanted.discard((venue_symbol, channel, variant))
        for connection in self._followers:
            connection.unsubscribe(venue_symbol, channel, variant)
        if not self._wanted:
            self._has_work.clear()
            for connection in self.connections:
                connection.close(NORMAL, "nothing is followed any more")

    def serve_cuts(self, wanted: Any) -> None:  # noqa: ANN401  the core's own list of topics, passed through
        """Publish a CUT of each wanted topic of this feed."""
        for connection in self.connections:
            connection.turns.call(partial(connection.feed.serve_cuts, wanted))

    async def add_instruments(self, body: bytes) -> None:
        """Take one answer of the venue's instrument list, on the worker thread.

        Raises:
            ValueError: It is no list of this venue.
        """
        for connection in self.connections:
            await connection.detached(partial(_add, connection.feed, body))

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The connection in use and, while it is renewed, the one that takes over."""
        return (self._current,) if self._roll is None else (self._roll.old, self._roll.new)

    @property
    def _followers(self) -> tuple[Connection, ...]:
        """The connections that follow what is wanted: one that gave its topics away no longer does."""
        return self.connections if self._roll is None or not self._roll.is_moved else (self._roll.new,)

    @property
    def feed(self) -> Feed:
        """The Feed of the connection in use."""
        return self._current.feed

    @property
    def is_needed(self) -> bool:
        """Whether anything is followed."""
        return bool(self._wanted)

    @property
    def is_open(self) -> bool:
        """Whether a connection is open."""
        return any(connection.is_open for connection in self.connections)

    @property
    def breaker(self) -> Breaker:
        """The breaker before its dials."""
        return self._line.breaker

    @property
    def dial_at_ns(self) -> int:
        """When the next dial is due at the earliest (monotonic ns)."""
        asked_for = self._clock.monotonic_ns() + self._line.dials.blocked_ns()
        return max(asked_for, self._current.dial_at_ns)

    def stats(self) -> dict[str, Any]:
        """Return the counters of the Feed in use."""
        return self._current.stats()

    def topics(self) -> list[dict[str, Any]]:
        """Return a row per topic: each Feed lists those that it owns."""
        return [row for connection in self.connections for row in connection.topics()]

    async def idle(self) -> None:
        """Wait until no worker is inside a Feed of this runner."""
        while busy := [one for one in self.connections if one.turns.is_busy]:
            await busy[0].turns.idle()

    def book(self, symbol: str, depth: int) -> tuple[bytes, bytes] | None:
        """Return a book of the Feed that owns it (``Feed.book``); call it when ``idle``."""
        book = (symbol, int(Channel.BOOK_L2))
        for connection in self.connections:
            if any((row["symbol"], row["channel"]) == book for row in connection.topics()):
                return connection.feed.book(symbol, depth)
        return None

    async def run(self) -> None:
        """Connect whenever something is followed, for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._use(self._current)
                while True:
                    await self._has_work.wait()
                    await self._serve_current()
        finally:
            self._tasks = None
            for connection in self.connections:
                connection.end()

    # One connection

    async def _serve_current(self) -> None:
        """Connect, and stay until the connection in use has ended or was replaced."""
        current = self._current
        if not current.is_open:
            if self._roll is not None:
                await self._roll.ended.wait()  # it may have lost its line while the other one takes over
                return
            current.turns.call(current.feed.start)
            await self._until_due(current)
            if not self._wanted:
                self._line.breaker.abandon()
                return
            socket = await self._dial(current)
            if socket is None:
                return
            current.open(socket)
        closed = await asyncio.shield(current.serving)
        if closed.code in _FAULTS:
            self._line.breaker.failure()
        else:
            self._line.breaker.success()
        if current is self._current:
            current.turns.call(partial(current.feed.on_closed, closed.code, closed.reason))

    async def _until_due(self, current: Connection) -> None:
        """Wait for the Feed's own time, the breaker, and the venue's connection budget."""
        breaker, dials = self._line.breaker, self._line.dials
        while True:
            wait_ns = max(breaker.wait_ms() * NS_PER_MS, dials.blocked_ns())
            await self._sleep_until(max(current.dial_at_ns, self._clock.monotonic_ns() + wait_ns))
            spending = await dials.acquire(1, Priority.SNAPSHOT)
            if breaker.admit():  # last: a probe must not wait for the budget
                return
            dials.refund(spending)

    async def _sleep_until(self, monotonic_ns: int) -> None:
        while (wait_ns := monotonic_ns - self._clock.monotonic_ns()) > 0:  # noqa: ASYNC110  it is time itself
            await asyncio.sleep(wait_ns / NS_PER_S)  # uvloop's timers ring up to 1 ms early

    async def _dial(self, current: Connection) -> Socket | None:
        """Return an open socket; None: the Feed was told why there is none."""
        try:
            socket = await self._line.dial()
        except DialFailed as error:
            wait_ns = self._refused(error)
            cause = dial_cause(error)
            current.turns.call(partial(current.feed.on_dial_failed, cause, error.message, wait_ns))
            return None
        if self._line.breaker.state() is BreakerState.HALF_OPEN:
            self._line.breaker.success()  # else only a connection that ends well clears earlier faults
        return socket

    def _refused(self, error: DialFailed) -> int:
        """Note why a dial failed; return how long no other may follow, ns."""
        self._log(logging.WARNING, "feed.dial_failed", reason=error.reason, problem=error.detail)
        if error.reason in _REFUSALS:
            self._line.breaker.failure()
        else:
            self._line.breaker.abandon()  # the network's doing: backoff is enough
        if error.retry_after_s is not None:
            self._line.dials.block(with_jitter_s(error.retry_after_s, self._random))
        return max(self._line.dials.blocked_ns(), self._line.breaker.wait_ms() * NS_PER_MS)

    # Its renewal

    def _use(self, connection: Connection) -> None:
        """Make a connection the one in use."""
        self._current = connection
        connection.after_tick = self._look_ahead
        if self._tasks is not None and not connection.is_open:
            connection.begin(self._tasks)

    def _look_ahead(self) -> None:
        """Start a renewal when the Feed says that its connection is near its end."""
        is_possible = self._roll is None and self._current.is_open and self._wanted
        if self._tasks is None or not is_possible or self._clock.monotonic_ns() < self._roll_at:
            return
        cause = self._current.feed.roll_due()
        if cause is not None and self._line.breaker.state() is BreakerState.CLOSED:
            self._roll = Roll(self._current, self._make(self._current), figures=self._roll_figures)
            self._tasks.create_task(self._renew(self._roll, cause), name=f"roll {self.key.venue}")

    async def _renew(self, roll: Roll, cause: str) -> None:
        """Bring the second connection up, let it take over, and close the first."""
        self._log(logging.INFO, "feed.rolling", cause=cause)
        try:
            is_done = await self._take_over(roll)
            self._log(logging.INFO if is_done else logging.WARNING, "feed.rolled", done=is_done)
        finally:
            (roll.old if self._current is roll.new else roll.new).end()
            self._roll_at = self._clock.monotonic_ns() + int(self._roll_figures.retry_s * NS_PER_S)
            self._roll = None
            roll.ended.set()

    async def _take_over(self, roll: Roll) -> bool:
        if self._tasks is None:
            return False
        for topic in sorted(self._wanted):
            roll.new.subscribe(*topic)
        try:
            await self._line.dials.acquire(1, Priority.CLIENT)
            roll.open(await self._line.dial(), self._tasks)
        except DialFailed as error:
            self._refused(error)
            return False
        if not await roll.wait_moved():
            await roll.drop(roll.new)
            return False
        self._use(roll.new)
        await roll.wait_overlap()
        await roll.drop(roll.old)
        return True

    def _log(self, level: int, event: str, **fields: object) -> None:
        log.log(level, event, extra={"venue": self.key.venue, "feed": self.key.name, **fields})


def _add(feed: Feed, body: bytes) -> None:
    feed.add_instruments(body)


def dial_cause(error: DialFailed) -> DialCause:
    """Return the core's word for why a dial failed."""
    if error.reason == "TLS":
        return "tls"
    if error.http_status == 429 or error.retry_after_s is not None:
        return "rate_limited"
    return "upgrade_refused" if error.reason == "HTTP" else "dial_failed"
