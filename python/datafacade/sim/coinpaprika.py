"""CoinPaprika's REST: prices in bulk, the day's bars, and what the free plan does not have.

The free API lies at ``/v1``, the paid one at ``/pro/v1``.
Source: venues/aggregators.md section 2, 2026-08-22.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from datafacade.sim.intervals import minutes
from datafacade.sim.limits import Budget, Quota, SlidingWindow
from datafacade.sim.quotes import Quotes
from datafacade.sim.tape import Candle
from datafacade.sim.venue import Answer, Query, RestHandler, Weights

ROOT: Final = "/v1"
PRO: Final = "/pro"
KEY_HEADER: Final = "authorization"  # the bare key, no scheme
KEY_HEADERS: Final = (KEY_HEADER,)
PRO_KEY: Final = "sim-paprika"  # what the simulator takes for a key
CALLS_PER_S: Final = 9  # fewer than ten a second
FREE_MONTH: Final = 20_000
EPOCH_DAY: Final = 86_400
HOLLOW: Final = "mcr-micro-cap"  # its price has an exponent, other figures are missing in both spellings
SLUGS: Final = {
    "BTC": "btc-bitcoin",
    "ETH": "eth-ethereum",
    "SOL": "sol-solana",
    "XRP": "xrp-xrp",
    "ADA": "ada-cardano",
    "DOGE": "doge-dogecoin",
    "LTC": "ltc-litecoin",
    "LINK": "link-chainlink",
    "AVAX": "avax-avalanche",
    "DOT": "dot-polkadot",
    "BCH": "bch-bitcoin-cash",
    "SHIB": "shib-shiba-inu",
    "USDT": "usdt-tether",
}


class CoinPaprika:
    """The REST side of CoinPaprika."""

    product: Final = "coinpaprika/api"

    def __init__(self, quotes: Quotes) -> None:
        self._quotes = quotes
        self._ids = {SLUGS.get(base, f"{base.lower()}-sim"): base for base in quotes.assets()}
        self._window = SlidingWindow(CALLS_PER_S, 1.0)
        self._month = Quota(FREE_MONTH, is_monthly=True)
        self.weights = Weights(
            used=lambda: self._month.used, spend=lambda weight: self._month.spend(weight, time.time())
        )

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path, of the free and of the paid host."""
        made: dict[str, RestHandler] = {
            "/global": self._global,
            "/coins": self._coins,
            "/search": self._search,
            "/tickers": self._tickers,
            "/tickers/{id}": self._ticker,
            "/tickers/{id}/historical": self._historical,
            "/coins/{id}/ohlcv/latest": lambda query: self._bars(query, is_today=False),
            "/coins/{id}/ohlcv/today": lambda query: self._bars(query, is_today=True),
            "/coins/{id}/ohlcv/historical": self._historical,
            "/coins/{id}/markets": self._markets,
            "/key/info": self._key,
        }
        return {f"{host}{ROOT}{path}": handler for host in ("", PRO) for path, handler in made.items()}

    # Keys and limits

    def admit(self, path: str, query: Query) -> Answer | None:
        """Check the key, count the call; return the refusal."""
        is_paid = path.startswith(PRO)
        if is_paid and query.get(KEY_HEADER) != PRO_KEY:
            return _error("invalid API key", 403)
        is_within = self._window.admit(time.monotonic())
        if not is_paid:
            is_within = self._month.admit(time.time()) and is_within
        return None if is_within else replace(_error("too many requests", 429), breaks="rest_rate")

    def limit(self, limit: float) -> None:
        """Admit ``limit`` calls in any second."""
        self._window = SlidingWindow(int(limit), 1.0)

    def budgets(self) -> Mapping[str, Budget]:
        """Return what was spent of the second and of the month."""
        return {"second": self._window.budget(time.monotonic()), "month": self._month.budget(time.time())}

    def not_found(self, path: str) -> Answer:
        """Return the answer to an unknown path."""
        del path
        return _error("not found", 404)

    # Coins

    def _global(self, query: Query) -> Answer:
        del query
        caps = sum(self._quotes.quote(base).market_cap for base in self._ids.values())
        return _answer(
            {
                "market_cap_usd": caps,
                "cryptocurrencies_number": len(self._ids),
                "last_updated": int(time.time()),
            }
        )

    def _coin(self, slug: str, rank: int) -> dict[str, object]:
        name = slug.partition("-")[2].replace("-", " ").title()
        told = {"id": slug, "name": name, "symbol": slug.partition("-")[0].upper(), "rank": rank}
        return {**told, "is_new": False, "is_active": True, "type": "coin"}

    def _coins(self, query: Query) -> Answer:
        del query
        return _answer([self._coin(slug, rank) for rank, slug in enumerate([*self._ids, HOLLOW], 1)])

    def _search(self, query: Query) -> Answer:
        wanted = query.get("q", "").lower()
        if not wanted:
            return _error("invalid parameters", 400)
        is_exact = query.get("modifier") == "symbol_search"
        found = [
            self._coin(slug, rank)
            for rank, slug in enumerate(self._ids, 1)
            if (slug.partition("-")[0] == wanted if is_exact else wanted in slug)
        ]
        return _answer({"currencies": found})

    # Prices

    def _tickers(self, query: Query) -> Answer:
        currencies = self._currencies(query)
        if currencies is None:
            return _error("invalid parameters", 400)
        slugs = [*self._ids, HOLLOW]
        return _answer([self._row(slug, rank, currencies) for rank, slug in enumerate(slugs, 1)])

    def _ticker(self, query: Query) -> Answer:
        currencies, slug = self._currencies(query), query["id"]
        if currencies is None:
            return _error("invalid parameters", 400)
        if slug not in self._ids and slug != HOLLOW:
            return _error("id not found", 404)
        return _answer(self._row(slug, 1, currencies))

    def _currencies(self, query: Query) -> dict[str, float] | None:
        """Return how many units of each wanted currency a USD is, or None if one is unknown."""
        known = {"USD": 1.0}
        if "BTC" in self._quotes.markets:
            known["BTC"] = 1 / self._quotes.quote("BTC").price
        wanted = [name for name in query.get("quotes", "USD").upper().split(",") if name]
        return {name: known[name] for name in wanted} if wanted and set(wanted) <= set(known) else None

    def _row(self, slug: str, rank: int, currencies: Mapping[str, float]) -> dict[str, object]:
        head = {
            key: value
            for key, value in self._coin(slug, rank).items()
            if key in ("id", "name", "symbol", "rank")
        }
        if slug == HOLLOW:
            told: dict[str, object] = {
                "price": 1.2e-09,
                "volume_24h": None,
                "market_cap": "",
                "ath_price": None,
            }
            return {**head, "last_updated": _stamp(time.time()), "quotes": dict.fromkeys(currencies, told)}
        quote = self._quotes.quote(self._ids[slug])
        change = round(quote.change_ratio * 100, 2)
        quotes = {
            name: {
                "price": quote.price * rate,
                "volume_24h": quote.volume_24h * rate,
                "volume_24h_change_24h": -3.1,
                "market_cap": quote.market_cap * rate,
                "market_cap_change_24h": change,
                "percent_change_1h": 0.1,
                "percent_change_24h": change,
                "percent_change_7d": 1.2,
                "ath_price": quote.price * rate * 1.3,
                "ath_date": "2025-10-06T18:55:00Z",
                "percent_from_price_ath": -23.11,
            }
            for name, rate in currencies.items()
        }
        supplies = {"total_supply": 20_030_843, "max_supply": 21_000_000, "beta_value": 0.98}
        since = {"first_data_at": "2010-07-17T00:00:00Z", "last_updated": _stamp(quote.updated_s)}
        return {**head, **supplies, **since, "quotes": quotes}

    # Bars and venues

    def _bars(self, query: Query, *, is_today: bool) -> Answer:
        base = self._ids.get(query["id"])
        if base is None:
            return _error("id not found", 404)
        found = self._quotes.candles(base, minutes(1_440), 2)
        if not found:
            return _answer([])
        candle, scale = found[-1] if is_today else found[0]
        return _answer([self._bar(base, candle, scale, is_today=is_today)])

    def _bar(self, base: str, candle: Candle, scale: float, *, is_today: bool) -> dict[str, object]:
        """Return a day's bar; today's closes now."""
        begin = candle.open_ns // 10**9
        quote = self._quotes.quote(base)
        return {
            "time_open": _stamp(begin),
            "time_close": _stamp(time.time() if is_today else begin + EPOCH_DAY - 1),
            "open": candle.open * scale,
            "high": candle.high * scale,
            "low": candle.low * scale,
            "close": candle.close * scale,
            "volume": int(quote.volume_24h),
            "market_cap": int(quote.market_cap),
        }

    def _historical(self, query: Query) -> Answer:
        """Refuse what the free plan has not; the paid one is not modelled."""
        start = query.get("start", "2024-01-01")
        return _error(f"Getting historical OHLCV data before {start} is not allowed in this plan", 402)

    def _markets(self, query: Query) -> Answer:
        base = self._ids.get(query["id"])
        if base is None:
            return _error("id not found", 404)
        rows = []
        for market in self._quotes.markets.get(base, []):
            listed = market.instrument
            price = market.day.last * 10.0**-listed.price_scale
            rows.append(
                {
                    "exchange_id": listed.venue,
                    "exchange_name": listed.venue.title(),
                    "pair": f"{base}/{listed.quote}",
                    "category": "Spot",
                    "outlier": False,
                    "trust_score": "high",
                    "quotes": {
                        "USD": {"price": price, "volume_24h": market.day.notional * 10.0**-listed.price_scale}
                    },
                    "last_updated": _stamp(time.time()),
                }
            )
        return _answer(rows)

    def _key(self, query: Query) -> Answer:
        if KEY_HEADER not in query:
            return _error("invalid API key", 403)
        return _answer({"plan": "business", "usage": {"current_month": {"requests_made": self._month.used}}})


def _stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%S}Z"


def _error(text: str, status: int) -> Answer:
    return Answer(body=json.dumps({"error": text}), status=status)


def _answer(value: object) -> Answer:
    return Answer(body=json.dumps(value, separators=(",", ":")))
