"""Binance numbering against a naive client that bridges every snapshot as the sheet says."""

from random import Random

import pytest

from datafacade.sim.binance_depth import Batch, DepthState
from datafacade.sim.books import Book
from datafacade.sim.listings import ProductKey, instrument
from datafacade.sim.market import Market


def make(*, is_spot: bool, depth: int = 40) -> tuple[Market, DepthState]:
    product: ProductKey = "binance/spot" if is_spot else "binance/usdm"
    market = Market(instrument(product, "BTC"), 3, depth, 0.2, 1 if is_spot else 40)
    return market, DepthState(market, is_spot)


def run(market: Market, state: DepthState, steps: int) -> None:
    for number in range(steps):
        state.add(market.step(number).changes)


def bridges(batch: Batch, snapshot_id: int, *, is_spot: bool) -> bool:
    return batch.first <= snapshot_id + is_spot <= batch.last


@pytest.mark.parametrize("is_spot", [True, False])
def test_batches_chain_as_the_venue_documents(is_spot: bool) -> None:
    market, state = make(is_spot=is_spot)
    previous = state.fast.last
    for _ in range(200):
        run(market, state, 3)
        batch = state.take_fast()
        if batch is None:
            continue
        assert batch.previous == previous
        assert batch.first <= batch.last
        if is_spot:
            assert batch.first == previous + 1
        else:
            assert batch.first > previous
        previous = batch.last


@pytest.mark.parametrize("is_spot", [True, False])
@pytest.mark.parametrize("limit", [10, 1_000])
def test_every_snapshot_bridges_to_a_view_that_a_client_holds(is_spot: bool, limit: int) -> None:
    random = Random(5)
    market, state = make(is_spot=is_spot)
    relations = set()
    for _ in range(60):
        buffered: list[Batch] = []
        for _ in range(8):
            run(market, state, random.randint(1, 4))
            batch = state.take_fast()
            buffered += [batch] if batch else []
        run(market, state, random.randint(0, 3))
        at, cut = state.snapshot(limit, has_oddities=True)
        for _ in range(4):
            run(market, state, 2)
            batch = state.take_fast()
            buffered += [batch] if batch else []
        client, used = cut.copy(), 0
        usable = [b for b in buffered if (b.last > at if is_spot else b.last >= at)]
        assert bridges(usable[0], at, is_spot=is_spot)
        relations.add("equal" if any(b.last == at for b in buffered) else "inside")
        for batch in usable:
            client.apply(batch.rows)
            used += 1
        view = state.views[-1]
        wanted = market_at_last_batch(state) if view.is_whole else view.book
        assert client.text() == wanted.text()
        assert used
    assert relations == {"equal", "inside"}


def market_at_last_batch(state: DepthState) -> Book:
    return state.book_at(state.fast.last)[1]


def test_a_stale_snapshot_is_older_than_all_that_is_told_and_stays_so() -> None:
    market, state = make(is_spot=True)
    first = state.fast.last
    run(market, state, 50)
    at, _ = state.freeze()
    assert at < first
    run(market, state, 50)
    assert state.freeze()[0] == at


@pytest.mark.parametrize("is_spot", [True, False])
def test_a_skip_cannot_be_bridged(is_spot: bool) -> None:
    market, state = make(is_spot=is_spot)
    run(market, state, 5)
    before = state.take_fast()
    run(market, state, 2)
    state.skip(1_000)
    run(market, state, 2)
    after = state.take_fast()
    assert before is not None
    assert after is not None
    assert after.first > before.last + 1
    assert after.previous != before.last
    assert after.first <= after.last
