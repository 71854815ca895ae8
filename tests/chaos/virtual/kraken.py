"""Kraken v2 as the sheet tells it (venues/kraken.md)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.chaos.virtual.market import Change, Market, trimmed
from tests.chaos.virtual.script import dump, sides, stamp

KRAKEN_LEVELS: Final = 10


@dataclass
class Kraken:
    """WebSocket v2 `book`. Sheet: venues/kraken.md sections 2 to 5."""

    symbols: tuple[str, ...] = ("BTC/USD", "ETH/USD")
    depth: int = 1_000
    venue: str = "kraken"
    product: str = "spot"
    uses_rest: bool = False
    is_numbered: bool = False

    def __post_init__(self) -> None:
        """Open the markets."""
        self.markets = {name: Market(seed=at) for at, name in enumerate(self.symbols, 1)}

    def canonical(self, symbol: str) -> str:
        return symbol.replace("/", "-")

    def instruments(self) -> bytes:
        rows = {}
        for name in self.symbols:
            base, quote = name.split("/")
            old = "XBT" if base == "BTC" else base
            market = self.markets[name]
            row: dict[str, Any] = {"altname": f"{old}{quote}", "wsname": f"{old}/{quote}", "base": f"X{old}"}
            row |= {
                "aclass_base": "currency",
                "quote": f"Z{quote}",
                "aclass_quote": "currency",
                "status": "online",
            }
            row |= {"pair_decimals": market.price_scale, "lot_decimals": market.quantity_scale}
            row |= {"tick_size": market.tick, "ordermin": "0.00005", "costmin": "0.5", "cost_decimals": 5}
            rows[f"X{old}Z{quote}"] = row
        return dump({"error": [], "result": rows}).encode()

    def opened(self) -> None:
        """Do nothing: nothing is numbered."""

    def answer(self, text: str, wall_ns: int) -> list[str]:
        request = json.loads(text)
        if request["method"] == "ping":
            return [dump({"method": "pong", "req_id": request["req_id"]})]
        asked = request["params"]
        frames = []
        if asked["channel"] == "instrument":
            return [self.ack(request, {"channel": "instrument"}, wall_ns), self.pairs()]
        for symbol in asked["symbol"]:
            result = {"channel": asked["channel"], "symbol": symbol}
            if asked["channel"] == "book":
                result["depth"] = asked["depth"]
                self.depth = asked["depth"]
            frames.append(self.ack(request, result, wall_ns))
            if request["method"] == "subscribe" and asked["channel"] == "book":
                frames.append(self.message(symbol, "snapshot", self.markets[symbol].top(self.depth), wall_ns))
        return frames

    @staticmethod
    def ack(request: dict[str, Any], result: dict[str, Any], wall_ns: int) -> str:
        """Return the answer to a subscription of one symbol."""
        times = {"time_in": stamp(wall_ns), "time_out": stamp(wall_ns)}
        answer = {"method": request["method"], "result": result, "success": True, **times}
        return dump({**answer, "req_id": request["req_id"]} if "req_id" in request else answer)

    def pairs(self, status: str = "online") -> str:
        """Return the snapshot of the `instrument` channel; every pair has this status."""
        pairs = []
        for name in self.symbols:
            base, quote = name.split("/")
            row: dict[str, Any] = {"symbol": name, "base": base, "quote": quote, "status": status}
            row |= {"qty_precision": 8, "qty_increment": 1e-08, "price_precision": 1, "price_increment": 0.1}
            pairs.append({**row, "tick_size": 0.1})
        data = {"assets": [{"id": "BTC", "status": "enabled", "precision": 10}], "pairs": pairs}
        return dump({"channel": "instrument", "type": "snapshot", "data": data})

    def rest(self, path: str) -> bytes:
        pair = parse_qs(urlsplit(path).query)["pair"][0]
        market = next(self.markets[name] for name in self.symbols if pair in (old_name(name), name))
        bids, asks = (
            [[market.price_text(one.price), market.quantity_text(one.quantity), 1] for one in side]
            for side in sides(market.top(self.depth))
        )
        return dump({"error": [], "result": {"X" + pair: {"asks": asks, "bids": bids}}}).encode()

    def delta(self, symbol: str, changes: Sequence[Change], wall_ns: int) -> str:
        return self.message(symbol, "update", changes, wall_ns)

    def message(self, symbol: str, kind: str, changes: Sequence[Change], wall_ns: int) -> str:
        market = self.markets[symbol]
        bids, asks = (",".join(self.level(market, change) for change in side) for side in sides(changes))
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{bids}],"asks":[{asks}],'
            f'"checksum":{checksum(market)},"timestamp":"{stamp(wall_ns)}"}}]}}'
        )

    @staticmethod
    def level(market: Market, change: Change) -> str:
        """Return a level as JSON numbers, spelled with all zeros, with none, or as 1e-08."""
        quantity = market.quantity_text(change.quantity)
        styles = (quantity, trimmed(quantity), scientific(change.quantity, market.quantity_scale))
        price = trimmed(market.price_text(change.price))
        return f'{{"price":{price},"qty":{market.random.choice(styles)}}}'


def old_name(symbol: str) -> str:
    """Return a pair as REST knows it.

    Example:
        >>> old_name("BTC/USD")
        'XBTUSD'
    """
    return symbol.replace("BTC", "XBT").replace("/", "")


def scientific(value: int, scale: int) -> str:
    """Return ``value * 10**-scale`` with an exponent.

    Example:
        >>> scientific(1, 8), scientific(0, 8)
        ('1e-08', '0')
    """
    return f"{value}e-{scale:02d}" if value else "0"


def checksum(market: Market) -> int:
    """Return the CRC-32 of the best ten levels. Sheet: venues/kraken.md section 5."""
    bids, asks = sides(market.top(KRAKEN_LEVELS))
    text = "".join(
        market.price_text(change.price).replace(".", "").lstrip("0")
        + market.quantity_text(change.quantity).replace(".", "").lstrip("0")
        for change in [*asks, *bids]
    )
    return zlib.crc32(text.encode())
