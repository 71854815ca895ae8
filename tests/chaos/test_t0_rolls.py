"""A second line takes over: nothing is lost, nothing comes twice, whatever the delays (rows A09, A10)."""

from __future__ import annotations

import copy
from collections import deque
from random import Random
from typing import Any

import pytest

from datafacade._core import Feed
from datafacade.check.names import BOOK
from datafacade.check.sequence import duplicates, order
from tests.chaos.virtual.line import EPOCH, MS, Line
from tests.chaos.virtual.script import Script
from tests.chaos.virtual.scripts import SCRIPTS

OVERLAP_MS = 200


class Pair:
    """Two lines of one venue: both are told the same, each after a delay of its own."""

    def __init__(self, name: str, seed: int) -> None:
        self.random = Random(seed)
        self.line = Line(SCRIPTS[name](), figures={"overlap_ms": OVERLAP_MS}).live()
        self.twin: Script = copy.deepcopy(self.line.script)
        self.twin.markets = self.line.script.markets
        self.twin.opened()
        self.old = self.line.feed
        self.new = self._standby()
        self.queues: dict[str, deque[bytes]] = {"old": deque(), "new": deque()}
        self.said = 0
        self.is_done = False
        self.sent: list[tuple[Any, ...]] = []

    def _standby(self) -> Feed:
        script, line = self.line.script, self.line
        feed = Feed(
            venue=script.venue,
            product=script.product,
            hub=line.hub,
            clock=line.clock,
            epoch=EPOCH,
            figures=[("overlap_ms", OVERLAP_MS)],
            is_standby=True,
        )
        assert feed.adopt_instruments(self.old) == len(script.symbols)
        for symbol in script.symbols:
            feed.subscribe(symbol, BOOK)
        return feed

    def open(self) -> None:
        """Open the second connection, and let the venue answer all that it is asked."""
        self.do(self.new.on_opened())

    def do(self, commands: list[tuple[Any, ...]] | None) -> None:
        """Answer what the second line sends."""
        for command in commands or []:
            self.sent.append(command)
            assert command[0] == "send", f"a standby that meets no trouble only sends: {command}"
            frames = self.twin.answer(command[1], self.line.wall_ns)
            self.queues["new"] += [frame.encode() for frame in frames]

    def step(self) -> None:
        """Let the market move, or one of the lines deliver, or time pass."""
        choice = self.random.random()
        script, line = self.line.script, self.line
        if choice < 0.4:
            symbol = self.random.choice(script.symbols)
            changes = script.markets[symbol].step(self.random.randint(1, 4))
            self.queues["old"].append(script.delta(symbol, changes, line.wall_ns).encode())
            self.queues["new"].append(self.twin.delta(symbol, changes, line.wall_ns).encode())
            self.said += 1
        elif choice < 0.9:
            self.deliver("old" if self.random.random() < 0.5 else "new")
        else:
            line.clock.advance(self.random.randint(1, 20) * MS)
            line.do(self.old.on_tick())
            self.do(self.new.on_tick())
        self.meet()

    def deliver(self, which: str) -> None:
        """Let one frame of a line arrive."""
        queue = self.queues[which]
        if queue:
            self.line.clock.advance(MS // 10)
            frame = queue.popleft()
            if which == "old":
                self.line.do(self.old.on_frame(frame, self.line.wall_ns))
            else:
                self.do(self.new.on_frame(frame, self.line.wall_ns))
        self.line.hear()

    def deliver_all(self, which: str) -> None:
        """Let all frames of a line arrive."""
        while self.queues[which]:
            self.deliver(which)

    def meet(self) -> None:
        """Let the second line take over if it can."""
        if not self.is_done:
            self.is_done, commands = self.new.take_over(self.old)
            self.do(commands)
            self.line.hear()

    def heads(self) -> list[int]:
        """Return the newest number of each book."""
        script = self.line.script
        return [self.line.hub.head(script.venue, script.canonical(one), BOOK, "") for one in script.symbols]

    def drain(self) -> None:
        """Let everything arrive."""
        for _ in range(100_000):
            if not any(self.queues.values()):
                return
            for which in self.queues:
                self.deliver(which)
                self.meet()


@pytest.mark.proves("ROW-A09")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_change_is_told_once_whatever_the_delays_of_both_lines(name: str, seed: int) -> None:
    pair = Pair(name, seed)
    line = pair.line
    before = {symbol: len(line.told(symbol, "book_delta")) for symbol in line.script.symbols}
    states = {symbol: line.states(symbol) for symbol in line.script.symbols}
    pair.open()
    for _ in range(1_500):
        pair.step()
        if pair.is_done and pair.random.random() < 0.02:
            break
    pair.drain()
    assert pair.is_done, "the second line never took over"
    told = sum(len(line.told(symbol, "book_delta")) - before[symbol] for symbol in line.script.symbols)
    assert told == pair.said
    for symbol in line.script.symbols:
        assert line.equals_truth(symbol)
        assert not line.told(symbol, "gap")
        assert line.states(symbol) == states[symbol]  # a renewal is no change of state
    assert duplicates(line.story).holds
    assert order(line.story).holds


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_standby_publishes_nothing_and_its_figures_go_on(name: str) -> None:
    pair = Pair(name, 3)
    line = pair.line
    heads = pair.heads()
    frames = pair.old.stats()["frames"]
    pair.open()
    for _ in range(20):
        line.clock.advance(50 * MS)
        pair.do(pair.new.on_tick())
        pair.deliver_all("new")
    assert pair.heads() == heads
    pair.meet()
    line.clock.advance(OVERLAP_MS * MS)
    pair.meet()
    assert pair.is_done
    assert pair.new.stats()["frames"] >= frames
    assert not pair.old.topics()
    assert len(pair.new.topics()) == len(line.script.symbols)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_line_that_dies_during_the_renewal_is_followed_by_its_gap_and_the_truth(name: str) -> None:
    pair = Pair(name, 5)
    line = pair.line
    pair.open()
    for _ in range(20):
        line.clock.advance(50 * MS)
        pair.do(pair.new.on_tick())
        pair.deliver_all("new")
    line.do(pair.old.on_closed(1006, ""))
    for symbol in line.script.symbols:
        changes = line.script.markets[symbol].step(3)
        frame = pair.twin.delta(symbol, changes, line.wall_ns)
        line.do(pair.new.on_frame(frame.encode(), line.wall_ns))
    is_done, commands = pair.new.take_over(pair.old)
    assert is_done
    line.feed, line.script, line.rest = pair.new, pair.twin, pair.twin.rest
    line.do(commands)
    line.hear()
    for _ in range(100):
        if all(line.is_live(one) for one in line.script.symbols):
            break
        for one in line.script.symbols:
            if line.script.uses_rest and not line.is_live(one):
                line.change(one)
        line.wait(50)
    for one in line.script.symbols:
        assert line.equals_truth(one), line.states(one)
        assert line.told(one, "gap")
    assert order(line.story).holds


def test_a_connection_near_its_lifetime_wants_to_be_renewed_and_a_notice_too() -> None:
    line = Line(SCRIPTS["binance"](), figures={"lifetime_ms": 10_000, "liveness_ms": 100_000}).live()
    opened = line.clock.monotonic_ns()
    assert line.feed.roll_due() is None
    line.wait(9_200 - (line.clock.monotonic_ns() - opened) / MS)
    assert line.feed.roll_due() is None
    line.wait(600)
    assert line.feed.roll_due() == "lifetime"
