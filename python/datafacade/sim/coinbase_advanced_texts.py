"""What Coinbase Advanced Trade's messages look like. Pure. Numbers are unpadded strings.

Source: venues/coinbase.md sections A1 to A6, 2026-08-22; a recording of 2026-08-09.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from datafacade.sim.books import Change
from datafacade.sim.coinbase_times import rfc3339
from datafacade.sim.digits import padded, trimmed
from datafacade.sim.frames import NUMBER_SLOT
from datafacade.sim.listings import Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Candle, Trade

EPOCH: Final = "1970-01-01T00:00:00Z"
MAKER_SIDES: Final = {"buy": "SELL", "sell": "BUY"}  # the venue tells the maker's side


def dump(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def envelope(channel: str, events: str, now_ns: int) -> str:
    """Return a message whose number is filled in when it leaves."""
    return f'{{"channel":"{channel}","timestamp":"{rfc3339(now_ns, 9)}",{NUMBER_SLOT},"events":[{events}]}}'


def zero(price: int) -> str:
    """Return a removed quantity in one of its two spellings, which depends on the price."""
    return "0.00000000" if price % 3 == 0 else "0"


def level2_event(listed: Instrument, kind: str, changes: Sequence[Change], time: str) -> str:
    """Return one ``l2_data`` event."""
    updates = [
        f'{{"side":"{"bid" if side == "b" else "offer"}","event_time":"{time}",'
        f'"price_level":"{trimmed(price, listed.price_scale)}",'
        f'"new_quantity":"{trimmed(quantity, listed.quantity_scale) if quantity else zero(price)}"}}'
        for side, price, quantity in changes
    ]
    return f'{{"type":"{kind}","product_id":"{listed.venue_symbol}","updates":[{",".join(updates)}]}}'


def trade(listed: Instrument, item: Trade) -> dict[str, object]:
    """Return one trade; its side is the maker's."""
    return {
        "product_id": listed.venue_symbol,
        "trade_id": str(item.trade_id),
        "price": trimmed(item.price, listed.price_scale),
        "size": trimmed(item.quantity, listed.quantity_scale),
        "time": rfc3339(item.ts_event),
        "side": MAKER_SIDES[item.taker],
    }


def candle(listed: Instrument, item: Candle, is_closed: bool) -> str:
    """Return one candle; nothing tells that it is closed."""
    del is_closed
    low, high, open_, close = (
        trimmed(price, listed.price_scale) for price in (item.low, item.high, item.open, item.close)
    )
    return (
        f'{{"start":"{item.open_ns // 1_000_000_000}","low":"{low}","high":"{high}","open":"{open_}",'
        f'"close":"{close}","volume":"{trimmed(item.volume, listed.quantity_scale)}"}}'
    )


def trades_event(listed: Instrument, kind: str, trades: Sequence[Trade]) -> str:
    """Return one ``market_trades`` event, newest first."""
    return dump({"type": kind, "trades": [trade(listed, item) for item in reversed(trades)]})


def ticker_event(market: Market, kind: str, *, has_best: bool) -> str:
    """Return one ``ticker`` or ``ticker_batch`` event; the latter has no best prices."""
    listed, day, book = market.instrument, market.day, market.book

    def price(value: int) -> str:
        return trimmed(value, listed.price_scale)

    body: dict[str, object] = {
        "type": "ticker",
        "product_id": listed.venue_symbol,
        "price": price(day.last),
        "volume_24_h": padded(day.volume, listed.quantity_scale),
        "low_24_h": price(day.low),
        "high_24_h": price(day.high),
        "low_52_w": price(day.low // 2),
        "high_52_w": "",  # fields may be empty
        "price_percent_chg_24_h": padded((day.last - day.open) * 10**10 // day.open, 8),
    }
    if has_best:
        bid, ask = book.bids.top(1), book.asks.top(1)
        body["best_bid"] = price(bid[0][0]) if bid else ""
        body["best_ask"] = price(ask[0][0]) if ask else ""
        body["best_bid_quantity"] = trimmed(bid[0][1], listed.quantity_scale) if bid else ""
        body["best_ask_quantity"] = trimmed(ask[0][1], listed.quantity_scale) if ask else ""
    return dump({"type": kind, "tickers": [body]})


def product(market: Market) -> dict[str, object]:
    """Return the REST product object."""
    listed = market.instrument
    has_alias = listed.base in ("BTC", "ETH")
    step = padded(1, listed.quantity_scale)
    tick = padded(1, listed.price_scale)
    return {
        "product_id": listed.venue_symbol,
        "price": trimmed(market.day.last, listed.price_scale),
        "price_percentage_change_24h": "-0.28225832119521",
        "volume_24h": trimmed(market.day.volume, listed.quantity_scale),
        "base_increment": step,
        "quote_increment": tick,
        "price_increment": tick,
        "base_min_size": step,
        "base_max_size": "3400",
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "status": "online",
        "trading_disabled": listed.is_halted,
        "is_disabled": False,
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "auction_mode": False,
        "view_only": False,
        "product_type": "SPOT",
        "base_currency_id": listed.base,
        "quote_currency_id": listed.quote,
        "alias": "",
        "alias_to": [f"{listed.base}-USDC"] if has_alias else [],
        "product_venue": "CBE",
    }


def alias_product(market: Market) -> dict[str, object]:
    """Return the product object of the ``-USDC`` alias."""
    listed = market.instrument
    return {
        **product(market),
        "product_id": f"{listed.base}-USDC",
        "quote_currency_id": "USDC",
        "alias": listed.venue_symbol,
        "alias_to": [],
    }
