"""Coinbase, both feeds: each line of the sheet's simulator checklist, with a raw client."""

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from datafacade.sim.listings import ProductKey
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import get, receive, send, simulator, socket, until

A: ProductKey = "coinbase/advanced"
B: ProductKey = "coinbase/exchange"


def takers(running: Simulator) -> dict[int, str]:
    """Return the taker's side of each trade in the truth log."""
    sides: dict[int, str] = {}
    for record in running.truth.recent:
        trades: list[dict[str, Any]] = record.get("trades") or []  # type: ignore[assignment]
        sides |= {trade["id"]: trade["taker"] for trade in trades}
    return sides


@pytest.mark.parametrize("product", [A, B])
async def test_without_a_subscription_the_connection_ends(product: ProductKey) -> None:
    async with (
        simulator(product, rules={product: {"subscribe_within_s": 0.3}}) as running,
        socket(running, product, "/") as ws,
    ):
        with pytest.raises(ConnectionClosed):
            await receive(ws)
        assert running.stats.of(product).violations["subscribe_deadline"] == 1


async def test_one_counter_runs_over_all_channels_and_acks_tell_the_full_set() -> None:
    async with simulator(A) as running, socket(running, A, "/") as ws:
        for channel in ("heartbeats", "level2", "ticker"):
            products = [] if channel == "heartbeats" else ["BTC-USD", "ETH-USD"]
            await send(ws, {"type": "subscribe", "channel": channel, "product_ids": products})
        frames = [json.loads(await receive(ws)) for _ in range(80)]
        assert [frame["sequence_num"] for frame in frames] == list(range(80))
        acks = [
            frame["events"][0]["subscriptions"] for frame in frames if frame["channel"] == "subscriptions"
        ]
        assert acks[-1] == {
            "heartbeats": ["heartbeats"],
            "level2": ["BTC-USD", "ETH-USD"],
            "ticker": ["BTC-USD", "ETH-USD"],
        }
        await send(ws, {"type": "unsubscribe", "channel": "level2", "product_ids": ["ETH-USD"]})
        body = await until(ws, lambda frame: frame["channel"] == "subscriptions")
        assert body["events"][0]["subscriptions"]["level2"] == ["BTC-USD"]


async def test_an_alias_delivers_the_other_product() -> None:
    async with simulator(A) as running, socket(running, A, "/") as ws:
        await send(ws, {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USDC"]})
        body = await until(ws, lambda frame: frame["channel"] == "l2_data")
        assert body["events"][0]["product_id"] == "BTC-USD"
        assert {update["side"] for update in body["events"][0]["updates"]} == {"bid", "offer"}


async def test_trades_come_newest_first_and_name_the_maker() -> None:
    async with (
        simulator(A, bases=("BTC",), trade_ratio=0.6) as running,
        socket(running, A, "/") as ws,
    ):
        await send(ws, {"type": "subscribe", "channel": "market_trades", "product_ids": ["BTC-USD"]})
        ids: list[int] = []
        maker: dict[int, str] = {}
        for kind in ("snapshot", "update", "update"):
            body = await until(ws, lambda frame: frame["channel"] == "market_trades")
            event = body["events"][0]
            assert event["type"] == kind
            batch = [int(trade["trade_id"]) for trade in event["trades"]]
            assert batch == sorted(batch, reverse=True)
            ids += batch[::-1]
            maker |= {int(trade["trade_id"]): trade["side"] for trade in event["trades"]}
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        truth = takers(running)
        assert all(truth[id_] == ("sell" if side == "BUY" else "buy") for id_, side in maker.items())


async def test_heartbeats_carry_a_go_time_string() -> None:
    async with simulator(A) as running, socket(running, A, "/") as ws:
        await send(ws, {"type": "subscribe", "channel": "heartbeats"})
        beats = [await until(ws, lambda frame: frame["channel"] == "heartbeats") for _ in range(2)]
        counters = [beat["events"][0]["heartbeat_counter"] for beat in beats]
        assert counters[1] == counters[0] + 1
        assert " +0000 UTC m=+" in beats[0]["events"][0]["current_time"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "subscribe", "channel": "gossip"}, "channel does not exist"),
        (
            {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-FOO"]},
            "BTC-FOO is not a valid product",
        ),
        ("nonsense", "invalid message"),
    ],
)
async def test_advanced_errors_have_no_envelope(message: object, reason: str) -> None:
    async with simulator(A) as running, socket(running, A, "/") as ws:
        await send(ws, message)
        body = json.loads(await receive(ws))
        assert body == {"type": "error", "message": "failure to subscribe", "reason": reason}


async def test_both_spellings_of_zero_and_several_events_in_a_frame_occur() -> None:
    async with simulator(A, steps_per_s=1_000.0) as running, socket(running, A, "/") as ws:
        await send(ws, {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]})
        zeros, events = set(), set()
        for _ in range(400):
            body = json.loads(await receive(ws))
            events.add(len(body["events"]))
            if body["channel"] == "l2_data":
                zeros |= {
                    u["new_quantity"]
                    for e in body["events"]
                    for u in e["updates"]
                    if not float(u["new_quantity"])
                }
        assert zeros == {"0", "0.00000000"}
        assert events == {1, 2}


async def test_nine_messages_in_a_second_end_an_advanced_connection() -> None:
    async with simulator(A, steps_per_s=0.0) as running, socket(running, A, "/") as ws:
        for _ in range(9):
            await send(ws, {"type": "subscribe", "channel": "heartbeats"})
        with pytest.raises(ConnectionClosed):
            await until(ws, lambda _: False)
        assert running.stats.of(A).violations["messages"] == 1


async def test_advanced_rest_answers_in_its_shapes() -> None:
    root = "/api/v3/brokerage"
    async with simulator(A) as running:
        _, body, _ = await get(running, A, f"{root}/market/products?product_type=SPOT")
        aliases = {row["product_id"]: row["alias"] for row in body["products"]}
        assert aliases == {"BTC-USD": "", "ETH-USD": "", "BTC-USDC": "BTC-USD", "ETH-USDC": "ETH-USD"}
        _, body, _ = await get(running, A, f"{root}/market/product_book?product_id=BTC-USD&limit=3")
        assert len(body["pricebook"]["bids"]) == 3
        _, again, _ = await get(running, A, f"{root}/market/product_book?product_id=BTC-USD&limit=3")
        assert again == body  # cached for a second
        _, body, _ = await get(running, A, f"{root}/market/products/BTC-USD/ticker?limit=4")
        assert len(body["trades"]) == 4
        status, body, _ = await get(running, A, f"{root}/market/products/NOPE")
        assert (status, body["error"]) == (404, "NOT_FOUND")
        assert isinstance((await get(running, A, f"{root}/time"))[1]["epochSeconds"], str)
        answers = [await get(running, A, f"{root}/time") for _ in range(12)]
        assert answers[-1][0] == 429
        assert answers[-1][1]["errors"][0]["id"] == "rate_limit_exceeded"


async def test_exchange_acks_canonical_names_and_starts_with_snapshot_and_last_match() -> None:
    channels = ["level2_batch", "matches", "heartbeat", {"name": "ticker", "product_ids": ["BTC-USD"]}]
    async with simulator(B, trade_ratio=0.5) as running, socket(running, B, "/") as ws:
        await send(ws, {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": channels})
        frames = [json.loads(await receive(ws)) for _ in range(120)]
        assert [row["name"] for row in frames[0]["channels"]] == [
            "level2_50",
            "matches",
            "heartbeat",
            "ticker",
        ]
        kinds = [frame["type"] for frame in frames]
        assert kinds.index("snapshot") < kinds.index("l2update")
        assert kinds.index("last_match") < kinds.index("match")
        matches = [frame for frame in frames if frame["type"] == "match"]
        ids = [match["trade_id"] for match in matches]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        makers = {match["trade_id"]: match["side"] for match in matches}
        told = {frame["trade_id"]: frame["side"] for frame in frames if frame["type"] == "ticker"}
        both = set(makers) & set(told)
        assert both
        assert all(makers[id_] != told[id_] for id_ in both)
        truth = takers(running)
        assert all(truth[id_] != side for id_, side in makers.items())
        zeros = {c[2] for f in frames if f["type"] == "l2update" for c in f["changes"] if not float(c[2])}
        assert zeros == {"0", "0.0", "0.00000000"}


async def test_exchange_heartbeat_names_the_last_trade() -> None:
    async with simulator(B) as running, socket(running, B, "/") as ws:
        await send(
            ws, {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["heartbeat", "matches"]}
        )
        last = 0
        while True:
            body = json.loads(await receive(ws))
            if body["type"] in ("match", "last_match"):
                last = body["trade_id"]
            if body["type"] == "heartbeat":
                assert body["last_trade_id"] == last
                return


@pytest.mark.parametrize(
    ("channels", "product", "reason"),
    [
        (["level2"], "BTC-USD", "level2 requires authentication"),
        (["gossip"], "BTC-USD", "gossip is not a valid channel"),
        (["matches"], "BTC-FOO", "BTC-FOO is not a valid product"),
    ],
)
async def test_exchange_refuses_in_the_venues_words(channels: list[str], product: str, reason: str) -> None:
    async with simulator(B) as running, socket(running, B, "/") as ws:
        await send(ws, {"type": "subscribe", "product_ids": [product], "channels": channels})
        body = json.loads(await receive(ws))
        assert body == {"type": "error", "message": "Failed to subscribe", "reason": reason}


async def test_exchange_rest_answers_in_its_shapes() -> None:
    async with simulator(B) as running:
        _, body, _ = await get(running, B, "/products")
        assert body[0]["quote_increment"] == "0.01"
        _, body, _ = await get(running, B, "/products/BTC-USD/book?level=2")
        assert len(body["bids"]) > 40
        assert len(body["bids"][0]) == 3
        _, rows, headers = await get(running, B, "/products/BTC-USD/trades?limit=5")
        assert [row["trade_id"] for row in rows] == sorted((row["trade_id"] for row in rows), reverse=True)
        _, older, _ = await get(running, B, f"/products/BTC-USD/trades?limit=5&after={headers['CB-AFTER']}")
        assert older[0]["trade_id"] == rows[-1]["trade_id"] - 1
        assert (await get(running, B, "/products/NOPE/book"))[1] == {"message": "NotFound"}
        assert (await get(running, B, "/products/BTC-USD/book?level=9"))[0] == 400
        running.rests[B].side.limit(0.1)  # a second: however slowly it is asked
        answers = [await get(running, B, "/time") for _ in range(20)]
        assert answers[-1][1] == {"message": "Public rate limit exceeded"}
