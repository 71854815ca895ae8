"""Rows B08, B09 and B28: odd numbers, books of limited depth, numbers at the limits. In virtual time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datafacade.check.names import BOOK, TRADES
from datafacade.v1 import types_pb2
from tests.chaos.harness.tier import IS_FULL
from tests.chaos.virtual.binance import Binance
from tests.chaos.virtual.kraken import Kraken
from tests.chaos.virtual.line import Line
from tests.chaos.virtual.market import Change, Market, decimal, trimmed
from tests.chaos.virtual.okx import Okx
from tests.chaos.virtual.script import dump
from tests.chaos.virtual.scripts import SCRIPTS

pytestmark = pytest.mark.chaos

UPDATES: Final = 100_000 if IS_FULL else 10_000  # the Rust test of this row makes 100,000 on every run


@pytest.mark.timeout(300)
@pytest.mark.proves("ROW-B08")
def test_kraken_checksums_of_an_independent_formatter_all_match() -> None:
    script = Kraken(symbols=("BTC/USD",))
    script.markets["BTC/USD"].levels = 12
    line = Line(script, figures={"book_depth": 10}).live()
    symbol, market = script.symbols[0], script.markets["BTC/USD"]
    forms: set[str] = set()
    for number in range(UPDATES):
        changes = market.step(1)
        window = window_of(market, 10)
        text = script.message(symbol, "update", narrowed(changes, market, window), line.wall_ns)
        line.do(line.feed.on_frame(text.encode(), line.wall_ns))
        if number % 1_000 == 0:
            forms |= {form for form in ("e-", ".0,", '0}"', "00}") if form in text}
            line.hear()
    line.hear()
    assert line.is_live(symbol)
    assert [state for state, _ in line.states(symbol)].count("RESYNC") == 0
    proofs = line.feed.report()[script.canonical(symbol)]["proofs"]
    assert proofs["failed"] == 0
    assert proofs["checked"] >= UPDATES
    assert "e-" in forms
    assert "00}" in forms


def window_of(market: Market, depth: int) -> set[tuple[bool, int]]:
    """Return the best prices a side."""
    return {(change.is_bid, change.price) for change in market.top(depth)}


def narrowed(changes: list[Change], market: Market, window: set[tuple[bool, int]]) -> list[Change]:
    """Return what Kraken tells a client of this depth: deletions, and all that stands in the window."""
    told = {(change.is_bid, change.price): change for change in changes if change.quantity == 0}
    for change in market.top():
        if (change.is_bid, change.price) in window:
            told[change.is_bid, change.price] = change
    return list(told.values())


@pytest.mark.proves("ROW-B09")
@pytest.mark.parametrize("depth", [10, 25])
@pytest.mark.parametrize("seed", range(4))
def test_kraken_window_holds_no_ghost_when_levels_leave_and_come_back(depth: int, seed: int) -> None:
    script = Kraken(symbols=("BTC/USD",))
    script.markets = {"BTC/USD": Market(seed=seed, levels=40)}
    line = Line(script, figures={"book_depth": depth}).live()
    symbol, market = script.symbols[0], script.markets["BTC/USD"]
    returned = 0
    held = window_of(market, depth)
    gone: set[tuple[bool, int]] = set()
    for _ in range(400):
        before = {(change.is_bid, change.price): change.quantity for change in market.top(depth)}
        changes = market.step(2)
        after = {(change.is_bid, change.price): change.quantity for change in market.top(depth)}
        told = [Change(*key, quantity) for key, quantity in after.items() if before.get(key) != quantity]
        told += [
            change for change in changes if change.quantity == 0 and (change.is_bid, change.price) in before
        ]
        gone |= held - after.keys()
        returned += len(gone & after.keys())
        gone -= after.keys()
        held = set(after)
        if told:
            line.say(script.message(symbol, "update", told, line.wall_ns))
        assert line.equals_truth(symbol, depth)
    assert returned > 20  # else nothing was tried
    assert "RESYNC" not in dict(line.states(symbol))


@pytest.mark.proves("ROW-B09")
def test_okx_window_is_the_venues_own_deletions() -> None:
    script = Okx(symbols=("BTC-USDT",))
    script.markets = {"BTC-USDT": Market(seed=5, levels=60)}
    market, symbol, depth = script.markets["BTC-USDT"], "BTC-USDT", 50
    line = Line(script)
    line.answers = False
    line.open()
    line.answers = True
    line.say(script.message(symbol, "snapshot", market.top(depth), line.wall_ns, -1, script.last[symbol]))
    for _ in range(300):
        before = {(change.is_bid, change.price): change.quantity for change in market.top(depth)}
        market.step(3)
        after = {(change.is_bid, change.price): change.quantity for change in market.top(depth)}
        told = [Change(*key, quantity) for key, quantity in after.items() if before.get(key) != quantity]
        told += [Change(*key, 0) for key in before.keys() - after.keys()]
        line.say(script.delta(symbol, told, line.wall_ns))
        assert line.equals_truth(symbol, depth)


# B28


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Return a positive decimal text of up to 18 digits, at any place."""
    digits = draw(st.integers(1, 10**18 - 1))
    return decimal(digits, draw(st.integers(0, 18)))


LIMITS: Final = {  # scale of prices, scale of quantities, middle of the book
    "eighteen decimals": (18, 18, 650_000),
    "eighteen digits before the point": (0, 0, 10**18 - 1_000),
    "eighteen digits in all": (8, 8, 10**18 - 1_000),
    "one unit is the best price": (8, 18, 80),
}


@pytest.mark.proves("ROW-B28")
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("limit", LIMITS)
def test_books_at_the_limits_of_their_numbers_are_exact(name: str, limit: str) -> None:
    script = SCRIPTS[name]()
    prices, quantities, middle = LIMITS[limit]
    for symbol in script.symbols:
        market = Market(seed=4, levels=20, price_scale=prices, quantity_scale=quantities, middle=middle)
        script.markets[symbol] = market
    line = Line(script).live()
    symbol = script.symbols[0]
    for _ in range(50):
        line.change(symbol)
        assert line.equals_truth(symbol)
    assert "RESYNC" not in dict(line.states(symbol))


@pytest.mark.proves("ROW-B28")
@pytest.mark.parametrize("name", SCRIPTS)
def test_level_of_one_quintillionth_stands_beside_usual_ones(name: str) -> None:
    script = SCRIPTS[name]()
    for symbol in script.symbols:
        script.markets[symbol] = Market(seed=4, levels=3, price_scale=2, quantity_scale=18)
    line = Line(script).live()
    symbol = script.symbols[0]
    line.tell(symbol, Change(True, script.markets[symbol].best(is_bid=True), 1))
    line.tell(symbol, Change(False, script.markets[symbol].best(is_bid=False), 9 * 10**17))
    assert line.equals_truth(symbol)
    tiny = line.told(symbol, "book_delta")[-2].update
    assert Decimal(tiny.book_delta.bid_quantities[0]).scaleb(tiny.quantity_exponent) == Decimal("1e-18")


@pytest.mark.proves("ROW-B28")
@settings(max_examples=200)
@given(price=numbers(), quantity=numbers())
@example(price="0.000000000000000001", quantity="100000000000000000")
@example(price="100", quantity="0.10")
def test_any_number_of_a_trade_is_exact(price: str, quantity: str) -> None:
    script = Binance()
    line = Line(script, channels=(TRADES,)).open()
    symbol = script.symbols[0]
    trade = {
        "e": "trade",
        "E": 1,
        "s": symbol,
        "t": 7,
        "p": price,
        "q": quantity,
        "T": 1,
        "m": True,
        "M": True,
    }
    line.say(dump({"stream": "btcusdt@trade", "data": trade}))
    update = line.told(symbol, "trade", channel=TRADES)[0].update  # eighteen digits fit at some exponent
    assert Decimal(update.trade.price).scaleb(update.price_exponent) == Decimal(price)
    assert Decimal(update.trade.quantity).scaleb(update.quantity_exponent) == Decimal(quantity)


@pytest.mark.proves("ROW-B28")
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("is_bid", [True, False])
def test_side_with_one_level_or_none_is_a_book(name: str, left: int, is_bid: bool) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    prices = sorted(script.markets[symbol].side(is_bid=is_bid))
    line.tell(symbol, *(Change(is_bid, price, 0) for price in prices[left:]))
    assert line.equals_truth(symbol)
    assert len(script.markets[symbol].side(is_bid=is_bid)) == left
    line.tell(symbol, Change(is_bid, prices[-1], 5))
    assert line.equals_truth(symbol)


@pytest.mark.parametrize(
    ("make", "text"),
    [(lambda: trimmed("0.500"), "0.5"), (lambda: decimal(10**18, 18), "1.000000000000000000")],
)
def test_witness_writes_numbers_as_expected(make: Callable[[], str], text: str) -> None:
    assert make() == text
    assert BOOK == types_pb2.CHANNEL_BOOK_L2
