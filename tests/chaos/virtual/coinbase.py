"""Coinbase Advanced Trade as the sheet tells it (venues/coinbase.md A)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.chaos.virtual.market import Change, Market, trimmed
from tests.chaos.virtual.script import dump, sides, stamp


@dataclass
class Coinbase:
    """Advanced Trade `level2`. Sheet: venues/coinbase.md A2 to A5."""

    symbols: tuple[str, ...] = ("BTC-USD", "ETH-USD")
    venue: str = "coinbase"
    product: str = "advanced"
    uses_rest: bool = False
    is_numbered: bool = True
    number: int = 0  # of the next message of the connection

    def __post_init__(self) -> None:
        """Open the markets."""
        self.markets = {name: Market(seed=at, price_scale=2) for at, name in enumerate(self.symbols, 1)}
        self.beats = 3_000

    def canonical(self, symbol: str) -> str:
        return symbol

    def instruments(self) -> bytes:
        rows = []
        for name in self.symbols:
            base, quote = name.split("-")
            market = self.markets[name]
            row: dict[str, Any] = {"product_id": name, "price": "65000", "base_increment": market.lot}
            row |= {"quote_increment": "0.01", "price_increment": market.tick, "base_min_size": market.lot}
            row |= {
                "status": "online",
                "trading_disabled": False,
                "is_disabled": False,
                "product_type": "SPOT",
            }
            row |= {"base_currency_id": base, "quote_currency_id": quote, "alias": "", "alias_to": []}
            rows.append(row)
        return dump({"products": rows, "num_products": len(rows)}).encode()

    def opened(self) -> None:
        self.number = 0
        self.asked: dict[str, list[str]] = {}

    def answer(self, text: str, wall_ns: int) -> list[str]:
        request = json.loads(text)
        channel, products = request["channel"], request.get("product_ids", [])
        held = self.asked.setdefault(channel, [])
        if request["type"] == "unsubscribe":
            self.asked[channel] = [name for name in held if name not in products]
            return [self.envelope("subscriptions", [{"subscriptions": self.asked}], wall_ns)]
        self.asked[channel] = held + [name for name in products if name not in held]
        frames = [self.envelope("subscriptions", [{"subscriptions": self.asked}], wall_ns)]
        if channel == "level2":
            for name in products:
                changes = self.markets[name].top()
                frames.append(self.book(name, "snapshot", changes, wall_ns, "1970-01-01T00:00:00Z"))
        return frames

    def rest(self, path: str) -> bytes:
        symbol = parse_qs(urlsplit(path).query)["product_id"][0]
        market = self.markets[symbol]
        bids, asks = (
            [
                {"price": market.price_text(one.price), "size": market.quantity_text(one.quantity)}
                for one in side
            ]
            for side in sides(market.top())
        )
        book = {"product_id": symbol, "bids": bids, "asks": asks, "time": "2026-04-07T00:28:59.662782Z"}
        return dump({"pricebook": book}).encode()

    def envelope(self, channel: str, events: list[dict[str, Any]], wall_ns: int) -> str:
        """Return the next message of the connection."""
        self.number += 1
        head = {"channel": channel, "timestamp": stamp(wall_ns), "sequence_num": self.number - 1}
        return dump({**head, "events": events})

    def heartbeat(self, wall_ns: int) -> str:
        """Return a heartbeat."""
        self.beats += 1
        return self.envelope("heartbeats", [{"current_time": "-", "heartbeat_counter": self.beats}], wall_ns)

    def delta(self, symbol: str, changes: Sequence[Change], wall_ns: int) -> str:
        return self.book(symbol, "update", changes, wall_ns, stamp(wall_ns))

    def split(self, symbol: str, changes: Sequence[Change], wall_ns: int) -> str:
        """Return one message with an event for each change."""
        events = [self.event(symbol, "update", [change], stamp(wall_ns)) for change in changes]
        return self.envelope("l2_data", events, wall_ns)

    def book(self, symbol: str, kind: str, changes: Sequence[Change], wall_ns: int, time: str) -> str:
        return self.envelope("l2_data", [self.event(symbol, kind, changes, time)], wall_ns)

    def event(self, symbol: str, kind: str, changes: Sequence[Change], time: str) -> dict[str, Any]:
        market = self.markets[symbol]
        rows = [
            {
                "side": "bid" if change.is_bid else "offer",
                "event_time": time,
                "price_level": trimmed(market.price_text(change.price)),
                "new_quantity": trimmed(market.quantity_text(change.quantity)),
            }
            for change in changes
        ]
        return {"type": kind, "product_id": symbol, "updates": rows}
