"""Verbs on frames do what they say; a naive client notices what its sheet can notice."""

import asyncio
import contextlib
import json
import time
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed

from datafacade.sim.faults import Fault
from datafacade.sim.listings import ProductKey
from datafacade.sim.rest_verbs import MALFORMED_KINDS
from datafacade.sim.simulator import Simulator
from datafacade.sim.verbs import UNKNOWN_KINDS
from tests.integration.sim.harness import (
    PATIENCE_S,
    drain,
    ended,
    eventually,
    receive,
    simulator,
    socket,
    until,
)
from tests.integration.sim.live_book import ALL, PATHS, PROVEN, SYMBOLS, arm, begin, feed
from tests.integration.sim.naive import Gap, StartOver, Undecodable, WrongChecksum


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
        fault = arm(running, product, "delay", ms=400)
        async with asyncio.timeout(PATIENCE_S):
            pause_s = 0.0
            while pause_s <= 0.35:  # a frame or two may be on their way before the one that is held back
                before = time.monotonic()
                await feed(ws, client, 1)
                pause_s = time.monotonic() - before
        await eventually(lambda: fault.applied == 1)
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
