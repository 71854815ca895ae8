"""A host that answers what it was told, for tests of those who ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

from datafacade.observe.latency import FailureRatio
from datafacade.types import InstrumentRow, Priority
from datafacade.venues.rest import RestAnswer, RestGuards
from tests.unit.fakes import ManualClock

Script = Callable[[str], bytes | tuple[int, bytes]]


class FakeRest:
    """Answers each path by a script; remembers what was asked and spent."""

    def __init__(self, script: Script, clock: ManualClock) -> None:
        self.script = script
        self.clock = clock
        self.paths: list[str] = []
        self.weights: list[int | None] = []
        self.wanted: list[tuple[Priority, int | None]] = []  # by whom, and until when
        self.failures = FailureRatio()

    @property
    def guards(self) -> RestGuards:
        return cast("RestGuards", SimpleNamespace(failures=self.failures))

    @property
    def is_flagged(self) -> bool:
        """Whether a failure was counted against the source."""
        return bool(self.failures.ratio(self.clock.monotonic_ns()))

    async def fetch(
        self,
        path: str,
        *,
        priority: Priority = Priority.CLIENT,
        weight: int | None = None,
        deadline_ns: int | None = None,
    ) -> RestAnswer:
        self.paths.append(path)
        self.weights.append(weight)
        self.wanted.append((priority, deadline_ns))
        told = self.script(path)
        status, body = (200, told) if isinstance(told, bytes) else told
        self.clock.advance(0.05)
        return RestAnswer(status=status, headers={}, body=body, ts_recv=self.clock.wall_ns())


def in_turn(bodies: Sequence[bytes]) -> Script:
    """Answer with one body after the other."""
    left = iter(bodies)
    return lambda _: next(left)


def instrument(symbol: str = "BTC-USD", venue_symbol: str = "BTC-USD") -> InstrumentRow:
    """Return one row of an instrument list: ticks of a cent, lots of 1e-8."""
    base, _, quote = symbol.partition("-")
    return InstrumentRow(
        symbol=symbol,
        venue_symbol=venue_symbol,
        aliases=[],
        base=base,
        quote=quote,
        kind="spot",
        status="trading",
        tick_size="0.01",
        lot_size="0.00000001",
        contract_size=None,
    )
