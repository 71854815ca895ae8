"""Binance futures: what differs from spot. Data.

USD-M has routed paths since 2026-04-23 (a stream on the wrong one is acknowledged and silent); COIN-M is
unrouted. Source: venues/binance.md sections 1 and 7, 2026-07.
"""

from __future__ import annotations

from typing import Final

from datafacade.sim.binance_settings import Settings
from datafacade.sim.limits import ConnectionRules
from datafacade.sim.tape import Trade

ODD_TRADE_EVERY: Final = 150
ODD_KIND: Final = "INSURANCE_FUND"
MARKET_KIND: Final = "MARKET"
FUTURES_RULES: Final = ConnectionRules(
    attempts=300,
    attempts_span_s=300,
    messages=10,
    ping_every_s=180,
    ping_timeout_s=600,
    lifetime_s=86_400,
)
USDM: Final = Settings(
    flavour="usdm",
    product="binance/usdm",
    routes=("/public", "/market"),
    rest_root="/fapi/v1",
    weight_limit=2_400,
    rules=FUTURES_RULES,
)
COINM: Final = Settings(
    flavour="coinm",
    product="binance/coinm",
    routes=("",),
    rest_root="/dapi/v1",
    weight_limit=2_400,
    rules=FUTURES_RULES,
)


def is_market_trade(trade: Trade) -> bool:
    """Tell whether a row is a trade of the market; the others are in no REST row and no kline."""
    return trade.trade_id % ODD_TRADE_EVERY != 0


def odd_price(trade: Trade) -> int:
    """Return the price that a row of the insurance fund tells: far from the market."""
    return trade.price * 9 // 10
