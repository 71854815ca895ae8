"""What a subscriber is told joins up by the venue's own numbers, and one venue frame is one whole."""

from __future__ import annotations

import json

import pytest

from datafacade.check.story import Told
from datafacade.client.mirror import Mirror
from tests.chaos.virtual.binance import Binance
from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.line import Line
from tests.chaos.virtual.market import Change
from tests.chaos.virtual.okx import Okx

pytestmark = pytest.mark.chaos


def mirrored(line: Line, symbol: str) -> Mirror:
    """Let the client's own mirror read what a book told; it raises where the numbers do not join."""
    mirror = Mirror(line.script.venue)
    for one in line.told(symbol, "book_snapshot", "book_delta", "checkpoint"):
        match one.kind:
            case "book_snapshot":
                mirror.on_snapshot(one.update)
            case "book_delta":
                mirror.on_delta(one.update)
            case _:
                mirror.on_checkpoint(one.update)
    return mirror


def numbers(told: list[Told]) -> list[tuple[int, int]]:
    return [(one.update.venue_sequence_previous, one.update.venue_sequence) for one in told]


@pytest.mark.parametrize("product", ["spot", "usdm"])
def test_binance_message_without_changes_is_told_since_it_moves_the_number(product: str) -> None:
    script = Binance(product=product)
    line = Line(script).live()
    symbol = script.symbols[0]
    news = line.change(symbol) + line.say(script.delta(symbol, [], line.wall_ns)) + line.change(symbol)
    deltas = [one for one in news if one.kind == "book_delta"]
    assert len(deltas) == 3
    assert not deltas[1].update.book_delta.ListFields()
    steps = numbers(deltas)
    assert [step[0] for step in steps[1:]] == [step[1] for step in steps[:-1]]
    assert line.equals_truth(symbol)
    assert mirrored(line, symbol).links_checked >= 3


def test_binance_message_that_overlaps_joins_the_last_number_told() -> None:
    script = Binance()
    line = Line(script).live()
    symbol = script.symbols[0]
    line.change(symbol)
    last = script.numbers[symbol]
    text = json.loads(script.delta(symbol, script.markets[symbol].step(), line.wall_ns))
    text["data"]["U"] = last - 1
    news = [one for one in line.say(json.dumps(text)) if one.kind == "book_delta"]
    assert numbers(news) == [(last, script.numbers[symbol])]
    line.change(symbol)
    assert line.equals_truth(symbol)
    assert mirrored(line, symbol).links_checked >= 3


def test_okx_keep_alive_that_moves_nothing_is_still_no_record() -> None:
    script = Okx()
    line = Line(script).live()
    symbol = script.symbols[0]
    assert line.say(script.jump(symbol, [], line.wall_ns, script.last[symbol])) == []


def test_two_events_of_one_coinbase_frame_leave_as_one_update() -> None:
    script = Coinbase()
    line = Line(script).live()
    symbol = script.symbols[0]
    market = script.markets[symbol]
    frames = []
    for _ in range(2):
        number = script.number
        frames.append(json.loads(script.delta(symbol, market.step(), line.wall_ns)))
        script.number = number
    frames[0]["events"] += frames[1]["events"]
    script.number += 1
    before = line.counted(symbol, "records")
    news = [one for one in line.say(json.dumps(frames[0])) if one.kind == "book_delta"]
    assert len(news) == 1
    assert news[0].update.venue_sequence == script.number - 1
    assert line.counted(symbol, "records") == before + 1
    assert line.equals_truth(symbol)
    line.change(symbol)
    assert line.equals_truth(symbol)
    mirrored(line, symbol)


def test_frame_that_crosses_and_uncrosses_the_book_is_one_whole() -> None:
    script = Coinbase()
    line = Line(script).live()
    symbol = script.symbols[0]
    market = script.markets[symbol]
    best_ask = min(change.price for change in market.top() if not change.is_bid)
    crossing = Change(is_bid=True, price=best_ask, quantity=5)
    back = Change(is_bid=True, price=best_ask, quantity=0)
    frame = json.loads(script.delta(symbol, [crossing], line.wall_ns))
    frame["events"] += json.loads(script.delta(symbol, [back], line.wall_ns))["events"]
    script.number -= 1
    line.say(json.dumps(frame))
    line.wait(200)
    assert line.equals_truth(symbol)
