"""Funding rates, swaps and futures by REST, in each venue's order and paging."""

from decimal import Decimal
from itertools import pairwise

import pytest

from datafacade.sim.listings import ProductKey
from tests.integration.sim.harness import Json, get, simulator

EIGHT_HOURS_MS = 8 * 3_600_000
FUTURES: dict[ProductKey, tuple[str, str]] = {
    "binance/usdm": ("/fapi/v1", "BTCUSDT"),
    "binance/coinm": ("/dapi/v1", "BTCUSD_PERP"),
}


@pytest.mark.parametrize("product", list(FUTURES))
async def test_binance_tells_settled_rates_ascending_and_pages_by_time(product: ProductKey) -> None:
    root, symbol = FUTURES[product]
    async with simulator(product) as running:
        path = f"{root}/fundingRate?symbol={symbol}"
        _, newest, headers = await get(running, product, path)
        times = [row["fundingTime"] for row in newest]
        assert len(times) == 100
        assert {after - before for before, after in pairwise(times)} == {EIGHT_HOURS_MS}
        assert all(time % EIGHT_HOURS_MS == 0 for time in times)
        assert all(abs(Decimal(row["fundingRate"])) <= Decimal("0.00075") for row in newest)
        assert all(Decimal(row["markPrice"]) > 0 for row in newest)
        assert "X-MBX-USED-WEIGHT-1M" in headers
        between = f"{path}&startTime={times[10]}&endTime={times[19]}"
        assert (await get(running, product, between))[1] == newest[10:20]
        assert (await get(running, product, f"{path}&startTime={times[10]}&limit=3"))[1] == newest[10:13]
        assert (await get(running, product, f"{path}&endTime={times[19]}&limit=3"))[1] == newest[17:20]
        status, body, _ = await get(running, product, f"{root}/fundingRate?symbol=NOPE")
        assert (status, body["code"]) == (400, -1121)


async def test_binance_tells_the_estimate_for_the_next_settlement() -> None:
    async with simulator(*FUTURES) as running:
        _, one, _ = await get(running, "binance/usdm", "/fapi/v1/premiumIndex?symbol=BTCUSDT")
        assert 0 < one["nextFundingTime"] - one["time"] <= EIGHT_HOURS_MS
        assert Decimal(one["markPrice"]) > 0
        _, rows, _ = await get(running, "binance/usdm", "/fapi/v1/premiumIndex")
        assert {row["symbol"] for row in rows} == {"BTCUSDT", "ETHUSDT"}
        _, listed, _ = await get(running, "binance/coinm", "/dapi/v1/premiumIndex?symbol=BTCUSD_PERP")
        assert [(row["symbol"], row["pair"]) for row in listed] == [("BTCUSD_PERP", "BTCUSD")]
        _, terms, _ = await get(running, "binance/usdm", "/fapi/v1/fundingInfo")
        assert terms[0]["fundingIntervalHours"] == 8


async def test_the_two_funding_paths_of_binance_share_500_requests_in_5_minutes() -> None:
    async with simulator("binance/usdm") as running:
        rest = running.venues["binance/usdm"].rest
        paths = ("/fapi/v1/fundingRate", "/fapi/v1/fundingInfo")
        answers = [rest.admit(paths[at % 2], {}) for at in range(501)]
        assert answers[:500] == [None] * 500
        assert answers[500] is not None
        assert answers[500].status == 429
        assert rest.admit("/fapi/v1/time", {}) is None


async def test_okx_tells_swaps_and_their_rates_newest_first() -> None:
    async with simulator("okx/public") as running:
        root, symbol = "/api/v5/public", "BTC-USDT-SWAP"
        _, body, _ = await get(running, "okx/public", f"{root}/instruments?instType=SWAP")
        assert [row["instId"] for row in body["data"]] == [symbol, "ETH-USDT-SWAP"]
        _, body, _ = await get(running, "okx/public", f"{root}/funding-rate-history?instId={symbol}")
        rows: Json = body["data"]
        times = [int(row["fundingTime"]) for row in rows]
        assert times == sorted(times, reverse=True)
        assert 265 <= len(rows) <= 271, "three months of three a day"
        page = f"{root}/funding-rate-history?instId={symbol}&after={times[5]}&limit=3"
        assert (await get(running, "okx/public", page))[1]["data"] == rows[6:9]
        page = f"{root}/funding-rate-history?instId={symbol}&before={times[5]}"
        assert (await get(running, "okx/public", page))[1]["data"] == rows[:5]
        _, body, _ = await get(running, "okx/public", f"{root}/funding-rate?instId={symbol}")
        present = body["data"][0]
        assert int(present["fundingTime"]) - times[0] == EIGHT_HOURS_MS
        assert present["settFundingRate"] == rows[0]["realizedRate"]
        status, body, _ = await get(running, "okx/public", f"{root}/funding-rate?instId=NOPE-SWAP")
        assert (status, body["code"]) == (200, "51001")


async def test_okx_limits_funding_by_instrument() -> None:
    async with simulator("okx/public") as running:
        rest = running.venues["okx/public"].rest
        path = "/api/v5/public/funding-rate"
        answers = [rest.admit(path, {"instId": "BTC-USDT-SWAP"}) for _ in range(11)]
        assert [answer is None for answer in answers] == [True] * 10 + [False]
        assert rest.admit(path, {"instId": "ETH-USDT-SWAP"}) is None


async def test_kraken_futures_tell_hourly_rates_beside_spot() -> None:
    async with simulator("kraken/spot") as running:
        path = "/derivatives/api/v3/historical-funding-rates?symbol=pf_xbtusd"
        _, body, _ = await get(running, "kraken/spot", path)
        rows: Json = body["rates"]
        assert body["result"] == "success"
        assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
        assert len(rows) >= 24 * 59
        ratios = [
            row["fundingRate"] / row["relativeFundingRate"] for row in rows if row["relativeFundingRate"]
        ]
        assert all(10_000 < ratio < 200_000 for ratio in ratios), "the absolute rate is per contract"
        _, body, _ = await get(running, "kraken/spot", "/derivatives/api/v3/tickers")
        assert {row["symbol"] for row in body["tickers"]} == {"PF_XBTUSD", "PF_ETHUSD"}
        path = "/derivatives/api/v3/historical-funding-rates?symbol=NOPE"
        assert (await get(running, "kraken/spot", path))[1]["result"] == "error"
