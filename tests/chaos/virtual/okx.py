"""OKX as the sheet tells it (venues/okx.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from tests.chaos.virtual.market import Change, Market, trimmed
from tests.chaos.virtual.script import MS, dump, sides


@dataclass
class Okx:
    """Public channel `books`. Sheet: venues/okx.md sections 3 and 5."""

    symbols: tuple[str, ...] = ("BTC-USDT", "ETH-USDT")
    venue: str = "okx"
    product: str = "public"
    uses_rest: bool = False
    is_numbered: bool = True

    def __post_init__(self) -> None:
        """Open the markets."""
        self.markets = {name: Market(seed=at) for at, name in enumerate(self.symbols, 1)}
        self.last = dict.fromkeys(self.symbols, 10)

    def canonical(self, symbol: str) -> str:
        return symbol

    def instruments(self) -> bytes:
        rows = []
        for name in self.symbols:
            base, quote = name.split("-")
            row = {"instType": "SPOT", "instId": name, "baseCcy": base, "quoteCcy": quote, "state": "live"}
            market = self.markets[name]
            row |= {
                "tickSz": market.tick,
                "lotSz": market.lot,
                "minSz": market.lot,
                "ctVal": "",
                "ctMult": "",
            }
            rows.append(row | {"ctValCcy": "", "settleCcy": "", "expTime": "", "instFamily": "", "uly": ""})
        return dump({"code": "0", "msg": "", "data": rows}).encode()

    def opened(self) -> None:
        """Do nothing: numbers belong to the instrument."""

    def answer(self, text: str, wall_ns: int) -> list[str]:
        if text == "ping":
            return ["pong"]
        request = json.loads(text)
        frames = []
        for argument in request["args"]:
            ack = {"event": request["op"], "arg": argument, "connId": "a4d3ae55"}
            frames.append(dump({"id": request["id"], **ack} if "id" in request else ack))
            if request["op"] == "subscribe" and argument["channel"] == "books":
                frames.append(self.whole(argument["instId"], wall_ns))
        return frames

    def rest(self, path: str) -> bytes:
        symbol = parse_qs(urlsplit(path).query)["instId"][0]
        market = self.markets[symbol]
        bids, asks = (
            [[market.price_text(one.price), market.quantity_text(one.quantity), "0", "1"] for one in side]
            for side in sides(market.top())
        )
        book = {"asks": asks, "bids": bids, "ts": "1800000000000", "seqId": self.last[symbol]}
        return dump({"code": "0", "msg": "", "data": [book]}).encode()

    def whole(self, symbol: str, wall_ns: int) -> str:
        """Return the snapshot of now."""
        return self.message(symbol, "snapshot", self.markets[symbol].top(), wall_ns, -1, self.last[symbol])

    def delta(self, symbol: str, changes: Sequence[Change], wall_ns: int) -> str:
        return self.jump(symbol, changes, wall_ns, self.last[symbol] + 7)

    def jump(self, symbol: str, changes: Sequence[Change], wall_ns: int, to: int) -> str:
        """Return an update whose seqId is ``to``: lower is a reset, the same a keep-alive."""
        previous, self.last[symbol] = self.last[symbol], to
        return self.message(symbol, "update", changes, wall_ns, previous, to)

    def message(
        self, symbol: str, action: str, changes: Sequence[Change], wall_ns: int, previous: int, seq: int
    ) -> str:
        market = self.markets[symbol]
        bids, asks = (
            [
                [trimmed(market.price_text(c.price)), trimmed(market.quantity_text(c.quantity)), "0", "1"]
                for c in side
            ]
            for side in sides(changes)
        )
        row = {"asks": asks, "bids": bids, "ts": str(wall_ns // MS), "checksum": 0}
        row |= {"prevSeqId": previous, "seqId": seq}
        argument = {"channel": "books", "instId": symbol}
        return dump({"arg": argument, "action": action, "data": [row]})
