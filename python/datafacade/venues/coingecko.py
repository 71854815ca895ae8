"""Read CoinGecko: averages over many venues, refreshed each 20 to 60 s. Data provided by CoinGecko.

Source: CoinGecko API v3, OpenAPI of 2026-06-22.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from datafacade.clock import NS_PER_S
from datafacade.config import Aggregator
from datafacade.venues.aggregator import AggregatorPrice, Table, entry, number
from datafacade.venues.rest import RestAnswer


class CoinGecko:
    """How it is asked and what it answers."""

    name = "coingecko"

    def path(self, config: Aggregator, currency: str) -> str:
        """Return one call for all pinned coins; without ``precision=full`` prices are rounded."""
        ids = quote(",".join(sorted(set(config.ids.values()))), safe=",")
        return (
            f"/simple/price?ids={ids}&vs_currencies={currency.lower()}"
            "&include_24hr_vol=true&include_last_updated_at=true&precision=full"
        )

    def problem(self, answer: RestAnswer, told: object) -> str:  # noqa: ARG002  the shape of Dialect
        """Return its error, which comes in three shapes: a text, a status, a status inside an error."""
        if not isinstance(told, dict):
            return ""
        error = told.get("error")
        if isinstance(error, str):
            return error[:200]
        status = error.get("status") if isinstance(error, dict) else told.get("status")
        if isinstance(status, dict) and "error_code" in status:
            return f"error {status['error_code']}: {str(status.get('error_message', ''))[:200]}"
        return "error without a text" if error is not None else ""

    def table(self, config: Aggregator, currency: str, told: object) -> Table:
        """Read prices by asset. A coin that it does not know is silently absent, a missing value is null.

        Raises:
            ValueError: Another shape.
        """
        if not isinstance(told, dict):
            raise ValueError("expected an object of coins")
        rows = {asset: told.get(slug) for asset, slug in config.ids.items()}
        return {asset: _price(row, currency.lower()) for asset, row in rows.items() if row is not None}


def _price(row: Any, currency: str) -> AggregatorPrice:  # noqa: ANN401  untrusted JSON
    if not isinstance(row, dict):
        raise ValueError("expected an object for a coin")
    seconds = number(row.get("last_updated_at"))
    ts_source = 0 if seconds is None else int(seconds * NS_PER_S)
    return entry(number(row.get(currency)), number(row.get(f"{currency}_24h_vol")), ts_source)
