"""Each fault verb does what it says and proves it; a naive client notices what its sheet can notice."""

import asyncio
import contextlib
import json
import time
from itertools import pairwise

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from datafacade.sim.faults import Fault, FaultRefused
from datafacade.sim.listings import ProductKey
from datafacade.sim.rest_verbs import MALFORMED_KINDS
from datafacade.sim.simulator import Simulator
from datafacade.sim.verbs import BAD_FRAME_KINDS, UNKNOWN_KINDS, VERBS
from tests.integration.sim.harness import (
    AnyClient,
    Comparison,
    binance_sync,
    drain,
    ended,
    eventually,
    follow,
    get,
    receive,
    send,
    simulator,
    socket,
    until,
)
from tests.integration.sim.naive import (
    Gap,
    NaiveBinance,
    NaiveCoinbaseAdvanced,
    NaiveCoinbaseExchange,
    NaiveKraken,
    NaiveOkx,
    SnapshotTooOld,
    StartOver,
    Undecodable,
    WrongChecksum,
)

PATHS: dict[ProductKey, str] = {
    "binance/spot": "/ws/btcusdt@depth@100ms",
    "binance/usdm": "/public/ws/btcusdt@depth@100ms",
    "okx/public": "/ws/v5/public",
    "coinbase/advanced": "/",
    "coinbase/exchange": "/",
    "kraken/spot": "/v2",
}
SYMBOLS: dict[ProductKey, str] = {
    "binance/spot": "BTCUSDT",
    "binance/usdm": "BTCUSDT",
    "okx/public": "BTC-USDT",
    "coinbase/advanced": "BTC-USD",
    "coinbase/exchange": "BTC-USD",
    "kraken/spot": "BTC/USD",
}
PROVEN: list[ProductKey] = ["binance/spot", "binance/usdm", "okx/public", "coinbase/advanced", "kraken/spot"]
ALL: list[ProductKey] = [*PROVEN, "coinbase/exchange"]


async def begin(running: Simulator, product: ProductKey, ws: ClientConnection) -> AnyClient:
    """Return a naive client that holds a live book."""
    match product:
        case "binance/spot" | "binance/usdm":
            client: AnyClient = NaiveBinance(is_futures=product == "binance/usdm")
            await binance_sync(running, product, client, ws, 1000)
        case "okx/public":
            client = NaiveOkx()
            await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        case "coinbase/advanced":
            client = NaiveCoinbaseAdvanced("BTC-USD")
            await send(ws, {"type": "subscribe", "channel": "heartbeats"})
            await send(ws, {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]})
        case "coinbase/exchange":
            client = NaiveCoinbaseExchange("BTC-USD")
            await send(ws, {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["level2_batch"]})
        case _:
            client = NaiveKraken("BTC/USD", 10)
            await send(ws, {"method": "subscribe", "params": {"channel": "instrument"}})
            params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
            await send(ws, {"method": "subscribe", "params": params})
    await follow(ws, client, Comparison(running), 4)
    return client


def arm(running: Simulator, product: ProductKey, verb: str, **more: object) -> Fault:
    return running.arm({"verb": verb, "venue": product, "symbol": SYMBOLS[product], **more})


async def feed(ws: ClientConnection, client: AnyClient, frames: int = 60) -> list[str]:
    """Feed frames to the client; return them. What the client raises ends it."""
    texts = []
    for _ in range(frames):
        texts.append(await receive(ws))
        client.on_frame(texts[-1])
    return texts


def applied(running: Simulator, fault: Fault) -> int:
    """Return how often the truth log says that the fault was applied."""
    return sum(
        record["type"] == "fault" and record["phase"] == "applied" and record["id"] == fault.id
        for record in running.truth.recent
    )


@pytest.mark.parametrize("product", PROVEN)
async def test_a_dropped_frame_breaks_the_proof(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        # a checksum does not notice a frame whose levels are all told anew by the next: several are dropped
        fault = arm(running, product, "drop", count=5 if product == "kraken/spot" else 1)
        with pytest.raises((Gap, WrongChecksum)):
            await feed(ws, client, 400)
        assert fault.applied == applied(running, fault) >= 1


async def test_a_dropped_frame_is_not_noticed_on_coinbase_exchange() -> None:
    product: ProductKey = "coinbase/exchange"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        fault = arm(running, product, "drop", count=3)
        await feed(ws, client, 6)
        assert fault.applied == 3


@pytest.mark.parametrize("product", ALL)
async def test_a_duplicate_is_the_same_frame_twice(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        await begin(running, product, ws)
        fault = arm(running, product, "duplicate")
        texts = [await receive(ws)]
        while not fault.applied:
            texts.append(await receive(ws))
        texts += [await receive(ws) for _ in range(3)]
        assert sum(one == two for one, two in pairwise(texts)) == 1


@pytest.mark.parametrize("product", ["binance/spot", "okx/public", "coinbase/advanced"])
async def test_swapped_frames_break_the_chain(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        fault = arm(running, product, "reorder")
        with pytest.raises(Gap):
            await feed(ws, client)
        assert fault.applied == 1


async def test_a_delayed_frame_holds_back_its_connection_in_order() -> None:
    product: ProductKey = "okx/public"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        arm(running, product, "delay", ms=400)
        started = time.monotonic()
        await feed(ws, client, 3)
        assert time.monotonic() - started > 0.35
        await feed(ws, client, 5)


@pytest.mark.parametrize("product", ALL)
async def test_a_truncated_or_broken_frame_does_not_parse(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        arm(running, product, "truncate")
        with pytest.raises(Undecodable):
            await feed(ws, client)
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        arm(running, product, "corrupt", what="byte")
        with pytest.raises(Undecodable):
            await feed(ws, client)


@pytest.mark.parametrize("product", ALL)
async def test_one_changed_digit_is_valid_json_and_only_kraken_notices(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        fault = arm(running, product, "corrupt")
        noticed: StartOver | None = None
        try:
            while not fault.applied:
                await feed(ws, client, 1)
            await feed(ws, client, 3)
        except StartOver as error:
            noticed = error
        assert isinstance(noticed, WrongChecksum) is (product == "kraken/spot")
        assert fault.applied == 1


@pytest.mark.parametrize("product", ["kraken/spot", "okx/public"])
async def test_a_wrong_checksum_is_told(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        arm(running, product, "wrong_checksum", count=2)
        with pytest.raises(WrongChecksum):
            await feed(ws, client)


@pytest.mark.parametrize("product", ["binance/spot", "okx/public", "coinbase/advanced", "coinbase/exchange"])
async def test_hidden_deletions_cross_the_clients_book_but_not_the_chain(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        fault = arm(running, product, "suppress_delete")
        assert not client.book.is_crossed()
        for _ in range(80):
            client.on_frame(await receive(ws))
            if client.book.is_crossed():
                break
        assert client.book.is_crossed()
        assert fault.applied >= 1
        true_book = running.book(product, SYMBOLS[product])
        assert true_book is not None
        assert not true_book.is_crossed()


@pytest.mark.parametrize("kind", MALFORMED_KINDS)
async def test_malformed_messages_come_beside_a_good_frame(kind: str) -> None:
    product: ProductKey = "okx/public"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        fault = arm(running, product, "malformed_message", kind=kind)
        if kind == "bad_utf8":
            with pytest.raises(ConnectionClosed) as closed:
                await ended(ws)
            assert closed.value.sent is not None
            assert closed.value.sent.code == 1007
            return
        good = before = client.last
        while not fault.applied or good == before:
            with contextlib.suppress(
                Undecodable, ArithmeticError, RecursionError, ValueError, TypeError, StartOver
            ):
                client.on_frame(await receive(ws))
                good = client.last
        assert fault.applied == 1


@pytest.mark.parametrize("product", ALL)
@pytest.mark.parametrize("kind", UNKNOWN_KINDS)
async def test_unknown_messages_and_fields_change_nothing_for_a_lenient_client(
    product: ProductKey, kind: str
) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        fault = arm(running, product, "unknown_message", kind=kind)
        seen = False
        for _ in range(60):
            text = await receive(ws)
            seen = seen or "brandNew" in text
            if "brandNew" in text and kind != "field" and product != "coinbase/advanced":
                continue
            client.on_frame(text)
            if seen and fault.applied:
                break
        assert seen
        await feed(ws, client, 5)


@pytest.mark.parametrize("product", ALL)
async def test_a_muted_symbol_is_silent_while_others_flow(product: ProductKey) -> None:
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        await begin(running, product, ws)
        fault = arm(running, product, "mute")
        await eventually(lambda: fault.applied > 2)
        await drain(ws, 0.05)  # what was sent before
        texts = await drain(ws, 0.3)
        assert not any("BTC" in text for text in texts)
        running.faults.remove(fault.id)
        await receive(ws)


async def test_a_muted_coinbase_symbol_uses_up_no_numbers() -> None:
    product: ProductKey = "coinbase/advanced"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client = await begin(running, product, ws)
        fault = arm(running, product, "mute", duration_ms=150)
        await eventually(lambda: fault.applied and fault.is_over())
        await feed(ws, client, 60)  # no Gap is raised


async def test_heartbeats_and_data_are_muted_apart() -> None:
    product: ProductKey = "coinbase/advanced"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        await begin(running, product, ws)
        fault = running.arm({"verb": "mute", "venue": "coinbase", "what": "data"})
        body = await until(ws, lambda frame: frame["channel"] == "heartbeats")
        number = body["sequence_num"]
        assert (await until(ws, lambda _: True))["sequence_num"] == number + 1
        running.faults.remove(fault.id)
        fault = running.arm({"verb": "mute", "venue": "coinbase", "what": "heartbeats"})
        while not fault.applied:
            assert json.loads(await receive(ws))["channel"] != "heartbeats"


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
        texts = [text for text in await drain(ws, 0.5) if '"status"' not in text]
        assert fault.applied == 1
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
            await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
            await until(ws, lambda body: body.get("action") == "snapshot")
            started = time.monotonic()
            with pytest.raises(ConnectionClosed):
                await ended(ws)
            assert 0.1 < time.monotonic() - started < 2
        assert fault.applied == 1
        async with socket(running, product, PATHS[product]) as ws:
            await begin(running, product, ws)


async def test_a_legal_reset_of_okx_keeps_the_chain() -> None:
    product: ProductKey = "okx/public"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        client, comparison = await begin(running, product, ws), Comparison(running)
        for _ in range(3):
            arm(running, product, "sequence_reset")
            arm(running, product, "keep_alive")
        await follow(ws, client, comparison, 10)
        assert client.resets == 3
        assert client.keep_alives == 3
        assert comparison.judge() == 10


async def test_other_sequences_jump() -> None:
    async with (
        simulator("binance/spot") as running,
        socket(running, "binance/spot", PATHS["binance/spot"]) as ws,
    ):
        client = await begin(running, "binance/spot", ws)
        arm(running, "binance/spot", "sequence_reset")
        with pytest.raises(Gap):
            await feed(ws, client)
    async with simulator("coinbase/advanced") as running, socket(running, "coinbase/advanced", "/") as ws:
        await begin(running, "coinbase/advanced", ws)
        running.arm({"verb": "sequence_reset", "venue": "coinbase/advanced"})
        await until(ws, lambda body: body["sequence_num"] == 0)


async def test_stale_snapshots_cannot_be_bridged_until_the_verb_is_over() -> None:
    product: ProductKey = "binance/spot"
    async with simulator(product) as running, socket(running, product, PATHS[product]) as ws:
        fault = arm(running, product, "stale_snapshot", count=3)
        client = NaiveBinance()
        for _ in range(3):
            client.on_frame(await receive(ws))
            _, body, _ = await get(running, product, "/api/v3/depth?symbol=BTCUSDT&limit=1000")
            kept = list(client.buffer)
            with pytest.raises(SnapshotTooOld):
                client.on_snapshot(body)
            client.last, client.buffer = None, kept
        assert fault.applied == 3
        client = NaiveBinance()
        comparison = Comparison(running)
        await binance_sync(running, product, client, ws, 1000)
        await follow(ws, client, comparison, 3)
        assert comparison.judge() == 3


async def test_slow_snapshots_and_slow_rest_wait() -> None:
    product: ProductKey = "binance/spot"
    async with simulator(product) as running:
        for verb in ("slow_snapshot", "slow_rest"):
            arm(running, product, verb, ms=300)
            started = time.monotonic()
            assert (await get(running, product, "/api/v3/depth?symbol=BTCUSDT"))[0] == 200
            assert time.monotonic() - started > 0.29
    async with simulator("okx/public") as running, socket(running, "okx/public", PATHS["okx/public"]) as ws:
        arm(running, "okx/public", "slow_snapshot", ms=300)
        await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        first = await until(ws, lambda body: "action" in body)
        assert first["action"] == "update"  # updates go on meanwhile
        await until(ws, lambda body: body.get("action") == "snapshot")


@pytest.mark.parametrize("product", ["coinbase/advanced", "kraken/spot", "okx/public"])
async def test_a_huge_snapshot_is_legal_and_true(product: ProductKey) -> None:
    async with (
        simulator(product, steps_per_s=50.0) as running,
        socket(running, product, PATHS[product]) as ws,
    ):
        arm(running, product, "huge_snapshot", mib=4)
        comparison = Comparison(running)
        client = await begin_counting(product, ws, comparison)
        largest = max(int(str(r["bytes"])) for r in running.truth.recent if r["type"] == "frame")
        assert largest >= 4 << 20
        assert comparison.judge() >= 1
        if product == "coinbase/advanced":
            assert len(client.book.bids) + len(client.book.asks) > 30_000


async def begin_counting(product: ProductKey, ws: ClientConnection, comparison: Comparison) -> AnyClient:
    match product:
        case "okx/public":
            client: AnyClient = NaiveOkx()
            await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        case "coinbase/advanced":
            client = NaiveCoinbaseAdvanced("BTC-USD")
            await send(ws, {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]})
        case _:
            client = NaiveKraken("BTC/USD", 10)
            await send(ws, {"method": "subscribe", "params": {"channel": "instrument"}})
            await send(ws, {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}})
    await follow(ws, client, comparison, 2)
    return client


async def test_rest_answers_with_a_status_and_retry_after() -> None:
    async with simulator("binance/spot") as running:
        date = "Wed, 21 Oct 2026 07:28:00 GMT"
        running.arm(
            {"verb": "http_status", "venue": "binance", "status": 503, "retry_after": date, "path": "time"}
        )
        status, body, headers = await get(running, "binance/spot", "/api/v3/time")
        assert (status, headers["Retry-After"]) == (503, date)
        assert "<html>" in body
        assert (await get(running, "binance/spot", "/api/v3/time"))[0] == 200


async def test_a_burst_is_faster_for_its_time() -> None:
    product: ProductKey = "coinbase/advanced"
    async with simulator(product, steps_per_s=20.0) as running, socket(running, product, "/") as ws:
        await begin(running, product, ws)
        before = running.venues[product].markets["BTC-USD"].steps
        arm(running, product, "burst", factor=50, duration_ms=300)
        started = time.monotonic()
        while time.monotonic() - started < 0.25:
            await receive(ws)
        assert running.venues[product].markets["BTC-USD"].steps - before > 100


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"verb": "explode"},
        {"verb": "drop", "colour": "red"},
        {"verb": "drop", "count": -1},
        {"verb": "drop", "count": "many"},
        {"verb": "keep_alive", "venue": "kraken"},
        {"verb": "sequence_reset", "venue": "coinbase/exchange"},
        {"verb": "bad_frame", "kind": "pink"},
        {"verb": "malformed_message", "kind": "pink"},
        {"verb": "suppress_delete", "symbol": "NOPE"},
    ],
)
async def test_requests_that_make_no_sense_are_refused_with_a_reason(request_: dict[str, object]) -> None:
    async with simulator("kraken/spot", "coinbase/exchange") as running:
        with pytest.raises(FaultRefused, match=r".{10}"):
            running.arm(request_)
        assert not running.faults


async def test_a_canonical_symbol_and_a_connection_select() -> None:
    product: ProductKey = "kraken/spot"
    async with (
        simulator(product) as running,
        socket(running, product, "/v2") as one,
        socket(running, product, "/v2") as two,
    ):
        first, second = await begin(running, product, one), await begin(running, product, two)
        fault = running.arm({"verb": "wrong_checksum", "symbol": "BTC-USD", "connection": 2})
        await feed(one, first, 30)
        with pytest.raises(WrongChecksum):
            await feed(two, second, 60)
        assert fault.applied == 1


def test_every_verb_of_the_table_has_a_summary() -> None:
    assert all(len(verb.summary) > 10 for verb in VERBS.values())
