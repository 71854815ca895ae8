"""CoinGecko and CoinPaprika: prices that follow the markets and age, keys, limits, errors and gaps."""

import json
import time
from collections.abc import Mapping
from itertools import pairwise

import aiohttp
import pytest

from datafacade.sim.coingecko import DEMO_KEY, PRO_KEY
from datafacade.sim.coinpaprika import PRO_KEY as PAPRIKA_KEY
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import PATIENCE_S, Json, eventually, simulator

PRICE = (
    "/api/v3/simple/price?ids=bitcoin,tether&vs_currencies=usd&precision=full&include_last_updated_at=true"
)
TICKER = "/v1/tickers/btc-bitcoin"
DEMO = {"x-cg-demo-api-key": DEMO_KEY}
PRO = {"x-cg-pro-api-key": PRO_KEY}


async def ask(
    running: Simulator, name: str, path: str, headers: Mapping[str, str] | None = None, *, host: str = "rest"
) -> tuple[int, Json, Mapping[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(running.aggregator_urls[name][host] + path, headers=headers) as answer,
    ):
        text = await answer.text()
        return (
            answer.status,
            json.loads(text) if answer.content_type == "application/json" else text,
            answer.headers,
        )


async def test_prices_are_the_middle_of_the_venues_in_usd() -> None:
    async with simulator(
        "kraken/spot", "coinbase/exchange", "okx/public", aggregator_refresh_s=1.0
    ) as running:
        market = running.venues["kraken/spot"].markets["BTC/USD"]
        true = market.fair * 10.0**-market.instrument.price_scale
        status, told, _ = await ask(running, "coingecko", PRICE, DEMO)
        assert status == 200
        assert told["bitcoin"]["usd"] == pytest.approx(true, rel=0.003)
        assert told["tether"]["usd"] == pytest.approx(1.0, rel=0.01)
        _, told, _ = await ask(running, "coinpaprika", TICKER)
        assert told["quotes"]["USD"]["price"] == pytest.approx(true, rel=0.003)
        _, rows, _ = await ask(running, "coinpaprika", "/v1/tickers?quotes=USD,BTC")
        one = next(row for row in rows if row["id"] == "eth-ethereum")
        ratio = one["quotes"]["USD"]["price"] / one["quotes"]["BTC"]["price"]
        assert ratio == pytest.approx(true, rel=0.003)


async def test_values_and_their_time_stay_until_the_server_makes_them_anew() -> None:
    async with simulator("kraken/spot", steps_per_s=2_000.0, aggregator_refresh_s=2.0) as running:
        seen: dict[int, set[float]] = {}

        async def look() -> int:
            _, told, _ = await ask(running, "coingecko", PRICE, DEMO)
            stamp = told["bitcoin"]["last_updated_at"]
            seen.setdefault(stamp, set()).add(told["bitcoin"]["usd"])
            assert stamp <= time.time()
            return len(seen)

        running.rests["coingecko/api"].side.limit(100_000)
        deadline = time.monotonic() + PATIENCE_S
        while await look() < 3:
            assert time.monotonic() < deadline
        assert all(len(values) == 1 for values in seen.values())
        assert len({min(values) for values in seen.values()}) == len(seen)


async def test_sources_stand_apart_as_far_as_a_fault_says() -> None:
    async with simulator("kraken/spot") as running:
        _, before, _ = await ask(running, "coingecko", PRICE)
        _, paprika, _ = await ask(running, "coinpaprika", TICKER)
        running.arm({"verb": "shift", "venue": "coingecko", "ratio": 0.05})
        running.arm({"verb": "shift", "venue": "coinpaprika", "symbol": "BTC-USD", "ratio": 0.02})
        _, after, _ = await ask(running, "coingecko", PRICE)
        assert after["bitcoin"]["usd"] == pytest.approx(before["bitcoin"]["usd"] * 1.05)
        assert after["bitcoin"]["last_updated_at"] == before["bitcoin"]["last_updated_at"]
        _, moved, _ = await ask(running, "coinpaprika", TICKER)
        was = paprika["quotes"]["USD"]["price"]
        assert moved["quotes"]["USD"]["price"] == pytest.approx(was * 1.02)


async def test_tether_loses_its_peg_and_bitcoin_keeps_its_price_in_usd() -> None:
    async with simulator("okx/public", "kraken/spot", aggregator_refresh_s=0.05) as running:
        running.rests["coingecko/api"].side.limit(100_000)
        _, before, _ = await ask(running, "coingecko", PRICE)
        running.arm({"verb": "depeg", "ratio": -0.03})
        _, after, _ = await ask(running, "coingecko", PRICE)
        while after["tether"]["usd"] > 0.98:
            _, after, _ = await ask(running, "coingecko", PRICE)
        assert after["tether"]["usd"] == pytest.approx(0.97)
        assert after["bitcoin"]["usd"] == pytest.approx(before["bitcoin"]["usd"], rel=0.01)


async def test_an_answer_is_old_or_tells_no_age_or_garbage() -> None:
    async with simulator("kraken/spot") as running:
        _, new, _ = await ask(running, "coingecko", PRICE)
        running.arm({"verb": "old_answer", "venue": "coingecko", "ms": 36_000_000})
        _, old, _ = await ask(running, "coingecko", PRICE)
        assert new["bitcoin"]["last_updated_at"] - old["bitcoin"]["last_updated_at"] in (36_000, 35_940)
        running.arm(
            {"verb": "odd_field", "venue": "coingecko", "field": "last_updated_at", "is_removed": True}
        )
        _, told, _ = await ask(running, "coingecko", PRICE)
        assert set(told["bitcoin"]) == {"usd"}
        running.arm({"verb": "odd_field", "venue": "coinpaprika", "field": "price", "value": 0})
        _, told, _ = await ask(running, "coinpaprika", TICKER)
        assert told["quotes"]["USD"]["price"] == 0


async def test_gaps_nulls_exponents_and_twins_are_told() -> None:
    async with simulator("kraken/spot") as running:
        path = "/api/v3/simple/price?ids=bitcoin,nope,micro-cap,ghost-coin&vs_currencies=usd,usdt"
        _, told, _ = await ask(running, "coingecko", path)
        assert set(told) == {"bitcoin", "micro-cap", "ghost-coin"}
        assert set(told["bitcoin"]) == {"usd"}, "usdt is no vs_currency"
        assert isinstance(told["bitcoin"]["usd"], int), "rounded by magnitude"
        assert told["ghost-coin"]["usd"] is None
        assert told["micro-cap"] == {"usd": 1.2e-09, "usd_market_cap": None, "usd_24h_vol": None}
        _, coins, _ = await ask(running, "coingecko", "/api/v3/coins/list")
        assert len([coin for coin in coins if coin["symbol"] == "btc"]) == 2
        _, rows, _ = await ask(
            running, "coingecko", "/api/v3/coins/markets?vs_currency=usd&per_page=2&page=1"
        )
        assert [row["id"] for row in rows] == ["bitcoin", "ethereum"]
        _, rows, _ = await ask(running, "coinpaprika", "/v1/tickers")
        hollow = next(row for row in rows if row["id"] == "mcr-micro-cap")["quotes"]["USD"]
        assert (hollow["market_cap"], hollow["volume_24h"]) == ("", None)


async def test_coingecko_tells_errors_in_three_shapes() -> None:
    async with simulator("kraken/spot") as running:
        cases: list[tuple[str, str, Mapping[str, str] | None, int, object]] = [
            ("rest", "/api/v3/ping", PRO, 400, 10010),
            ("rest_pro", "/api/v3/ping", DEMO, 400, 10011),
            ("rest_pro", "/api/v3/ping", None, 401, 10002),
            ("rest", "/api/v3/ping", {"x-cg-demo-api-key": "CG-other"}, 401, 10002),
        ]
        for host, path, headers, wanted, code in cases:
            status, told, _ = await ask(running, "coingecko", path, headers, host=host)
            assert (status, told["status"]["error_code"]) == (wanted, code)
        status, told, _ = await ask(running, "coingecko", "/api/v3/coins/nope/ohlc?vs_currency=usd&days=1")
        assert (status, told) == (404, {"error": "coin not found"})
        path = "/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=400"
        status, told, _ = await ask(running, "coingecko", path, DEMO)
        assert (status, told["error"]["status"]["error_code"]) == (401, 10012)
        assert (await ask(running, "coingecko", path, PRO, host="rest_pro"))[0] == 200
        assert (await ask(running, "coingecko", "/api/v3/ping", PRO, host="rest_pro"))[1]["gecko_says"]


async def test_coingecko_counts_every_call_by_plan_and_month() -> None:
    async with simulator("kraken/spot") as running:
        answers = [await ask(running, "coingecko", "/api/v3/ping", DEMO) for _ in range(32)]
        refused = [(told, headers) for status, told, headers in answers if status == 429]
        if len(refused) == 2:  # the calls lay in one minute of the clock
            assert refused[0][0]["status"]["error_code"] == 429
            assert 1 <= int(refused[0][1]["Retry-After"]) <= 61
        running.rests["coingecko/api"].side.limit(1_000)
        assert (await ask(running, "coingecko", "/api/v3/ping", DEMO))[0] == 200
        running.arm({"verb": "rest_limit", "venue": "coingecko", "spent": 10_000})
        status, _, _ = await ask(running, "coingecko", "/api/v3/ping", DEMO)
        assert status == 429, "the month is used up"
        report: Json = running.ledger(60)["coingecko/api"]
        assert report["limits"]["month"] == {
            "kind": "month",
            "limit": 10_000,
            "span_s": 2_592_000.0,
            "used": 10_000 + 34,
        }


async def test_coinpaprika_refuses_what_the_free_plan_lacks_and_who_asks_too_often() -> None:
    async with simulator("kraken/spot") as running:
        path = "/v1/coins/btc-bitcoin/ohlcv/historical?start=2024-01-01"
        status, told, _ = await ask(running, "coinpaprika", path)
        assert (status, "not allowed in this plan" in told["error"]) == (402, True)
        assert (await ask(running, "coinpaprika", "/v1/tickers/nope"))[:2] == (404, {"error": "id not found"})
        assert (await ask(running, "coinpaprika", "/v1/tickers?quotes=MOON"))[0] == 400
        assert (await ask(running, "coinpaprika", "/v1/key/info", host="rest_pro"))[0] == 403
        headers = {"Authorization": PAPRIKA_KEY}
        assert (await ask(running, "coinpaprika", "/v1/key/info", headers, host="rest_pro"))[0] == 200
        running.rests["coinpaprika/api"].side.limit(2)
        statuses = [(await ask(running, "coinpaprika", "/v1/coins"))[0] for _ in range(6)]
        assert 429 in statuses


async def test_bars_of_aggregators_follow_the_history_of_a_venue() -> None:
    async with simulator("kraken/spot") as running:
        path = "/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=7"
        _, bars, _ = await ask(running, "coingecko", path)
        assert {after[0] - before[0] for before, after in pairwise(bars)} == {4 * 3_600_000}
        assert bars[-1][0] > time.time() * 1_000 - 4 * 3_600_000, "stamped at the close"
        assert all(
            low <= min(open_, close) <= max(open_, close) <= high for _, open_, high, low, close in bars
        )
        path = "/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=1"
        _, chart, _ = await ask(running, "coingecko", path)
        times = [at for at, _ in chart["prices"]]
        assert times[1] - times[0] == 300_000
        assert times[-1] % 300_000, "the last point is off the grid"
        _, today, _ = await ask(running, "coinpaprika", "/v1/coins/btc-bitcoin/ohlcv/today")
        assert abs(today[0]["close"] / bars[-1][4] - 1) < 0.01


async def test_large_answers_are_gzip_for_those_who_take_it() -> None:
    async with simulator("kraken/spot", generated=60) as running, aiohttp.ClientSession() as session:
        url = running.aggregator_urls["coinpaprika"]["rest"] + "/v1/tickers"
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert len(await answer.json()) == 64
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers


async def test_faults_of_rest_act_on_aggregators_too() -> None:
    async with simulator("kraken/spot") as running:
        running.arm({"verb": "http_status", "venue": "coingecko", "status": 403})
        status, text, _ = await ask(running, "coingecko", "/api/v3/ping")
        assert (status, "error code: 1020" in text) == (403, True)
        running.arm({"verb": "http_status", "venue": "coinpaprika", "status": 503, "path": "/tickers"})
        assert (await ask(running, "coinpaprika", TICKER))[0] == 503
        fault = running.arm({"verb": "slow_rest", "venue": "coingecko", "ms": 50})
        assert (await ask(running, "coingecko", "/api/v3/ping"))[0] == 200
        await eventually(lambda: fault.applied == 1)


async def test_a_run_without_aggregators_has_none() -> None:
    async with simulator("kraken/spot", aggregators=()) as running:
        assert running.ports()["aggregators"] == {}
