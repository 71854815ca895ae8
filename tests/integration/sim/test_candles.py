"""Candles by REST: every interval, each venue's order, limits and paging, and a past that stays as it was."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import pytest

from datafacade.sim.binance_history import INTERVALS as BINANCE
from datafacade.sim.coinbase_advanced_rest import GRANULARITIES as ADVANCED
from datafacade.sim.coinbase_exchange_rest import GRANULARITIES as EXCHANGE
from datafacade.sim.kraken_rest import INTERVALS as KRAKEN
from datafacade.sim.listings import ProductKey
from datafacade.sim.okx_history import INTERVALS as OKX
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import Json, eventually, get, simulator

HOUR_MS = 3_600_000
Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]  # begin in ms, open, high, low, close, volume


def ask(running: Simulator, product: ProductKey, path: str) -> Json:
    """Ask the venue's handler itself: no socket, no limit."""
    bare, _, query = path.partition("?")
    parts = dict(part.split("=") for part in query.split("&") if part)
    routes = running.venues[product].rest.routes()
    if product == "coinbase/exchange":
        parts["product_id"] = "BTC-USD"
        bare = "/products/{product_id}/candles"
    if product == "coinbase/advanced":
        parts["product_id"] = "BTC-USD"
        bare = "/api/v3/brokerage/market/products/{product_id}/candles"
    return json.loads(routes[bare](parts).body, parse_float=Decimal)


def ohlc(begin_ms: int, *values: object) -> Row:
    open_, high, low, close, volume = (Decimal(str(value)) for value in values)
    return begin_ms, open_, high, low, close, volume


def binance(running: Simulator, interval: str, tail: str = "") -> list[Row]:
    path = f"/api/v3/klines?symbol=BTCUSDT&interval={interval}{tail}"
    return [ohlc(row[0], *row[1:6]) for row in ask(running, "binance/spot", path)]


def okx(running: Simulator, interval: str, tail: str = "") -> list[Row]:
    path = f"/api/v5/market/history-candles?instId=BTC-USDT&bar={interval}{tail}"
    rows = ask(running, "okx/public", path)["data"]
    return [ohlc(int(row[0]), *row[1:6]) for row in rows][::-1]


def kraken(running: Simulator, interval: str, tail: str = "") -> list[Row]:
    body = ask(running, "kraken/spot", f"/0/public/OHLC?pair=XBTUSD&interval={interval}{tail}")
    rows = body["result"]["XXBTZUSD"]
    return [ohlc(row[0] * 1_000, row[1], row[2], row[3], row[4], row[6]) for row in rows]


def exchange(running: Simulator, interval: str, tail: str = "") -> list[Row]:
    rows = ask(running, "coinbase/exchange", f"/x?granularity={interval}{tail}")
    return [ohlc(row[0] * 1_000, row[3], row[2], row[1], row[4], row[5]) for row in rows][::-1]


def advanced(running: Simulator, interval: str, tail: str = "") -> list[Row]:
    now = int(time.time())
    span = tail or f"&start={now - 300 * ADVANCED[interval].ns // 10**9}&end={now}"
    rows = ask(running, "coinbase/advanced", f"/x?granularity={interval}{span}")["candles"]
    names = ("open", "high", "low", "close", "volume")
    return [ohlc(int(row["start"]) * 1_000, *(row[name] for name in names)) for row in rows][::-1]


Fetch = Callable[[Simulator, str], list[Row]]
VENUES: list[tuple[ProductKey, Fetch, list[str]]] = [
    ("binance/spot", binance, [name for name in BINANCE if name != "1s"]),
    ("okx/public", okx, [name for name in OKX if name != "1s"]),
    ("kraken/spot", kraken, list(KRAKEN)),
    ("coinbase/exchange", exchange, list(EXCHANGE)),
    ("coinbase/advanced", advanced, list(ADVANCED)),
]


@pytest.mark.parametrize(("product", "fetch", "names"), VENUES, ids=[venue[0] for venue in VENUES])
async def test_every_interval_is_told_up_to_the_open_bar_and_twice_the_same(
    product: ProductKey, fetch: Fetch, names: list[str]
) -> None:
    async with simulator(product, bases=("BTC",)) as running:
        for name in names:
            first, second = fetch(running, name), fetch(running, name)
            assert len(first) >= 25, name
            assert first[:-1] == second[: len(first)][:-1], name
            assert all(before[0] < after[0] for before, after in pairwise(first))
            assert first[-1][0] <= time.time() * 1_000, "the last bar is the open one"
            for _, open_, high, low, close, volume in first:
                assert 0 < low <= min(open_, close) <= max(open_, close) <= high
                assert volume >= 0
            closes = [(before[4], after[1]) for before, after in pairwise(first[:-2])]
            assert all(close == open_ for close, open_ in closes), "the past has no holes"


async def test_hours_are_the_sums_of_their_minutes_at_the_venue() -> None:
    async with simulator("binance/spot") as running:
        begin = int(time.time() * 1_000) // HOUR_MS * HOUR_MS - 50 * HOUR_MS
        hours = binance(running, "1h", f"&startTime={begin}&limit=3")
        parts = binance(running, "1m", f"&startTime={begin}&limit=180")
        for at, hour in enumerate(hours):
            inside = parts[60 * at : 60 * at + 60]
            assert hour[0] == inside[0][0]
            assert hour[1] == inside[0][1]
            assert hour[2] == max(row[2] for row in inside)
            assert hour[3] == min(row[3] for row in inside)
            assert hour[4] == inside[-1][4]
            assert hour[5] == sum(row[5] for row in inside)


async def test_pages_join_at_every_venue() -> None:
    async with simulator("binance/spot", "okx/public") as running:
        whole = binance(running, "5m", "&limit=1000")[:-1]
        forward = binance(running, "5m", f"&startTime={whole[0][0]}&limit=400")
        forward += binance(running, "5m", f"&startTime={forward[-1][0] + 1}&limit=400")
        assert forward == whole[:800]
        backward = binance(running, "5m", f"&endTime={whole[-1][0]}&limit=300")
        assert backward == whole[-300:]
        newest = okx(running, "5m", "&limit=300")
        older = okx(running, "5m", f"&limit=300&after={newest[0][0]}")
        assert newest[0][0] - older[-1][0] == 300_000
        again = okx(running, "5m", f"&before={older[-1][0]}&after={newest[10][0]}")
        assert again == newest[:10]


async def test_the_limits_of_a_call_are_the_venues() -> None:
    async with simulator("binance/spot", "binance/usdm", "okx/public", "kraken/spot") as running:
        assert len(binance(running, "1m", "&limit=5000")) == 1_000
        assert len(binance(running, "1m")) == 500
        path = "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=5000"
        assert len(ask(running, "binance/usdm", path)) == 1_500
        assert len(okx(running, "1m", "&limit=1000")) == 300
        assert len(okx(running, "1m")) == 100
        assert len(kraken(running, "1")) == 720
        oldest = kraken(running, "1", "&since=0")
        assert len(oldest) == 720, "older history is not obtainable"
        recent = ask(
            running, "okx/public", "/api/v5/market/candles?instId=BTC-USDT&bar=1m&after=1700000000000"
        )
        assert recent["data"] == [], "market/candles reaches back 1,440 bars"


async def test_two_venues_tell_the_same_past_in_their_own_digits() -> None:
    async with simulator("binance/spot", "kraken/spot") as running:
        ours, theirs = binance(running, "1d", "&limit=200"), kraken(running, "1440")[-200:]
        for one, other in zip(ours[:-1], theirs[:-1], strict=True):
            assert one[0] == other[0]
            assert abs(one[4] / other[4] - 1) < Decimal("0.0001")


async def test_generated_markets_are_listed_everywhere_and_trade_a_little() -> None:
    products: tuple[ProductKey, ...] = ("binance/spot", "okx/public", "coinbase/exchange", "kraken/spot")
    async with simulator(*products, generated=40, generated_steps_per_s=5.0) as running:
        _, body, _ = await get(running, "binance/spot", "/api/v3/exchangeInfo")
        assert len(body["symbols"]) == 42
        assert all(len(running.venues[product].markets) == 42 for product in products)
        _, rows, _ = await get(running, "okx/public", "/api/v5/market/candles?instId=G007-USDT&bar=1H")
        assert len(rows["data"]) == 100
        market = running.venues["kraken/spot"].markets["G040/USD"]
        steps = market.steps
        await eventually(lambda: market.steps > steps)
        running.arm({"verb": "pace", "symbol": "G040/USD", "steps_per_s": 500})
        steps = market.steps
        await eventually(lambda: market.steps > steps + 50)


async def test_without_a_past_candles_begin_with_the_first_trade() -> None:
    async with simulator("binance/spot", has_past=False) as running:
        assert len(binance(running, "1h")) <= 2
