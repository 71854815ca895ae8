"""What Coinbase Exchange's messages look like. Pure.

Source: venues/coinbase.md section B3, 2026-08-22; a recording of 2021-04.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Final

from datafacade.sim.books import Change
from datafacade.sim.coinbase_times import rfc3339
from datafacade.sim.digits import padded, trimmed
from datafacade.sim.listings import Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade

ZEROS: Final = ("0", "0.00000000", "0.0")
MAKER_SIDES: Final = {"buy": "sell", "sell": "buy"}
ORDERS: Final = uuid.UUID("27fff20b-af29-4f45-8744-56dd1ef57dc0")  # name space of the order ids made here


def dump(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def _quantity(listed: Instrument, price: int, quantity: int) -> str:
    """Return a quantity: padded or not, and a zero in one of three spellings, as the price decides."""
    if quantity == 0:
        return ZEROS[price % 3]
    return (
        padded(quantity, listed.quantity_scale)
        if price % 4 == 0
        else trimmed(quantity, listed.quantity_scale)
    )


def snapshot(listed: Instrument, rows: Sequence[Change]) -> str:
    """Return a ``snapshot`` of the whole book."""
    sides = {
        name: [  # best first
            [padded(price, listed.price_scale), _quantity(listed, price, quantity)]
            for side, price, quantity in rows
            if side == name[0]
        ]
        for name in ("asks", "bids")
    }
    return dump({"type": "snapshot", "product_id": listed.venue_symbol, **sides})


def l2update(listed: Instrument, rows: Sequence[Change], now: str) -> str:
    """Return an ``l2update`` with all changes of one batch."""
    changes = [
        [
            "buy" if side == "b" else "sell",
            padded(price, listed.price_scale),
            _quantity(listed, price, quantity),
        ]
        for side, price, quantity in rows
    ]
    return dump({"type": "l2update", "product_id": listed.venue_symbol, "changes": changes, "time": now})


def match(kind: str, listed: Instrument, trade: Trade, sequence: int) -> str:
    """Return a ``match`` or ``last_match``; its side is the maker's."""
    body = {
        "type": kind,
        "trade_id": trade.trade_id,
        "maker_order_id": str(uuid.uuid5(ORDERS, f"maker {trade.trade_id}")),
        "taker_order_id": str(uuid.uuid5(ORDERS, f"taker {trade.order}")),
        "side": MAKER_SIDES[trade.taker],
        "size": trimmed(trade.quantity, listed.quantity_scale),
        "price": padded(trade.price, listed.price_scale),
        "product_id": listed.venue_symbol,
        "sequence": sequence,
        "time": rfc3339(trade.ts_event),
    }
    return dump(body)


def ticker(market: Market, trade: Trade, sequence: int) -> str:
    """Return a ``ticker``; its side is the taker's."""
    listed, day, book = market.instrument, market.day, market.book

    def price(value: int) -> str:
        return padded(value, listed.price_scale)

    bid, ask = book.bids.top(1), book.asks.top(1)
    body = {
        "type": "ticker",
        "sequence": sequence,
        "product_id": listed.venue_symbol,
        "price": price(trade.price),
        "open_24h": price(day.open),
        "volume_24h": padded(day.volume, listed.quantity_scale),
        "low_24h": price(day.low),
        "high_24h": price(day.high),
        "volume_30d": padded(day.volume * 30, listed.quantity_scale),
        "best_bid": price(bid[0][0]) if bid else "",
        "best_bid_size": trimmed(bid[0][1], listed.quantity_scale) if bid else "",
        "best_ask": price(ask[0][0]) if ask else "",
        "best_ask_size": trimmed(ask[0][1], listed.quantity_scale) if ask else "",
        "side": trade.taker,
        "time": rfc3339(trade.ts_event),
        "trade_id": trade.trade_id,
        "last_size": trimmed(trade.quantity, listed.quantity_scale),
    }
    return dump(body)


def heartbeat(symbol: str, sequence: int, last_trade_id: int, now: str) -> str:
    """Return a ``heartbeat``."""
    body = {
        "type": "heartbeat",
        "sequence": sequence,
        "last_trade_id": last_trade_id,
        "product_id": symbol,
        "time": now,
    }
    return dump(body)


def product(listed: Instrument) -> dict[str, object]:
    """Return the REST product object."""
    return {
        "id": listed.venue_symbol,
        "base_currency": listed.base,
        "quote_currency": listed.quote,
        "quote_increment": trimmed(1, listed.price_scale),
        "base_increment": trimmed(1, listed.quantity_scale),
        "display_name": listed.venue_symbol,
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": listed.is_halted,
        "fx_stablecoin": False,
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }
