"""What Binance's messages look like: spot, USD-M and COIN-M futures. Pure.

Source: venues/binance.md sections 2 to 7; recorded frames of 2021 and 2024.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from datafacade.sim.binance_depth import Batch
from datafacade.sim.books import Book, Change, Level
from datafacade.sim.digits import fixed, padded
from datafacade.sim.listings import COINM_CONTRACT_USD, Instrument
from datafacade.sim.market import DayStats, Market
from datafacade.sim.tape import Trade

Flavour = Literal["spot", "usdm", "coinm"]
SPOT_DECIMALS: Final = 8
PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
ONBOARD_MS: Final = 1_569_398_400_000


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the messages of one flavour."""

    flavour: Flavour

    def price(self, listed: Instrument, price: int) -> str:
        """Return a price as this flavour prints it: spot pads to 8 decimals."""
        if self.flavour == "spot":
            return fixed(price, listed.price_scale, max(SPOT_DECIMALS, listed.price_scale))
        return padded(price, listed.price_scale)

    def quantity(self, listed: Instrument, quantity: int) -> str:
        """Return a quantity as this flavour prints it."""
        if self.flavour == "spot":
            return fixed(quantity, listed.quantity_scale, SPOT_DECIMALS)
        return padded(quantity, listed.quantity_scale)

    def levels(self, listed: Instrument, levels: Sequence[Level]) -> str:
        """Return ``[["price","quantity"],...]``."""
        rows = [f'["{self.price(listed, p)}","{self.quantity(listed, q)}"]' for p, q in levels]
        return "[" + ",".join(rows) + "]"

    def depth(self, listed: Instrument, batch: Batch, rows: Sequence[Change], stamp: int) -> str:
        """Return a ``depthUpdate``."""
        bids = self.levels(listed, sorted((p, q) for side, p, q in rows if side == "b"))
        asks = self.levels(listed, sorted((p, q) for side, p, q in rows if side == "a"))
        head = f'{{"e":"depthUpdate","E":{stamp},'
        if self.flavour != "spot":
            head += f'"T":{stamp},'
        head += f'"s":"{listed.venue_symbol}",'
        if self.flavour == "coinm":
            head += f'"ps":"{pair_of(listed)}",'
        ids = f'"U":{batch.first},"u":{batch.last},'
        if self.flavour != "spot":
            ids += f'"pu":{batch.previous},'
        return f'{head}{ids}"b":{bids},"a":{asks}}}'

    def partial(self, market: Market, count: int) -> str:
        """Return a spot partial depth: whole top levels, no symbol."""
        listed, book = market.instrument, market.book
        bids, asks = self.levels(listed, book.bids.top(count)), self.levels(listed, book.asks.top(count))
        return f'{{"lastUpdateId":{market.update_id},"bids":{bids},"asks":{asks}}}'

    def trade(
        self, listed: Instrument, trade: Trade, stamp: int, traded: int, *, kind: str = "MARKET"
    ) -> str:
        """Return a ``trade``; ``m`` says that the buyer was the maker."""
        is_maker = "true" if trade.taker == "sell" else "false"
        body = (
            f'"s":"{listed.venue_symbol}","t":{trade.trade_id},"p":"{self.price(listed, trade.price)}",'
            f'"q":"{self.quantity(listed, trade.quantity)}"'
        )
        if self.flavour == "spot":
            return f'{{"e":"trade","E":{stamp},{body},"T":{traded},"m":{is_maker},"M":true}}'
        return f'{{"e":"trade","E":{stamp},"T":{traded},{body},"X":"{kind}","m":{is_maker}}}'

    def aggregate(self, listed: Instrument, trades: Sequence[Trade], stamp: int, traded: int) -> str:
        """Return an ``aggTrade`` over the fills of one taker order at one price."""
        first, last = trades[0], trades[-1]
        quantity = self.quantity(listed, sum(trade.quantity for trade in trades))
        tail = ',"M":true' if self.flavour == "spot" else ""
        return (
            f'{{"e":"aggTrade","E":{stamp},"s":"{listed.venue_symbol}","a":{last.group},'
            f'"p":"{self.price(listed, last.price)}","q":"{quantity}",'
            f'"f":{first.trade_id},"l":{last.trade_id},'
            f'"T":{traded},"m":{"true" if last.taker == "sell" else "false"}{tail}}}'
        )

    def best(self, market: Market, stamp: int) -> str:
        """Return a ``bookTicker``; on spot it has neither type nor time."""
        listed, book = market.instrument, market.book
        (bid,), (ask,) = book.bids.top(1), book.asks.top(1)
        core = (
            f'"u":{market.update_id},"s":"{listed.venue_symbol}","b":"{self.price(listed, bid[0])}",'
            f'"B":"{self.quantity(listed, bid[1])}","a":"{self.price(listed, ask[0])}",'
            f'"A":"{self.quantity(listed, ask[1])}"'
        )
        if self.flavour == "spot":
            return f"{{{core}}}"
        return f'{{"e":"bookTicker",{core},"T":{stamp},"E":{stamp}}}'

    def ticker(self, market: Market, stamp: int, *, is_mini: bool) -> str:
        """Return a 24 h ticker."""
        listed, day = market.instrument, market.day
        price, quantity = self.price, self.quantity
        prices = (
            f'"c":"{price(listed, day.last)}","o":"{price(listed, day.open)}",'
            f'"h":"{price(listed, day.high)}","l":"{price(listed, day.low)}",'
            f'"v":"{quantity(listed, day.volume)}","q":"{_notional(listed, day)}"'
        )
        if is_mini:
            return f'{{"e":"24hrMiniTicker","E":{stamp},"s":"{listed.venue_symbol}",{prices}}}'
        (bid,), (ask,) = market.book.bids.top(1), market.book.asks.top(1)
        change = day.last - day.open
        percent = padded(change * 100_000 // day.open, 3)
        mean = day.notional // day.volume if day.volume else day.last
        core = (
            f'"p":"{price(listed, change)}","P":"{percent}","w":"{price(listed, mean)}",'
            f'"x":"{price(listed, day.open)}","Q":"{quantity(listed, day.last_quantity)}",'
        )
        best = (
            f'"b":"{price(listed, bid[0])}","B":"{quantity(listed, bid[1])}","a":"{price(listed, ask[0])}",'
            f'"A":"{quantity(listed, ask[1])}",'
        )
        first = market.trade_id - day.count + 1
        span = f'"O":{stamp - 86_400_000},"C":{stamp},"F":{first},"L":{market.trade_id}'
        head = f'{{"e":"24hrTicker","E":{stamp},"s":"{listed.venue_symbol}",'
        return head + core + ("" if self.flavour != "spot" else best) + f'{prices},{span},"n":{day.count}}}'

    def snapshot(self, listed: Instrument, at: int, book: Book, stamp: int) -> str:
        """Return a REST depth answer."""
        bids, asks = self.levels(listed, book.bids.top()), self.levels(listed, book.asks.top())
        head = f'"lastUpdateId":{at}'
        if self.flavour != "spot":
            head += f',"E":{stamp},"T":{stamp}'
        if self.flavour == "coinm":
            head += f',"symbol":"{listed.venue_symbol}","pair":"{pair_of(listed)}"'
        return f'{{{head},"bids":{bids},"asks":{asks}}}'

    def row(self, listed: Instrument, trade: Trade) -> dict[str, object]:
        """Return a row of the REST trades answer."""
        notional = trade.price * trade.quantity
        return {
            "id": trade.trade_id,
            "price": self.price(listed, trade.price),
            "qty": self.quantity(listed, trade.quantity),
            "quoteQty": padded(notional, listed.price_scale + listed.quantity_scale),
            "time": trade.ts_event // 1_000_000,
            "isBuyerMaker": trade.taker == "sell",
            "isBestMatch": True,
        }


def pair_of(listed: Instrument) -> str:
    """Return the futures pair, which the contracts of one underlying share."""
    return listed.venue_symbol.partition("_")[0]


def _notional(listed: Instrument, day: DayStats) -> str:
    return padded(day.notional, listed.price_scale + listed.quantity_scale)


def listing(flavour: Flavour, listed: Instrument) -> dict[str, object]:
    """Return the entry of ``listed`` in exchangeInfo."""
    decimals = SPOT_DECIMALS if flavour == "spot" else listed.price_scale
    tick = fixed(1, listed.price_scale, max(decimals, listed.price_scale))
    step = fixed(1, listed.quantity_scale, SPOT_DECIMALS if flavour == "spot" else listed.quantity_scale)
    filters: list[dict[str, object]] = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
    ]
    entry: dict[str, object] = {
        "symbol": listed.venue_symbol,
        "baseAsset": listed.base,
        "quoteAsset": listed.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "filters": filters,
    }
    if flavour == "spot":
        notional = {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True}
        filters.append(
            {**notional, "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5}
        )
        return {
            **entry,
            "status": "HALT" if listed.is_halted else "TRADING",
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "icebergAllowed": True,
            "ocoAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": True,
            "permissions": [],
            "permissionSets": [["SPOT", "MARGIN"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_MAKER"],
        }
    return {**entry, **_contract(flavour, listed)}


def _contract(flavour: Flavour, listed: Instrument) -> dict[str, object]:
    status = "PENDING_TRADING" if listed.is_halted else "TRADING"
    contract: dict[str, object] = {
        "pair": pair_of(listed),
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "marginAsset": listed.quote if flavour == "usdm" else listed.base,
        "pricePrecision": listed.price_scale,
        "quantityPrecision": listed.quantity_scale,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
    if flavour == "usdm":
        return {**contract, "status": status}
    return {**contract, "contractStatus": status, "contractSize": COINM_CONTRACT_USD.get(listed.base, 10)}


def exchange_info(flavour: Flavour, markets: Sequence[Market], now_ms: int, weight_limit: int) -> str:
    """Return the exchangeInfo answer over ``markets``."""
    limits: list[dict[str, object]] = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit}
    ]
    if flavour == "spot":
        limits.append(
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000}
        )
    return json.dumps(
        {
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [listing(flavour, market.instrument) for market in markets],
        },
        separators=(",", ":"),
    )
