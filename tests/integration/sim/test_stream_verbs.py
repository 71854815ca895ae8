"""Verbs on trades, pings, reading and lifetimes do what they say, and the truth log proves it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from datafacade.sim.faults import FaultRefused
from datafacade.sim.listings import ProductKey
from datafacade.sim.odd import ODD_KINDS
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import (
    PATIENCE_S,
    Json,
    ended,
    eventually,
    get,
    send,
    simulator,
    socket,
    until,
)

PATHS: dict[ProductKey, str] = {
    "binance/spot": "/ws/btcusdt@trade",
    "binance/usdm": "/public/ws/btcusdt@trade",
    "okx/public": "/ws/v5/business",
    "coinbase/advanced": "/",
    "coinbase/exchange": "/",
    "kraken/spot": "/v2",
}
REQUESTS: dict[ProductKey, Json] = {
    "okx/public": {"op": "subscribe", "args": [{"channel": "trades-all", "instId": "BTC-USDT"}]},
    "coinbase/advanced": {"type": "subscribe", "channel": "market_trades", "product_ids": ["BTC-USD"]},
    "coinbase/exchange": {"type": "subscribe", "channels": ["matches"], "product_ids": ["BTC-USD"]},
    "kraken/spot": {
        "method": "subscribe",
        "params": {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": False},
    },
}
ALL = list(PATHS)


@contextlib.asynccontextmanager
async def stream(running: Simulator, product: ProductKey) -> AsyncIterator[ClientConnection]:
    async with socket(running, product, PATHS[product]) as ws:
        if product in REQUESTS:
            await send(ws, REQUESTS[product])
        yield ws


def rows_of(body: Json) -> list[Json]:
    """Return the trades in a frame as (id, price, quantity, time) in the venue's spelling."""
    match body:
        case {"e": "trade"}:
            return [(body["t"], body["p"], body["q"], body["T"])]
        case {"arg": _, "data": rows}:
            return [(int(row["tradeId"]), row["px"], row["sz"], int(row["ts"])) for row in rows]
        case {"channel": "market_trades", "events": events} if events[0]["type"] == "update":
            trades = [trade for event in events for trade in event["trades"]]
            return [(int(row["trade_id"]), row["price"], row["size"], row["time"]) for row in trades]
        case {"type": "match"}:
            return [(body["trade_id"], body["price"], body["size"], body["time"])]
        case {"channel": "trade", "type": "update", "data": rows}:
            return [(row["trade_id"], row["price"], row["qty"], row["timestamp"]) for row in rows]
    return []


async def trades(ws: ClientConnection, count: int) -> list[Json]:
    found: list[Json] = []
    while len(found) < count:
        found += rows_of(await until(ws, rows_of))
    return found


def withheld(running: Simulator) -> Iterator[int]:
    for record in running.truth.recent:
        if record["type"] == "withheld":
            ids: Json = record["ids"]
            yield from ids


@pytest.mark.parametrize("product", ALL)
async def test_missing_trades_use_their_numbers_and_rest_still_has_them(product: ProductKey) -> None:
    async with simulator(product) as running, stream(running, product) as ws:
        await trades(ws, 2)
        fault = running.arm({"verb": "missing_trades", "symbol": "BTC", "count": 3} | symbol(product))
        told = {row[0] for row in await trades(ws, 30)}
        assert fault.applied == 3
        gone = set(withheld(running))
        assert len(gone) == 3
        assert not gone & told
        assert gone <= {trade.trade_id for trade in market(running, product).tape.newest(1_000)}
        holes = set(range(min(told), max(told))) - told
        assert gone & set(range(min(told), max(told))) == holes


def symbol(product: ProductKey) -> dict[str, str]:
    quote = "USD" if product.startswith(("coinbase", "kraken")) else "USDT"
    return {"symbol": f"BTC-{quote}"}


def market(running: Simulator, product: ProductKey) -> Json:
    return next(iter(running.venues[product].markets.values()))


async def test_missing_trades_can_be_missing_in_rest_too_and_by_share() -> None:
    async with simulator("binance/spot") as running, stream(running, "binance/spot") as ws:
        fault = running.arm(
            {"verb": "missing_trades", "ratio": 0.3, "is_in_rest": False, "duration_ms": 60_000}
        )
        told = {row[0] for row in await trades(ws, 60)}
        holes = set(range(min(told), max(told))) - told
        assert holes <= set(withheld(running))
        assert fault.applied >= 8
        _, rows, _ = await get(running, "binance/spot", "/api/v3/trades?symbol=BTCUSDT&limit=1000")
        assert not {row["id"] for row in rows} & set(withheld(running))


async def test_late_trades_come_behind_younger_ones() -> None:
    async with simulator("binance/spot") as running, stream(running, "binance/spot") as ws:
        await trades(ws, 2)
        fault = running.arm({"verb": "late_trades", "ms": 200, "symbol": "BTCUSDT"})
        await eventually(lambda: fault.applied)
        numbers: list[int] = []
        while len(numbers) < 10 or numbers == sorted(numbers):
            numbers.append((await trades(ws, 1))[0][0])
        assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("product", ALL)
async def test_trades_are_repeated_on_demand(product: ProductKey) -> None:
    async with simulator(product) as running, stream(running, product) as ws:
        seen = [row[0] for row in await trades(ws, 8)]
        fault = running.arm({"verb": "repeat_trades", "n": 4} | symbol(product))
        assert fault.applied == 1
        while len(seen) == len(set(seen)):
            seen += [row[0] for row in await trades(ws, 1)]
        assert len(seen) - len(set(seen)) <= 4


async def test_trades_are_repeated_after_a_subscription() -> None:
    async with simulator("okx/public") as running:
        fault = running.arm({"verb": "repeat_on_subscribe", "n": 5, "ms": 300, "venue": "okx"})
        async with stream(running, "okx/public") as ws:
            seen: list[int] = []
            while len(seen) == len(set(seen)):
                seen += [row[0] for row in await trades(ws, 1)]
            assert fault.applied == 1


def is_odd(running: Simulator, product: ProductKey, row: Json) -> bool:
    """Tell whether a trade has another price or quantity than the market made."""
    number, price, quantity, _ = row
    true = next(trade for trade in market(running, product).trades if trade.trade_id == number)
    if number % 150 == 0 and product == "binance/usdm":
        return False
    listed = market(running, product).instrument
    is_price = round(float(price) * 10**listed.price_scale) == true.price
    is_quantity = round(float(quantity) * 10**listed.quantity_scale) == true.quantity
    return not (is_price and (is_quantity or product == "okx/public"))


@pytest.mark.parametrize("product", ALL)
@pytest.mark.parametrize("kind", ODD_KINDS)
async def test_odd_numbers_are_told_and_the_truth_stays(product: ProductKey, kind: str) -> None:
    async with simulator(product) as running, stream(running, product) as ws:
        await trades(ws, 1)
        fault = running.arm({"verb": "odd_numbers", "kind": kind} | symbol(product))
        is_calendar = product.startswith(("coinbase", "kraken"))
        if kind == "time_micro" and is_calendar:
            await trades(ws, 5)
            assert fault.applied == 0
            return
        await eventually(lambda: fault.applied)
        is_shown = kind.startswith("price") or (kind.startswith("quantity") and product != "okx/public")
        async with asyncio.timeout(PATIENCE_S):  # older ones may be on their way still
            while is_shown and not any(is_odd(running, product, row) for row in await trades(ws, 1)):
                pass
        record = next(r for r in running.truth.recent if r.get("phase") == "applied" and r["id"] == fault.id)
        assert record["fault"] == "odd_numbers"


async def test_an_odd_number_waits_for_a_trade_of_the_market() -> None:
    async with (
        simulator("binance/usdm", steps_per_s=1_000.0) as running,
        stream(running, "binance/usdm") as ws,
    ):
        running.arm({"verb": "odd_numbers", "kind": "price_negative", "count": 10_000})
        prices = {"MARKET": 0.0, "INSURANCE_FUND": 0.0}
        while not (prices["MARKET"] < 0 and prices["INSURANCE_FUND"]):  # older ones may be on their way
            body = await until(ws, lambda body: body.get("e") == "trade")
            prices[body["X"]] = float(body["p"])
        assert prices["INSURANCE_FUND"] > 0, "who reads well leaves the other one out"


async def test_a_book_level_can_be_odd_too() -> None:
    async with (
        simulator("binance/spot") as running,
        socket(running, "binance/spot", "/ws/btcusdt@depth@100ms") as ws,
    ):
        running.arm({"verb": "odd_numbers", "kind": "price_negative", "channel": "book"})
        body = await until(ws, lambda body: any(row[0].startswith("-") for row in body["b"] + body["a"]))
        assert body["e"] == "depthUpdate"


async def test_pings_go_unanswered_and_are_answered_again() -> None:
    async with simulator("binance/spot") as running, stream(running, "binance/spot") as ws:
        async with asyncio.timeout(PATIENCE_S):
            await (await ws.ping())
        fault = running.arm({"verb": "no_pong", "venue": "binance"})
        waiting = asyncio.ensure_future(await ws.ping(b"unheard"))
        await trades(ws, 10)
        assert not waiting.done()
        waiting.cancel()
        assert fault.applied == 1
        running.faults.remove(fault.id)
        async with asyncio.timeout(PATIENCE_S):
            await (await ws.ping(b"heard"))


async def test_okx_text_pings_go_unanswered_too() -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", "/ws/v5/public") as ws:
        await send(ws, "ping")
        assert await until(ws, lambda body: body == "pong")
        running.arm({"verb": "no_pong"})
        await send(ws, "ping", {"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]})
        seen = [await until(ws, lambda _: True) for _ in range(5)]
        assert "pong" not in seen


async def test_ten_thousand_pings_a_second_are_numbered_and_counted() -> None:
    async with (
        simulator("kraken/spot", steps_per_s=0.0) as running,
        socket(running, "kraken/spot", "/v2") as ws,
    ):
        start = time.monotonic()
        fault = running.arm({"verb": "ping_flood", "duration_ms": 400})
        await eventually(fault.is_over)
        connection = next(iter(running.listeners["kraken/spot"].connections.values()))
        assert connection.pings_sent > 2_000 * (time.monotonic() - start) / 4
        last = (connection.pings_sent - 1).to_bytes(8, "big")
        await eventually(lambda: connection.ws.newest_pong == last)
        assert running.connections()[0]["pongs"] == connection.pings_sent
        assert sum(1 for r in running.truth.recent if r.get("phase") == "applied") == 1
        await ws.close()


async def test_a_venue_stops_reading_and_goes_on() -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", "/ws/v5/public") as ws:
        await send(ws, "ping")
        await until(ws, lambda body: body == "pong")
        fault = running.arm({"verb": "stop_reading", "venue": "okx"})
        await send(ws, "ping")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await ws.recv()
        assert fault.applied == 1
        running.faults.remove(fault.id)
        await until(ws, lambda body: body == "pong")


async def test_lifetimes_can_be_cut_short_again_and_again() -> None:
    async with simulator("okx/public") as running:
        running.arm({"verb": "lifetime", "venue": "okx", "seconds": 1})
        for _ in range(2):
            start = time.monotonic()
            with pytest.raises(ConnectionClosed):
                async with stream(running, "okx/public") as ws:
                    await ended(ws)
            assert time.monotonic() - start >= 1
        await eventually(lambda: running.stats.of("okx/public").closed["venue 1001"] == 2)


async def test_a_halted_market_stands_still_and_the_list_says_so() -> None:
    products: tuple[ProductKey, ...] = (
        "binance/spot",
        "binance/usdm",
        "okx/public",
        "coinbase/exchange",
        "coinbase/advanced",
        "kraken/spot",
    )
    async with simulator(*products) as running:
        fault = running.arm({"verb": "halt"})
        assert fault.applied == 2 * len(products)
        steps = {product: market(running, product).steps for product in products}
        looks = {
            "binance/spot": ("/api/v3/exchangeInfo", "HALT"),
            "binance/usdm": ("/fapi/v1/exchangeInfo", "PENDING_TRADING"),
            "okx/public": ("/api/v5/public/instruments?instType=SPOT", "suspend"),
            "coinbase/exchange": ("/products/BTC-USD", '"trading_disabled": true'),
            "coinbase/advanced": ("/api/v3/brokerage/market/products/BTC-USD", '"trading_disabled": true'),
            "kraken/spot": ("/0/public/AssetPairs", "cancel_only"),
        }
        for product in products:
            _, body, _ = await get(running, product, looks[product][0])
            assert looks[product][1] in json.dumps(body), product
            assert market(running, product).steps == steps[product]
        running.faults.remove(fault.id)
        _, body, _ = await get(running, "binance/spot", "/api/v3/exchangeInfo")
        assert "HALT" not in json.dumps(body)
        await eventually(lambda: market(running, "okx/public").steps > steps["okx/public"])


async def test_an_upgrade_trickles_and_never_ends() -> None:
    async with simulator("kraken/spot") as running:
        fault = running.arm({"verb": "tarpit", "how": "trickle", "every_ms": 50, "ms": 60_000})
        port = int(running.urls["kraken/spot"]["ws"].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.readexactly(12) == b"HTTP/1.1 101"
        assert fault.applied == 1
        writer.close()
        url = running.urls["kraken/spot"]["ws"] + "/v2"
        async with connect(url, proxy=None, open_timeout=PATIENCE_S):
            pass  # the next client is served


async def test_a_notice_reaches_those_venues_that_give_one() -> None:
    async with (
        simulator("okx/public", "coinbase/exchange") as running,
        stream(running, "okx/public") as ws,
        stream(running, "coinbase/exchange"),
    ):
        await trades(ws, 1)
        fault = running.arm({"verb": "shutdown_notice", "lead_ms": 200})
        assert fault.applied == 1
        body = await until(ws, lambda body: body.get("event") == "notice")
        assert body["code"] == "64008"
        with pytest.raises(ConnectionClosed) as caught:
            await ended(ws)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        with pytest.raises(FaultRefused, match="gives no notice"):
            running.arm({"verb": "shutdown_notice", "venue": "coinbase"})
