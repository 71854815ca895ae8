"""What OKX's messages look like. Pure. Everything is a string but seqId, prevSeqId and checksum.

Source: venues/okx.md sections 2 to 6, 2026-08-22.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from datafacade.sim.books import Book, Change, Level
from datafacade.sim.digits import trimmed
from datafacade.sim.listings import Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade


def dump(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def arg(channel: str, symbol: str) -> str:
    """Return the ``arg`` object of a channel."""
    return f'{{"channel":"{channel}","instId":"{symbol}"}}'


def _orders(price: int, quantity: int) -> int:
    """Return how many orders stand at a level: a number that depends on the level alone."""
    return 1 + (price ^ quantity) % 13 if quantity else 0


def row(listed: Instrument, price: int, quantity: int) -> str:
    """Return one book row ``[price, size, "0", orders]``."""
    texts = (trimmed(price, listed.price_scale), trimmed(quantity, listed.quantity_scale))
    return f'["{texts[0]}","{texts[1]}","0","{_orders(price, quantity)}"]'


def rows(listed: Instrument, levels: Sequence[Level]) -> str:
    """Return rows of one side."""
    return "[" + ",".join(row(listed, price, quantity) for price, quantity in levels) + "]"


def sides(listed: Instrument, changes: Sequence[Change]) -> str:
    """Return ``"asks":[...],"bids":[...]``, each best first."""
    asks = sorted((price, quantity) for side, price, quantity in changes if side == "a")
    bids = sorted(((price, quantity) for side, price, quantity in changes if side == "b"), reverse=True)
    return f'"asks":{rows(listed, asks)},"bids":{rows(listed, bids)}'


def book_message(
    channel: str,
    listed: Instrument,
    action: str,
    changes: Sequence[Change],
    *,
    ts_ms: int,
    checksum: int,
    previous: int,
    sequence: int,
) -> str:
    """Return a ``books`` message."""
    return (
        f'{{"arg":{arg(channel, listed.venue_symbol)},"action":"{action}","data":[{{{sides(listed, changes)},'
        f'"ts":"{ts_ms}","checksum":{checksum},"prevSeqId":{previous},"seqId":{sequence}}}]}}'
    )


def top_message(
    channel: str, listed: Instrument, book: Book, depth: int, *, ts_ms: int, sequence: int
) -> str:
    """Return a ``books5`` or ``bbo-tbt`` message: whole top levels, no action."""
    named = f'"instId":"{listed.venue_symbol}",' if channel == "books5" else ""
    return (
        f'{{"arg":{arg(channel, listed.venue_symbol)},"data":[{{{named}'
        f'"asks":{rows(listed, book.asks.top(depth))},'
        f'"bids":{rows(listed, book.bids.top(depth))},"ts":"{ts_ms}","seqId":{sequence}}}]}}'
    )


def merged(trades: Sequence[Trade]) -> list[list[Trade]]:
    """Return the matches grouped as ``trades`` merges them: by taker order and price."""
    return [list(group) for _, group in groupby(trades, key=lambda trade: (trade.order, trade.price))]


def trade_row(listed: Instrument, group: Sequence[Trade], sequence: int) -> dict[str, object]:
    """Return one row of ``trades``: ``tradeId`` is the last match, ``count`` how many were merged."""
    last = group[-1]
    return {
        "instId": listed.venue_symbol,
        "tradeId": str(last.trade_id),
        "px": trimmed(last.price, listed.price_scale),
        "sz": trimmed(sum(trade.quantity for trade in group), listed.quantity_scale),
        "side": last.taker,
        "ts": str(last.ts_event // 1_000_000),
        "count": str(len(group)),
        "source": "0",
        "seqId": sequence,
    }


def trade_message(channel: str, listed: Instrument, group: Sequence[Trade], sequence: int) -> str:
    """Return a message of ``trades``, or of ``trades-all``, which counts nothing."""
    told = trade_row(listed, group, sequence)
    if channel == "trades-all":
        told.pop("count")
    return f'{{"arg":{arg(channel, listed.venue_symbol)},"data":[{dump(told)}]}}'


def ticker(market: Market, ts_ms: int) -> dict[str, object]:
    """Return the ticker; a side that is empty is an empty string."""
    listed, day = market.instrument, market.day

    def price(value: int) -> str:
        return trimmed(value, listed.price_scale)

    def best(levels: Sequence[Level]) -> tuple[str, str]:
        return (price(levels[0][0]), trimmed(levels[0][1], listed.quantity_scale)) if levels else ("", "")

    ask, bid = best(market.book.asks.top(1)), best(market.book.bids.top(1))
    return {
        "instType": "SPOT",
        "instId": listed.venue_symbol,
        "last": price(day.last),
        "lastSz": trimmed(day.last_quantity, listed.quantity_scale),
        "askPx": ask[0],
        "askSz": ask[1],
        "bidPx": bid[0],
        "bidSz": bid[1],
        "open24h": price(day.open),
        "high24h": price(day.high),
        "low24h": price(day.low),
        "sodUtc0": price(day.open),
        "sodUtc8": price(day.open),
        "volCcy24h": trimmed(day.notional, listed.price_scale + listed.quantity_scale),
        "vol24h": trimmed(day.volume, listed.quantity_scale),
        "ts": str(ts_ms),
    }


LISTING_CONSTANTS: Final[dict[str, object]] = {
    "listTime": "1548133413000",
    "contTdSwTime": "1704876947000",
    "openType": "call_auction",
    "maxLmtSz": "9999999999",
    "maxMktSz": "1000000",
    "maxLmtAmt": "20000000",
    "maxMktAmt": "1000000",
    "ruleType": "normal",
    "ctVal": "",
    "ctMult": "",
    "settleCcy": "",
    "expTime": "",
    "lever": "10",
    "uly": "",
    "instFamily": "",
    "upcChg": [],
}


def listing(listed: Instrument, code: int) -> dict[str, object]:
    """Return the entry of ``listed`` in the instruments answer."""
    return {
        "instType": "SPOT",
        "instId": listed.venue_symbol,
        "instIdCode": 10_000 + code,
        "baseCcy": listed.base,
        "quoteCcy": listed.quote,
        "tradeQuoteCcyList": [listed.quote],
        "tickSz": trimmed(1, listed.price_scale),
        "lotSz": trimmed(1, listed.quantity_scale),
        "minSz": trimmed(1000, listed.quantity_scale),
        "state": "suspend" if listed.is_halted else "live",
        **LISTING_CONSTANTS,
    }


def wrong(channel: str, symbol: str) -> str:
    """Return the message of error 60018."""
    return (
        f"Wrong URL or channel:{channel},instId:{symbol} doesn't exist. Please use the correct URL, "
        "channel and parameters referring to API document."
    )
