"""What Kraken's WebSocket v2 messages look like. Pure. Prices and quantities are JSON numbers.

Source: venues/kraken.md sections 2 to 5, 2026-05-27; a recording of 2026-08 (which pads its numbers, where
the documents do not: both styles are spoken here, and exponents for small numbers).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Literal

from datafacade.sim.books import Change
from datafacade.sim.digits import padded, scientific, trimmed
from datafacade.sim.listings import KRAKEN_OLD_NAMES, Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade

Style = Literal["trimmed", "padded", "scientific"]
STYLES: Final[tuple[Style, ...]] = ("trimmed", "padded", "trimmed", "scientific", "padded")


def dump(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def number(value: int, scale: int, style: Style) -> str:
    """Return a JSON number in one of the styles; exponents are for values below 0.001."""
    if style == "padded":
        return padded(value, scale)
    if style == "scientific" and 0 < value * 1_000 < 10**scale:
        return scientific(value, scale)
    return trimmed(value, scale)


def levels(listed: Instrument, rows: Sequence[Change], side: str, style: Style) -> str:
    """Return the levels of one side, in the order given."""
    parts = [
        f'{{"price":{number(price, listed.price_scale, style)},'
        f'"qty":{number(quantity, listed.quantity_scale, style)}}}'
        for at, price, quantity in rows
        if at == side
    ]
    return "[" + ",".join(parts) + "]"


def book(
    listed: Instrument, kind: str, rows: Sequence[Change], *, checksum: int, stamp: str, style: Style
) -> str:
    """Return a ``book`` snapshot or update."""
    bids, asks = levels(listed, rows, "b", style), levels(listed, rows, "a", style)
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{listed.venue_symbol}","bids":{bids},"asks":{asks},'
        f'"checksum":{checksum},"timestamp":"{stamp}"}}]}}'
    )


def trade(listed: Instrument, item: Trade, stamp: str, style: Style) -> str:
    """Return one trade; its side is the taker's."""
    return (
        f'{{"symbol":"{listed.venue_symbol}","side":"{item.taker}",'
        f'"price":{number(item.price, listed.price_scale, style)},'
        f'"qty":{number(item.quantity, listed.quantity_scale, style)},"ord_type":"market",'
        f'"trade_id":{item.trade_id},"timestamp":"{stamp}"}}'
    )


def ticker(market: Market, kind: str, stamp: str) -> str:
    """Return a ``ticker``."""
    listed, day, book_ = market.instrument, market.day, market.book

    def price(value: int) -> str:
        return trimmed(value, listed.price_scale)

    def quantity(value: int) -> str:
        return trimmed(value, listed.quantity_scale)

    bid, ask = book_.bids.price_at(0), book_.asks.price_at(0)
    mean = day.notional // day.volume if day.volume else day.last
    change = day.last - day.open
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{listed.venue_symbol}","bid":{price(bid)},'
        f'"bid_qty":{quantity(book_.bids.quantities[bid])},"ask":{price(ask)},'
        f'"ask_qty":{quantity(book_.asks.quantities[ask])},"last":{price(day.last)},"volume":{quantity(day.volume)},'
        f'"vwap":{price(mean)},"low":{price(day.low)},"high":{price(day.high)},"change":{price(change)},'
        f'"change_pct":{padded(change * 10_000 // day.open, 2)},"timestamp":"{stamp}"}}]}}'
    )


def instruments(markets: Sequence[Market]) -> str:
    """Return the ``instrument`` snapshot: here ``data`` is an object, and increments have exponents."""
    names = sorted({name for m in markets for name in (m.instrument.base, m.instrument.quote)})
    assets = [
        dump({"id": name, "status": "enabled", "precision": 10, "precision_display": 5, "borrowable": True})
        for name in names
    ]
    pairs = [_pair(market.instrument) for market in markets]
    data = f'{{"assets":[{",".join(assets)}],"pairs":[{",".join(pairs)}]}}'
    return f'{{"channel":"instrument","type":"snapshot","data":{data}}}'


def _pair(listed: Instrument) -> str:
    tick = number(1, listed.price_scale, "scientific")
    step = number(1, listed.quantity_scale, "scientific")
    return (
        f'{{"symbol":"{listed.venue_symbol}","base":"{listed.base}","quote":"{listed.quote}","status":"{status_of(listed)}",'
        f'"qty_precision":{listed.quantity_scale},"qty_increment":{step},"price_precision":{listed.price_scale},'
        f'"price_increment":{tick},"cost_precision":5,"cost_min":0.5,"qty_min":0.0001,"marginable":true,'
        f'"has_index":true,"tick_size":{tick}}}'
    )


def altname(listed: Instrument) -> str:
    """Return the REST input name, ``XBTUSD``."""
    return KRAKEN_OLD_NAMES.get(listed.base, listed.base) + listed.quote


def result_key(listed: Instrument) -> str:
    """Return the key of REST results, ``XXBTZUSD``: the venue's own name, not what was asked for."""
    if listed.base in ("BTC", "ETH", "LTC", "XRP"):
        return f"X{KRAKEN_OLD_NAMES.get(listed.base, listed.base)}Z{listed.quote}"
    return altname(listed)


def asset_pair(listed: Instrument) -> dict[str, object]:
    """Return the entry of AssetPairs."""
    old = KRAKEN_OLD_NAMES.get(listed.base, listed.base)
    is_old = result_key(listed).startswith("X") and result_key(listed) != altname(listed)
    return {
        "altname": altname(listed),
        "wsname": f"{old}/{listed.quote}",
        "aclass_base": "currency",
        "base": f"X{old}" if is_old else old,
        "aclass_quote": "currency",
        "quote": f"Z{listed.quote}" if is_old else listed.quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": listed.price_scale,
        "lot_decimals": listed.quantity_scale,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": trimmed(1, listed.price_scale),
        "status": status_of(listed),
        "execution_venue": "international",
        "long_position_limit": 80,
        "short_position_limit": 80,
    }


def status_of(listed: Instrument) -> str:
    """Return the trading status of a pair."""
    return "cancel_only" if listed.is_halted else "online"
