"""REST tells what was traded, in every venue's shape, agrees with the truth log and enforces its limits."""

import json
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest

from datafacade.sim.listings import ProductKey
from datafacade.sim.rest_verbs import MALFORMED_KINDS
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import Json, eventually, get, simulator

ROOTS: dict[ProductKey, str] = {
    "binance/spot": "/api/v3",
    "binance/usdm": "/fapi/v1",
    "binance/coinm": "/dapi/v1",
}
SYMBOLS: dict[ProductKey, str] = {
    "binance/spot": "BTCUSDT",
    "binance/usdm": "BTCUSDT",
    "binance/coinm": "BTCUSD_PERP",
    "okx/public": "BTC-USDT",
    "coinbase/advanced": "BTC-USD",
    "coinbase/exchange": "BTC-USD",
    "kraken/spot": "BTC/USD",
}


def true_trades(running: Simulator, product: ProductKey) -> dict[int, tuple[Decimal, Decimal]]:
    """Return price and quantity by number of all market trades that the truth log tells."""
    venue, _, kind = product.partition("/")
    found: dict[int, tuple[Decimal, Decimal]] = {}
    for record in running.truth.recent:
        where = (record["type"], record.get("venue"), record.get("product"), record.get("symbol"))
        if where == ("trades", venue, kind, SYMBOLS[product]):
            rows: Json = record["rows"]
            found.update({row[0]: (Decimal(row[1]), Decimal(row[2])) for row in rows if len(row) == 5})
    return found


def agrees(running: Simulator, product: ProductKey, told: Iterable[tuple[int, str, str]]) -> int:
    """Assert that told trades are the true ones; return how many were compared."""
    true, compared = true_trades(running, product), 0
    for number, price, quantity in told:
        if number in true:
            assert true[number] == (Decimal(price), Decimal(quantity))
            compared += 1
    return compared


async def busy(running: Simulator, product: ProductKey) -> None:
    await eventually(lambda: len(true_trades(running, product)) > 60)


@pytest.mark.parametrize("product", list(ROOTS))
async def test_binance_pages_by_number_and_by_time(product: ProductKey) -> None:
    async with simulator(product) as running:
        await busy(running, product)
        path = f"{ROOTS[product]}/historicalTrades?symbol={SYMBOLS[product]}"
        _, newest, _ = await get(running, product, f"{path}&limit=50")
        _, page, _ = await get(running, product, f"{path}&fromId={newest[0]['id']}&limit=20")
        assert page == newest[:20]
        assert agrees(running, product, [(row["id"], row["price"], row["qty"]) for row in newest]) > 20
        since = newest[0]["time"]
        path = f"{ROOTS[product]}/aggTrades?symbol={SYMBOLS[product]}&startTime={since}&limit=1000"
        _, groups, _ = await get(running, product, path)
        assert all(after["f"] == before["l"] + 1 for before, after in pairwise(groups))
        assert len({group["a"] for group in groups}) == len(groups)
        assert groups[0]["T"] >= since


async def test_rows_of_the_insurance_fund_are_in_no_rest_answer_and_no_kline() -> None:
    async with simulator("binance/usdm", steps_per_s=2000.0, trade_ratio=0.8) as running:
        await eventually(lambda: len(true_trades(running, "binance/usdm")) > 400)
        _, rows, _ = await get(running, "binance/usdm", "/fapi/v1/trades?symbol=BTCUSDT&limit=1000")
        numbers = [row["id"] for row in rows]
        missing = set(range(numbers[0], numbers[-1])) - set(numbers)
        assert missing
        assert all(number % 150 == 0 for number in missing)


async def test_okx_pages_backwards_by_number() -> None:
    async with simulator("okx/public") as running:
        await busy(running, "okx/public")
        path = "/api/v5/market/history-trades?instId=BTC-USDT"
        _, body, _ = await get(running, "okx/public", f"{path}&limit=40")
        numbers = [int(row["tradeId"]) for row in body["data"]]
        assert numbers == list(range(numbers[0], numbers[0] - 40, -1))
        assert agrees(running, "okx/public", [(int(r["tradeId"]), r["px"], r["sz"]) for r in body["data"]])
        _, older, _ = await get(running, "okx/public", f"{path}&after={numbers[-1]}&limit=5")
        assert [int(row["tradeId"]) for row in older["data"]] == list(
            range(numbers[-1] - 1, numbers[-1] - 6, -1)
        )
        _, by_time, _ = await get(running, "okx/public", f"{path}&type=2&after={body['data'][10]['ts']}")
        assert all(int(row["ts"]) < int(body["data"][10]["ts"]) for row in by_time["data"])


async def test_coinbase_and_kraken_page_in_their_own_ways() -> None:
    products: tuple[ProductKey, ...] = ("coinbase/exchange", "coinbase/advanced", "kraken/spot")
    async with simulator(*products) as running:
        for product in products:
            await busy(running, product)
        _, rows, headers = await get(running, "coinbase/exchange", "/products/BTC-USD/trades?limit=30")
        assert (
            agrees(running, "coinbase/exchange", [(r["trade_id"], r["price"], r["size"]) for r in rows]) > 20
        )
        path = f"/products/BTC-USD/trades?limit=10&after={headers['CB-AFTER']}"
        _, older, _ = await get(running, "coinbase/exchange", path)
        assert older[0]["trade_id"] == rows[-1]["trade_id"] - 1
        path = "/api/v3/brokerage/market/products/BTC-USD/ticker?limit=30"
        _, body, _ = await get(running, "coinbase/advanced", path)
        told = [(int(row["trade_id"]), row["price"], row["size"]) for row in body["trades"]]
        assert agrees(running, "coinbase/advanced", told) > 20
        _, body, _ = await get(running, "kraken/spot", "/0/public/Trades?pair=XBTUSD&since=0&count=20")
        _, page, _ = await get(
            running, "kraken/spot", f"/0/public/Trades?pair=XBTUSD&since={body['result']['last']}&count=500"
        )
        told = [(row[6], row[0], row[1]) for row in page["result"]["XXBTZUSD"]]
        assert agrees(running, "kraken/spot", told) > 20


CANDLES: dict[ProductKey, str] = {
    "binance/spot": "/api/v3/klines?symbol=BTCUSDT&interval=1m",
    "binance/usdm": "/fapi/v1/klines?symbol=BTCUSDT&interval=1m",
    "okx/public": "/api/v5/market/candles?instId=BTC-USDT&bar=1m",
    "coinbase/exchange": "/products/BTC-USD/candles?granularity=60",
    "kraken/spot": "/0/public/OHLC?pair=BTC/USD&interval=1",
}


def volumes(product: ProductKey, body: Json) -> dict[int, Decimal]:
    """Return the volumes that a candle answer tells, by begin in ms."""
    match product:
        case "okx/public":
            return {int(row[0]): Decimal(row[5]) for row in body["data"]}
        case "coinbase/exchange":
            return {row[0] * 1_000: Decimal(str(row[5])) for row in body}
        case "kraken/spot":
            return {row[0] * 1_000: Decimal(row[6]) for row in body["result"]["XXBTZUSD"]}
        case _:
            return {row[0]: Decimal(row[5]) for row in body}


@pytest.mark.parametrize("product", list(CANDLES))
async def test_candles_equal_the_sums_that_the_truth_log_tells(product: ProductKey) -> None:
    async with simulator(product, history_s=300.0) as running:
        await busy(running, product)
        _, body, _ = await get(running, product, CANDLES[product])
        told = volumes(product, body)
        await eventually(lambda: any(row["type"] == "kline" for row in running.truth.recent))
        records: Json = list(running.truth.recent)
        true: dict[int, Json] = {
            row["open_ms"]: row
            for row in records
            if row["type"] == "kline" and row["symbol"] == SYMBOLS[product] and row["is_closed"]
        }
        assert len(true) >= 4
        for begin, row in true.items():
            assert abs(told[begin] - Decimal(str(row["volume"]))) < Decimal("1e-9")


async def test_coinbase_advanced_tells_candles_newest_first() -> None:
    async with simulator("coinbase/advanced", history_s=300.0) as running:
        now = running.venues["coinbase/advanced"].markets["BTC-USD"].trades[-1].ts_event // 10**9
        path = f"/api/v3/brokerage/market/products/BTC-USD/candles?start={now - 600}&end={now}"
        status, body, _ = await get(running, "coinbase/advanced", f"{path}&granularity=ONE_MINUTE")
        starts = [int(row["start"]) for row in body["candles"]]
        assert status == 200
        assert starts == sorted(starts, reverse=True)
        assert len(starts) >= 4
        assert (await get(running, "coinbase/advanced", f"{path}&granularity=1m"))[0] == 400


async def test_the_weight_limit_can_be_set_and_every_spend_is_in_the_log() -> None:
    async with simulator("binance/spot", rest_limits={"binance/spot": 60.0}) as running:
        path = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1"
        status, _, headers = await get(running, "binance/spot", path)
        assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (200, "2")
        running.arm({"verb": "rest_limit", "venue": "binance", "spent": 50})
        statuses = [(await get(running, "binance/spot", path))[0] for _ in range(6)]
        assert statuses[:4] == [200] * 4
        assert statuses[-1] == 429
        status, body, headers = await get(running, "binance/spot", path)
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(headers["Retry-After"]) <= 60
        running.arm({"verb": "rest_limit", "venue": "binance", "limit": 6_000})
        assert (await get(running, "binance/spot", path))[0] == 200
        spent = [row["weight"] for row in running.truth.recent if row["type"] == "rest"]
        counts = running.stats.of("binance/spot")
        assert spent == [2] * len(spent)
        assert counts.weight_spent == 2 * len(spent)
        assert counts.rest_status["429"] == 3


async def test_going_on_after_429_is_a_ban() -> None:
    async with simulator("binance/usdm", rest_limits={"binance/usdm": 1.0}) as running:
        statuses = {(await get(running, "binance/usdm", "/fapi/v1/time"))[0] for _ in range(30)}
        assert statuses == {200, 429, 418}


async def test_the_other_venues_limits_can_be_set_too() -> None:
    products: tuple[ProductKey, ...] = ("okx/public", "coinbase/exchange", "coinbase/advanced", "kraken/spot")
    async with simulator(*products, rest_limits=dict.fromkeys(products, 1.0)) as running:
        paths = ("/api/v5/public/time", "/time", "/api/v3/brokerage/time", "/0/public/Time")
        for product, path in zip(products, paths, strict=True):
            answers = [await get(running, product, path) for _ in range(6)]
            assert answers[0][0] == 200
            assert answers[-1][0] == 429 or answers[-1][1]["error"] == ["EAPI:Rate limit exceeded"]


@pytest.mark.parametrize("kind", ["empty", "cut", "trickle", *MALFORMED_KINDS])
async def test_a_rest_answer_is_broken_once(kind: str) -> None:
    async with simulator("okx/public") as running, aiohttp.ClientSession() as session:
        fault = running.arm({"verb": "broken_rest", "kind": kind, "ms": 50, "path": "/trades"})
        url = f"{running.urls['okx/public']['rest']}/api/v5/market/trades?instId=BTC-USDT"
        try:
            async with session.get(url) as answer:
                octets = await answer.read()
        except aiohttp.ClientPayloadError:
            assert kind == "cut"
        else:
            assert kind != "cut"
            if kind in (
                "trickle",
                "duplicate_keys",
                "nan",
                "many_digits",
                "huge_exponent",
                "deep",
                "long_string",
            ):
                assert octets.startswith(b"{")
            else:
                with pytest.raises(ValueError, match=r"(?i)expecting|decode|invalid|delimiter"):
                    json.loads(octets)
        assert fault.applied == 1
        async with session.get(url) as answer:
            assert (await answer.json())["code"] == "0"


async def test_markets_have_rates_of_their_own_and_can_be_quiet() -> None:
    async with simulator("okx/public", rates={"ETH": 0.0}) as running:
        eth = running.venues["okx/public"].markets["ETH-USDT"]
        btc = running.venues["okx/public"].markets["BTC-USDT"]
        steps, moved = eth.steps, btc.steps
        await eventually(lambda: btc.steps > moved + 20)
        assert eth.steps == steps
        running.arm({"verb": "pace", "symbol": "ETH-USDT", "steps_per_s": 500})
        await eventually(lambda: eth.steps > steps + 20)
