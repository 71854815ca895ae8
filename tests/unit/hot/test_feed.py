"""The runner carries out what its Feed decides, whatever socket and venue do."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import pytest

from datafacade.clock import NS_PER_S, Clock, SystemClock
from datafacade.config import Breaker as Figures
from datafacade.config import Window
from datafacade.errors import DialFailed
from datafacade.guard.breaker import Breaker, BreakerState
from datafacade.guard.budget import Budget
from datafacade.hot.connection import Connection
from datafacade.hot.feed import FeedRunner, Line, dial_cause
from datafacade.hot.fetch import Fetcher
from datafacade.hot.ports import Command
from datafacade.hot.roll import RollFigures
from datafacade.types import Channel, FeedKey
from tests.unit.hot.fakes import FakeFeed, FakeRest, FakeSocket, answer, until
from tests.unit.virtual import in_virtual_time, virtual_clock

NOW: Command = ("connect", 0)


ROLL = RollFigures(ready_s=60, lost_s=60, retry_s=0.05, overlap_s=0.3)
HASTY = replace(ROLL, ready_s=0.5, lost_s=0.2)  # where a second connection never gets ready
BTC = ("BTC/USD", Channel.BOOK_L2)


class LateClock(SystemClock):
    """Runs a tenth slower than the loop, so that each timer of the loop rings too early for it."""

    def __init__(self) -> None:
        self._start_ns = time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._start_ns + (time.monotonic_ns() - self._start_ns) * 9 // 10


class Bench:
    """One runner with fakes around it."""

    def __init__(self, clock: Clock | None = None, roll: RollFigures = ROLL) -> None:
        self.feeds: list[FakeFeed] = []
        self.rest = FakeRest()
        self.sockets: list[FakeSocket] = []
        self.refusals: list[DialFailed] = []
        self.dials = 0
        self.dialled_at_ns = 0  # the newest dial, by the runner's clock
        self.clock = clock or SystemClock()
        self.breaker = Breaker(Figures(), clock=self.clock, random=Random(1))
        self.dials_budget = Budget([Window(limit=100, seconds=1)], clock=self.clock)
        self.runner = FeedRunner(
            FeedKey("kraken", "spot"),
            make=self.make,
            line=Line(
                dial=self.dial,
                dials=self.dials_budget,
                breaker=self.breaker,
            ),
            clock=self.clock,
            random=Random(1),
            roll=roll,
        )

    @property
    def feed(self) -> FakeFeed:
        """The first Feed."""
        return self.feeds[0]

    def make(self, predecessor: Connection | None = None) -> Connection:
        self.feeds.append(FakeFeed())
        self.feeds[-1].deadline = 0 if predecessor else 2**63 - 1
        return Connection(
            FeedKey("kraken", "spot"),
            feed=self.feeds[-1],
            fetcher=Fetcher(self.rest, venue="kraken", clock=self.clock),
            clock=self.clock,
            product="spot",
            url="wss://venue/ws",
            large_bytes=100,
        )

    async def dial(self) -> FakeSocket:
        self.dials += 1
        self.dialled_at_ns = self.clock.monotonic_ns()
        if self.refusals:
            raise self.refusals.pop(0)
        self.sockets.append(FakeSocket())
        return self.sockets[-1]

    async def open(self) -> FakeSocket:
        """Follow something and wait for the connection."""
        self.feed.plan("start", NOW)
        self.runner.subscribe(*BTC)
        await until(lambda: "on_opened" in self.feed.names())
        return self.sockets[-1]


@contextlib.asynccontextmanager
async def running(clock: Clock | None = None, roll: RollFigures = ROLL) -> AsyncIterator[Bench]:
    bench = Bench(clock, roll)
    task = asyncio.ensure_future(bench.runner.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_nothing_is_dialled_until_something_is_followed() -> None:
    async with running() as bench:
        await asyncio.sleep(0.01)
        assert bench.dials == 0
        await bench.open()
        assert bench.feed.names()[:2] == ["subscribe", "start"]


async def test_frames_reach_the_feed_in_order_with_their_time() -> None:
    async with running() as bench:
        socket = await bench.open()
        for number in range(600):
            socket.receive(b"%d" % number, number)
        await until(lambda: len(bench.feed.frames) == 600)
        frames = [call for call in bench.feed.calls if call[0] == "on_frame"]
        assert frames == [("on_frame", b"%d" % number, number) for number in range(600)]


async def test_subscribers_are_woken_at_the_end_of_every_turn() -> None:
    async with running() as bench:
        socket = await bench.open()
        for number in range(300):
            socket.receive(b"%d" % number, number)
        await until(lambda: len(bench.feed.frames) == 300)
        assert [at for at, is_held in enumerate(bench.feed.held) if not is_held] == [255, 299]


async def test_large_frames_go_to_the_worker_and_keep_their_place() -> None:
    async with running() as bench:
        socket = await bench.open()
        for frame in (b"a", b"large" * 100, b"b", b"LARGE" * 100, b"c"):
            socket.receive(frame)
        await until(lambda: len(bench.feed.frames) == 5)
        assert [frame[:1] for frame in bench.feed.frames] == [b"a", b"l", b"b", b"L", b"c"]
        assert bench.feed.names().count("on_large_frame") == 2


async def test_commands_are_carried_out() -> None:
    async with running() as bench:
        bench.feed.plan("on_opened", ("send", "subscribe"))
        bench.feed.plan("on_frame", ("fetch", 7, "/depth?x=1", 50, "snapshot"), ("send", "ping"))
        bench.rest.answers.put_nowait(answer(b"book", ts_recv=3))
        socket = await bench.open()
        socket.receive(b"x")
        await until(lambda: "on_response" in bench.feed.names())
        assert socket.sent == ["subscribe", "ping"]
        assert bench.rest.asked[0][0] == "/depth?x=1"
        assert ("on_response", 7, 200, b"book", 3) in bench.feed.calls


async def test_a_close_command_ends_the_connection_and_the_feed_hears_of_it() -> None:
    async with running() as bench:
        bench.feed.plan("on_frame", ("close", 1000, "sequence gap on the connection"))
        bench.feed.plan("on_closed", NOW)
        socket = await bench.open()
        socket.receive(b"x")
        await until(lambda: len(bench.sockets) == 2)
        assert socket.closes[0] == (1000, "sequence gap on the connection")
        assert ("on_closed", 1000, "sequence gap on the connection") in bench.feed.calls


@pytest.mark.proves("ROW-A02")
async def test_the_venues_close_reaches_the_feed_and_its_delay_is_kept() -> None:
    async with running() as bench:
        bench.feed.plan("on_closed", ("connect", 50_000_000))
        socket = await bench.open()
        started = asyncio.get_running_loop().time()
        socket.end(1012, "restart")
        await until(lambda: len(bench.sockets) == 2)
        assert ("on_closed", 1012, "restart") in bench.feed.calls
        assert asyncio.get_running_loop().time() - started >= 0.05


async def test_without_followers_the_connection_is_closed_and_not_made_again() -> None:
    async with running() as bench:
        bench.feed.plan("on_closed", NOW)
        socket = await bench.open()
        bench.runner.unsubscribe("BTC/USD", Channel.BOOK_L2)
        await until(lambda: "on_closed" in bench.feed.names())
        await asyncio.sleep(0.02)
        assert socket.closes
        assert bench.dials == 1
        bench.runner.subscribe("BTC/USD", Channel.TRADES)
        await until(lambda: bench.dials == 2)


@pytest.mark.proves("ROW-A05")
async def test_a_failed_dial_is_told_and_tried_again_when_the_feed_says() -> None:
    async with running() as bench:
        bench.refusals = [DialFailed("TIMEOUT", "no connection within 5 s"), DialFailed("DNS", "x")]
        bench.feed.plan("on_dial_failed", NOW)
        bench.feed.plan("on_dial_failed", NOW)
        await bench.open()
        told = [call for call in bench.feed.calls if call[0] == "on_dial_failed"]
        assert [call[1] for call in told] == ["dial_failed", "dial_failed"]
        assert bench.breaker.failures == 0  # the network's doing: backoff is enough


@pytest.mark.proves("ROW-A05")
async def test_no_dial_comes_before_its_time_though_the_timer_rings_early() -> None:
    async with running(LateClock()) as bench:
        bench.refusals = [DialFailed("TIMEOUT", "no connection within 5 s")]
        bench.feed.plan("on_dial_failed", ("connect", 50_000_000))
        due: list[int] = []

        def failed(name: str) -> None:
            if name == "on_dial_failed":
                due.append(bench.clock.monotonic_ns() + 50_000_000)

        bench.feed.on_call = failed
        await bench.open()
        assert bench.dials == 2
        assert bench.dialled_at_ns >= due[0]


@pytest.mark.proves("ROW-A08")
def test_a_venue_that_names_a_time_is_not_dialled_before_it() -> None:
    async def dial() -> None:
        clock = virtual_clock()
        async with running(clock) as bench:
            bench.refusals = [DialFailed("HTTP", "HTTP status 429", http_status=429, retry_after_s=10)]
            bench.feed.plan("on_dial_failed", NOW)
            started = clock.time()
            await bench.open()
            assert 10 <= clock.time() - started <= 10 * 1.1 + 0.1
            told = next(call for call in bench.feed.calls if call[0] == "on_dial_failed")
            assert told[1] == "rate_limited"
            assert isinstance(told[3], int)
            assert 10e9 <= told[3] <= 11e9  # so the state of the topics says until when

    in_virtual_time(dial())


@pytest.mark.proves("ROW-A08")
def test_the_other_lines_of_a_venue_wait_too_and_those_of_other_venues_do_not() -> None:
    async def dial() -> None:
        clock = virtual_clock()
        async with running(clock) as bench, running(clock) as other:
            bench.dials_budget.block(20)
            started = clock.time()
            await other.open()
            assert clock.time() - started < 1
            await bench.open()
            assert clock.time() - started >= 20

    in_virtual_time(dial())


@pytest.mark.proves("ROW-A08")
async def test_refusals_without_a_time_are_told_with_that_of_the_breaker() -> None:
    async with running() as bench:
        bench.refusals = [DialFailed("HTTP", "HTTP status 403", http_status=403) for _ in range(5)]
        for _ in range(5):
            bench.feed.plan("on_dial_failed", NOW)
        bench.feed.plan("start", NOW)
        bench.runner.subscribe(*BTC)
        await until(lambda: bench.breaker.state() is BreakerState.OPEN)
        told = [call for call in bench.feed.calls if call[0] == "on_dial_failed"]
        assert [call[1] for call in told] == ["upgrade_refused"] * 5
        assert [call[3] for call in told[:4]] == [0] * 4
        wait_ns = told[4][3]
        assert isinstance(wait_ns, int)
        assert 53e9 < wait_ns <= 66e9


@pytest.mark.proves("ROW-A06")
async def test_five_refusals_open_the_breaker() -> None:
    async with running() as bench:
        bench.refusals = [DialFailed("TLS", "certificate verify failed") for _ in range(9)]
        for _ in range(9):
            bench.feed.plan("on_dial_failed", NOW)
        bench.feed.plan("start", NOW)
        bench.runner.subscribe("BTC/USD", Channel.BOOK_L2)
        await until(lambda: bench.breaker.state() is BreakerState.OPEN)
        await asyncio.sleep(0.02)
        assert bench.dials == 5


@pytest.mark.proves("ROW-A15")
async def test_broken_protocol_counts_against_the_venue_although_each_dial_succeeds() -> None:
    async with running() as bench:
        await bench.open()
        for number in range(5):
            bench.feed.plan("on_closed", NOW)
            await until(lambda count=number: len(bench.sockets) == count + 1)  # type: ignore[misc]
            bench.sockets[-1].end(1002, "reserved bits must be 0")
        await until(lambda: bench.breaker.state() is BreakerState.OPEN)


@pytest.mark.proves("ROW-H01")
async def test_a_fault_of_ours_restarts_this_connection_only() -> None:
    async with running() as bench:
        socket = await bench.open()

        def fail(name: str) -> None:
            if name == "on_frame":
                raise RuntimeError("planted")

        bench.feed.on_call = fail
        bench.feed.plan("on_closed", NOW)
        socket.receive(b"x")
        await until(lambda: len(bench.sockets) == 2)
        assert ("on_closed", 1011, "internal fault") in bench.feed.calls


async def test_the_feed_is_ticked_when_it_says_with_and_without_a_connection() -> None:
    async with running() as bench:
        bench.feed.deadline = 0
        await bench.open()
        await until(lambda: bench.feed.ticks > 3)
        bench.feed.plan("on_closed", ("connect", 60_000_000_000))
        bench.sockets[-1].end()
        await until(lambda: "on_closed" in bench.feed.names())
        before = bench.feed.ticks
        await until(lambda: bench.feed.ticks > before + 3)


@pytest.mark.proves("ROW-H06")
@pytest.mark.proves("ROW-E19")
async def test_after_a_pause_the_feed_hears_of_the_time_before_any_frame() -> None:
    async with running() as bench:
        socket = await bench.open()
        bench.feed.deadline = bench.clock.monotonic_ns() + 50_000_000
        bench.runner._current._tick()
        bench.feed.calls.clear()
        for number in range(3):
            socket.receive(b"%d" % number)
        time.sleep(0.3)  # noqa: ASYNC251  the loop is blocked on purpose
        await until(lambda: len(bench.feed.frames) == 3)
        assert [call[0] for call in bench.feed.calls][:2] == ["on_tick", "on_frame"]


async def test_while_a_worker_is_inside_nobody_waits_for_the_feed() -> None:
    async with running() as bench:
        bench.feed.deadline = 0
        socket = await bench.open()
        inside, release = threading.Event(), threading.Event()

        def on_call(name: str) -> None:
            if name == "on_large_frame":
                inside.set()
                release.wait(60)

        bench.feed.on_call = on_call
        socket.receive(b"large" * 100)
        await asyncio.to_thread(inside.wait)
        ticks = bench.feed.ticks
        bench.runner.stats()
        await asyncio.sleep(0.1)
        assert bench.feed.ticks == ticks
        release.set()
        await until(lambda: bench.feed.ticks > ticks)


async def test_a_large_answer_goes_to_the_worker() -> None:
    async with running() as bench:
        bench.feed.plan("on_opened", ("fetch", 3, "/depth", 50, "snapshot"))
        bench.rest.answers.put_nowait(answer(b"x" * 101, ts_recv=8))
        await bench.open()
        await until(lambda: ("on_large_response", 3, 200, 101, 8) in bench.feed.calls)


# Renewal


async def rolling(bench: Bench) -> tuple[FakeFeed, FakeSocket]:
    """Open, let the Feed ask for a renewal, and return the second Feed with its socket."""
    await bench.open()
    bench.feed.roll_cause = "lifetime"
    bench.feed.deadline = 0
    bench.runner._current._tick()
    await until(lambda: len(bench.sockets) == 2)
    return bench.feeds[1], bench.sockets[1]


@pytest.mark.proves("ROW-A09")
async def test_a_renewed_connection_takes_over_before_the_old_one_is_closed() -> None:
    async with running() as bench:
        new, socket = await rolling(bench)
        old = bench.sockets[0]
        await until(lambda: "take_over" in new.names())
        assert new.names()[:2] == ["subscribe", "on_opened"]
        bench.sockets[0].receive(b"still the old one's")
        await until(lambda: bench.feed.frames)
        new.is_taking = True
        await until(lambda: bench.runner.feed is new)
        await until(lambda: old.closes)
        overlap_ns = old.closed_at_ns - bench.runner._current.opened_at_ns
        assert overlap_ns / NS_PER_S + 0.01 >= ROLL.overlap_s
        assert old.closes[0] == (1000, "renewed")
        await until(lambda: len(bench.runner.connections) == 1)
        assert "on_closed" not in bench.feed.names()
        calls = len(bench.feed.calls)
        socket.receive(b"the new one's")
        bench.runner.subscribe("ETH/USD", Channel.TRADES)
        await until(lambda: new.frames)
        assert len(bench.feed.calls) == calls
        assert ("subscribe", "ETH/USD", 1, "") in new.calls
        assert bench.dials == 2


async def test_both_are_shown_and_follow_what_comes_meanwhile() -> None:
    async with running() as bench:
        new, _ = await rolling(bench)
        assert len(bench.runner.connections) == 2
        bench.runner.subscribe("ETH/USD", Channel.TRADES)
        for feed in bench.feeds:
            assert ("subscribe", "ETH/USD", 1, "") in feed.calls
        bench.runner.serve_cuts(object())
        assert "serve_cuts" in new.names()


async def test_a_second_connection_that_never_gets_ready_is_given_up_and_tried_again() -> None:
    async with running(roll=HASTY) as bench:
        _, socket = await rolling(bench)
        await until(lambda: socket.closes)
        assert bench.runner.feed is bench.feed
        assert not bench.sockets[0].closes
        await until(lambda: len(bench.sockets) == 3)


async def test_a_second_dial_that_fails_leaves_the_first_connection_alone() -> None:
    async with running() as bench:
        await bench.open()
        bench.refusals = [DialFailed("TCP", "refused")]
        bench.feed.roll_cause = "venue notice"
        bench.runner._current._tick()
        await until(lambda: bench.dials == 2)
        await until(lambda: len(bench.runner.connections) == 1)
        assert "on_dial_failed" not in bench.feed.names()
        assert bench.runner.is_open


@pytest.mark.proves("ROW-A10")
async def test_a_line_that_is_cut_meanwhile_leaves_its_topics_to_the_second() -> None:
    async with running() as bench:
        new, _ = await rolling(bench)
        bench.feed.plan("on_closed", NOW)
        bench.sockets[0].end(1001, "going away")
        await until(lambda: "on_closed" in bench.feed.names())
        new.is_taking = True
        await until(lambda: bench.runner.feed is new)
        await until(lambda: len(bench.runner.connections) == 1)
        assert bench.dials == 2


async def test_a_line_that_is_cut_while_the_second_is_stuck_is_dialled_again() -> None:
    async with running(roll=HASTY) as bench:
        await rolling(bench)
        bench.feed.plan("on_closed", NOW)
        bench.feed.roll_cause = None
        bench.sockets[0].end()
        await until(lambda: bench.feed.names().count("on_opened") == 2)
        assert bench.runner.feed is bench.feed


async def test_a_fault_in_taking_over_costs_the_renewal_only() -> None:
    async with running() as bench:

        def fail(name: str) -> None:
            if name == "take_over":
                raise RuntimeError("planted")

        await bench.open()
        bench.feed.roll_cause = "lifetime"
        bench.runner._current._tick()
        bench.feeds[1].on_call = fail
        await until(lambda: len(bench.sockets) == 2 and bench.sockets[1].closes)
        assert bench.runner.feed is bench.feed
        assert not bench.sockets[0].closes


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (DialFailed("TLS", ""), "tls"),
        (DialFailed("HTTP", "", http_status=429), "rate_limited"),
        (DialFailed("HTTP", "", http_status=503, retry_after_s=1.0), "rate_limited"),
        (DialFailed("HTTP", "", http_status=403), "upgrade_refused"),
        (DialFailed("TCP", ""), "dial_failed"),
    ],
)
def test_the_core_is_told_why_in_its_own_words(error: DialFailed, cause: str) -> None:
    assert dial_cause(error) == cause
