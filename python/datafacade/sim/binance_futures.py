"""Binance futures: what differs from spot. Data.

USD-M has routed paths since 2026-04-23 (a stream on the wrong one is acknowledged and silent); COIN-M is
unrouted. Source: venues/binance.md sections 1 and 7, 2026-07.
"""

from __future__ import annotations

from typing import Final

from datafacade.sim.binance_settings import Settings
from datafacade.sim.limits import ConnectionRules

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
    odd_trade_every=150,
)
COINM: Final = Settings(
    flavour="coinm",
    product="binance/coinm",
    routes=("",),
    rest_root="/dapi/v1",
    weight_limit=2_400,
    rules=FUTURES_RULES,
    odd_trade_every=150,
)
