"""Faults on demand: which are armed, what they match, how often they acted. No I/O but the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Final, TypeVar

from datafacade.sim.frames import Frame
from datafacade.sim.listings import Instrument
from datafacade.sim.proxy_verbs import ProxyVerb
from datafacade.sim.truth import TruthLog
from datafacade.sim.verb import Verb
from datafacade.sim.verbs import SELECTORS, VERBS

UNBOUNDED: Final = -1
FINISHED_KEPT: Final = 1_000
Options = dict[str, object]


class FaultRefused(ValueError):
    """The request names no verb, an unknown option, or something the venue cannot do."""


VerbT = TypeVar("VerbT", Verb, ProxyVerb)


def verb_of(request: Mapping[str, object], verbs: Mapping[str, VerbT], selectors: Set[str]) -> VerbT:
    """Return the verb that a request names.

    Raises:
        FaultRefused: It names none, or has a key that is neither a selector nor an option of the verb.
    """
    name = str(request.get("verb", ""))
    verb = verbs.get(name)
    if verb is None:
        raise FaultRefused(f"unknown verb {name!r}: expected one of {', '.join(sorted(verbs))}")
    known = selectors | set(verb.options)
    unknown = set(request) - known
    if unknown:
        wanted = ", ".join(sorted(known))
        raise FaultRefused(f"{name}: unknown option {', '.join(sorted(unknown))}: expected {wanted}")
    return verb


@dataclass(slots=True)
class Fault:
    """One armed fault."""

    id: int
    verb: Verb
    venue: str | None
    product: str | None
    symbol: str | None
    channel: str | None
    connection: int | None
    remaining: int  # UNBOUNDED: until the time is over or it is removed
    until_ns: int | None  # monotonic
    options: Options
    armed_ns: int  # monotonic
    applied: int = 0
    first_ns: int | None = None  # monotonic, first application: the onset
    last_ns: int | None = None
    prices: set[int] = field(default_factory=set)  # what suppress_delete hides
    equal_ns: int = 0  # the time that odd_numbers tells of all trades

    def is_over(self) -> bool:
        """Tell whether nothing is left to apply."""
        if self.remaining == 0:
            return True
        return self.until_ns is not None and time.monotonic_ns() >= self.until_ns

    def integer(self, name: str) -> int:
        """Return the option ``name`` as an integer."""
        value = self.options[name]
        return int(value) if isinstance(value, (int, float, str)) else 0

    def text(self, name: str) -> str:
        """Return the option ``name`` as text."""
        return str(self.options[name])

    def flag(self, name: str) -> bool:
        """Return the option ``name`` as a truth value."""
        return bool(self.options[name])

    def proof(self) -> dict[str, object]:
        """Return what was asked for and what was done."""
        return {
            "id": self.id,
            "verb": self.verb.name,
            "venue": self.venue,
            "product": self.product,
            "symbol": self.symbol,
            "channel": self.channel,
            "connection": self.connection,
            "options": dict(self.options),
            "applied": self.applied,
            "remaining": None if self.remaining == UNBOUNDED else self.remaining,
            "is_over": self.is_over(),
            "armed_mono_ns": self.armed_ns,
            "first_mono_ns": self.first_ns,
            "last_mono_ns": self.last_ns,
        }

    def fits_place(self, product: str, connection: int | None) -> bool:
        """Tell whether the fault is meant for ``product`` ("binance/spot") and this connection."""
        venue, _, kind = product.partition("/")
        if self.venue is not None and self.venue not in (venue, product):
            return False
        if self.product is not None and self.product not in (kind, product):
            return False
        return self.connection is None or connection is None or self.connection == connection

    def fits_symbol(self, symbol: str | None, canonical: str | None) -> bool:
        """Tell whether the fault is meant for this market, in the venue's spelling or as ``BTC-USDT``."""
        if self.symbol is None:
            return True
        return self.symbol.upper() in ((symbol or "").upper(), (canonical or "").upper())


class FaultBoard:
    """All faults of one simulator; the one writer of their counters."""

    def __init__(self, truth: TruthLog, instruments: Mapping[tuple[str, str], Instrument]) -> None:
        self._truth = truth
        self._instruments = instruments
        self._active: list[Fault] = []
        self._finished: list[Fault] = []
        self._next = 1
        self.on_over: list[Callable[[Fault], None]] = []

    def __bool__(self) -> bool:
        """Tell whether any fault is armed."""
        return bool(self._active)

    def arm(self, request: Mapping[str, object]) -> Fault:
        """Arm the fault that ``request`` describes.

        Raises:
            FaultRefused: The request is not understood.
        """
        verb = verb_of(request, VERBS, SELECTORS)
        fault = self._build(verb, request)
        self._active.append(fault)
        self._truth.record("fault", {"fault": verb.name, "phase": "armed", **fault.proof()})
        return fault

    def _build(self, verb: Verb, request: Mapping[str, object]) -> Fault:
        def text(key: str) -> str | None:
            value = request.get(key)
            return None if value is None else str(value)

        def number(key: str) -> int | None:
            value = request.get(key)
            if value is None:
                return None
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise FaultRefused(
                    f"{verb.name}: {key} must be a whole number of at least 0, received {value!r}"
                )
            return value

        now = time.monotonic_ns()
        duration, count = number("duration_ms"), number("count")
        if count is None:
            count = UNBOUNDED if duration is not None or verb.is_unbounded else 1
        fault = Fault(
            id=self._next,
            verb=verb,
            venue=text("venue"),
            product=text("product"),
            symbol=text("symbol"),
            channel=text("channel"),
            connection=number("connection"),
            remaining=count,
            until_ns=None if duration is None else now + duration * 1_000_000,
            options={key: request.get(key, default) for key, default in verb.options.items()},
            armed_ns=now,
        )
        self._next += 1
        return fault

    def remove(self, fault_id: int | None = None) -> int:
        """End one fault, or all without a number; return how many were ended."""
        ended = [fault for fault in self._active if fault_id in (None, fault.id)]
        for fault in ended:
            fault.remaining = 0
        self.sweep()
        return len(ended)

    def use(self, fault: Fault, about: Mapping[str, object], *, is_told: bool = True) -> None:
        """Count one application and write it down, unless it is one of very many."""
        now = time.monotonic_ns()
        fault.applied += 1
        fault.first_ns = fault.first_ns or now
        fault.last_ns = now
        if fault.remaining > 0:
            fault.remaining -= 1
        if is_told:
            what = {"fault": fault.verb.name, "phase": "applied", "id": fault.id, "applied": fault.applied}
            self._truth.record("fault", {**what, **about})

    def all(self) -> list[Fault]:
        """Return every fault, finished ones included, oldest first."""
        self.sweep()
        return sorted([*self._finished, *self._active], key=lambda fault: fault.id)

    def matching(
        self,
        stage: str,
        product: str,
        *,
        connection: int | None = None,
        symbol: str | None = None,
        channel: str = "",
    ) -> Iterator[Fault]:
        """Yield the armed faults of ``stage`` that are meant for this place, oldest first."""
        if not self._active:
            return
        self.sweep()
        listed = self._instruments.get((product, symbol or ""))
        canonical = f"{listed.base}-{listed.quote}" if listed else None
        for fault in list(self._active):
            if fault.verb.stage != stage or not fault.fits_place(product, connection):
                continue
            if not fault.fits_symbol(symbol, canonical):
                continue
            if channel and fault.channel not in (None, "any", channel):
                continue
            yield fault

    def for_frame(self, stage: str, product: str, connection: int, frame: Frame) -> Fault | None:
        """Return the oldest armed fault of ``stage`` that is meant for ``frame``."""
        for fault in self.matching(stage, product, connection=connection, symbol=frame.symbol):
            wanted = fault.channel or fault.verb.topic
            if wanted not in ("any", frame.topic, frame.channel):
                continue
            if fault.verb.kinds and frame.kind not in fault.verb.kinds:
                continue
            return fault
        return None

    def sweep(self) -> None:
        """Put away the faults that are over."""
        over = [fault for fault in self._active if fault.is_over()]
        if not over:
            return
        self._active = [fault for fault in self._active if not fault.is_over()]
        for fault in over:
            self._truth.record("fault", {"fault": fault.verb.name, "phase": "ended", **fault.proof()})
            for tell in self.on_over:
                tell(fault)
        self._finished = [*self._finished, *over][-FINISHED_KEPT:]
