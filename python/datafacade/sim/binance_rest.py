"""Binance's REST paths: weights and their refusals, instruments, depth; binance_history.py has the rest.

Source: venues/binance.md section 6 and 7, 2026-07-21.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from datafacade.sim.binance_depth import DepthState
from datafacade.sim.binance_funding import BinanceFunding
from datafacade.sim.binance_history import BinanceHistory, error
from datafacade.sim.binance_texts import Flavour, Writer, exchange_info
from datafacade.sim.binance_weights import weight_of
from datafacade.sim.books import Book
from datafacade.sim.frames import Frame
from datafacade.sim.limits import Budget, SlidingWindow, WeightLedger
from datafacade.sim.listings import ProductKey
from datafacade.sim.venue import Answer, Query, RestHandler, Surroundings, Weights

FUNDING_SHARED: Final = ("fundingRate", "fundingInfo")  # they share one limit
FUNDING_REQUESTS: Final = 500
FUNDING_SPAN_S: Final = 300.0


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
        self.product: ProductKey = (
            "binance/spot" if flavour == "spot" else "binance/usdm" if flavour == "usdm" else "binance/coinm"
        )
        self._history = BinanceHistory(flavour, depths)
        markets = {symbol: state.market for symbol, state in depths.items()}
        self._funding = None if flavour == "spot" else BinanceFunding(self.product, markets)
        self._shared = SlidingWindow(FUNDING_REQUESTS, FUNDING_SPAN_S)
        self._ledger = WeightLedger(weight_limit)
        self.weights = Weights(
            of=self._weight_of, used=lambda: self._ledger.used, spend=self._spend, headers=self._headers
        )

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{self._root}/ping": lambda _: Answer(body="{}"),
            f"{self._root}/time": lambda _: Answer(body=f'{{"serverTime":{_now_ms()}}}'),
            f"{self._root}/exchangeInfo": self._exchange_info,
            f"{self._root}/depth": self._depth,
            **self._history.routes(self._root),
            **(self._funding.routes(self._root) if self._funding is not None else {}),
        }

    def _weight_of(self, path: str, query: Query) -> int:
        return weight_of(self._flavour, path.removeprefix(self._root).strip("/"), query)

    def admit(self, path: str, query: Query) -> Answer | None:
        """Charge the weight of a request; return 429 or 418 beyond the limit."""
        now = time.time()
        is_shared = path.rpartition("/")[2] in FUNDING_SHARED
        if is_shared and not self._shared.admit(time.monotonic()):
            refusal = error(-1003, "Too many requests; current limit is 500 requests per 5 MINUTE.", 429)
            return replace(refusal, breaks="funding_requests")
        status = self._ledger.charge(self._weight_of(path, query), now)
        if status == 200:
            return None
        wait = {"Retry-After": str(self._ledger.retry_after_s(now))}
        if status == 418:
            until = int(self._ledger.banned_until * 1000)
            message = f"Way too much request weight used; IP banned until {until}."
        else:
            message = f"Too much request weight used; current limit is {self._ledger.limit} per 1 MINUTE."
        return replace(error(-1003, message, status), headers=wait, breaks="request_weight")

    def not_found(self, path: str) -> Answer:
        """Answer an unknown path as the venue's web server does."""
        body = f"<html><body>404 Not Found: {len(path)}</body></html>"
        return Answer(body=body, status=404, content_type="text/html")

    def limit(self, limit: float) -> None:
        """Set the weight that a minute may use."""
        self._ledger.limit = int(limit)

    def budgets(self) -> Mapping[str, Budget]:
        """Return the weight of this minute, and what funding has of its own."""
        weights = {"REQUEST_WEIGHT": self._ledger.budget(time.time())}
        if self._funding is None:
            return weights
        return {**weights, "FUNDING_REQUESTS": self._shared.budget(time.monotonic())}

    def _spend(self, weight: int) -> None:
        if weight:
            self._ledger.charge(weight, time.time())

    def _headers(self) -> Mapping[str, str]:
        return {"X-MBX-USED-WEIGHT-1M": str(self._ledger.used), "X-MBX-USED-WEIGHT": str(self._ledger.used)}

    def _exchange_info(self, query: Query) -> Answer:
        wanted: list[str] = []
        if "symbol" in query:
            wanted = [query["symbol"]]
        elif "symbols" in query:
            try:
                wanted = [str(symbol) for symbol in json.loads(query["symbols"])]
            except ValueError:
                return error(-1100, "Illegal characters found in parameter 'symbols'.")
        if any(symbol not in self._depths for symbol in wanted):
            return error(-1121, "Invalid symbol.")
        chosen = [self._depths[symbol].market for symbol in wanted or self._depths]
        return Answer(body=exchange_info(self._flavour, chosen, _now_ms(), self._ledger.limit))

    def _state(self, query: Query) -> DepthState | Answer:
        symbol = query.get("symbol")
        if symbol is None:
            return error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol == "":
            return error(-1105, "Parameter 'symbol' was empty.")
        return self._depths.get(symbol) or error(-1121, "Invalid symbol.")

    def _depth(self, query: Query) -> Answer:
        state = self._state(query)
        if isinstance(state, Answer):
            return state
        limit = _integer(query.get("limit"), 100 if self._flavour == "spot" else 500)
        if limit is None or limit <= 0:
            return error(-1130, "Data sent for parameter 'limit' is not valid.")
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
        for fault in self._around.faults.matching("rest", self.product, symbol=symbol):
            if fault.verb.name == "stale_snapshot":
                frozen = state.freeze()
                about = {"product": self.product, "symbol": symbol, "channel": "depth"}
                self._around.faults.use(fault, {**about, "sequence": frozen[0]})
                return frozen
        return None


def _integer(text: str | None, default: int | None) -> int | None:
    """Return ``text`` as an integer, ``default`` when absent, None when it is no number."""
    if text is None:
        return default
    return int(text) if text.lstrip("-").isdigit() else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
