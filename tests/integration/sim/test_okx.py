"""OKX: each line of the sheet's simulator checklist, with a raw client."""

import asyncio
import json
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.sim.harness import get, receive, send, simulator, socket, until

PUBLIC = "/ws/v5/public"


def subscribe(*channels: str, symbol: str = "BTC-USDT", id_: str | None = "1512") -> dict[str, object]:
    body: dict[str, object] = {
        "op": "subscribe",
        "args": [{"channel": c, "instId": symbol} for c in channels],
    }
    return body if id_ is None else {"id": id_, **body}


async def test_text_ping_gets_text_pong() -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", PUBLIC) as ws:
        await send(ws, "ping")
        assert await receive(ws) == "pong"


async def test_each_arg_is_acknowledged_and_a_bad_one_fails_alone() -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", PUBLIC) as ws:
        await send(ws, subscribe("books", "candle1m", "trades"))
        events = [await until(ws, lambda body: "event" in body) for _ in range(3)]
        assert [event["event"] for event in events] == ["subscribe", "error", "subscribe"]
        assert events[1]["code"] == "60018"
        assert {event["id"] for event in events} == {"1512"}
        assert len({event["connId"] for event in events}) == 1
        await send(ws, {"op": "unsubscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        event = await until(ws, lambda body: body.get("event") == "unsubscribe")
        assert "id" not in event


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "60012"),
        ({"op": "dance", "args": []}, "60019"),
        (subscribe("books", symbol="FOO-BAR"), "60018"),
        (subscribe("trades-all"), "60018"),
        (subscribe("books-l2-tbt"), "64003"),
    ],
)
async def test_errors_carry_the_documented_codes(message: object, code: str) -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", PUBLIC) as ws:
        await send(ws, message)
        event = await until(ws, lambda body: body.get("event") == "error")
        assert event["code"] == code


async def test_481_operations_in_an_hour_are_too_many() -> None:
    async with (
        simulator("okx/public", steps_per_s=0.0) as running,
        socket(running, "okx/public", PUBLIC) as ws,
    ):
        for _ in range(481):
            await send(ws, {"op": "unsubscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        event = await until(ws, lambda body: body.get("event") == "error")
        assert event["code"] == "60014"


async def test_silence_ends_the_connection_with_4004() -> None:
    async with (
        simulator("okx/public", rules={"okx/public": {"idle_s": 0.3}}) as running,
        socket(running, "okx/public", PUBLIC) as ws,
    ):
        with pytest.raises(ConnectionClosed):
            await until(ws, lambda _: False)
        assert ws.close_code == 4004


async def test_the_fourth_connection_within_a_second_is_refused() -> None:
    async with simulator("okx/public") as running:
        for _ in range(3):
            async with socket(running, "okx/public", PUBLIC):
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with socket(running, "okx/public", PUBLIC):
                pass
        assert refused.value.response.status_code == 429
        assert running.stats.of("okx/public").violations["connection_attempts"] == 1


async def test_an_upgrade_is_announced_with_64008() -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", PUBLIC) as ws:
        await send(ws, "ping")
        await receive(ws)
        running.arm({"verb": "shutdown_notice", "venue": "okx", "lead_ms": 100})
        notice = await until(ws, lambda body: body != "pong" and body.get("event") == "notice")
        assert notice["code"] == "64008"
        with pytest.raises(ConnectionClosed):
            await until(ws, lambda _: False)


async def test_best_prices_and_books5_are_ordered_against_the_book() -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", PUBLIC) as ws:
        await send(ws, subscribe("bbo-tbt", "books5", "books", "tickers"))
        seen: dict[str, int] = {}
        last = -1
        for _ in range(60):
            body = json.loads(await receive(ws))
            if "event" in body:
                continue
            channel, data = body["arg"]["channel"], body["data"][0]
            seen[channel] = seen.get(channel, 0) + 1
            if channel in ("bbo-tbt", "books"):
                assert data["seqId"] >= last
                last = data["seqId"]
            if channel in ("bbo-tbt", "books5"):
                assert "action" not in body
                assert "prevSeqId" not in data
                assert len(data["bids"]) == (1 if channel == "bbo-tbt" else 5)
            if channel == "books":
                assert data["checksum"] == 0
            if channel == "tickers":
                assert all(isinstance(value, str) for value in data.values())
        assert set(seen) == {"bbo-tbt", "books5", "books", "tickers"}


async def test_trades_merge_what_trades_all_tells_apart() -> None:
    async with (
        simulator("okx/public", bases=("BTC",), steps_per_s=400.0, trade_ratio=0.5) as running,
        socket(running, "okx/public", PUBLIC) as merged,
        socket(running, "okx/public", "/ws/v5/business") as single,
    ):
        await send(merged, subscribe("trades"))
        await send(single, subscribe("trades-all"))
        groups: list[dict[str, str]] = []
        ids: list[int] = []
        while len(groups) < 60:
            body = json.loads(await receive(merged))
            groups += body.get("data", [])
        while not ids or ids[-1] < int(groups[-1]["tradeId"]):
            body = json.loads(await receive(single))
            ids += [int(row["tradeId"]) for row in body.get("data", [])]
        assert any(int(group["count"]) > 1 for group in groups)
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        for before, after in pairwise(groups):
            assert int(after["tradeId"]) == int(before["tradeId"]) + int(after["count"])


async def test_rest_is_all_strings_and_errors_come_with_200() -> None:
    async with simulator("okx/public") as running:
        _, body, _ = await get(running, "okx/public", "/api/v5/public/instruments?instType=SPOT")
        row = body["data"][0]
        assert row["instId"] == "BTC-USDT"
        assert row["ctVal"] == ""
        assert all(isinstance(value, (str, list)) for key, value in row.items() if key != "instIdCode")
        status, body, _ = await get(running, "okx/public", "/api/v5/market/books?instId=NOPE&sz=5")
        assert (status, body["code"]) == (200, "51001")
        status, body, _ = await get(running, "okx/public", "/api/v5/market/books?instId=BTC-USDT&sz=999")
        assert (status, body["code"]) == (400, "51000")
        _, body, _ = await get(running, "okx/public", "/api/v5/market/books?instId=BTC-USDT&sz=5")
        assert len(body["data"][0]["asks"]) == 5
        _, body, _ = await get(running, "okx/public", "/api/v5/market/trades?instId=BTC-USDT&limit=5")
        ids = [int(row["tradeId"]) for row in body["data"]]
        assert ids == sorted(ids, reverse=True)
        answers = [(await get(running, "okx/public", "/api/v5/public/time"))[0] for _ in range(12)]
        assert answers[-1] == 429


async def test_a_quiet_market_is_kept_alive_by_equal_numbers() -> None:
    async with (
        simulator("okx/public", steps_per_s=0.0) as running,
        socket(running, "okx/public", PUBLIC) as ws,
    ):
        await send(ws, subscribe("books"))
        first = await until(ws, lambda body: body.get("action") == "snapshot")
        await asyncio.sleep(0)
        running.arm({"verb": "keep_alive", "venue": "okx", "symbol": "BTC-USDT"})
        data = (await until(ws, lambda body: body.get("action") == "update"))["data"][0]
        assert data["prevSeqId"] == data["seqId"] == first["data"][0]["seqId"]
        assert data["asks"] == data["bids"] == []
