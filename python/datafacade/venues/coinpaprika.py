"""Read CoinPaprika: averages over many venues, refreshed each five minutes or so.

Source: CoinPaprika API v1, 2026-08-22. Its free plan is for non-commercial use.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from datafacade.clock import NS_PER_S
from datafacade.config import Aggregator
from datafacade.venues.aggregator import AggregatorPrice, Table, entry, number
from datafacade.venues.rest import RestAnswer

_NEEDS_A_PLAN: Final = 402


class CoinPaprika:
    """How it is asked and what it answers."""

    name = "coinpaprika"

    def path(self, config: Aggregator, currency: str) -> str:  # noqa: ARG002  the shape of Dialect
        """Return the one call that tells the whole market."""
        return f"/tickers?quotes={currency}"

    def problem(self, answer: RestAnswer, told: object) -> str:
        """Return its error; one of status 402 says that the plan does not hold this, now and later."""
        error = told.get("error") if isinstance(told, dict) else None
        if error is None:
            return ""
        gap = "not in this plan: " if answer.status == _NEEDS_A_PLAN else ""
        return f"{gap}{str(error)[:200]}"

    def table(self, config: Aggregator, currency: str, told: object) -> Table:
        """Read prices by asset; what it does not list is absent, a missing value is null or an empty text.

        Raises:
            ValueError: Another shape.
        """
        if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
            raise ValueError("expected a list of coins")
        by_id = {row.get("id"): row for row in told}
        rows = {asset: by_id.get(slug) for asset, slug in config.ids.items()}
        return {asset: _price(row, currency) for asset, row in rows.items() if row is not None}


def _price(row: dict[str, Any], currency: str) -> AggregatorPrice:
    quotes = row.get("quotes")
    told = quotes.get(currency) if isinstance(quotes, dict) else None
    if not isinstance(told, dict):
        raise ValueError(f"expected a quote in {currency}")
    updated = row.get("last_updated")
    ts_source = int(datetime.fromisoformat(updated).timestamp()) * NS_PER_S if isinstance(updated, str) else 0
    return entry(number(told.get("price")), number(told.get("volume_24h")), ts_source)
