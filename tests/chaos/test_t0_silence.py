"""Rows about silence, in virtual time: mute streams, quiet markets, pauses, REST while the line is down."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from datafacade.check.names import BOOK, TRADES
from datafacade.check.story import Told
from datafacade.v1 import stream_pb2, types_pb2
from tests.chaos.virtual.binance import Binance
from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.kraken import Kraken
from tests.chaos.virtual.line import MS, Line
from tests.chaos.virtual.okx import Okx
from tests.chaos.virtual.script import Script, dump
from tests.chaos.virtual.scripts import SCRIPTS
from tests.chaos.virtual.tape import Tape

pytestmark = pytest.mark.chaos

FALLBACK: Final = types_pb2.UPDATE_FLAG_REST_FALLBACK
STALE_MS: Final = 5_000


class Bed:
    """A line with two markets, of books and of trades. What is muted happens, and is not told."""

    def __init__(self, name: str) -> None:
        self.script: Script = SCRIPTS[name]()
        self.symbol, self.other = self.script.symbols
        self.tapes = {one: Tape(self.script, one) for one in self.script.symbols}
        self.line = Line(self.script, channels=(BOOK, TRADES), rest=self.rest)
        self.mute: set[tuple[str, int]] = set()
        self.sequence = 1
        self.line.live()

    def rest(self, path: str) -> bytes:
        """Answer for the market that is named."""
        old = {one: one.replace("BTC/", "XBT").replace("/", "") for one in self.script.symbols}
        for one, tape in self.tapes.items():
            if f"={one}" in path or f"={old[one]}" in path or f"/{one}/" in path:
                return tape.rest(path)
        raise AssertionError(path)

    def pulse(self) -> str | None:
        """Return what a venue sends whatever happens in its markets."""
        self.sequence += 1
        match self.script:
            case Binance():  # the canary, which is followed always
                data = {"u": self.sequence, "s": "BTCUSDT", "b": "1.0", "B": "1", "a": "2.0", "A": "1"}
                return dump({"stream": "btcusdt@bookTicker", "data": data})
            case Coinbase():
                return self.script.heartbeat(self.line.wall_ns)
            case Kraken():
                return dump({"channel": "heartbeat"})
        return None

    def happen(self, symbol: str, channel: int) -> None:
        """Let something happen in a market, and the venue tell it unless it is mute."""
        line = self.line
        if channel == BOOK:
            text = self.script.delta(symbol, self.script.markets[symbol].step(), line.wall_ns)
        else:
            text = self.tapes[symbol].frame(self.tapes[symbol].trade(line.wall_ns))
        if line.is_open and (symbol, channel) not in self.mute:
            line.say(text)
        elif isinstance(self.script, Coinbase) and line.is_open:
            self.script.number -= 1  # a message that was never sent has no number

    def live(self, ms: int, *, is_quiet: bool = False, step_ms: int = 200) -> None:
        """Let time pass in which both markets move."""
        for at in range(ms // step_ms):
            if self.line.is_open and at * step_ms % 1_000 == 0 and (text := self.pulse()):
                self.line.say(text)
            for symbol in self.script.symbols:
                if not is_quiet:
                    self.happen(symbol, BOOK)
                    self.happen(symbol, TRADES)
            self.line.wait(step_ms)

    def states(self, symbol: str, channel: int) -> list[tuple[str, str]]:
        """Return states and reasons of a topic."""
        return [state_of(one) for one in self.line.told(symbol, "stream_state", channel=channel)]

    def alarms(self) -> list[tuple[str, str]]:
        """Return all that was told to be stale."""
        return [
            state
            for symbol in self.script.symbols
            for channel in (BOOK, TRADES)
            for state in self.states(symbol, channel)
            if state[0] == "STALE"
        ]


def state_of(told: Told) -> tuple[str, str]:
    """Return state and reason in plain words."""
    state = told.update.stream_state
    return (
        types_pb2.State.Name(state.state).removeprefix("STATE_"),
        types_pb2.StateReason.Name(state.reason).removeprefix("STATE_REASON_"),
    )


def sent(line: Line, word: str) -> list[tuple[Any, ...]]:
    """Return the texts that were sent with a word in them."""
    return [command for command in line.of("send") if word in command[1].lower()]


@pytest.mark.proves("ROW-B24")
@pytest.mark.parametrize("channel", [BOOK, TRADES])
@pytest.mark.parametrize("name", SCRIPTS)
def test_one_mute_stream_is_told_stale_in_time_and_asked_for_anew(name: str, channel: int) -> None:
    bed = Bed(name)
    bed.live(20_000)
    assert not bed.alarms()
    asked = len(sent(bed.line, "unsubscribe"))
    onset = bed.line.clock.monotonic_ns()
    bed.mute.add((bed.symbol, channel))
    for _ in range(50):
        bed.live(200)
        if len(sent(bed.line, "unsubscribe")) > asked:
            break
    bed.mute.clear()  # asked anew, the venue sends again
    stale = next(
        one
        for one in bed.line.told(bed.symbol, "stream_state", channel=channel)
        if state_of(one) == ("STALE", "SILENT")
    )
    assert stale.t_mono_ns - onset <= (STALE_MS + 1_000) * MS
    assert len(sent(bed.line, "unsubscribe")) == asked + 1, "the item is asked for anew within 10 s"
    bed.live(2_000)
    assert not bed.line.of("close")
    other = [state for one in (BOOK, TRADES) for state in bed.states(bed.other, one)]
    assert not [state for state in other if state[0] == "STALE"], "nobody else is touched"
    bed.live(8_000)
    assert bed.states(bed.symbol, channel)[-1][0] == "LIVE"
    if channel == BOOK:
        assert bed.line.equals_truth(bed.symbol)
    else:
        told = [one.update.trade.trade_id for one in bed.line.told(bed.symbol, "trade", channel=TRADES)]
        assert sorted(told) == sorted(bed.tapes[bed.symbol].known), "REST had what the stream left out"
        assert len(told) == len(set(told))


@pytest.mark.proves("ROW-B24")
@pytest.mark.parametrize("name", SCRIPTS)
def test_quiet_market_raises_no_alarm_in_thirty_minutes(name: str) -> None:
    bed = Bed(name)
    bed.live(20_000)
    chance = random.Random(5)
    for _ in range(30):
        bed.live(60_000, is_quiet=True, step_ms=1_000)
        if chance.random() < 0.3:
            bed.happen(bed.symbol, TRADES)
            bed.happen(bed.symbol, BOOK)
    assert not bed.alarms()
    assert not bed.line.of("close")
    questions = [command for command in bed.line.of("fetch") if command[4] == "probe"]
    assert 0 < len(questions) <= 240, "a quiet market is asked about ever less often"


@pytest.mark.proves("ROW-B24")
@pytest.mark.parametrize("name", ["okx", "kraken"])
def test_closed_market_is_never_stale(name: str) -> None:
    bed = Bed(name)
    bed.live(10_000)
    if isinstance(bed.script, Kraken):
        bed.line.say(bed.script.pairs("maintenance"))
    else:
        rows = [{"instId": symbol, "state": "suspend"} for symbol in bed.script.symbols]
        bed.line.say(dump({"arg": {"channel": "instruments", "instType": "SPOT"}, "data": rows}))
    before = len([command for command in bed.line.of("fetch") if command[4] == "probe"])
    bed.live(600_000, is_quiet=True, step_ms=1_000)
    assert not bed.alarms()
    of_topics = [command for command in bed.line.of("fetch") if command[4] == "probe"][before:]
    assert len(of_topics) <= 12, "only the connection is asked about"


@pytest.mark.proves("ROW-B25")
@pytest.mark.parametrize("name", SCRIPTS)
def test_connection_that_sends_nothing_but_signs_of_life_is_made_anew(name: str) -> None:
    bed = Bed(name)
    bed.live(20_000)
    onset = bed.line.clock.monotonic_ns()
    bed.mute = {(symbol, channel) for symbol in bed.script.symbols for channel in (BOOK, TRADES)}
    is_binance = isinstance(bed.script, Binance)
    for _ in range(150):
        if not is_binance and (text := bed.pulse()) and bed.line.is_open:
            bed.line.say(text)
        for symbol in bed.script.symbols:
            bed.happen(symbol, BOOK)
            bed.happen(symbol, TRADES)
        bed.line.wait(200)
        if bed.line.of("close"):
            break
    took_ms = (bed.line.clock.monotonic_ns() - onset) // MS
    assert took_ms <= (5_000 if is_binance else 30_000), "a canary, else the venue's REST"
    for symbol in bed.script.symbols:
        assert ("STALE", "SILENT") in bed.states(symbol, BOOK)
        assert ("STALE", "SILENT") in bed.states(symbol, TRADES)


@pytest.mark.proves("ROW-B25")
def test_canary_is_followed_beside_whatever_is_asked_for() -> None:
    bed = Bed("binance")
    assert any("btcusdt@bookticker" in command[1].lower() for command in bed.line.of("send"))
    assert not [one for one in bed.line.feed.topics() if one["channel"] == types_pb2.CHANNEL_TOP_OF_BOOK]


@pytest.mark.proves("ROW-E19", "ROW-H06")
@pytest.mark.parametrize("name", SCRIPTS)
def test_short_pause_is_told_before_any_data_and_loses_nothing(name: str) -> None:
    bed = Bed(name)
    bed.live(5_000)
    texts = []
    for _ in range(10):  # what the socket holds after the pause
        step = bed.script.markets[bed.symbol].step()
        texts.append(bed.script.delta(bed.symbol, step, bed.line.wall_ns))
    before = len(bed.line.story.order)
    bed.line.clock.advance(2_000 * MS)
    bed.line.say(*texts)
    news = [one for one in bed.line.story.order[before:] if one.is_topic_record]
    first: dict[tuple[str, int], Told] = {}
    for one in news:
        first.setdefault((one.update.symbol, one.update.channel), one)
    assert len(first) == 4, "every topic tells it"
    assert {state_of(one) for one in first.values()} == {("STALE", "PAUSED")}
    bed.live(1_000)
    assert not bed.line.of("close")
    assert bed.line.equals_truth(bed.symbol)
    assert bed.line.equals_truth(bed.other)
    for symbol in bed.script.symbols:
        assert bed.states(symbol, BOOK)[-2:] == [("STALE", "PAUSED"), ("LIVE", "SYNCED")]
        assert bed.states(symbol, TRADES)[-2:] == [("STALE", "PAUSED"), ("LIVE", "SYNCED")]
        assert not bed.line.told(symbol, "gap")


@pytest.mark.proves("ROW-H06")
@pytest.mark.parametrize("name", SCRIPTS)
def test_long_pause_makes_the_connection_anew(name: str) -> None:
    bed = Bed(name)
    bed.live(5_000)
    before = len(bed.line.story.order)
    text = bed.script.delta(bed.symbol, bed.script.markets[bed.symbol].step(), bed.line.wall_ns)
    bed.line.clock.advance(30_000 * MS)
    bed.line.say(text)
    news = [one for one in bed.line.story.order[before:] if one.is_topic_record]
    assert state_of(news[0]) == ("STALE", "PAUSED")
    assert [command[2] for command in bed.line.of("close")] == ["the process was paused"]
    assert not [one for one in news if one.kind == "book_delta"], "nothing is read of a doubtful line"
    bed.live(5_000)
    assert bed.line.is_open
    for symbol in bed.script.symbols:
        assert bed.line.equals_truth(symbol)


@pytest.mark.proves("ROW-H07")
@pytest.mark.parametrize("name", SCRIPTS)
def test_stepped_wall_clock_disturbs_no_timer(name: str) -> None:
    bed = Bed(name)
    bed.live(5_000)
    for step_s in (3_600, -7_200, -10, 30 * 86_400):
        clock = bed.line.clock
        clock.set(clock.wall_ns() + step_s * 10**9, clock.monotonic_ns())
        bed.live(3_000)
    assert not bed.alarms()
    assert not bed.line.of("close")
    assert bed.line.feed.stats()["clock_steps"] == 4
    assert bed.line.equals_truth(bed.symbol)


@pytest.mark.parametrize("name", SCRIPTS)
def test_rest_stands_in_while_the_socket_is_down_and_is_never_live(name: str) -> None:
    bed = Bed(name)
    bed.live(5_000)
    line = bed.line
    line.is_open = False
    line.do(line.feed.on_closed(1006, ""))
    line.dial_at = None  # the venue stays down
    before = len(line.story.order)
    for _ in range(12):
        line.wait(1_000)
        bed.script.markets[bed.symbol].step()
    stood_in = [one for one in line.story.order[before:] if one.update.flags & FALLBACK]
    books = [
        one
        for one in stood_in
        if one.kind == "book_snapshot" and one.update.symbol == line.topic(bed.symbol).symbol
    ]
    assert 2 <= len(books) <= 3, "each 5 s, from 1 s on"
    assert all(one.update.integrity == types_pb2.INTEGRITY_UNVERIFIABLE for one in books)
    assert not any(one.update.HasField("venue_sequence") for one in books), "nothing joins it"
    assert all(command[4] == "fallback" for command in line.of("fetch")[-4:])
    assert not line.is_live(bed.symbol)
    assert bed.states(bed.symbol, BOOK)[-1][0] == "DOWN"
    assert line.feed.stats()["is_fallback"]
    opened = line.told(bed.symbol, "gap")[-1].update
    assert opened.gap.state == stream_pb2.GAP_STATE_OPEN
    assert opened.seq < books[0].update.seq, "what the outage took is told first"
    line.open()
    bed.live(5_000)
    assert line.equals_truth(bed.symbol)
    closed = line.told(bed.symbol, "gap")[-1].update.gap
    assert (closed.gap_id, closed.state) == (opened.gap.gap_id, stream_pb2.GAP_STATE_LOST)
    assert not line.feed.stats()["is_fallback"]


def test_okx_keep_alive_is_data_of_its_book() -> None:
    bed = Bed("okx")
    assert isinstance(bed.script, Okx)
    bed.live(5_000)
    for _ in range(40):
        bed.line.say(bed.script.jump(bed.symbol, [], bed.line.wall_ns, bed.script.last[bed.symbol]))
        bed.line.wait(4_000)
    assert not [state for state in bed.states(bed.symbol, BOOK) if state[0] == "STALE"]
