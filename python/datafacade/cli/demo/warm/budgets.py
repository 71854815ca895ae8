"""Compare the budgets that Health shows with what the simulator wrote down, over the same sliding span.

Compared are the windows of a minute (Binance's): those of the others are over before anybody could look. The
simulator's log tells each request with its weight on the same monotonic clock. Health is asked when nothing
is under way, between two looks at that clock; the ledger then has a least and a greatest sum over spans that
end between them, and the error is the distance from these.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import grpc

from datafacade.cli.demo.warm.keys import MARKETS
from datafacade.cli.demo.warm.scene import Scene
from datafacade.cli.demo.warm.truth import records
from datafacade.v1 import health_pb2, service_pb2_grpc

SPAN_MS: Final = 60_000
SPAN_NS: Final = SPAN_MS * 1_000_000
STEP_NS: Final = SPAN_NS // 1_024  # in which the service counts what leaves a window
QUIET_S: Final = 15.0
LOOK_S: Final = 0.1
FLUSHED_S: Final = 0.3  # the log comes ten times a second


Ledger = dict[str, dict[str, int]]  # product, figure


class Shown(NamedTuple):
    """What Health showed of one budget."""

    product: str
    spent: int
    before_ns: int  # monotonic
    after_ns: int


class Error(NamedTuple):
    """How far a figure of Health is from the ledger's."""

    shown: Shown
    ledger: int
    ratio: float  # of the ledger's figure


async def settled(scene: Scene) -> Ledger:
    """Wait until nothing is under way at the venues; return the simulator's ledger."""
    end = time.monotonic() + QUIET_S
    before: dict[str, int] = {}
    while True:
        ledger: Ledger = await scene.ask("/ledger", last_s="60")
        calls = {name: row["calls"] for name, row in ledger.items()}
        is_quiet = calls == before and not any(row["in_flight"] for row in ledger.values())
        if is_quiet or time.monotonic() > end:
            return ledger
        before = calls
        await asyncio.sleep(LOOK_S)


async def shown(channel: grpc.aio.Channel) -> list[Shown]:
    """Return what Health says was spent of each window of a minute."""
    stub = service_pb2_grpc.DataFacadeServiceStub(channel)
    before_ns = time.monotonic_ns()
    health = await stub.Health(health_pb2.HealthRequest())
    after_ns = time.monotonic_ns()
    return [
        Shown(MARKETS[venue.venue].product, row.limit - row.remaining, before_ns, after_ns)
        for venue in health.venues
        for row in venue.rate_limits
        if row.budget.startswith("rest:") and row.window_ms == SPAN_MS and "/" not in row.budget
    ]


async def errors(figures: Sequence[Shown], log: Path) -> list[Error]:
    """Return how far each figure is from what the log tells."""
    await asyncio.sleep(FLUSHED_S)
    spent: dict[str, list[tuple[int, int]]] = {}
    for record in records(log, "rest"):
        name = f"{record['venue']}/{record['product']}"
        spent.setdefault(name, []).append((record["t_mono_ns"], record["weight"]))
    return [_error(one, spent.get(one.product, [])) for one in figures]


def _error(one: Shown, spent: Sequence[tuple[int, int]]) -> Error:
    least = sum(weight for at, weight in spent if one.after_ns - SPAN_NS < at <= one.before_ns)
    most = sum(weight for at, weight in spent if one.before_ns - SPAN_NS - STEP_NS < at <= one.after_ns)
    near = min(max(one.spent, least), most)
    return Error(one, near, abs(one.spent - near) / max(1, near))
