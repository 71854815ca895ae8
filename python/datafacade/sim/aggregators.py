"""Make the aggregators of a run. The one place that knows all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from datafacade.sim import coingecko, coinpaprika
from datafacade.sim.faults import FaultBoard
from datafacade.sim.market import Market
from datafacade.sim.quotes import Quotes, by_base
from datafacade.sim.venue import RestSide

AggregatorKey = Literal["coingecko", "coinpaprika"]
AGGREGATORS: Final[tuple[AggregatorKey, ...]] = ("coingecko", "coinpaprika")
REFRESH_S: Final[Mapping[AggregatorKey, float]] = {"coingecko": 60.0, "coinpaprika": 300.0}


@dataclass(frozen=True, slots=True)
class Aggregator:
    """One aggregator and the headers that carry its keys."""

    side: RestSide
    key_headers: tuple[str, ...]


def product_of(name: AggregatorKey) -> str:
    """Return the name under which an aggregator is counted and faults find it."""
    return f"{name}/api"


def build_aggregator(
    name: AggregatorKey, markets: Iterable[Market], faults: FaultBoard, refresh_s: float | None
) -> Aggregator:
    """Return the aggregator ``name`` over ``markets``; without ``refresh_s`` as slow as the real one."""
    wait_s = REFRESH_S[name] if refresh_s is None else refresh_s
    quotes = Quotes(product_of(name), by_base(markets), faults, wait_s)
    match name:
        case "coingecko":
            return Aggregator(coingecko.CoinGecko(quotes), coingecko.KEY_HEADERS)
        case "coinpaprika":
            return Aggregator(coinpaprika.CoinPaprika(quotes), coinpaprika.KEY_HEADERS)
