"""Kraken's WebSocket v2 requests: parse one, acknowledge it, refuse it. Pure.

Source: venues/kraken.md section 3, 2026-05-27.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Final

from datafacade.sim.kraken_times import stamp

DEPTHS: Final = (10, 25, 100, 500, 1_000)
METHODS: Final = ("subscribe", "unsubscribe", "ping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One channel of one symbol; the symbol is empty where a channel has none."""

    channel: str
    symbol: str
    depth: int
    trigger: str  # of a ticker: trades or bbo
    has_snapshot: bool

    def has_legal_depth(self) -> bool:
        """Tell whether the venue serves this depth."""
        return self.depth in DEPTHS


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request."""

    method: str
    id: int | None
    items: list[Asked]


class Refusal(Exception):
    """The venue answers ``success: false``."""

    def __init__(self, message: str, *, method: str, symbol: str = "", id_: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.symbol = symbol
        self.id = id_


def parse(text: str) -> Request:
    """Return the request in ``text``.

    Raises:
        Refusal: It is not one.
    """
    try:
        body = json.loads(text)
    except ValueError:
        raise Refusal("Malformed request", method="unknown") from None
    method = body.get("method") if isinstance(body, dict) else None
    if method not in METHODS:
        raise Refusal("Method not supported", method=str(method))
    id_ = body.get("req_id")
    id_ = id_ if isinstance(id_, int) and not isinstance(id_, bool) and id_ >= 0 else None
    if method == "ping":
        return Request("ping", id_, [])
    params = body.get("params")
    if not isinstance(params, dict) or "channel" not in params:
        raise Refusal("Field 'channel' is missing", method=str(method), id_=id_)
    channel = str(params["channel"])
    symbols = params.get("symbol", [])
    if channel not in ("instrument", "status") and (not isinstance(symbols, list) or not symbols):
        raise Refusal("Field 'symbol' must be a non-empty list", method=str(method), id_=id_)
    depth = params.get("depth", 10)
    items = [
        Asked(
            channel=channel,
            symbol=str(symbol),
            depth=depth if isinstance(depth, int) else 0,
            trigger=str(params.get("event_trigger", "trades")),
            has_snapshot=bool(params.get("snapshot", channel != "trade")),
        )
        for symbol in (symbols if isinstance(symbols, list) and symbols else [""])
    ]
    return Request(str(method), id_, items)


def _tail(id_: int | None, time_in: str) -> str:
    id_text = "" if id_ is None else f',"req_id":{id_}'
    return f'"time_in":"{time_in}","time_out":"{stamp(time.time_ns())}"{id_text}'


def ack(method: str, asked: Asked, id_: int | None, time_in: str) -> str:
    """Return the acknowledgement of one symbol."""
    result: dict[str, object] = {"channel": asked.channel}
    if asked.channel == "book":
        result["depth"] = asked.depth
    if asked.channel == "ticker":
        result["event_trigger"] = asked.trigger
    if method == "subscribe":
        result["snapshot"] = asked.has_snapshot
    if asked.symbol:
        result["symbol"] = asked.symbol
    body = json.dumps(result, separators=(",", ":"))
    return f'{{"method":"{method}","result":{body},"success":true,{_tail(id_, time_in)}}}'


def refusal(refused: Refusal, time_in: str) -> str:
    """Return the error frame of one symbol."""
    body: dict[str, object] = {"error": refused.message, "method": refused.method, "success": False}
    if refused.symbol:
        body["symbol"] = refused.symbol
    text = json.dumps(body, separators=(",", ":"))
    return f"{text[:-1]},{_tail(refused.id, time_in)}}}"
