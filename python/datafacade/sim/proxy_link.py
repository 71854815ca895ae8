"""One connection through the fault proxy: a client, an upstream, and the two directions between them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Final, Literal

from datafacade.sim.proxy_faults import ProxyBoard, ProxyFault
from datafacade.sim.proxy_pipe import Pipe
from datafacade.sim.proxy_verbs import Direction
from datafacade.sim.truth import TruthLog

DIAL_TIMEOUT_S: Final = 5.0
NO_LINGER: Final = struct.pack("ii", 1, 0)
How = Literal["end", "reset"]


@dataclass(slots=True, eq=False)
class Link:
    """A client that was accepted and what becomes of it."""

    id: int
    route: str
    client: socket.socket
    upstream_address: tuple[str, int]
    board: ProxyBoard
    log: TruthLog
    opened_ns: int = field(default_factory=time.monotonic_ns)
    active_ns: int = field(default_factory=time.monotonic_ns)  # last byte in either direction
    is_forgotten: bool = False
    pipes: dict[Direction, Pipe] = field(default_factory=dict)
    broken_by: ProxyFault | None = None  # bytes were lost: healing it resets the connection
    _upstream: socket.socket | None = None
    _to_shut: set[Direction] = field(default_factory=set)  # half-closed directions
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _how: How = "end"
    _by: str = ""  # who ended it first

    async def run(self) -> None:
        """Dial the upstream, pass everything on, and close both sides."""
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._record("opened")
        try:
            if await self._before_ending(self._dial()):
                await self._before_ending(self._relay())
        finally:
            self._hang_up()
            self._record("closed", by=self._by, how=self._how, ended_mono_ns=self._ended_ns())

    async def _before_ending(self, work: Coroutine[object, object, bool]) -> bool:
        """Do ``work`` until it is done or a fault ends the connection; tell whether it was done well."""
        doing, ending = asyncio.ensure_future(work), asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({doing, ending}, return_when=asyncio.FIRST_COMPLETED)
            return doing.done() and not self._ending.is_set() and doing.result()
        finally:
            doing.cancel()
            ending.cancel()
            await asyncio.wait({doing, ending})

    async def _dial(self) -> bool:
        """Connect to the upstream, once nothing holds the way to it."""
        while any(
            fault.verb.is_holding and not fault.options.get("discard")
            for fault in self.board.active(self, "to_upstream")
        ):
            await self.board.change()
        self._upstream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._upstream.setblocking(False)
        self._upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(self._upstream, self.upstream_address)
        except OSError as error:  # TimeoutError is one
            self._record("dial_failed", error=type(error).__name__)
            self._how, self._by = "reset", "upstream"
            return False
        return True

    async def _relay(self) -> bool:
        """Run both directions until both have ended, or one was reset."""
        if self._upstream is None:
            return False
        down = Pipe(self, self.board, "to_client", self._upstream, self.client)
        up = Pipe(self, self.board, "to_upstream", self.client, self._upstream)
        self.pipes = {"to_client": down, "to_upstream": up}
        for direction in self._to_shut:
            self.pipes[direction].shut()
        waiting = {asyncio.ensure_future(pipe.run()): pipe for pipe in (down, up)}
        try:
            while waiting:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    pipe = waiting.pop(task)
                    if self._is_last(task, pipe):
                        return True
        finally:
            for task in waiting:
                task.cancel()
            if waiting:
                await asyncio.wait(waiting)
        return True

    def _is_last(self, task: asyncio.Future[How], pipe: Pipe) -> bool:
        """Note who ended a direction; tell whether that ends the connection."""
        sides = ("upstream", "client") if pipe.direction == "to_client" else ("client", "upstream")
        error = task.exception()
        if error is not None:  # the sink took nothing any more
            if isinstance(error, BaseExceptionGroup) and error.split(OSError)[1] is not None:
                raise error
            self._how, self._by = "reset", sides[1]
            return True
        self._by = self._by or sides[0]
        if task.result() == "reset":
            self._how, self._by = "reset", sides[0]
            return True
        return False

    # What faults do

    def swallowed(self, fault: ProxyFault) -> None:
        """Note that bytes were lost: the connection cannot go on when ``fault`` is healed."""
        self.broken_by = fault

    def close(self, fault: ProxyFault) -> None:
        """Close both sides in order."""
        self._end("end", fault)

    def reset(self, fault: ProxyFault) -> None:
        """Reset both sides."""
        self._end("reset", fault)

    def half_close(self, fault: ProxyFault) -> None:
        """Tell one side the end of its stream; throw away what still comes for it."""
        self.board.use(fault, self)
        direction = fault.direction or "to_client"
        if direction in self.pipes:
            self.pipes[direction].shut()
        self._to_shut.add(direction)

    def stop(self) -> None:
        """End because the proxy stops."""
        self._by = "proxy"
        self._ending.set()

    def _end(self, how: How, fault: ProxyFault) -> None:
        if not self._ending.is_set():
            self._how, self._by = how, f"fault {fault.id}"
            self._ending.set()

    def _hang_up(self) -> None:
        for end in (self.client, self._upstream):
            if end is None:
                continue
            with contextlib.suppress(OSError):
                if self._how == "reset":
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            end.close()

    # What is told

    def _ended_ns(self) -> int:
        """Return when the first side was seen to end; now: neither did, a fault or the proxy ends it."""
        ends = [pipe.ended_ns for pipe in self.pipes.values() if pipe.ended_ns]
        return min(ends, default=time.monotonic_ns())

    def facts(self) -> dict[str, object]:
        """Return what is known of the connection."""
        return {
            "connection": self.id,
            "route": self.route,
            "opened_mono_ns": self.opened_ns,
            "bytes": {name: pipe.passed_bytes for name, pipe in self.pipes.items()},
            "last_mono_ns": {name: pipe.last_ns for name, pipe in self.pipes.items()},
        }

    def _record(self, event: str, **fields: object) -> None:
        about = {"event": event, "route": self.route, "connection": self.id}
        sizes = {name: pipe.passed_bytes for name, pipe in self.pipes.items()}
        self.log.record("proxy", {**about, **fields, **({"bytes": sizes} if event == "closed" else {})})
