"""Kraken v2: each line of the sheet's simulator checklist, with a raw client."""

import json
import re

import pytest
from websockets.exceptions import ConnectionClosed

from datafacade.sim.listings import ProductKey
from tests.integration.sim.harness import get, receive, send, simulator, socket, until

K: ProductKey = "kraken/spot"


def subscribe(channel: str, *symbols: str, **more: object) -> dict[str, object]:
    params: dict[str, object] = {"channel": channel, **more}
    if symbols:
        params["symbol"] = list(symbols)
    return {"method": "subscribe", "params": params, "req_id": 1}


async def test_the_first_message_is_a_status_with_a_large_id() -> None:
    async with simulator(K) as running, socket(running, K, "/v2") as ws:
        body = json.loads(await receive(ws))
        assert body["channel"] == "status"
        assert body["data"][0]["connection_id"] > 2**63
        with pytest.raises(Exception, match="404"):
            async with socket(running, K, "/"):
                pass


async def test_each_symbol_is_acknowledged_and_a_bad_one_fails_alone() -> None:
    async with simulator(K) as running, socket(running, K, "/v2") as ws:
        await send(ws, subscribe("book", "BTC/USD", "XBT/USD", "ETH/USD", depth=25))
        acks = [await until(ws, lambda body: body.get("method") == "subscribe") for _ in range(3)]
        assert [ack["success"] for ack in acks] == [True, False, True]
        assert {ack["req_id"] for ack in acks} == {1}
        assert acks[0]["result"] == {"channel": "book", "depth": 25, "snapshot": True, "symbol": "BTC/USD"}
        assert acks[1]["error"] == "Currency pair not supported XBT/USD"
        assert all(ack["time_in"] <= ack["time_out"] for ack in acks)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (subscribe("book", "BTC/USD", depth=7), "Subscription depth not supported"),
        (subscribe("gossip", "BTC/USD"), "Channel not supported gossip"),
        ({"method": "dance"}, "Method not supported"),
        ("nonsense", "Malformed request"),
        (
            {"method": "unsubscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}},
            "Subscription Not Found",
        ),
    ],
)
async def test_errors_say_success_false(message: object, error: str) -> None:
    async with simulator(K) as running, socket(running, K, "/v2") as ws:
        await send(ws, message)
        body = await until(ws, lambda body: "success" in body)
        assert body["success"] is False
        assert body["error"] == error


async def test_unsubscribing_needs_the_same_depth() -> None:
    async with simulator(K) as running, socket(running, K, "/v2") as ws:
        await send(ws, subscribe("book", "BTC/USD", depth=25))
        await until(ws, lambda body: body.get("success"))
        for depth, is_done in ((10, False), (25, True)):
            params = {"channel": "book", "symbol": ["BTC/USD"], "depth": depth}
            await send(ws, {"method": "unsubscribe", "params": params})
            body = await until(ws, lambda body: body.get("method") == "unsubscribe")
            assert body["success"] is is_done
        await send(ws, subscribe("book", "BTC/USD", depth=25))
        body = await until(ws, lambda body: body.get("channel") == "book" and body["type"] == "snapshot")
        assert len(body["data"][0]["bids"]) == 25


async def test_ping_gets_pong_with_server_times() -> None:
    async with simulator(K) as running, socket(running, K, "/v2") as ws:
        await send(ws, {"method": "ping", "req_id": 101})
        body = await until(ws, lambda body: body.get("method") == "pong")
        assert body["req_id"] == 101
        assert body["time_in"] <= body["time_out"]


async def test_a_quiet_subscriber_gets_a_heartbeat_each_second_and_the_idle_one_is_closed() -> None:
    async with simulator(K, steps_per_s=0.0) as running, socket(running, K, "/v2") as ws:
        await send(ws, subscribe("trade", "BTC/USD"))
        await until(ws, lambda body: body == {"channel": "heartbeat"})
    async with simulator(K, rules={K: {"idle_s": 0.3}}) as running, socket(running, K, "/v2") as ws:
        with pytest.raises(ConnectionClosed):
            await until(ws, lambda _: False)


async def test_trades_have_contiguous_ids_and_a_snapshot_only_on_request() -> None:
    async with (
        simulator(K, trade_ratio=0.5) as running,
        socket(running, K, "/v2") as plain,
        socket(running, K, "/v2") as full,
    ):
        await send(plain, subscribe("trade", "BTC/USD"))
        await send(full, subscribe("trade", "BTC/USD", snapshot=True))
        first = await until(plain, lambda body: body.get("channel") == "trade")
        assert first["type"] == "update"
        rows = []
        for kind in ("snapshot", "update", "update", "update"):
            body = await until(full, lambda body: body.get("channel") == "trade")
            assert body["type"] == kind
            rows += body["data"]
        ids = [row["trade_id"] for row in rows]
        assert len(ids) > 50
        assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_the_bbo_trigger_tells_best_prices_without_trades() -> None:
    async with (
        simulator(K, trade_ratio=0.0) as running,
        socket(running, K, "/v2") as by_best,
        socket(running, K, "/v2") as by_trade,
    ):
        await send(by_best, subscribe("ticker", "BTC/USD", event_trigger="bbo"))
        await send(by_trade, subscribe("ticker", "BTC/USD"))
        bests: set[tuple[float, float]] = set()
        while len(bests) < 5:
            body = await until(by_best, lambda body: body.get("channel") == "ticker")
            bests.add((body["data"][0]["bid"], body["data"][0]["ask"]))
        body = await until(by_trade, lambda body: body.get("channel") == "ticker")
        assert body["type"] == "snapshot"
        body = await until(by_trade, lambda body: body.get("channel") in ("ticker", "heartbeat"))
        assert body == {"channel": "heartbeat"}


async def test_instrument_data_is_an_object_with_exponents() -> None:
    async with simulator(K) as running, socket(running, K, "/v2") as ws:
        await send(ws, subscribe("instrument"))
        while '"instrument","type"' not in (text := await receive(ws)):
            pass
        assert '"qty_increment":1e-08' in text
        pairs = json.loads(text)["data"]["pairs"]
        assert [pair["symbol"] for pair in pairs] == ["BTC/USD", "ETH/USD"]


async def test_numbers_come_padded_trimmed_and_with_exponents() -> None:
    async with simulator(K, steps_per_s=1_000.0) as running, socket(running, K, "/v2") as ws:
        await send(ws, subscribe("book", "BTC/USD", "ETH/USD", depth=100))
        texts = [await receive(ws) for _ in range(600)]
        quantities = [q for text in texts for q in re.findall(r'"qty":([^},]+)', text)]
        assert any(re.fullmatch(r"\d+\.\d{7}0", q) for q in quantities)
        assert any("e-" in q for q in quantities)
        assert any(re.fullmatch(r"\d+\.\d{1,7}", q) for q in quantities)
        updates = [json.loads(text)["data"][0] for text in texts if '"update","data":[{"symbol' in text]
        prices = [[level["price"] for level in data["bids"]] for data in updates]
        assert any(len(row) != len(set(row)) for row in prices)  # a price twice in one message


async def test_rest_answers_200_with_errors_and_its_own_names() -> None:
    async with simulator(K) as running:
        _, body, _ = await get(running, K, "/0/public/AssetPairs")
        pair = body["result"]["XXBTZUSD"]
        assert (pair["wsname"], pair["altname"], pair["pair_decimals"]) == ("XBT/USD", "XBTUSD", 1)
        status, body, _ = await get(running, K, "/0/public/Depth?pair=NOPE")
        assert (status, body) == (200, {"error": ["EQuery:Unknown asset pair"]})
        _, body, _ = await get(running, K, "/0/public/Depth?pair=XBTUSD&count=3")
        assert len(body["result"]["XXBTZUSD"]["asks"]) == 3
        _, body, _ = await get(running, K, "/0/public/Trades?pair=XBTUSD&count=3")
        assert isinstance(body["result"]["last"], str)
        answers = [(await get(running, K, "/0/public/Time"))[1] for _ in range(5)]
        assert answers[-1] == {"error": ["EAPI:Rate limit exceeded"]}
