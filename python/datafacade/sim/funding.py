"""Funding of perpetuals, made from the seed: settled rates, the present estimate, mark prices. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from datafacade.sim.history import Page
from datafacade.sim.intervals import HOUR_NS, MINUTE_NS, minutes
from datafacade.sim.market import Market

RATE_SCALE: Final = 8  # rates are whole numbers of 10**-8
RATE_SPAN: Final = 30_000  # at most 0.03 % either way
EIGHT_HOURS_NS: Final = 8 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Funding:
    """Funding of the perpetual on one market's asset, settled each ``interval_ns``."""

    market: Market
    interval_ns: int = EIGHT_HOURS_NS

    def rate(self, settled_ns: int) -> int:
        """Return the rate settled at ``settled_ns``, in ``10**-RATE_SCALE``; round ones occur."""
        listed = self.market.instrument
        name = f"{self.market.seed}:funding:{listed.product}:{listed.base}:{settled_ns}"
        draw = int.from_bytes(hashlib.shake_128(name.encode()).digest(4), "big")
        return 10_000 if draw % 4 == 0 else draw % (2 * RATE_SPAN) - RATE_SPAN // 2

    def settled(self, first_ns: int, last_ns: int) -> list[int]:
        """Return the times of settlement in ``first_ns .. last_ns``, ascending."""
        step = self.interval_ns
        return list(range(-(-first_ns // step) * step, last_ns + 1, step))

    def next_ns(self, now_ns: int) -> int:
        """Return the next time of settlement."""
        return (now_ns // self.interval_ns + 1) * self.interval_ns

    def marks(self, times: Sequence[int]) -> dict[int, int]:
        """Return the mark prices at times of settlement: the closes before, in the market's units."""
        if not times:
            return {}
        page = Page(
            interval=minutes(self.interval_ns // MINUTE_NS),
            first_ns=times[0] - self.interval_ns,
            last_ns=times[-1] - self.interval_ns,
            count=len(times),
        )
        candles = self.market.history.candles(page)
        return {candle.open_ns + self.interval_ns: candle.close for candle in candles}
