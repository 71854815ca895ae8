"""Row B16 in virtual time: a crossed book is not LIVE, what it withheld is told, and halts are exempt."""

from __future__ import annotations

import pytest

from datafacade.check.sequence import order
from datafacade.v1 import stream_pb2
from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.kraken import Kraken
from tests.chaos.virtual.line import Line
from tests.chaos.virtual.market import Change
from tests.chaos.virtual.script import Script
from tests.chaos.virtual.scripts import CHAINED, SCRIPTS

pytestmark = pytest.mark.chaos

CROSSED = stream_pb2.GAP_CAUSE_CROSSED


def crossing(script: Script, symbol: str) -> Change:
    """Return a bid above the best ask."""
    market = script.markets[symbol]
    return Change(True, market.best(is_bid=False) + 1, 5)


@pytest.mark.proves("ROW-B16")
@pytest.mark.parametrize("name", SCRIPTS)
def test_book_that_uncrosses_by_itself_tells_what_it_withheld(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol, other = script.symbols
    before, fetches = len(line.told(symbol)), len(line.of("fetch"))
    bid = crossing(script, symbol)
    line.tell(symbol, bid)
    assert line.states(symbol)[-1] == ("RESYNC", "CROSSED")
    assert not line.is_live(symbol)
    deep = Change(True, min(script.markets[symbol].bids) - 3, 7)
    line.tell(symbol, deep)
    line.tell(symbol, bid._replace(quantity=0))
    news = line.told(symbol)[before:]
    assert [one.kind for one in news] == [
        "stream_state",
        "gap",
        "book_snapshot",
        "stream_state",
        "checkpoint",
    ]
    gap = news[1].update.gap
    assert gap.cause == CROSSED
    if name in ("binance", "binance-usdm", "okx"):
        previous = news[2].update.venue_sequence
        assert gap.venue_sequence_first <= previous == gap.venue_sequence_last
    assert line.equals_truth(symbol)
    assert len(line.of("fetch")) == fetches
    assert "RESYNC" not in dict(line.states(other))
    line.change(symbol)
    assert line.equals_truth(symbol)
    assert order(line.story).holds


def test_gap_of_a_book_crossed_in_the_middle_of_a_message_begins_with_that_message() -> None:
    script = Coinbase()
    line = Line(script).live()
    symbol = script.symbols[0]
    bid = crossing(script, symbol)
    deep = Change(True, min(script.markets[symbol].bids) - 3, 7)
    for change in (deep, bid):
        script.markets[symbol].apply(change)
    number = script.number
    line.say(script.split(symbol, (deep, bid), line.wall_ns))
    line.tell(symbol, bid._replace(quantity=0))
    gap = line.told(symbol, "gap")[-1].update.gap
    assert (gap.venue_sequence_first, gap.venue_sequence_last) == (number, number + 1)
    assert line.equals_truth(symbol)


@pytest.mark.proves("ROW-B16")
@pytest.mark.parametrize("name", CHAINED)
@pytest.mark.parametrize("by_time", [True, False])
def test_book_that_stays_crossed_is_fetched_anew(name: str, by_time: bool) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    bid = crossing(script, symbol)
    line.tell(symbol, bid)
    script.markets[symbol].apply(bid._replace(quantity=0))  # true again, and never told
    commands = len(line.commands)
    if by_time:
        line.wait(900)
        assert len(line.commands) == commands
        line.wait(200)
    else:
        for _ in range(9):
            assert len(line.commands) == commands
            line.tell(symbol, Change(True, min(script.markets[symbol].bids) - 3, 7))
        line.wait(200)  # texts keep the interval that the venue wants
    assert len(line.commands) > commands
    for _ in range(60):
        if line.is_live(symbol):
            break
        line.change(symbol)
        line.wait(100)
    assert line.equals_truth(symbol)
    causes = [one.update.gap.cause for one in line.told(symbol, "gap")]
    assert causes == [CROSSED]
    assert order(line.story).holds


@pytest.mark.proves("ROW-B16")
def test_halted_market_may_be_crossed_and_is_not_fetched_anew() -> None:
    script = Kraken()
    line = Line(script).live()
    symbol = script.symbols[0]
    line.say(script.pairs("maintenance"))
    assert line.states(symbol)[-1] == ("HALTED", "VENUE_STATUS")
    commands = len(line.of("send"))
    bid = crossing(script, symbol)
    line.tell(symbol, bid)
    for _ in range(15):
        line.change(symbol)
    line.wait(1_500)
    assert line.states(symbol)[-1] == ("HALTED", "VENUE_STATUS")
    assert len(line.of("send")) == commands
    assert not line.told(symbol, "gap")
    line.tell(symbol, bid._replace(quantity=0))
    line.say(script.pairs("online"))
    gap, snapshot, state = line.told(symbol)[-4:-1]
    assert [one.kind for one in (gap, snapshot, state)] == ["gap", "book_snapshot", "stream_state"]
    assert gap.update.gap.cause == stream_pb2.GAP_CAUSE_VENUE_STATUS
    assert line.equals_truth(symbol)
