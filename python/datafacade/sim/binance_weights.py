"""What Binance charges for a REST request. Pure.

Source: venues/binance.md sections 6 and 7, 2026-07-21; weights of futures that are not in the sheet are those
of the venue's documents (trades 5, historicalTrades and aggTrades 20, tickers 1 to 40).
"""

from __future__ import annotations

from typing import Final

from datafacade.sim.binance_texts import Flavour
from datafacade.sim.venue import Query

DEPTH_SPOT: Final = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))
DEPTH_FUTURES: Final = ((50, 2), (100, 5), (500, 10), (1_000, 20))
KLINES_FUTURES: Final = ((99, 1), (499, 2), (1_000, 5), (1_500, 10))
SPOT: Final = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 20,
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
}
FUTURES: Final = {"ping": 1, "time": 1, "exchangeInfo": 1, "historicalTrades": 20, "aggTrades": 20}
FUNDING: Final = {"fundingRate": 1, "fundingInfo": 0}  # the sheet tells requests, no weight: inferred
TICKERS_SPOT: Final = {
    "ticker/24hr": (2, 80),
    "ticker/price": (2, 4),
    "ticker/bookTicker": (2, 4),
}  # one, all
SYMBOLS_SPOT: Final = ((20, 2), (100, 40), (1 << 30, 80))  # ticker/24hr?symbols=
TICKERS_FUTURES: Final = {
    "premiumIndex": (1, 10),
    "ticker/24hr": (1, 40),
    "ticker/price": (1, 2),
    "ticker/bookTicker": (2, 5),
}
DEFAULT_SPOT: Final = 2
DEFAULT_FUTURES: Final = 5


def weight_of(flavour: Flavour, name: str, query: Query) -> int:
    """Return the weight of a request for ``name``, the path behind the root."""
    is_spot = flavour == "spot"
    if name == "depth":
        return _by_limit(DEPTH_SPOT if is_spot else DEPTH_FUTURES, _limit(query, 100 if is_spot else 500))
    if name == "klines" and not is_spot:
        return _by_limit(KLINES_FUTURES, _limit(query, 500))
    if name == "ticker/24hr" and is_spot and "symbols" in query:
        return _by_limit(SYMBOLS_SPOT, query["symbols"].count(",") + 1)
    one_and_all = (TICKERS_SPOT if is_spot else TICKERS_FUTURES).get(name)
    if one_and_all is not None:
        return one_and_all[0 if "symbol" in query else 1]
    return SPOT.get(name, DEFAULT_SPOT) if is_spot else {**FUTURES, **FUNDING}.get(name, DEFAULT_FUTURES)


def _limit(query: Query, default: int) -> int:
    text = query.get("limit", "")
    return int(text) if text.isdigit() and int(text) else default


def _by_limit(table: tuple[tuple[int, int], ...], limit: int) -> int:
    return next((weight for most, weight in table if limit <= most), table[-1][1])
