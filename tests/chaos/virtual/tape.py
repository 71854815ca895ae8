"""The trades of one market, as each venue tells them on its stream and by REST (venues/*.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.script import MS, Script, dump, stamp

SECOND: Final = 1_000_000_000
PAGE: Final = 100  # rows of an answer of OKX's history, the smallest page of all


class Trade(NamedTuple):
    """One execution; the taker bought."""

    id: int
    price: str
    quantity: str
    ts: int  # ns UTC


@dataclass
class Tape:
    """What was traded. ``known``: what REST tells; all of it, unless a test takes something away."""

    script: Script
    symbol: str
    known: dict[int, Trade] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    is_down: bool = False
    next_id: int = 1_001

    def trade(self, wall_ns: int, price: str = "100.5", quantity: str = "0.25") -> Trade:
        """Let a trade happen: REST knows it."""
        ts = wall_ns // MS * MS  # what all venues can tell
        one = Trade(self.next_id, price, quantity, ts)
        self.next_id += 1
        self.known[one.id] = one
        return one

    def trades(self, count: int, wall_ns: int) -> list[Trade]:
        """Let trades happen, 1 ms apart, the last one now."""
        return [self.trade(wall_ns - (count - 1 - at) * MS) for at in range(count)]

    # The stream

    def frame(self, *trades: Trade) -> str:
        """Return one frame of trades; Binance sends one each."""
        venue, name = self.script.venue, self.symbol
        if venue.startswith("binance"):
            (one,) = trades
            data: dict[str, Any] = {"e": "trade", "E": one.ts // MS, "s": name, "t": one.id}
            data |= {"p": one.price, "q": one.quantity, "T": one.ts // MS, "m": False}
            return dump({"stream": f"{name.lower()}@trade", "data": data})
        if venue == "okx":
            arg = {"channel": "trades", "instId": name}
            return dump({"arg": arg, "data": [self._okx(one) | {"count": "1"} for one in trades]})
        if venue == "kraken":
            rows = ",".join(
                f'{{"symbol":"{name}","side":"buy","price":{one.price},"qty":{one.quantity},'
                f'"ord_type":"limit","trade_id":{one.id},"timestamp":"{stamp(one.ts)}"}}'
                for one in trades
            )
            return f'{{"channel":"trade","type":"update","data":[{rows}]}}'
        return self.batch("update", trades)

    def frames(self, trades: Iterable[Trade]) -> list[str]:
        """Return a frame for each trade."""
        return [self.frame(one) for one in trades]

    def batch(self, kind: str, trades: Sequence[Trade]) -> str:
        """Return a batch of Coinbase Advanced, newest first; a ``snapshot`` repeats recent trades."""
        script = self.script
        if not isinstance(script, Coinbase):
            raise TypeError(f"{script.venue} sends no batches")
        event = {"type": kind, "trades": [self._coinbase(one) for one in reversed(trades)]}
        return script.envelope("market_trades", [event], trades[-1].ts)

    # REST

    def rest(self, path: str) -> bytes:
        """Answer a request for trades."""
        if "depth" not in path.lower() and "book" not in path:
            self.requests.append(path)
        if self.is_down:
            return b'{"error":["EService:Unavailable"],"code":"50001","message":"down"}'
        url = urlsplit(path)
        if "depth" in url.path.lower() or "book" in url.path:
            return self.script.rest(path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        rows = [self.known[one] for one in sorted(self.known)]
        match self.script.venue:
            case "kraken":
                count = int(query["count"])
                after = [one for one in rows if one.ts > int(query.get("since", 0))]
                after = after[:count] if "since" in query else after[-count:]
                lists = [
                    [
                        one.price,
                        one.quantity,
                        Raw(f"{one.ts // SECOND}.{one.ts % SECOND:09d}"),
                        "b",
                        "l",
                        "",
                        one.id,
                    ]
                    for one in after
                ]
                return raw({"error": [], "result": {"XXBTZUSD": lists, "last": "1"}})
            case "okx":
                below = [one for one in rows if one.id < int(query.get("after", 1 << 60))][-PAGE:]
                data = [self._okx(one) for one in reversed(below)]
                return dump({"code": "0", "msg": "", "data": data}).encode()
            case "coinbase":
                first, last = (
                    int(query.get(name, at)) * SECOND for name, at in (("start", 0), ("end", 1 << 32))
                )
                between = [one for one in rows if first <= one.ts <= last][-int(query["limit"]) :]
                newest_first = [self._coinbase(one) for one in reversed(between)]
                return dump({"trades": newest_first, "best_bid": "1", "best_ask": "2"}).encode()
            case "binance":
                limit = int(query["limit"])
                known = [one for one in rows if one.id >= int(query.get("fromId", 0))]
                found = known[:limit] if "fromId" in query else known[-limit:]
            case _:  # futures: the newest only
                found = rows[-int(query["limit"]) :]
        return dump([self._binance(one) for one in found]).encode()

    def _okx(self, one: Trade) -> dict[str, str]:
        row = {"instId": self.symbol, "tradeId": str(one.id), "px": one.price, "sz": one.quantity}
        return row | {"side": "buy", "ts": str(one.ts // MS), "source": "0"}

    def _coinbase(self, one: Trade) -> dict[str, str]:
        row = {"trade_id": str(one.id), "product_id": self.symbol, "price": one.price, "size": one.quantity}
        return row | {"time": stamp(one.ts), "side": "SELL"}

    @staticmethod
    def _binance(one: Trade) -> dict[str, Any]:
        row = {"id": one.id, "price": one.price, "qty": one.quantity, "quoteQty": "1", "time": one.ts // MS}
        return row | {"isBuyerMaker": False, "isBestMatch": True}


class Raw(str):
    """Digits that JSON shall carry as a number, all of them."""

    __slots__ = ()


def raw(value: dict[str, Any]) -> bytes:
    """Return compact JSON in which ``Raw`` texts are numbers."""
    marked = json.dumps(value, separators=(",", ":"), default=str)
    return _unquoted(marked, value).encode()


def _unquoted(text: str, value: object) -> str:
    if isinstance(value, Raw):
        return text.replace(f'"{value}"', str(value))
    children: Iterable[object] = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list):
        children = value
    for child in children:
        text = _unquoted(text, child)
    return text
