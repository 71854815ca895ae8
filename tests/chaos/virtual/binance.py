"""Binance spot and USD-M futures as the sheet tells them (venues/binance.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.chaos.virtual.market import Change, Market
from tests.chaos.virtual.script import MS, dump, sides


@dataclass
class Binance:
    """Spot and, with ``product`` usdm, USD-M futures. Sheet: venues/binance.md sections 3 to 5 and 7."""

    product: str = "spot"
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    uses_rest: bool = True
    is_numbered: bool = True
    numbers: dict[str, int] = field(default_factory=dict)  # the last update id of each market

    def __post_init__(self) -> None:
        """Open the markets."""
        self.venue = "binance" if self.product == "spot" else f"binance-{self.product}"
        self.markets = {name: Market(seed=at, price_scale=2) for at, name in enumerate(self.symbols, 1)}
        self.numbers = dict.fromkeys(self.symbols, 1_000)
        self.frozen: dict[str, bytes] = {}

    def canonical(self, symbol: str) -> str:
        return f"{symbol.removesuffix('USDT')}-USDT"

    def instruments(self) -> bytes:
        rows = []
        for name in self.symbols:
            base, market = name.removesuffix("USDT"), self.markets[name]
            tick, lot = market.tick, market.lot
            row: dict[str, Any] = {
                "symbol": name,
                "status": "TRADING",
                "baseAsset": base,
                "quoteAsset": "USDT",
            }
            if self.product != "spot":
                row |= {"pair": name, "contractType": "PERPETUAL", "marginAsset": "USDT"}
                row |= {"pricePrecision": market.price_scale, "quantityPrecision": market.quantity_scale}
            row["filters"] = [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000", "stepSize": lot},
            ]
            rows.append(row)
        return dump({"timezone": "UTC", "serverTime": 1, "rateLimits": [], "symbols": rows}).encode()

    def opened(self) -> None:
        """Do nothing: numbers belong to the market."""

    def answer(self, text: str, wall_ns: int) -> list[str]:
        del wall_ns
        return [dump({"result": None, "id": json.loads(text)["id"]})]

    def rest(self, path: str) -> bytes:
        symbol = parse_qs(urlsplit(path).query)["symbol"][0]
        return self.frozen.get(symbol) or self.snapshot(symbol)

    def snapshot(self, symbol: str) -> bytes:
        """Return the book of now as the depth endpoint answers it."""
        market = self.markets[symbol]
        bids, asks = (self.rows(market, side) for side in sides(market.top()))
        body: dict[str, Any] = {"lastUpdateId": self.numbers[symbol]}
        if self.product != "spot":
            body |= {"E": 1_800_000_000_000, "T": 1_800_000_000_000}
        return dump({**body, "bids": bids, "asks": asks}).encode()

    def delta(self, symbol: str, changes: Sequence[Change], wall_ns: int) -> str:
        market, previous = self.markets[symbol], self.numbers[symbol]
        self.numbers[symbol] += 3
        first = previous + 1 if self.product == "spot" else previous + 2
        bids, asks = (self.rows(market, side) for side in sides(changes))
        data: dict[str, Any] = {"e": "depthUpdate", "E": wall_ns // MS}
        if self.product != "spot":
            data["T"] = wall_ns // MS
        data |= {"s": symbol, "U": first, "u": self.numbers[symbol]}
        if self.product != "spot":
            data["pu"] = previous
        stream = f"{symbol.lower()}@depth@100ms"
        return dump({"stream": stream, "data": {**data, "b": bids, "a": asks}})

    @staticmethod
    def rows(market: Market, changes: Iterable[Change]) -> list[list[str]]:
        return [[market.price_text(c.price), market.quantity_text(c.quantity)] for c in changes]
