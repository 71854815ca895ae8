"""Seeded markets: reproducible, never crossed, every change told."""

import pytest

from datafacade.sim.books import Book
from datafacade.sim.listings import PRODUCTS, instrument
from datafacade.sim.market import Market
from datafacade.sim.moves import LEVELS_FAR_MAX, deepen, jump_through_asks


def make(seed: int = 7, *, base: str = "BTC", depth: int = 60, product: str = "kraken/spot") -> Market:
    key = next(name for name in PRODUCTS if name == product)
    return Market(instrument(key, base), seed, depth)


def test_the_same_seed_gives_the_same_market() -> None:
    one, two = make(), make()
    for number in range(2_000):
        assert one.step(number) == two.step(number)
    assert one.book.text() == two.book.text()
    assert (one.update_id, one.trade_id, one.fair) == (two.update_id, two.trade_id, two.fair)


def test_another_seed_gives_another_market() -> None:
    one, two = make(1), make(2)
    for number in range(50):
        one.step(number)
        two.step(number)
    assert one.book.text() != two.book.text()


@pytest.mark.parametrize("base", ["BTC", "SHIB", "DOGE", "NAMELESS"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_the_book_is_never_crossed_and_its_changes_are_complete(product: str, base: str) -> None:
    market = make(base=base, product=product)
    told = market.book.copy()
    last_trade = market.trade_id
    for number in range(1_500):
        before = market.update_id
        step = market.step(number)
        told.apply(step.changes)
        assert not market.book.is_crossed()
        assert market.update_id - before == len(step.changes)
        for trade in step.trades:
            assert trade.trade_id == last_trade + 1
            last_trade = trade.trade_id
            assert trade.quantity > 0
            assert trade.price > 0
    assert told.text() == market.book.text()
    assert len(market.book.bids) > 10
    assert len(market.book.asks) > 10


def test_venues_agree_on_the_price_of_an_asset() -> None:
    markets = [make(product=product, base="ETH") for product in PRODUCTS]
    for number in range(3_000):
        for market in markets:
            market.step(number)
    prices = [market.fair / 10**market.instrument.price_scale for market in markets]
    assert max(prices) / min(prices) < 1.001


def test_a_jump_through_asks_crosses_only_who_misses_the_deletions() -> None:
    market = make()
    deaf = market.book.copy()
    groups = list(jump_through_asks(market, 2))
    assert [len(group) for group in groups] == [2, 1]
    assert not market.book.is_crossed()
    deaf.apply(groups[1])
    assert deaf.is_crossed()


def test_far_levels_are_told_and_bounded() -> None:
    market = make(product="coinbase/advanced")
    told: Book = market.book.copy()
    told.apply(deepen(market, 2_000))
    assert told.text() == market.book.text()
    assert len(market.book.bids) + len(market.book.asks) > 2_000
    deepen(market, 10 * LEVELS_FAR_MAX)
    assert len(market.book.asks) == LEVELS_FAR_MAX
