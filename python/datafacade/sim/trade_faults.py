"""Faults on the way from the market to its stream of trades: some are never told, some late."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from datafacade.sim.chronicle import Chronicle
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade
from datafacade.sim.venue import Venue


class TradeFaults:
    """Decides of each trade whether it is told now, later or never."""

    def __init__(self, faults: FaultBoard, chronicle: Chronicle, seed: int) -> None:
        self._faults = faults
        self._chronicle = chronicle
        self._seed = seed
        self._draws: dict[int, Random] = {}  # by fault

    def told(self, venue: Venue, market: Market, trades: Sequence[Trade]) -> Sequence[Trade]:
        """Return the trades that are told now; arrange for the late ones."""
        if not self._faults or not trades:
            return trades
        return [trade for trade in trades if not self._is_kept_back(venue, market, trade)]

    def _is_kept_back(self, venue: Venue, market: Market, trade: Trade) -> bool:
        symbol = market.instrument.venue_symbol
        for fault in self._faults.matching("trades", venue.product, symbol=symbol):
            if not self._is_drawn(fault):
                continue
            about = {"product": venue.product, "symbol": symbol, "sequence": [trade.trade_id]}
            self._faults.use(fault, about)
            if fault.verb.name == "late_trades":
                loop = asyncio.get_running_loop()
                loop.call_later(fault.integer("ms") / 1000, venue.changed, market, [], [trade])
                return True
            is_in_rest = fault.flag("is_in_rest")
            if not is_in_rest:
                market.tape.hidden.add(trade.trade_id)
            self._chronicle.withheld(venue.product, market, [trade], is_in_rest=is_in_rest)
            return True
        return False

    def _is_drawn(self, fault: Fault) -> bool:
        ratio = float(fault.text("ratio"))
        draw = self._draws.setdefault(fault.id, Random(f"{self._seed}:trades:{fault.id}"))
        return ratio >= 1 or draw.random() < ratio
