"""Which faults of the proxy are armed, which connections they are meant for, what they did."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from datafacade.sim.faults import FINISHED_KEPT, UNBOUNDED, FaultRefused, verb_of
from datafacade.sim.proxy_verbs import DIRECTIONS, PROXY_SELECTORS, PROXY_VERBS, SCOPES, Direction, ProxyVerb
from datafacade.sim.truth import TruthLog


class Place(Protocol):
    """A connection, as far as selectors look at it."""

    id: int
    route: str
    opened_ns: int


@dataclass(slots=True, kw_only=True)
class ProxyFault:
    """One armed fault of the proxy."""

    id: int
    verb: ProxyVerb
    route: str | None
    connection: int | None
    direction: Direction | None  # None: both
    scope: str
    ratio: float  # share of the connections that it meets
    remaining: int
    until_ns: int | None  # monotonic
    options: Mapping[str, object]
    armed_ns: int  # monotonic
    applied: int = 0  # segments, or connections for verbs that act at once
    touched_bytes: int = 0  # that it held, changed or swallowed
    first_ns: int | None = None  # the onset
    last_ns: int | None = None
    connections: set[int] = field(default_factory=set)  # that it met

    def is_over(self) -> bool:
        """Tell whether nothing is left to apply."""
        if self.remaining == 0:
            return True
        return self.until_ns is not None and time.monotonic_ns() >= self.until_ns

    def integer(self, name: str) -> int:
        """Return the option ``name``, a whole number."""
        value = self.options[name]
        return value if isinstance(value, int) else 0

    def proof(self) -> dict[str, object]:
        """Return what was asked for and what was done."""
        return {
            "id": self.id,
            "verb": self.verb.name,
            "route": self.route,
            "connection": self.connection,
            "direction": self.direction,
            "scope": self.scope,
            "ratio": self.ratio,
            "options": dict(self.options),
            "applied": self.applied,
            "bytes": self.touched_bytes,
            "connections": sorted(self.connections),
            "remaining": None if self.remaining == UNBOUNDED else self.remaining,
            "is_over": self.is_over(),
            "armed_mono_ns": self.armed_ns,
            "first_mono_ns": self.first_ns,
            "last_mono_ns": self.last_ns,
        }

    def fits(self, place: Place, direction: Direction | None = None) -> bool:
        """Tell whether the fault is meant for a connection, and for one of its directions."""
        if self.direction is not None and direction is not None and direction != self.direction:
            return False
        if not fits_route(self.route, place.route) or self.connection not in (None, place.id):
            return False
        if self.scope != "all" and (place.opened_ns > self.armed_ns) != (self.scope == "new"):
            return False
        return self.ratio >= 1 or Random(f"{self.id}:{place.id}").random() < self.ratio


def fits_route(wanted: str | None, route: str) -> bool:
    """Tell whether ``wanted`` names ``route`` or a path above it: ``binance`` fits ``binance/spot/ws``."""
    return wanted is None or route == wanted or route.startswith(f"{wanted}/")


class ProxyBoard:
    """All faults of one proxy; the one writer of their counters."""

    def __init__(self, log: TruthLog) -> None:
        self._log = log
        self._active: list[ProxyFault] = []
        self._finished: list[ProxyFault] = []
        self._changed = asyncio.Event()
        self._next = 1
        self.on_over: list[Callable[[ProxyFault], None]] = []

    def __bool__(self) -> bool:
        """Tell whether any fault is armed."""
        return bool(self._active)

    def arm(self, request: Mapping[str, object]) -> ProxyFault:
        """Arm the fault that ``request`` describes.

        Raises:
            FaultRefused: The request is not understood.
        """
        fault = parse(request, self._next)
        self._next += 1
        self._active.append(fault)
        self._log.record("proxy", {"event": "fault", "phase": "armed", **fault.proof()})
        if fault.until_ns is not None:
            wait_s = (fault.until_ns - time.monotonic_ns()) / 1e9
            asyncio.get_running_loop().call_later(max(0.0, wait_s) + 0.001, self.sweep)
        self._wake()
        return fault

    def heal(self, fault_id: int | None = None) -> int:
        """End one fault, or all without a number; return how many were ended."""
        ended = [fault for fault in self._active if fault_id in (None, fault.id) and not fault.is_over()]
        for fault in ended:
            fault.remaining = 0
        self.sweep()
        return len(ended)

    def use(self, fault: ProxyFault, place: Place, size_bytes: int = 0) -> None:
        """Count one application; write down the first on each connection."""
        now = time.monotonic_ns()
        fault.applied += 1
        fault.touched_bytes += size_bytes
        fault.first_ns = fault.first_ns or now
        fault.last_ns = now
        if fault.remaining > 0:
            fault.remaining -= 1
        if place.id not in fault.connections:
            fault.connections.add(place.id)
            about = {"id": fault.id, "verb": fault.verb.name, "route": place.route, "connection": place.id}
            self._log.record("proxy", {"event": "fault", "phase": "applied", **about})

    def active(self, place: Place, direction: Direction | None = None) -> Iterator[ProxyFault]:
        """Yield the armed faults that are meant for a connection, oldest first."""
        for fault in list(self._active):
            if not fault.is_over() and fault.fits(place, direction):
                yield fault

    def on_route(self, verb: str, route: str) -> ProxyFault | None:
        """Return the oldest armed fault of ``verb`` that is meant for a whole route."""
        for fault in self._active:
            if fault.verb.name == verb and not fault.is_over() and fits_route(fault.route, route):
                return fault
        return None

    def all(self) -> list[ProxyFault]:
        """Return every fault, finished ones included, oldest first."""
        self.sweep()
        return sorted([*self._finished, *self._active], key=lambda fault: fault.id)

    async def change(self) -> None:
        """Wait until a fault is armed or ends."""
        await self._changed.wait()

    def sweep(self) -> None:
        """Put away the faults that are over and tell those who wait."""
        over = [fault for fault in self._active if fault.is_over()]
        if not over:
            return
        self._active = [fault for fault in self._active if fault not in over]
        self._finished = [*self._finished, *over][-FINISHED_KEPT:]
        for fault in over:
            self._log.record("proxy", {"event": "fault", "phase": "ended", **fault.proof()})
            for tell in self.on_over:
                tell(fault)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def parse(request: Mapping[str, object], number: int) -> ProxyFault:
    """Return the fault that ``request`` describes.

    Raises:
        FaultRefused: A name is unknown or a value out of range.
    """
    verb = verb_of(request, PROXY_VERBS, PROXY_SELECTORS)
    duration = _whole(request, "duration_ms", None)
    count = _whole(request, "count", 1 if verb.is_counted and duration is None else None)
    now = time.monotonic_ns()
    return ProxyFault(
        id=number,
        verb=verb,
        route=None if request.get("route") is None else str(request["route"]),
        connection=_whole(request, "connection", None),
        direction=_direction(request, verb),
        scope=_choice(request, "scope", SCOPES),
        ratio=_ratio(request),
        remaining=UNBOUNDED if count is None else count,
        until_ns=None if duration is None else now + duration * 1_000_000,
        options={key: _option(request, key, default) for key, default in verb.options.items()},
        armed_ns=now,
    )


def _whole(request: Mapping[str, object], key: str, default: int | None) -> int | None:
    value = request.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultRefused(f"{key}: expected a whole number of at least 0, received {value!r}")
    return value


def _option(request: Mapping[str, object], key: str, default: object) -> object:
    if isinstance(default, bool):
        value = request.get(key, default)
        if not isinstance(value, bool):
            raise FaultRefused(f"{key}: expected true or false, received {value!r}")
        return value
    if isinstance(default, int):
        return _whole(request, key, default)
    return str(request.get(key, default))


def _choice(request: Mapping[str, object], key: str, choices: tuple[str, ...]) -> str:
    value = str(request.get(key) or choices[0])
    if value not in choices:
        raise FaultRefused(f"{key}: expected one of {', '.join(choices)}, received {value!r}")
    return value


def _direction(request: Mapping[str, object], verb: ProxyVerb) -> Direction | None:
    asked = _choice(request, "direction", ("both", *DIRECTIONS))
    if asked == "both" and verb.name == "half_close":
        return "to_client"
    return next((direction for direction in DIRECTIONS if direction == asked), None)


def _ratio(request: Mapping[str, object]) -> float:
    value = request.get("ratio", 1.0)
    with contextlib.suppress(TypeError, ValueError):
        ratio = float(str(value))
        if 0 <= ratio <= 1:
            return ratio
    raise FaultRefused(f"ratio: expected a number from 0 to 1, received {value!r}")
