"""What each simulated venue lists, and how it spells it. Data.

Scales follow real listings of 2026 where the asset is known; an unknown asset gets a plausible listing
derived from its name, so that load tests may ask for hundreds of symbols.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, Literal

ProductKey = Literal[
    "binance/spot",
    "binance/usdm",
    "binance/coinm",
    "okx/public",
    "coinbase/advanced",
    "coinbase/exchange",
    "kraken/spot",
]
PRODUCTS: Final[tuple[ProductKey, ...]] = (
    "binance/spot",
    "binance/usdm",
    "binance/coinm",
    "okx/public",
    "coinbase/advanced",
    "coinbase/exchange",
    "kraken/spot",
)
QUOTES: Final[dict[ProductKey, str]] = {
    "binance/spot": "USDT",
    "binance/usdm": "USDT",
    "binance/coinm": "USD",
    "okx/public": "USDT",
    "coinbase/advanced": "USD",
    "coinbase/exchange": "USD",
    "kraken/spot": "USD",
}
TETHER: Final = "USDT"
CALM: Final = 0.005  # share of the moves of other assets that a stable one makes
KRAKEN_OLD_NAMES: Final = {"BTC": "XBT", "DOGE": "XDG"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A base asset: its price in cents of a cent, and the decimals in which venues quote it."""

    price_e6: int  # millionths of a dollar
    price_decimals: int
    quantity_e8: int  # typical quantity of one level, in 10**-8 units of the asset


ASSETS: Final[dict[str, Asset]] = {
    "BTC": Asset(65_083_660_000, 2, 25_000_000),
    "ETH": Asset(1_919_440_000, 2, 150_000_000),
    "SOL": Asset(84_210_000, 2, 2_000_000_000),
    "XRP": Asset(1_284_500, 4, 150_000_000_000),
    "ADA": Asset(412_300, 4, 300_000_000_000),
    "DOGE": Asset(98_210, 5, 900_000_000_000),
    "LTC": Asset(71_430_000, 2, 1_500_000_000),
    "LINK": Asset(11_872_000, 3, 8_000_000_000),
    "AVAX": Asset(14_905_000, 3, 6_000_000_000),
    "DOT": Asset(2_764_000, 4, 40_000_000_000),
    "BCH": Asset(391_050_000, 2, 300_000_000),
    "SHIB": Asset(12, 8, 500_000_000_000_000),
    TETHER: Asset(1_000_000, 5, 500_000_000_000),
}
DECIMALS_OFFSET: Final[dict[ProductKey, int]] = {
    "binance/spot": 0,
    "binance/usdm": -1,
    "binance/coinm": -1,
    "okx/public": -1,
    "coinbase/advanced": 0,
    "coinbase/exchange": 0,
    "kraken/spot": -1,
}
QUANTITY_SCALES: Final[dict[ProductKey, int]] = {
    "binance/spot": 5,
    "binance/usdm": 3,
    "binance/coinm": 0,
    "okx/public": 8,
    "coinbase/advanced": 8,
    "coinbase/exchange": 8,
    "kraken/spot": 8,
}
COINM_CONTRACT_USD: Final = {"BTC": 100}  # every other coin-margined contract is worth 10 USD


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One listed market. Prices and quantities are integers in units of ``10**-scale``."""

    product: ProductKey
    venue_symbol: str  # as it stands in the venue's data frames
    base: str
    quote: str
    price_scale: int
    quantity_scale: int
    start_price: int
    typical_quantity: int
    is_halted: bool = False

    @property
    def venue(self) -> str:
        """Return the venue without its product."""
        return self.product.partition("/")[0]


def spell(product: ProductKey, base: str, quote: str) -> str:
    """Return how ``product`` writes the market of ``base`` against ``quote``."""
    match product:
        case "binance/spot" | "binance/usdm":
            return f"{base}{quote}"
        case "binance/coinm":
            return f"{base}{quote}_PERP"
        case "kraken/spot":
            return f"{base}/{quote}"
        case _:
            return f"{base}-{quote}"


def asset_of(base: str) -> Asset:
    """Return the listing data of ``base``, derived from its name when it is unknown."""
    if base in ASSETS:
        return ASSETS[base]
    number = zlib.crc32(base.encode())
    return Asset(1_000_000 + number % 90_000_000, 4, 20_000_000_000)


def generated_bases(count: int) -> list[str]:
    """Return the names of ``count`` assets that no real one bears: G001, G002, ..."""
    return [f"G{number:03d}" for number in range(1, count + 1)]


def instrument(product: ProductKey, base: str) -> Instrument:
    """Return the listing of ``base`` at ``product``."""
    asset = asset_of(base)
    price_scale = max(1, asset.price_decimals + DECIMALS_OFFSET[product])
    quantity_scale = QUANTITY_SCALES[product]
    if product == "binance/coinm":
        contract = COINM_CONTRACT_USD.get(base, 10)
        typical = max(1, asset.quantity_e8 * asset.price_e6 // (10**14 * contract))
    else:
        typical = max(1, asset.quantity_e8 * 10**quantity_scale // 10**8)
    start = asset.price_e6 * 10**price_scale // 10**6
    if start < 1000:  # a price of a few ticks cannot carry a book: quote it more finely
        price_scale += 3
        start = asset.price_e6 * 10**price_scale // 10**6
    quote = QUOTES[product]
    return Instrument(
        product=product,
        venue_symbol=spell(product, base, quote),
        base=base,
        quote=quote,
        price_scale=price_scale,
        quantity_scale=quantity_scale,
        start_price=start,
        typical_quantity=typical,
    )
