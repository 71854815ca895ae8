"""Binance's REST paths: weights and their refusals, instruments, depth, trades.

Source: venues/binance.md section 6 and 7, 2026-07-21.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Final

from datafacade.sim.binance_depth import DepthState
from datafacade.sim.binance_texts import Flavour, Writer, exchange_info
from datafacade.sim.books import Book
from datafacade.sim.frames import Frame
from datafacade.sim.limits import WeightLedger
from datafacade.sim.listings import ProductKey
from datafacade.sim.venue import Answer, Query, RestHandler, Surroundings

DEPTH_WEIGHTS_SPOT: Final = ((100, 5), (500, 25), (1000, 50), (5000, 250))
DEPTH_WEIGHTS_FUTURES: Final = ((50, 2), (100, 5), (500, 10), (1000, 20))
TRADES_MAX: Final = 1_000


def _error(code: int, message: str, status: int = 400) -> Answer:
    return Answer(body=json.dumps({"code": code, "msg": message}, separators=(",", ":")), status=status)


class BinanceRest:
    """The REST side of one flavour."""

    def __init__(
        self,
        flavour: Flavour,
        root: str,
        weight_limit: int,
        depths: Mapping[str, DepthState],
        around: Surroundings,
    ) -> None:
        self._flavour = flavour
        self._root = root
        self._depths = depths
        self._around = around
        self._writer = Writer(flavour)
        self._product: ProductKey = (
            "binance/spot" if flavour == "spot" else "binance/usdm" if flavour == "usdm" else "binance/coinm"
        )
        self.ledger = WeightLedger(weight_limit)

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{self._root}/ping": lambda _: Answer(body="{}"),
            f"{self._root}/time": lambda _: Answer(body=f'{{"serverTime":{_now_ms()}}}'),
            f"{self._root}/exchangeInfo": self._exchange_info,
            f"{self._root}/depth": self._depth,
            f"{self._root}/trades": self._trades,
            f"{self._root}/historicalTrades": self._trades,
            f"{self._root}/ticker/bookTicker": self._book_ticker,
        }

    def _weight(self, path: str, query: Query) -> int:
        name = path.removeprefix(self._root).strip("/")
        if name == "depth":
            table = DEPTH_WEIGHTS_SPOT if self._flavour == "spot" else DEPTH_WEIGHTS_FUTURES
            limit = _integer(query.get("limit"), 100 if self._flavour == "spot" else 500) or 100
            return next((weight for most, weight in table if limit <= most), table[-1][1])
        if self._flavour != "spot":
            return 1 if name in ("ping", "time", "exchangeInfo") else 5
        return {"ping": 1, "time": 1, "exchangeInfo": 20, "trades": 25, "historicalTrades": 25}.get(name, 2)

    def admit(self, path: str, query: Query) -> Answer | None:
        """Charge the weight of a request; return 429 or 418 beyond the limit."""
        now = time.time()
        status = self.ledger.charge(self._weight(path, query), now)
        if status == 200:
            return None
        self._around.stats.violation(self._product, "request_weight")
        wait = {"Retry-After": str(self.ledger.retry_after_s(now))}
        if status == 418:
            until = int(self.ledger.banned_until * 1000)
            message = f"Way too much request weight used; IP banned until {until}."
        else:
            message = f"Too much request weight used; current limit is {self.ledger.limit} per 1 MINUTE."
        answer = _error(-1003, message, status)
        return Answer(body=answer.body, status=status, headers=wait)

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every answer."""
        return {"X-MBX-USED-WEIGHT-1M": str(self.ledger.used), "X-MBX-USED-WEIGHT": str(self.ledger.used)}

    def _exchange_info(self, query: Query) -> Answer:
        wanted: list[str] = []
        if "symbol" in query:
            wanted = [query["symbol"]]
        elif "symbols" in query:
            try:
                wanted = [str(symbol) for symbol in json.loads(query["symbols"])]
            except ValueError:
                return _error(-1100, "Illegal characters found in parameter 'symbols'.")
        if any(symbol not in self._depths for symbol in wanted):
            return _error(-1121, "Invalid symbol.")
        chosen = [self._depths[symbol].market for symbol in wanted or self._depths]
        return Answer(body=exchange_info(self._flavour, chosen, _now_ms(), self.ledger.limit))

    def _state(self, query: Query) -> DepthState | Answer:
        symbol = query.get("symbol")
        if symbol is None:
            return _error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol == "":
            return _error(-1105, "Parameter 'symbol' was empty.")
        return self._depths.get(symbol) or _error(-1121, "Invalid symbol.")

    def _depth(self, query: Query) -> Answer:
        state = self._state(query)
        if isinstance(state, Answer):
            return state
        limit = _integer(query.get("limit"), 100 if self._flavour == "spot" else 500)
        if limit is None or limit <= 0:
            return _error(-1130, "Data sent for parameter 'limit' is not valid.")
        listed = state.market.instrument
        at, book = self._stale(state) or state.snapshot(
            min(limit, 5000 if self._flavour == "spot" else 1000), has_oddities=self._around.has_oddities
        )
        cut = book.copy(limit)
        frame = Frame(
            text="",
            topic="book",
            kind="snapshot",
            channel="depth",
            symbol=listed.venue_symbol,
            sequence=at,
            book=cut,
        )
        return Answer(body=self._writer.snapshot(listed, at, cut, _now_ms()), snapshot=frame)

    def _stale(self, state: DepthState) -> tuple[int, Book] | None:
        """Return the frozen state while a stale_snapshot fault wants it."""
        symbol = state.market.instrument.venue_symbol
        for fault in self._around.faults.matching("rest", self._product, symbol=symbol):
            if fault.verb.name == "stale_snapshot":
                frozen = state.freeze()
                self._around.faults.use(
                    fault, {"product": self._product, "symbol": symbol, "sequence": frozen[0]}
                )
                return frozen
        return None

    def _trades(self, query: Query) -> Answer:
        state = self._state(query)
        if isinstance(state, Answer):
            return state
        limit = min(_integer(query.get("limit"), 500) or 500, TRADES_MAX)
        rows = list(state.market.trades)
        start = _integer(query.get("fromId"), None)
        chosen = rows[-limit:] if start is None else [row for row in rows if row.trade_id >= start][:limit]
        listed = state.market.instrument
        return Answer(
            body=json.dumps([self._writer.row(listed, row) for row in chosen], separators=(",", ":"))
        )

    def _book_ticker(self, query: Query) -> Answer:
        state = self._state(query)
        if isinstance(state, Answer):
            return state
        listed, book = state.market.instrument, state.market.book
        (bid,), (ask,) = book.bids.top(1), book.asks.top(1)
        body = {
            "symbol": listed.venue_symbol,
            "bidPrice": self._writer.price(listed, bid[0]),
            "bidQty": self._writer.quantity(listed, bid[1]),
            "askPrice": self._writer.price(listed, ask[0]),
            "askQty": self._writer.quantity(listed, ask[1]),
        }
        return Answer(body=json.dumps(body, separators=(",", ":")))


def _integer(text: str | None, default: int | None) -> int | None:
    """Return ``text`` as an integer, ``default`` when absent, None when it is no number."""
    if text is None:
        return default
    return int(text) if text.lstrip("-").isdigit() else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
