"""Rows of FAULTS 3.B about continuity, in virtual time: frames of the documents in, encoded records out."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from datafacade.check.held import resident_bytes
from datafacade.check.sequence import duplicates, order
from tests.chaos.virtual.binance import Binance
from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.line import MS, Line
from tests.chaos.virtual.okx import Okx
from tests.chaos.virtual.scripts import CHAINED, SCRIPTS

pytestmark = pytest.mark.chaos


def assert_stayed_live(line: Line, symbol: str) -> None:
    """Hold that a book got LIVE once and never left it."""
    assert [state for state, _ in line.states(symbol)].count("LIVE") == 1
    assert line.states(symbol)[-1] == ("LIVE", "SYNCED")


def assert_orderly(line: Line) -> None:
    """Hold what every row demands of the bytes: I2 and I3."""
    assert str(order(line.story)).startswith("I3 holds")
    assert str(duplicates(line.story)).startswith("I2 holds")


@pytest.mark.proves("ROW-B03")
def test_okx_resets_of_the_sequence_are_no_gap() -> None:
    script, chance = Okx(), random.Random(3)
    line = Line(script).live()
    symbol = script.symbols[0]
    before = len(line.told(symbol))
    for _ in range(100):
        changes = script.markets[symbol].step()
        lower = chance.randrange(script.last[symbol])
        line.say(script.jump(symbol, changes, line.wall_ns, lower))
        for _ in range(3):
            line.change(symbol)
        assert line.equals_truth(symbol)
    news = line.told(symbol)[before:]
    resets = [one for one in news if one.update.venue_sequence < one.update.venue_sequence_previous]
    assert len(resets) == 100
    assert {one.kind for one in news} == {"book_delta"}
    assert len(news) == 400
    assert_stayed_live(line, symbol)
    assert_orderly(line)


@pytest.mark.proves("ROW-B04")
def test_okx_keep_alive_is_no_record_and_a_sign_of_life() -> None:
    script = Okx()
    line = Line(script, figures={"ping_ms": 0}).live()
    symbol = script.symbols[0]
    before = len(line.told(symbol, "book_delta", "gap", "book_snapshot"))
    for _ in range(10):
        line.wait(9_000)
        line.say(script.jump(symbol, [], line.wall_ns, script.last[symbol]))
    assert len(line.told(symbol, "book_delta", "gap", "book_snapshot")) == before
    assert_stayed_live(line, symbol)
    line.change(symbol)
    assert line.equals_truth(symbol)
    assert_orderly(line)
    line.wait(10_100)  # the control: silence without it is noticed
    assert ("STALE", "SILENT") in line.states(symbol)


@pytest.mark.proves("ROW-B05")
def test_okx_checksum_of_zero_is_never_compared_for_ten_minutes() -> None:
    script = Okx()
    line = Line(script).live()
    symbol = script.symbols[0]
    for _ in range(6_000):
        line.change(symbol, 2)
        line.clock.advance(99 * MS)
    assert line.clock.monotonic_ns() > 600_000 * MS
    assert_stayed_live(line, symbol)
    assert not line.told(symbol, "gap")
    assert line.equals_truth(symbol)


@pytest.mark.proves("ROW-B11")
@pytest.mark.parametrize("name", CHAINED)
def test_doubled_and_older_messages_are_ignored_and_counted(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    frames = []
    for _ in range(5):
        text = script.delta(symbol, script.markets[symbol].step(), line.wall_ns)
        frames.append(text)
        line.say(text)
    before = len(line.told(symbol))
    counted = count_duplicates(line, symbol)
    repeated = [frames[-1], frames[-1], frames[-3], frames[0]]
    if isinstance(script, Okx):
        repeated = [frames[-1], frames[-1]]  # its chain tells only that a message does not follow
    line.say(*repeated)
    assert line.told(symbol)[before:] == []
    assert count_duplicates(line, symbol) - counted == len(repeated)
    line.change(symbol)
    assert line.equals_truth(symbol)
    assert_stayed_live(line, symbol)
    assert_orderly(line)


def count_duplicates(line: Line, symbol: str) -> int:
    if isinstance(line.script, Coinbase):  # they are doubled messages of the connection, not of a book
        return int(line.feed.stats()["duplicates"])
    return line.counted(symbol, "duplicates")


@pytest.mark.proves("ROW-B12")
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("seed", range(5))
def test_swapped_messages_are_never_applied_out_of_order(name: str, seed: int) -> None:
    script = SCRIPTS[name]()
    line = Line(script, seed=seed).live()
    symbol, other = script.symbols
    market = script.markets[symbol]
    for _ in range(seed + 1):
        line.change(symbol)
    first, second = (script.delta(symbol, market.step(), line.wall_ns) for _ in range(2))
    line.answers = False  # both are on their way before any answer of the venue
    line.say(second, first)
    line.answers = True
    for command in line.held:
        line.answer(command)
    for _ in range(60):
        line.change(symbol)
        line.change(other)
        line.wait(100)
    broken = [state for state, _ in line.states(symbol) if state == "RESYNC"]
    assert len(broken) == 1, line.states(symbol)
    assert line.equals_truth(symbol)
    assert line.equals_truth(other)
    if name != "coinbase":  # its numbers count over the connection
        assert "RESYNC" not in dict(line.states(other))
    assert_orderly(line)


@pytest.mark.proves("ROW-B14")
@pytest.mark.parametrize("name", ["binance", "binance-usdm"])
def test_rest_snapshot_older_than_the_live_book_is_refused(name: str) -> None:
    script = SCRIPTS[name]()
    assert isinstance(script, Binance)
    line = Line(script)
    symbol, other = script.symbols
    line.answers = False
    line.open()
    for command in line.held[:1]:
        line.answer(command)
    old = script.snapshot(symbol)
    asked = [command[1] for command in line.held if command[0] == "fetch" and symbol in command[2]]
    for _ in range(5):
        line.change(symbol)
        line.change(other)
    line.answers = True
    for command in line.held[1:]:
        line.answer(command)
    for _ in range(20):
        line.change(symbol)
        line.wait(100)
    assert line.equals_truth(symbol)
    before = len(line.told(symbol))
    for request_id in [*asked, *(command[1] for command in line.of("fetch"))]:
        line.do(line.feed.on_response(request_id, 200, old, line.wall_ns))
    line.do(line.feed.on_recorded_snapshot(symbol, old, line.wall_ns))
    line.hear()
    assert line.told(symbol)[before:] == []
    assert line.equals_truth(symbol)
    line.change(symbol)
    assert line.equals_truth(symbol)
    assert_orderly(line)


@pytest.mark.proves("ROW-B13")
@pytest.mark.parametrize("name", ["binance", "binance-usdm"])
def test_stale_snapshots_are_fetched_again_for_ever_and_resync_stays_visible(name: str) -> None:
    script = SCRIPTS[name]()
    assert isinstance(script, Binance)
    line = Line(script).live()
    symbol = script.symbols[0]
    script.frozen[symbol] = script.snapshot(symbol)
    for _ in range(3):
        line.change(symbol)
    script.delta(symbol, script.markets[symbol].step(), line.wall_ns)  # lost
    before = len(snapshots(line))
    for _ in range(600):
        line.change(symbol)
        line.wait(99)
    assert line.states(symbol)[-1] == ("RESYNC", "SNAPSHOT_UNUSABLE")
    assert not line.is_live(symbol)
    assert 5 + 3 <= len(snapshots(line)) - before <= 5 + 4  # five quick tries, then one each 15 s
    del script.frozen[symbol]  # the snapshot becomes good
    healed = line.clock.monotonic_ns()
    while not line.is_live(symbol):
        line.change(symbol)
        line.wait(99)
        assert line.clock.monotonic_ns() - healed < 16_000 * MS
    assert line.equals_truth(symbol)
    assert_orderly(line)


def snapshots(line: Line) -> list[tuple[Any, ...]]:
    """Return the fetches of snapshots."""
    return [command for command in line.of("fetch") if command[4] == "snapshot"]


@pytest.mark.proves("ROW-B15")
def test_buffer_at_its_bound_starts_over_and_is_never_applied_in_part() -> None:
    script = Binance()
    line = Line(script)
    symbol = script.symbols[0]
    line.answers = False
    line.open()
    line.answer(line.held.pop(0))
    slow = [command for command in line.held if command[0] == "fetch" and symbol in command[2]]
    assert slow
    early = script.snapshot(symbol)
    before = resident_bytes()
    for _ in range(10):  # 10 s at 5,000 messages a second
        for _ in range(5_000):
            changes = script.markets[symbol].step(1)
            line.do(line.feed.on_frame(script.delta(symbol, changes, line.wall_ns).encode(), line.wall_ns))
        line.wait(1_000)
    assert resident_bytes() - before < 32 << 20
    assert ("SYNCING", "BUFFER_OVERFLOW") in line.states(symbol)
    for command in slow:
        line.do(line.feed.on_response(command[1], 200, early, line.wall_ns))
    line.hear()
    assert not line.told(symbol, "book_snapshot", "book_delta")
    line.answers = True
    for command in line.held:
        line.answer(command)
    start = time.monotonic()
    while not line.is_live(symbol):
        line.change(symbol)
        line.wait(99)
        assert time.monotonic() - start < 60
    assert line.equals_truth(symbol)
    assert_orderly(line)
