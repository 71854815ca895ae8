"""Binance: each line of the sheet's simulator checklist, with a raw client."""

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed

from datafacade.sim.listings import ProductKey
from tests.integration.sim.harness import get, receive, send, simulator, socket, until


async def ack(ws: object, message: object) -> dict[str, object]:
    await send(ws, message)  # type: ignore[arg-type]
    found: dict[str, object] = await until(ws, lambda body: "result" in body or "code" in body)  # type: ignore[arg-type]
    return found


async def test_raw_and_combined_urls_wrap_as_documented() -> None:
    async with simulator("binance/spot") as running:
        async with socket(running, "binance/spot", "/ws/btcusdt@trade") as ws:
            body = json.loads(await receive(ws))
            assert body["e"] == "trade"
            assert body["s"] == "BTCUSDT"
            assert {"E", "t", "p", "q", "T", "m", "M"} <= set(body)
            assert len(body["p"].partition(".")[2]) == 8
        async with socket(running, "binance/spot", "/stream?streams=btcusdt@depth@100ms/ethusdt@trade") as ws:
            seen = {json.loads(await receive(ws))["stream"] for _ in range(40)}
            assert seen == {"btcusdt@depth@100ms", "ethusdt@trade"}


async def test_microseconds_are_16_digits() -> None:
    async with (
        simulator("binance/spot") as running,
        socket(running, "binance/spot", "/stream?streams=btcusdt@trade&timeUnit=MICROSECOND") as ws,
    ):
        data = json.loads(await receive(ws))["data"]
        assert len(str(data["E"])) == len(str(data["T"])) == 16


async def test_control_messages_echo_any_legal_id_and_are_never_wrapped() -> None:
    rules = {"binance/spot": {"messages": 100}}
    stream = "btcusdt@depth@100ms"

    async with (
        simulator("binance/spot", rules=rules) as running,
        socket(running, "binance/spot", "/stream") as ws,
    ):

        async def ask(method: str, params: list[object], id_: object = 3) -> object:
            answer = await ack(ws, {"method": method, "params": params, "id": id_})
            assert answer["id"] == id_
            return answer["result"]

        for id_ in (1, "abc", None, -5):
            assert await ask("SUBSCRIBE", [stream], id_) is None
        assert await ask("LIST_SUBSCRIPTIONS", []) == [stream]
        assert await ask("GET_PROPERTY", ["combined"]) is True
        assert await ask("SET_PROPERTY", ["combined", False]) is None
        assert await ask("GET_PROPERTY", ["combined"]) is False
        assert await ask("UNSUBSCRIBE", [stream]) is None
        assert await ask("LIST_SUBSCRIPTIONS", []) == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", 3),
        ("[]", 2),
        ({"params": []}, 2),
        ({"method": "DANCE", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": ["x@trade"], "id": True}, 2),
        ({"method": "SUBSCRIBE", "params": ["x@trade"], "id": "x" * 37}, 2),
        ({"method": "SUBSCRIBE", "params": [f"x{n}@trade" for n in range(1025)], "id": 1}, 2),
        ({"method": "GET_PROPERTY", "params": ["volume"], "id": 5}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", 7], "id": 5}, 1),
    ],
)
async def test_wrong_control_messages_get_the_documented_codes(message: object, code: int) -> None:
    async with simulator("binance/spot") as running, socket(running, "binance/spot", "/ws") as ws:
        assert (await ack(ws, message))["code"] == code


async def test_an_unknown_symbol_is_acknowledged_and_silent() -> None:
    async with simulator("binance/spot") as running, socket(running, "binance/spot", "/ws") as ws:
        assert (await ack(ws, {"method": "SUBSCRIBE", "params": ["foobar@trade"], "id": 1}))["result"] is None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await ws.recv()


async def test_every_third_ack_comes_after_data() -> None:
    async with simulator("binance/spot", steps_per_s=500.0) as running:
        orders = []
        for number in range(3):
            async with socket(running, "binance/spot", "/ws") as ws:
                sent = {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": number}
                await send(ws, sent)
                orders.append("result" in json.loads(await receive(ws)))
        assert orders == [True, True, False]


async def test_six_messages_in_a_second_end_the_connection() -> None:
    async with simulator("binance/spot") as running, socket(running, "binance/spot", "/ws") as ws:
        for number in range(8):
            await send(ws, {"method": "LIST_SUBSCRIPTIONS", "id": number})
        with pytest.raises(ConnectionClosed):
            await until(ws, lambda _: False)
        assert running.stats.of("binance/spot").violations["messages"] == 1


async def test_the_lifetime_ends_a_connection_and_the_venue_says_so_first() -> None:
    async with (
        simulator("binance/spot", lifetime_s=0.4) as running,
        socket(running, "binance/spot", "/stream?streams=btcusdt@trade") as ws,
    ):
        running.arm({"verb": "shutdown_notice", "venue": "binance", "lead_ms": 60_000})
        notice = await until(ws, lambda body: body.get("stream") == "!serverShutdown")
        assert notice["data"]["e"] == "serverShutdown"
        with pytest.raises(ConnectionClosed):
            await until(ws, lambda _: False)
        assert ws.close_code == 1001


async def test_best_prices_and_tickers_are_told() -> None:
    kinds_wanted = ("bookTicker", "ticker", "miniTicker", "depth5@100ms", "aggTrade")
    path = "/stream?streams=" + "/".join(f"btcusdt@{kind}" for kind in kinds_wanted)
    async with simulator("binance/spot") as running, socket(running, "binance/spot", path) as ws:
        kinds: dict[str, dict[str, object]] = {}
        while len(kinds) < 5:
            body = json.loads(await receive(ws))
            kinds[body["stream"].partition("@")[2]] = body["data"]
        assert "e" not in kinds["bookTicker"]
        assert kinds["ticker"]["e"] == "24hrTicker"
        assert kinds["miniTicker"]["e"] == "24hrMiniTicker"
        assert len(kinds["depth5@100ms"]["bids"]) == 5  # type: ignore[arg-type]
        assert "s" not in kinds["depth5@100ms"]
        assert {"a", "f", "l"} <= set(kinds["aggTrade"])


async def test_rest_tells_the_used_weight_and_refuses_beyond_it() -> None:
    async with simulator("binance/spot") as running:
        status, body, headers = await get(running, "binance/spot", "/api/v3/depth?symbol=BTCUSDT&limit=9999")
        assert status == 200
        assert headers["X-MBX-USED-WEIGHT-1M"] == "250"
        assert len(body["bids"]) > 50
        status, _, headers = await get(running, "binance/spot", "/api/v3/depth?symbol=BTCUSDT&limit=1000")
        assert headers["X-MBX-USED-WEIGHT-1M"] == "300"
        answers = []
        for _ in range(48):
            status, body, headers = await get(
                running, "binance/spot", "/api/v3/depth?symbol=BTCUSDT&limit=5000"
            )
            answers.append(status)
        assert 429 in answers
        assert answers[-1] == 418
        assert int(headers["Retry-After"]) > 60
        assert body["code"] == -1003


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v3/depth", -1102),
        ("/api/v3/depth?symbol=", -1105),
        ("/api/v3/depth?symbol=NOPE", -1121),
        ("/api/v3/depth?symbol=BTCUSDT&limit=x", -1130),
        ("/api/v3/exchangeInfo?symbol=NOPE", -1121),
        ("/api/v3/exchangeInfo?symbols=oops", -1100),
    ],
)
async def test_rest_errors_carry_the_documented_codes(path: str, code: int) -> None:
    async with simulator("binance/spot") as running:
        status, body, _ = await get(running, "binance/spot", path)
        assert status == 400
        assert body["code"] == code


async def test_rest_lists_instruments_times_and_trades() -> None:
    async with simulator("binance/spot") as running:
        _, info, _ = await get(running, "binance/spot", "/api/v3/exchangeInfo")
        assert [entry["symbol"] for entry in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
        filters = {entry["filterType"]: entry for entry in info["symbols"][0]["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
        assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
        assert (await get(running, "binance/spot", "/api/v3/ping"))[1] == {}
        assert "serverTime" in (await get(running, "binance/spot", "/api/v3/time"))[1]
        _, rows, _ = await get(running, "binance/spot", "/api/v3/trades?symbol=BTCUSDT&limit=10")
        ids = [row["id"] for row in rows]
        assert ids == list(range(ids[0], ids[0] + 10))
        path = f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={ids[3]}&limit=2"
        assert [row["id"] for row in (await get(running, "binance/spot", path))[1]] == ids[3:5]
        assert (await get(running, "binance/spot", "/nowhere"))[0] == 404


async def test_a_usdm_stream_on_the_wrong_route_is_acknowledged_and_silent() -> None:
    async with simulator("binance/usdm") as running:
        async with socket(running, "binance/usdm", "/market/ws") as ws:
            assert (await ack(ws, {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1}))[
                "id"
            ] == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await ws.recv()
        async with socket(running, "binance/usdm", "/public/ws/btcusdt@bookTicker") as ws:
            assert json.loads(await receive(ws))["e"] == "bookTicker"
        with pytest.raises(Exception, match="404"):
            async with socket(running, "binance/usdm", "/ws/btcusdt@trade"):
                pass


@pytest.mark.parametrize(
    ("product", "path", "rest"),
    [
        ("binance/usdm", "/public/ws/btcusdt@trade", "/fapi/v1/exchangeInfo"),
        ("binance/coinm", "/ws/btcusd_perp@trade", "/dapi/v1/exchangeInfo"),
    ],
)
async def test_futures_trades_hold_rows_that_are_no_market_trades(
    product: ProductKey, path: str, rest: str
) -> None:
    async with (
        simulator(product, bases=("BTC",), steps_per_s=2_000.0, trade_ratio=0.5) as running,
        socket(running, product, path) as ws,
    ):
        ids: list[int] = []
        kinds: set[str] = set()
        while len(kinds) < 2:
            body = json.loads(await receive(ws))
            ids.append(body["t"])
            kinds.add(body["X"])
        assert kinds == {"MARKET", "INSURANCE_FUND"}
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        _, info, _ = await get(running, product, rest)
        assert info["symbols"][0]["contractType"] == "PERPETUAL"
