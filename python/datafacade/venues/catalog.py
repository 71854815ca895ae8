"""List the venues. A new one is its module and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from datafacade.venues import binance, coinbase, kraken, okx
from datafacade.venues.spec import VenueSpec

VENUES: Final[Mapping[str, VenueSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            binance.SPOT,
            binance.USDM,
            binance.COINM,
            okx.OKX,
            coinbase.COINBASE,
            kraken.KRAKEN,
        )
    }
)
