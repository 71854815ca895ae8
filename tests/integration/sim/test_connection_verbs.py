"""Verbs on subscriptions, connections and upgrades do what they say, and the truth log proves it."""

import asyncio
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from datafacade.sim.listings import ProductKey
from datafacade.sim.verbs import BAD_FRAME_KINDS
from tests.integration.sim.harness import drain, ended, eventually, receive, send, simulator, socket
from tests.integration.sim.live_book import ALL, PATHS, arm, begin


@pytest.mark.parametrize("product", ALL)
@pytest.mark.parametrize("verb", ["no_ack", "reject", "ack_and_silence"])
async def test_subscriptions_are_ignored_rejected_or_silent(product: ProductKey, verb: str) -> None:
    path = (
        "/ws" if product == "binance/spot" else "/public/ws" if product == "binance/usdm" else PATHS[product]
    )
    messages: dict[str, object] = {
        "binance": {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1},
        "okx": {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]},
        "coinbase/advanced": {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]},
        "coinbase/exchange": {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["level2_batch"]},
        "kraken": {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}},
    }
    async with simulator(product) as running, socket(running, product, path) as ws:
        fault = arm(running, product, verb)
        await send(ws, messages.get(product) or messages[product.partition("/")[0]])
        await eventually(lambda: fault.applied == 1)
        texts: list[str] = []
        while verb != "no_ack" and not texts:
            texts = [text for text in [await receive(ws)] if '"status"' not in text]
        texts += [text for text in await drain(ws, 0.5) if '"status"' not in text]
        assert len(texts) == (0 if verb == "no_ack" else 1), texts
        is_error = any(word in "".join(texts) for word in ('"code"', '"error"', '"success":false'))
        assert is_error is (verb == "reject")


@pytest.mark.parametrize("product", ALL)
async def test_connections_end_in_every_way(product: ProductKey) -> None:
    rules = {product: {"attempts": 1_000}}
    async with simulator(product, rules=rules) as running:
        for verb, more, code in (
            ("close", {"code": 1012, "reason": "restart"}, 1012),
            ("eof", {}, 1006),
            ("rst", {}, 1006),
        ):
            async with socket(running, product, PATHS[product]) as ws:
                if product != "coinbase/advanced":
                    await begin(running, product, ws)
                running.arm({"verb": verb, "venue": product, **more})
                with pytest.raises(ConnectionClosed) as closed:
                    await ended(ws)
                assert ws.close_code == code
                cause = closed.value.__cause__
                assert isinstance(cause, ConnectionResetError) is (verb == "rst"), cause
        await eventually(lambda: not running.stats.of(product).open_now)
        ends = [r for r in running.truth.recent if r["type"] == "connection" and r["event"] == "closed"]
        assert [end["by"] for end in ends] == ["fault"] * 3


@pytest.mark.parametrize("kind", BAD_FRAME_KINDS)
async def test_forbidden_frames_make_a_correct_client_close(kind: str) -> None:
    async with simulator("kraken/spot") as running:
        url = running.urls["kraken/spot"]["ws"] + "/v2"
        async with connect(url, max_size=1 << 20, proxy=None) as ws:
            await receive(ws)
            running.arm({"verb": "bad_frame", "venue": "kraken", "kind": kind})
            with pytest.raises(ConnectionClosed):
                await ended(ws)
            assert ws.protocol.close_sent is not None
            wanted = {"bad_utf8": 1007, "oversize": 1009}.get(kind, 1002)
            assert ws.protocol.close_sent.code == wanted


async def test_an_upgrade_is_refused_with_status_and_retry_after() -> None:
    async with simulator("kraken/spot") as running:
        fault = running.arm(
            {"verb": "refuse_upgrade", "venue": "kraken", "status": 429, "retry_after": 7, "count": 2}
        )
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused:
                async with socket(running, "kraken/spot", "/v2"):
                    pass
            assert refused.value.response.status_code == 429
            assert refused.value.response.headers["Retry-After"] == "7"
        assert fault.applied == 2
        async with socket(running, "kraken/spot", "/v2") as ws:
            await receive(ws)


async def test_a_tarpit_accepts_and_does_not_answer() -> None:
    async with simulator("kraken/spot") as running:
        running.arm({"verb": "tarpit", "venue": "kraken", "ms": 60_000})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), socket(running, "kraken/spot", "/v2"):
                pass


@pytest.mark.parametrize("how", ["rst", "eof", "close"])
async def test_a_flapping_connection_lives_after_its_first_data_only_so_long(how: str) -> None:
    product: ProductKey = "okx/public"
    async with simulator(product) as running:
        fault = running.arm({"verb": "flap", "venue": "okx", "ms": 200, "how": how})
        async with socket(running, product, PATHS[product]) as ws:
            started = time.monotonic()
            await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
            with pytest.raises(ConnectionClosed):
                await ended(ws)
            assert time.monotonic() - started >= 0.2
        assert fault.applied == 1
        async with socket(running, product, PATHS[product]) as ws:
            await begin(running, product, ws)
