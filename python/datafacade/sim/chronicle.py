"""What the markets did, written to the truth log even if nobody was told: trades and minute candles."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from datafacade.sim.binance_futures import ODD_KIND, odd_price
from datafacade.sim.digits import trimmed
from datafacade.sim.intervals import MINUTE_NS, minutes
from datafacade.sim.market import Market
from datafacade.sim.tape import Candle, Trade
from datafacade.sim.truth import Record, TruthLog

LATE_NS: Final = 1_000_000_000  # a minute is written down so long after its end


class Chronicle:
    """Writes the trades of all markets, and a candle of each minute once it is over."""

    def __init__(self, truth: TruthLog, *, is_on: bool) -> None:
        self._truth = truth
        self._is_on = is_on
        self._minutes: dict[tuple[str, str], int] = {}  # begin of the next candle to write
        self._withheld: dict[tuple[str, str], list[int]] = {}  # numbers of trades that were never sent
        self._due_ns = 0

    def traded(self, product: str, market: Market, trades: Sequence[Trade]) -> None:
        """Write down what was traded just now."""
        if self._is_on and trades:
            rows = [self._row(market, trade) for trade in trades]
            self._truth.record("trades", {**_origin(product, market), "rows": rows})

    def withheld(self, product: str, market: Market, trades: Iterable[Trade], *, is_in_rest: bool) -> None:
        """Write down which trades no stream will ever tell."""
        numbers = [trade.trade_id for trade in trades]
        key = (product, market.instrument.venue_symbol)
        self._withheld.setdefault(key, []).extend(numbers)
        fields = {**_origin(product, market), "ids": numbers, "is_in_rest": is_in_rest}
        self._truth.record("withheld", fields)

    def tick(self, markets: Iterable[tuple[str, Market]], *, is_last: bool = False) -> None:
        """Write the candles of the minutes that are over; with ``is_last`` also those of the present one."""
        now = time.time_ns()
        if not self._is_on or (now < self._due_ns and not is_last):
            return
        self._due_ns = now - now % MINUTE_NS + MINUTE_NS + LATE_NS
        for product, market in markets:
            key = (product, market.instrument.venue_symbol)
            first = self._minutes.setdefault(key, 0)
            for candle in market.tape.candles(minutes(1), first, now):
                is_closed = candle.open_ns + MINUTE_NS <= now
                if is_closed or is_last:
                    self._minutes[key] = candle.open_ns + MINUTE_NS
                    self._write(product, market, candle, is_closed=is_closed)

    def _write(self, product: str, market: Market, candle: Candle, *, is_closed: bool) -> None:
        listed = market.instrument
        prices = {"open": candle.open, "high": candle.high, "low": candle.low, "close": candle.close}
        volumes = {"volume": candle.volume, "taker_volume": candle.taker_volume}
        withheld = self._withheld.get((product, listed.venue_symbol), [])
        fields: Record = {
            **_origin(product, market),
            "open_ms": candle.open_ns // 1_000_000,
            "is_closed": is_closed,
            **{name: trimmed(price, listed.price_scale) for name, price in prices.items()},
            **{name: trimmed(volume, listed.quantity_scale) for name, volume in volumes.items()},
            "quote_volume": trimmed(candle.notional, listed.price_scale + listed.quantity_scale),
            "count": candle.count,
            "trade_id_first": candle.first_id,
            "trade_id_last": candle.last_id,
            "withheld": sum(candle.first_id <= number <= candle.last_id for number in withheld),
        }
        self._truth.record("kline", fields)

    def _row(self, market: Market, trade: Trade) -> list[object]:
        """Return ``[id, price, quantity, taker, ts_event_ns]``, and a kind if it is no market trade."""
        listed = market.instrument
        is_counted = market.tape.counts(trade)
        price = trade.price if is_counted else odd_price(trade)
        row: list[object] = [
            trade.trade_id,
            trimmed(price, listed.price_scale),
            trimmed(trade.quantity, listed.quantity_scale),
            trade.taker,
            trade.ts_event,
        ]
        return row if is_counted else [*row, ODD_KIND]


def _origin(product: str, market: Market) -> Record:
    venue, _, kind = product.partition("/")
    return {"venue": venue, "product": kind, "symbol": market.instrument.venue_symbol}
