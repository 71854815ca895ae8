"""Make the venue that a product key names. The one place that knows all of them."""

from __future__ import annotations

from collections.abc import Mapping

from datafacade.sim.binance import Binance
from datafacade.sim.binance_futures import COINM, USDM
from datafacade.sim.binance_settings import SPOT
from datafacade.sim.coinbase_advanced import CoinbaseAdvanced
from datafacade.sim.coinbase_exchange import CoinbaseExchange
from datafacade.sim.kraken import Kraken
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.okx import Okx
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.venue import Surroundings, Venue


def build_venue(
    product: ProductKey, markets: Mapping[str, Market], around: Surroundings, settings: SimulatorSettings
) -> Venue:
    """Return the venue of ``product`` over ``markets``."""
    match product:
        case "binance/spot":
            return Binance(SPOT, markets, around)
        case "binance/usdm":
            return Binance(USDM, markets, around)
        case "binance/coinm":
            return Binance(COINM, markets, around)
        case "okx/public":
            return Okx(markets, around, seed=settings.seed, has_checksum=settings.has_okx_checksum)
        case "coinbase/advanced":
            return CoinbaseAdvanced(markets, around)
        case "coinbase/exchange":
            return CoinbaseExchange(markets, around, seed=settings.seed)
        case "kraken/spot":
            return Kraken(markets, around, seed=settings.seed)
