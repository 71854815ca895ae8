"""A fault is aimed, refused with a reason, and told in the table of verbs."""

import time

import pytest

from datafacade.sim.faults import FaultRefused
from datafacade.sim.listings import ProductKey
from datafacade.sim.verbs import VERBS
from tests.integration.sim.harness import receive, simulator, socket
from tests.integration.sim.live_book import arm, begin, feed
from tests.integration.sim.naive import WrongChecksum


async def test_a_burst_is_faster_for_its_time() -> None:
    product: ProductKey = "coinbase/advanced"
    calm_hz = 20.0
    async with simulator(product, steps_per_s=calm_hz) as running, socket(running, product, "/") as ws:
        await begin(running, product, ws)
        market = running.venues[product].markets["BTC-USD"]
        before = market.steps
        arm(running, product, "burst", factor=50, duration_ms=300)
        started = time.monotonic()
        while time.monotonic() - started < 0.3:
            await receive(ws)
        assert market.steps - before > 2 * calm_hz * (time.monotonic() - started)


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
