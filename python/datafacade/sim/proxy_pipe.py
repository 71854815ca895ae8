"""One direction of one connection through the fault proxy: read, hold, delay, damage, pace, write."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal, Protocol

from datafacade.sim.proxy_faults import ProxyBoard, ProxyFault
from datafacade.sim.proxy_verbs import Direction

CHUNK_BYTES: Final = 65_536
QUEUE_BYTES_MAX: Final = 4 << 20  # a direction that holds more stops reading
PACES_PER_S: Final = 50  # a limited bandwidth is handed out in so many portions a second
End = Literal["end", "reset"]


class Way(Protocol):
    """What a direction needs of its connection."""

    id: int
    route: str
    opened_ns: int
    active_ns: int
    is_forgotten: bool

    def swallowed(self, fault: ProxyFault) -> None:
        """Note that bytes were lost: the connection cannot go on when ``fault`` is healed."""

    def close(self, fault: ProxyFault) -> None:
        """Close both sides."""


@dataclass(slots=True)
class Pipe:
    """Passes on what ``source`` sends. Faults are looked up for each segment."""

    way: Way
    board: ProxyBoard
    direction: Direction
    source: socket.socket
    sink: socket.socket
    passed_bytes: int = 0  # written to the sink
    last_ns: int = 0  # monotonic, of the last write
    is_shut: bool = False  # the sink was told the end; what comes is thrown away
    ended: End | None = None  # how the source ended
    ended_ns: int = 0  # monotonic, when that was seen
    _queue: asyncio.Queue[tuple[int, bytes | End]] = field(default_factory=asyncio.Queue)  # due, what
    _queued_bytes: int = 0
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _is_busy: bool = False  # the writer has something to do
    _due_ns: int = 0
    _free_ns: int = 0  # when the bandwidth is free again
    _held: bytes | None = None  # the segment that waits for the next one
    _passed: dict[int, int] = field(default_factory=dict)  # bytes, by limit_data fault
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        """Derive what the fields imply."""
        self._random = Random(f"{self.way.id}:{self.direction}")

    async def run(self) -> End:
        """Pass on everything; return how the source ended once that was passed on.

        Raises:
            ConnectionError: The sink takes nothing any more.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            writer = tasks.create_task(self._write())
        return writer.result()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._until_open(only="pause")
            try:
                octets = await loop.sock_recv(self.source, CHUNK_BYTES)
            except OSError:
                self.ended = "reset"
                break
            if not octets:
                self.ended = "end"
                break
            if self.board:
                self._look(octets)
            elif self._is_busy or self.is_shut:
                self._put(octets)
            else:
                await self._pass(octets)
            while self._queued_bytes > QUEUE_BYTES_MAX:
                self._room.clear()
                await self._room.wait()
        self._is_busy = True
        self.ended_ns = time.monotonic_ns()
        await self._queue.put((max(self.ended_ns, self._due_ns), self.ended))

    def _look(self, octets: bytes) -> None:
        """Note an idle time that some fault punishes, and queue a segment."""
        now, way = time.monotonic_ns(), self.way
        for fault in self.board.active(way, self.direction):
            if fault.verb.name == "idle_forget":
                is_idle = now - way.active_ns > fault.integer("idle_ms") * 1_000_000
                way.is_forgotten = way.is_forgotten or is_idle
        self._put(octets)

    def _put(self, octets: bytes) -> None:
        now = time.monotonic_ns()
        self.way.active_ns = now
        late_ns = 0
        for fault in self.board.active(self.way, self.direction):
            if fault.verb.name == "latency":
                jitter = fault.integer("jitter_ms") * 1_000_000
                late_ns += max(0, fault.integer("ms") * 1_000_000 + self._random.randint(-jitter, jitter))
                self.board.use(fault, self.way, len(octets))
        self._due_ns = max(self._due_ns, now + late_ns)
        self._is_busy = True
        self._queued_bytes += len(octets)
        self._queue.put_nowait((self._due_ns, octets))

    async def _write(self) -> End:
        while True:
            due_ns, what = await self._queue.get()
            wait_ns = due_ns - time.monotonic_ns()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns / 1e9)
            if isinstance(what, str):
                return await self._end(what)
            await self._until_open(size_bytes=len(what))
            await self._pass_through(what)
            self._queued_bytes -= len(what)
            self._room.set()
            self._is_busy = not self._queue.empty()

    async def _end(self, how: End) -> End:
        """Pass on the end of the stream, when nothing holds it back."""
        await self._until_open(with_discarding=True)
        for fault in self.board.active(self.way, self.direction):
            if fault.verb.name == "slow_close":
                self.board.use(fault, self.way)
                await asyncio.sleep(fault.integer("ms") / 1000)
        if self._held is not None:
            await self._pass(self._held)
        if how == "end" and not self.is_shut:
            self.shut()
        return how

    def shut(self) -> None:
        """Tell the sink that nothing more comes."""
        self.is_shut = True
        try:
            self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it is gone already: its own direction tells

    # Holding

    async def _until_open(
        self, *, only: str | None = None, with_discarding: bool = False, size_bytes: int = 0
    ) -> None:
        """Wait while a fault holds this direction; count each once a segment."""
        counted: set[int] = set()
        while self.board:
            holding = [
                fault
                for fault in self.board.active(self.way, self.direction)
                if (fault.verb.is_holding and only in (None, fault.verb.name))
                and (with_discarding or not fault.options.get("discard"))
            ]
            if not holding:
                return
            for fault in holding:
                if fault.id not in counted and only is None:
                    counted.add(fault.id)
                    self.board.use(fault, self.way, size_bytes)
            await self.board.change()

    def _discarding(self) -> ProxyFault | None:
        for fault in self.board.active(self.way, self.direction):
            is_hole = fault.verb.name == "black_hole" and bool(fault.options["discard"])
            if is_hole or (fault.verb.name == "idle_forget" and self.way.is_forgotten):
                return fault
        return None

    # Damage and pace

    async def _pass_through(self, octets: bytes) -> None:
        """Send ``octets`` as the armed faults let it pass."""
        discarding = self._discarding() if self.board else None
        if discarding is not None:
            self.board.use(discarding, self.way, len(octets))
            self.way.swallowed(discarding)
            return
        if self.is_shut:
            return
        for fault in self.board.active(self.way, self.direction):
            if fault.verb.name == "byte_flip":
                octets = self._flipped(fault, octets)
            elif fault.verb.name == "reorder_segments" and self._held is None:
                self.board.use(fault, self.way, len(octets))
                self._held = octets
                return
        if self._held is not None:
            octets, self._held = octets + self._held, None
        await self._limited(octets)

    async def _limited(self, octets: bytes) -> None:
        for fault in self.board.active(self.way, self.direction):
            if fault.verb.name != "limit_data":
                continue
            left = fault.integer("bytes") - self._passed.get(fault.id, 0)
            if len(octets) > left:
                self.board.use(fault, self.way, len(octets) - left)
                await self._paced(octets[:left])
                self.way.close(fault)
                return
            self._passed[fault.id] = self._passed.get(fault.id, 0) + len(octets)
        await self._paced(octets)

    def _flipped(self, fault: ProxyFault, octets: bytes) -> bytes:
        """Return ``octets`` with one byte changed, if what the fault looks for is in them."""
        find = str(fault.options["find"]).encode()
        start = octets.find(find) if find else 0
        at = start + len(find) + fault.integer("skip")
        if start < 0 or at >= len(octets):
            return octets
        self.board.use(fault, self.way, 1)
        return octets[:at] + bytes([octets[at] ^ (fault.integer("mask") & 0xFF)]) + octets[at + 1 :]

    async def _paced(self, octets: bytes) -> None:
        """Send ``octets`` in the pieces and at the speed that the armed faults allow."""
        left = memoryview(octets)  # single bytes of a large message: what is left is not copied each time
        while left:
            slicer = bandwidth = None
            for fault in self.board.active(self.way, self.direction):
                slicer = fault if fault.verb.name == "slicer" else slicer
                bandwidth = fault if fault.verb.name == "bandwidth" else bandwidth
            if slicer is None and bandwidth is None:
                await self._pass(left)
                return
            size = len(left)
            if slicer is not None:
                size = min(size, self._piece(slicer))
            if bandwidth is not None:
                size = min(size, max(1, bandwidth.integer("bytes_s") // PACES_PER_S))
            piece, left = left[:size], left[size:]
            await self._pass(piece)
            for fault in _present(slicer, bandwidth):
                self.board.use(fault, self.way, len(piece))
            await self._rest(slicer, bandwidth, size)

    def _piece(self, slicer: ProxyFault) -> int:
        size, variation = slicer.integer("bytes"), slicer.integer("variation")
        return max(1, size + self._random.randint(-variation, variation) if variation else size)

    async def _rest(self, slicer: ProxyFault | None, bandwidth: ProxyFault | None, size: int) -> None:
        """Wait as long as a piece of ``size`` bytes takes."""
        delay_ns = slicer.integer("delay_us") * 1_000 if slicer is not None else 0
        if bandwidth is not None:
            now = time.monotonic_ns()
            self._free_ns = max(self._free_ns, now) + size * 10**9 // max(1, bandwidth.integer("bytes_s"))
            delay_ns += self._free_ns - now
        await asyncio.sleep(delay_ns / 1e9)

    async def _pass(self, octets: bytes | memoryview) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sink, octets)
        self.passed_bytes += len(octets)
        self.last_ns = self.way.active_ns = time.monotonic_ns()


def _present(*faults: ProxyFault | None) -> Iterator[ProxyFault]:
    return (fault for fault in faults if fault is not None)
