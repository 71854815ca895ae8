"""Accept the WebSocket connections of one venue product and enforce its connection rules."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from dataclasses import dataclass, field
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from datafacade.sim.connection import Connection
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.limits import ConnectionRules, SlidingWindow
from datafacade.sim.rest import retry_text
from datafacade.sim.stats import Stats
from datafacade.sim.truth import TruthLog
from datafacade.sim.venue import Venue
from datafacade.sim.verb import Stage
from datafacade.sim.witness import Witness

MESSAGE_BYTES_MAX: Final = 1 << 20
LASTING: Final[tuple[Stage, ...]] = ("pong", "reading")
OPEN_TIMEOUT_S: Final = 120.0
BAN_AFTER_VIOLATIONS: Final = 3
BAN_S: Final = 120.0
POLL_S: Final = 0.1
TRICKLE: Final = b"HTTP/1.1 101 Switching Protocols\r\nServer: "  # and then no end


@dataclass(slots=True)
class Listener:
    """The WebSocket side of one venue product."""

    venue: Venue
    rules: ConnectionRules
    truth: TruthLog
    faults: FaultBoard
    stats: Stats
    numbers: itertools.count[int]  # connection numbers, shared by all listeners
    connections: dict[int, Connection] = field(default_factory=dict)
    _attempts: SlidingWindow = field(init=False)
    _banned_until: float = 0.0  # monotonic seconds
    _server: Server | None = None
    _flaps: dict[int, Fault] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Derive what the fields imply."""
        self._attempts = SlidingWindow(self.rules.attempts, self.rules.attempts_span_s)

    async def start(self, host: str, port: int) -> int:
        """Listen on ``host``; return the port."""
        quiet = logging.getLogger("datafacade.sim.websocket")
        quiet.setLevel(logging.CRITICAL)  # faults end connections in every way: not worth a traceback each
        self._server = await serve(
            self._handle,
            host,
            port,
            process_request=self._upgrade,
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=self.rules.ping_every_s,
            ping_timeout=self.rules.ping_timeout_s,
            close_timeout=2,
            max_size=MESSAGE_BYTES_MAX,
            server_header=None,
            create_connection=Witness,
            logger=quiet,
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        self._stopping.set()
        if self._server is None:
            return
        for connection in list(self.connections.values()):
            connection.close(1001, "simulator stops", "venue")
        self._server.close()
        await self._server.wait_closed()

    async def _upgrade(self, ws: ServerConnection, request: Request) -> Response | None:
        product = self.venue.product
        counts = self.stats.of(product)
        counts.attempts_mono_ns.append(time.monotonic_ns())
        for fault in self.faults.matching("upgrade", product):
            self.faults.use(fault, {"product": product})
            if fault.verb.name == "tarpit":
                await self._tarpit(ws, fault)
                break
            after = fault.options["retry_after"]
            told = None if after is None else retry_text(after, fault.text("retry_as"))
            return self._refuse(ws, fault.integer("status"), told, by="fault")
        now = time.monotonic()
        if now < self._banned_until:
            return self._refuse(ws, 429, int(self._banned_until - now) + 1, by="venue")
        if not self._attempts.admit(now):
            self.stats.violation(product, "connection_attempts")
            self._banned_until = now + self.rules.ban_s
            return self._refuse(ws, 429, int(self.rules.ban_s) or None, by="venue")
        if not self.venue.accepts(request.path):
            return self._refuse(ws, 404, None, by="venue")
        return None

    async def _tarpit(self, ws: ServerConnection, fault: Fault) -> None:
        """Keep a client waiting for the upgrade."""
        end = time.monotonic() + fault.integer("ms") / 1000
        every_s = fault.integer("every_ms") / 1000 if fault.text("how") == "trickle" else POLL_S
        octets = iter(TRICKLE)
        while (left := end - time.monotonic()) > 0 and not self._stopping.is_set():
            if ws.transport.is_closing():
                return
            if fault.text("how") == "trickle":
                ws.transport.write(bytes([next(octets, 32)]))
            await self._linger(min(left, every_s))
        if fault.text("how") == "trickle":
            ws.transport.abort()

    async def _linger(self, seconds: float) -> None:
        """Wait, but not longer than the listener lives."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _refuse(self, ws: ServerConnection, status: int, retry_after: object, *, by: str) -> Response:
        response = ws.respond(status, "upgrade refused\n")
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        counts = self.stats.of(self.venue.product)
        counts.refused[str(status)] += 1
        self._record("refused", None, {"status": status, "retry_after": retry_after, "by": by})
        return response

    async def _handle(self, ws: ServerConnection) -> None:
        if not isinstance(ws, Witness):
            raise TypeError(f"expected a Witness, received {type(ws).__name__}")
        path = ws.request.path if ws.request else "/"
        rules = self.rules
        connection = Connection(
            id=next(self.numbers),
            product=self.venue.product,
            ws=ws,
            path=path,
            session=self.venue.new_session(path),
            messages=SlidingWindow(rules.messages, rules.messages_span_s) if rules.messages else None,
        )
        self.connections[connection.id] = connection
        counts = self.stats.of(self.venue.product)
        counts.opened += 1
        counts.open_now += 1
        self._record("opened", connection, {"path": path})
        for fault in self.faults.matching("opened", self.venue.product):
            self.faults.use(fault, {"product": self.venue.product, "conn": connection.id})
            self._flaps[connection.id] = fault
            break
        try:
            self.venue.opened(connection)
            async for message in ws:
                self._receive(connection, message)
        except ConnectionClosed:
            pass  # how it ended is written below
        except Exception as error:
            self._record("failed", connection, {"error": repr(error)})  # a fault of the simulator itself
            raise
        finally:
            self._forget(connection)

    def _receive(self, connection: Connection, message: str | bytes) -> None:
        if not connection.is_open:
            return
        counts = self.stats.of(self.venue.product)
        counts.messages_received += 1
        connection.received_ns = time.monotonic_ns()
        if connection.messages is not None and not connection.messages.admit(time.monotonic()):
            self.stats.violation(self.venue.product, "messages")
            if counts.violations["messages"] % BAN_AFTER_VIOLATIONS == 0:
                self._banned_until = time.monotonic() + BAN_S
            connection.close(1008, "Too many requests", "venue")
            return
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        self.venue.received(connection, text)

    def _forget(self, connection: Connection) -> None:
        self.connections.pop(connection.id, None)
        self._flaps.pop(connection.id, None)
        self.venue.closed(connection)
        protocol = connection.ws.protocol
        who = connection.ended_by or ("client" if protocol.close_rcvd_then_sent is not False else "venue")
        code = protocol.close_code
        counts = self.stats.of(self.venue.product)
        counts.open_now -= 1
        counts.closed[f"{who} {code}"] += 1
        self._record("closed", connection, {"by": who, "code": code, "reason": protocol.close_reason})

    def _record(self, event: str, connection: Connection | None, fields: dict[str, object]) -> None:
        venue, _, product = self.venue.product.partition("/")
        about: dict[str, object] = {"event": event, "venue": venue, "product": product}
        if connection is not None:
            about["conn"] = connection.id
        self.truth.record("connection", {**about, **fields})

    def govern(self) -> None:
        """Do to every connection what armed faults do as long as they last, and undo what is over."""
        for connection in self.connections.values():
            found: dict[Stage, Fault | None] = dict.fromkeys(LASTING)
            if self.faults:
                for stage in LASTING:
                    place = self.faults.matching(stage, self.venue.product, connection=connection.id)
                    found[stage] = next(place, None)
            connection.ws.is_silent = self._lasts(found["pong"], connection, connection.ws.is_silent)
            connection.listen(is_deaf=self._lasts(found["reading"], connection, connection.is_deaf))

    def _lasts(self, fault: Fault | None, connection: Connection, was_there: bool) -> bool:
        """Tell whether a fault lasts; count it when it begins."""
        if fault is not None and not was_there:
            self.faults.use(fault, {"product": self.venue.product, "conn": connection.id})
        return fault is not None

    def tick(self, now_ns: int) -> None:
        """Close the connections that break a rule or have lived long enough.

        Args:
            now_ns: Monotonic time.
        """
        self.govern()
        for connection in list(self.connections.values()):
            if not connection.is_open:
                continue
            self._flap(connection, now_ns)
            code, reason = self._overdue(connection, now_ns)
            if code:
                connection.close(code, reason, "venue")

    def _overdue(self, connection: Connection, now_ns: int) -> tuple[int, str]:
        """Return code and reason of the close that is due, or 0."""
        rules = self.rules
        age_s = (now_ns - connection.opened_ns) / 1e9
        idle_s = (now_ns - max(connection.sent_ns, connection.received_ns)) / 1e9
        if (
            rules.subscribe_within_s is not None
            and not connection.has_subscribed
            and age_s > rules.subscribe_within_s
        ):
            self.stats.violation(self.venue.product, "subscribe_deadline")
            return 1008, f"no subscription within {rules.subscribe_within_s:g} s"
        if rules.idle_s is not None and idle_s > rules.idle_s:
            code = 4004 if self.venue.product == "okx/public" else 1001
            return code, f"No data received in {rules.idle_s:g}s"
        if rules.lifetime_s is not None and age_s > rules.lifetime_s:
            return 1001, "connection lifetime reached"
        if connection.unread_bytes > rules.unread_bytes_max:
            self.stats.violation(self.venue.product, "slow_reader")
            return (4005, "buffer full") if self.venue.product == "okx/public" else (1008, "slow reader")
        return 0, ""

    def _flap(self, connection: Connection, now_ns: int) -> None:
        fault = self._flaps.get(connection.id)
        if fault is None or connection.data_sent_ns is None:
            return
        if now_ns - connection.data_sent_ns < fault.integer("ms") * 1_000_000:
            return
        match fault.text("how"):
            case "close":
                connection.close(1001, "flap", "fault")
            case "eof":
                connection.end_of_file("fault")
            case _:
                connection.reset("fault")
