"""CoinGecko's REST: prices in USD, EUR and BTC, top lists, bars without volume; keys, plans and their errors.

The public API lies at ``/api/v3``, the paid one at ``/pro/api/v3``. Source: venues/aggregators.md section 1,
2026-06-22.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from datafacade.sim.intervals import DAY_NS, Interval, minutes
from datafacade.sim.limits import Budget, Quota
from datafacade.sim.quotes import Quote, Quotes
from datafacade.sim.venue import Answer, Query, RestHandler, Weights

ROOT: Final = "/api/v3"
PRO: Final = "/pro"
DEMO_HEADER: Final = "x-cg-demo-api-key"
PRO_HEADER: Final = "x-cg-pro-api-key"
KEY_HEADERS: Final = (DEMO_HEADER, PRO_HEADER)
DEMO_KEY: Final = "CG-sim-demo"  # what the simulator takes for a key of each plan
PRO_KEY: Final = "CG-sim-pro"
KEYLESS_CALLS: Final = 10  # a minute
DEMO_CALLS: Final = 30
DEMO_MONTH: Final = 10_000
PRO_CALLS: Final = 500
PER_PAGE: Final = 100
PER_PAGE_MAX: Final = 250
DEMO_DAYS_MAX: Final = 365
DAYS: Final = (1, 7, 14, 30, 90, 180, 365)
EUR_PER_USD: Final = 0.92
MICRO: Final = "micro-cap"  # its price has an exponent, other figures are null
GHOST: Final = "ghost-coin"  # listed, without a price
MICRO_PRICE: Final = 1.2e-09
SLUGS: Final = {
    "BTC": "bitcoin",
    "ETH": "ethereum",
    "SOL": "solana",
    "XRP": "ripple",
    "ADA": "cardano",
    "DOGE": "dogecoin",
    "LTC": "litecoin",
    "LINK": "chainlink",
    "AVAX": "avalanche-2",
    "DOT": "polkadot",
    "BCH": "bitcoin-cash",
    "SHIB": "shiba-inu",
    "USDT": "tether",
}
TWINS: Final = (("batcat", "btc", "batcat"), (MICRO, "mcr", "Micro Cap"), (GHOST, "gho", "Ghost Coin"))


class CoinGecko:
    """The REST side of CoinGecko."""

    product: Final = "coingecko/api"

    def __init__(self, quotes: Quotes) -> None:
        self._quotes = quotes
        self._ids = {SLUGS.get(base, f"sim-{base.lower()}"): base for base in quotes.assets()}
        self._minutes = {"keyless": Quota(KEYLESS_CALLS), "demo": Quota(DEMO_CALLS), "pro": Quota(PRO_CALLS)}
        self._month = Quota(DEMO_MONTH, is_monthly=True)
        self.weights = Weights(
            used=lambda: self._month.used, spend=lambda weight: self._month.spend(weight, time.time())
        )

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the handlers by path, of the public and of the paid host."""
        made: dict[str, RestHandler] = {
            "/ping": lambda _: _answer({"gecko_says": "(V3) To the Moon!"}),
            "/simple/price": self._simple,
            "/coins/list": self._list,
            "/coins/markets": self._markets,
            "/coins/{id}/ohlc": self._ohlc,
            "/coins/{id}/market_chart": self._chart,
            "/coins/{id}/tickers": self._tickers,
            "/exchange_rates": self._rates,
            "/key": self._key,
        }
        return {f"{host}{ROOT}{path}": handler for host in ("", PRO) for path, handler in made.items()}

    # Keys and limits

    def admit(self, path: str, query: Query) -> Answer | None:
        """Check the key, count the call; return the refusal. Every request counts."""
        is_paid = path.startswith(PRO)
        demo = query.get(DEMO_HEADER) or query.get("x_cg_demo_api_key")
        paid = query.get(PRO_HEADER) or query.get("x_cg_pro_api_key")
        plan = "pro" if is_paid else "demo" if demo else "keyless"
        now = time.time()
        is_within = self._minutes[plan].admit(now)
        if plan == "demo":
            is_within = self._month.admit(now) and is_within
        if not is_within:
            return _too_many(now, has_hint=plan != "keyless")
        return self._wrong_key(is_paid, demo, paid)

    def _wrong_key(self, is_paid: bool, demo: str | None, paid: str | None) -> Answer | None:
        if is_paid and demo is not None:
            return _status(10011, "If you are using Demo API key, please change your root URL.", 400)
        if not is_paid and paid is not None:
            return _status(10010, "If you are using Pro API key, please change your root URL.", 400)
        if is_paid and paid is None:
            return _status(10002, "API Key Missing", 401)
        if demo not in (None, DEMO_KEY) or paid not in (None, PRO_KEY):
            return _status(10002, "Invalid API Key", 401)
        return None

    def limit(self, limit: float) -> None:
        """Admit ``limit`` calls a minute to every plan."""
        for quota in self._minutes.values():
            quota.limit = int(limit)

    def budgets(self) -> Mapping[str, Budget]:
        """Return what was spent of each plan's minute, and of the demo plan's month."""
        now = time.time()
        return {
            **{plan: quota.budget(now) for plan, quota in self._minutes.items()},
            "month": self._month.budget(now),
        }

    def not_found(self, path: str) -> Answer:
        """Return the answer to an unknown path."""
        del path
        return _status(404, "Incorrect path. Please check https://www.coingecko.com/api/", 404)

    # Prices

    def _simple(self, query: Query) -> Answer:
        currencies = _listed(query, "vs_currencies")
        ids = _listed(query, "ids") or self._by_symbol(_listed(query, "symbols"))
        if not currencies or not ids:
            return Answer(body=_dump({"error": "Missing parameter vs_currencies or ids"}), status=422)
        digits = query.get("precision", "")
        found: dict[str, object] = {}
        for slug in ids:
            if slug == GHOST:
                found[slug] = dict.fromkeys(currencies)
            elif slug == MICRO:
                found[slug] = {"usd": MICRO_PRICE, "usd_market_cap": None, "usd_24h_vol": None}
            elif slug in self._ids:  # unknown ids are absent
                found[slug] = self._row(slug, currencies, query, digits)
        return _answer(found)

    def _row(self, slug: str, currencies: list[str], query: Query, digits: str) -> dict[str, object]:
        quote, row = self._quotes.quote(self._ids[slug]), {}
        for currency in currencies:
            rate = self._rate(currency)
            if rate is None:
                continue
            figures = {
                "": (True, rounded(quote.price * rate, digits)),
                "_market_cap": (_is_on(query, "include_market_cap"), quote.market_cap * rate),
                "_24h_vol": (_is_on(query, "include_24hr_vol"), quote.volume_24h * rate),
                "_24h_change": (_is_on(query, "include_24hr_change"), quote.change_ratio * 100),
            }
            row.update({currency + name: value for name, (is_wanted, value) in figures.items() if is_wanted})
        if _is_on(query, "include_last_updated_at"):
            row["last_updated_at"] = quote.updated_s
        return dict(row)

    def _rate(self, currency: str) -> float | None:
        """Return how many units of ``currency`` a USD is, or None: usdt is none of them."""
        match currency:
            case "usd":
                return 1.0
            case "eur":
                return EUR_PER_USD
            case "btc" if "bitcoin" in self._ids:
                return 1 / self._quotes.quote("BTC").price
            case _:
                return None

    def _by_symbol(self, symbols: list[str]) -> list[str]:
        """Return the top coin of each symbol."""
        names = {base.lower(): slug for slug, base in self._ids.items()}
        return [names[symbol] for symbol in symbols if symbol in names]

    def _list(self, query: Query) -> Answer:
        del query
        coins = [(slug, base.lower(), slug.replace("-", " ").title()) for slug, base in self._ids.items()]
        return _answer(
            [{"id": id_, "symbol": symbol, "name": name} for id_, symbol, name in (*coins, *TWINS)]
        )

    def _markets(self, query: Query) -> Answer:
        if self._rate(query.get("vs_currency", "")) is None:
            return Answer(body=_dump({"error": "invalid vs_currency"}), status=400)
        each, page = query.get("per_page", str(PER_PAGE)), query.get("page", "1")
        if not each.isdigit() or not page.isdigit() or not 0 < int(each) <= PER_PAGE_MAX or not int(page):
            return Answer(body=_dump({"error": "invalid per_page or page"}), status=400)
        wanted = _listed(query, "ids") or [*self._ids, MICRO]
        start = (int(page) - 1) * int(each)
        chosen = [slug for slug in wanted if slug in self._ids or slug == MICRO][start : start + int(each)]
        rate = self._rate(query["vs_currency"]) or 1.0
        return _answer([self._market(slug, rank, rate, query) for rank, slug in enumerate(chosen, start + 1)])

    def _market(self, slug: str, rank: int, rate: float, query: Query) -> dict[str, object]:
        base = self._ids.get(slug, "MCR")
        now_s = int(time.time())
        price = MICRO_PRICE
        quote = Quote(price, price, price, price, 0.0, now_s) if slug == MICRO else self._quotes.quote(base)
        is_micro, digits = slug == MICRO, query.get("precision", "")
        cap = None if is_micro else quote.market_cap * rate
        return {
            "id": slug,
            "symbol": base.lower(),
            "name": slug.replace("-", " ").title(),
            "current_price": rounded(quote.price * rate, digits),
            "market_cap": cap,
            "market_cap_rank": None if is_micro else rank,
            "fully_diluted_valuation": cap,
            "total_volume": None if is_micro else quote.volume_24h * rate,
            "high_24h": quote.high_24h * rate,
            "low_24h": quote.low_24h * rate,
            "price_change_24h": (quote.price - quote.open_24h) * rate,
            "price_change_percentage_24h": quote.change_ratio * 100,
            "circulating_supply": 20_030_493.0,
            "total_supply": 20_030_843.0,
            "max_supply": None if is_micro else 21_000_000.0,
            "roi": {"times": 1.5, "currency": "usd", "percentage": 150.2} if rank == 2 else None,
            "last_updated": f"{datetime.fromtimestamp(quote.updated_s, UTC):%Y-%m-%dT%H:%M:%S}.599Z",
        }

    # Bars, points, venues

    def _ohlc(self, query: Query) -> Answer:
        """Answer with bars stamped at their close, without volume."""
        base, days = self._ids.get(query["id"]), query.get("days", "")
        if base is None:
            return _unknown()
        if "interval" in query and DEMO_HEADER in query:
            return _nested(10005, "This request is limited to PRO API subscribers.", 401)
        if not days.isdigit() or int(days) not in DAYS:
            return Answer(body=_dump({"error": "Invalid days parameter"}), status=422)
        span = minutes(30) if int(days) <= 2 else minutes(240) if int(days) <= 30 else Interval(4 * DAY_NS)
        count = int(days) * DAY_NS // span.ns
        rows = [
            [span.end(c.open_ns) // 10**6, *(value * scale for value in (c.open, c.high, c.low, c.close))]
            for c, scale in self._quotes.candles(base, span, count)
        ]
        return _answer(rows)

    def _chart(self, query: Query) -> Answer:
        base, days = self._ids.get(query["id"]), query.get("days", "")
        if base is None:
            return _unknown()
        if not days.isdigit() or not int(days):
            return Answer(body=_dump({"error": "Invalid days parameter"}), status=422)
        if int(days) > DEMO_DAYS_MAX and PRO_HEADER not in query:
            return _nested(10012, "Your request exceeds the allowed time range.", 401)
        span = minutes(5) if int(days) == 1 else minutes(60) if int(days) <= 90 else minutes(1_440)
        found = self._quotes.candles(base, span, int(days) * DAY_NS // span.ns)
        now, quote = int(time.time() * 1_000), self._quotes.quote(base)
        points = [(c.open_ns // 10**6, c.open * scale, c.notional) for c, scale in found]
        points.append((now, quote.price, 0))  # the last point is off the grid
        return _answer(
            {
                "prices": [[at, price] for at, price, _ in points],
                "market_caps": [[at, price * 2e7] for at, price, _ in points],
                "total_volumes": [[at, quote.volume_24h] for at, _, _ in points],
            }
        )

    def _tickers(self, query: Query) -> Answer:
        base = self._ids.get(query["id"])
        if base is None:
            return _unknown()
        rows = []
        for market in self._quotes.markets.get(base, []):
            listed = market.instrument
            last = market.day.last * 10.0**-listed.price_scale
            rows.append(
                {
                    "base": base,
                    "target": listed.quote,
                    "market": {"name": listed.venue.title(), "identifier": listed.venue},
                    "last": last,
                    "volume": market.day.volume * 10.0**-listed.quantity_scale,
                    "trust_score": "green",
                    "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00",
                    "is_anomaly": False,
                    "is_stale": False,
                    "coin_id": query["id"],
                }
            )
        return _answer({"name": query["id"].title(), "tickers": rows})

    def _rates(self, query: Query) -> Answer:
        del query
        names: list[tuple[str, Callable[[], float]]] = [
            ("usd", lambda: self._quotes.quote("BTC").price if "bitcoin" in self._ids else 1.0),
            (
                "eur",
                lambda: EUR_PER_USD * (self._quotes.quote("BTC").price if "bitcoin" in self._ids else 1.0),
            ),
        ]
        told = {
            name: {"name": name.upper(), "unit": name, "value": value(), "type": "fiat"}
            for name, value in names
        }
        return _answer({"rates": told})

    def _key(self, query: Query) -> Answer:
        if PRO_HEADER not in query:
            return _nested(10005, "This request is limited to PRO API subscribers.", 401)
        quota = self._minutes["pro"]
        return _answer(
            {"plan": "Analyst", "rate_limit_request_per_minute": quota.limit, "monthly_call_credit": 500_000}
        )


def rounded(value: float, precision: str) -> float:
    """Return a price as the API rounds it: by magnitude, unless ``precision`` says full or how far."""
    if precision == "full":
        return value
    if precision.isdigit():
        return round(value, int(precision))
    if value >= 1_000:
        return round(value)
    return round(value, 2) if value >= 1 else float(f"{value:.6g}")


def _listed(query: Query, name: str) -> list[str]:
    return [part.strip().lower() for part in query.get(name, "").split(",") if part.strip()]


def _is_on(query: Query, name: str) -> bool:
    return query.get(name, "").lower() == "true"


def _too_many(now: float, *, has_hint: bool) -> Answer:
    """Return 429; only some plans are told how long to wait."""
    text = (
        "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to subscribe."
    )
    hint = {"Retry-After": str(int(60 - now % 60) + 1)} if has_hint else {}
    return replace(_status(429, text, 429), headers=hint, breaks="rest_rate")


def _status(code: int, message: str, status: int) -> Answer:
    """Return the first shape of errors."""
    return Answer(body=_dump({"status": {"error_code": code, "error_message": message}}), status=status)


def _unknown() -> Answer:
    """Return the second shape of errors."""
    return Answer(body=_dump({"error": "coin not found"}), status=404)


def _nested(code: int, message: str, status: int) -> Answer:
    """Return the third shape of errors."""
    stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.599+00:00"
    told = {"timestamp": stamp, "error_code": code, "error_message": message}
    return Answer(body=_dump({"error": {"status": told}}), status=status)


def _answer(value: object) -> Answer:
    return Answer(body=_dump(value))


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
