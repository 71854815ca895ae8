"""One connection in virtual time: the Feed, its hub, a subscriber of its books, and the venue's script.

Time stands still until ``wait``. Commands are executed at once, unless the test holds answers back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from datafacade._core import Clock, Feed, Hub
from datafacade.check.names import BOOK, Topic
from datafacade.check.probe import ProbeRecord
from datafacade.check.story import Follower, Moment, Story, Told
from datafacade.v1 import hot_pb2, types_pb2
from tests.chaos.virtual.market import Change
from tests.chaos.virtual.script import Script

MS: Final = 1_000_000
START_WALL: Final = 1_800_000_000_000_000_000
START_MONO: Final = 5_000_000_000
TICK_MS: Final = 50
AT_ONCE_MAX: Final = 200  # commands that one event may lead to
TAKE_BYTES: Final = 1 << 22
EPOCH: Final = 1_800_000_000


class Line:
    """A Feed whose venue is a script. ``story`` holds what a subscriber of its books was sent."""

    def __init__(
        self,
        script: Script,
        *,
        figures: Mapping[str, int] | None = None,
        channels: tuple[int, ...] = (BOOK,),
        seed: int = 1,
        rest: Callable[[str], bytes] | None = None,
    ) -> None:
        self.script = script
        self.rest = rest or script.rest
        self.clock = Clock.manual(START_WALL, START_MONO)
        self.hub = Hub(epoch=EPOCH)
        self.feed = Feed(
            venue=script.venue,
            product=script.product,
            hub=self.hub,
            clock=self.clock,
            epoch=EPOCH,
            seed=seed,
            figures=list((figures or {}).items()),
        )
        self.feed.add_instruments(script.instruments())
        self.story = Story()
        self.commands: list[tuple[Any, ...]] = []  # all that were given
        self.held: list[tuple[Any, ...]] = []  # fetches and texts that wait while answers are held back
        self._todo: deque[tuple[Any, ...]] = deque()
        self._is_doing = False
        self.answers = True
        self.is_open = False
        self.dial_at: int | None = None
        self._subscriber = self.hub.subscriber()
        self._responses = 0
        self._followers: dict[Topic, Follower] = {}
        self.moments: dict[Topic, Moment] = {}
        for symbol in script.symbols:
            for channel in channels:
                self._attach(symbol, channel)
                self.do(self.feed.subscribe(symbol, channel))
        self.do(self.feed.start())

    def _attach(self, symbol: str, channel: int) -> None:
        self.hub.attach(
            self._subscriber,
            self.script.venue,
            self.script.canonical(symbol),
            channel,
            "",
            start="cut" if channel == BOOK else "next",
            wall_ns=self.wall_ns,
            request_id=1,
            subscription_id=1,
            requested_symbol=symbol,
        )

    # Time

    @property
    def wall_ns(self) -> int:
        """Wall time of the line."""
        return self.clock.wall_ns()

    def wait(self, ms: float) -> list[Told]:
        """Let time pass with a tick each 50 ms; return what was published."""
        end = self.clock.monotonic_ns() + round(ms * MS)
        count = len(self.story.order)
        while (left := end - self.clock.monotonic_ns()) > 0:
            self.clock.advance(min(left, TICK_MS * MS))
            if self.dial_at is not None and self.clock.monotonic_ns() >= self.dial_at:
                self.open()
            self.do(self.feed.on_tick())
            self.hear()
        return self.story.order[count:]

    # What the venue does

    def open(self) -> Line:
        """Open the connection now."""
        self.dial_at = None
        self.is_open = True
        self.script.opened()
        self.do(self.feed.on_opened())
        self.hear()
        return self

    def live(self) -> Line:
        """Open, and wait until every book is LIVE."""
        self.open()
        for _ in range(200):
            if all(self.is_live(symbol) for symbol in self.script.symbols):
                return self
            if self.script.uses_rest:
                for symbol in self.script.symbols:
                    if not self.is_live(symbol):
                        self.change(symbol)
            self.wait(TICK_MS)
        raise AssertionError(f"not LIVE in 10 s: {[str(told.update) for told in self.story.order[-3:]]}")

    def say(self, *texts: str | bytes) -> list[Told]:
        """Let frames arrive, 1 ms apart; return what was published."""
        count = len(self.story.order)
        for text in texts:
            self.clock.advance(MS)
            frame = text.encode() if isinstance(text, str) else text
            self.do(self.feed.on_frame(frame, self.wall_ns))
        self.hear()
        return self.story.order[count:]

    def change(self, symbol: str, count: int = 3) -> list[Told]:
        """Let the market move and the venue tell it."""
        return self.say(self.script.delta(symbol, self.script.markets[symbol].step(count), self.wall_ns))

    def tell(self, symbol: str, *changes: Change) -> list[Told]:
        """Let the venue tell these changes, which become true."""
        for change in changes:
            self.script.markets[symbol].apply(change)
        return self.say(self.script.delta(symbol, changes, self.wall_ns))

    # What the Feed wants

    def do(self, commands: list[tuple[Any, ...]] | None) -> None:
        """Execute commands, and what they lead to.

        Raises:
            AssertionError: They lead to ever more commands.
        """
        self._todo += commands or []
        if self._is_doing:
            return
        self._is_doing, count = True, 0
        while self._todo:
            command = self._todo.popleft()
            self.commands.append(command)
            count += 1
            assert count < AT_ONCE_MAX, f"the feed never comes to rest: {command}"
            match command[0]:
                case "close":
                    self.is_open = False
                    self.do(self.feed.on_closed(command[1], str(command[2])))
                case "connect":
                    self.dial_at = self.clock.monotonic_ns() + command[1]
                case _ if self.answers:
                    self.answer(command)
                case _:
                    self.held.append(command)
        self._is_doing = False

    def answer(self, command: tuple[Any, ...]) -> None:
        """Answer a text or a fetch as the script does."""
        if command[0] == "send":
            for frame in self.script.answer(command[1], self.wall_ns):
                self.do(self.feed.on_frame(frame.encode(), self.wall_ns))
        else:
            body = self.rest(command[2])
            self.do(self.feed.on_response(command[1], 200, body, self.wall_ns))

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """Return the commands of these names, oldest first."""
        return [command for command in self.commands if command[0] in names]

    # What a subscriber hears

    def hear(self) -> list[Told]:
        """Take what the hub holds for the subscriber."""
        news: list[Told] = []
        while True:
            now = self.clock.monotonic_ns()
            entries, watermark, *_ = self.hub.take(self._subscriber, TAKE_BYTES, monotonic_ns=now)
            if not entries:
                return news
            self._responses += 1
            head = hot_pb2.HotSubscribeResponse(
                stream_seq=self._responses, ts_send=self.wall_ns, ts_watermark=watermark
            )
            payload = head.SerializeToString() + entries
            told = self.story.add([ProbeRecord(self.clock.monotonic_ns(), "r", payload)])
            for one in told:
                topic = Topic(one.update.venue, one.update.symbol, one.update.channel)
                if topic.channel == BOOK:
                    self.moments[topic] = self._followers.setdefault(topic, Follower()).read(one)
            news += told

    def topic(self, symbol: str, channel: int = BOOK) -> Topic:
        """Return our name of a market's stream."""
        return Topic(self.script.venue, self.script.canonical(symbol), channel)

    def told(self, symbol: str, *kinds: str, channel: int = BOOK) -> list[Told]:
        """Return what a topic told, only these kinds if any are named."""
        told = self.story.of(self.topic(symbol, channel))
        return [one for one in told if not kinds or one.kind in kinds]

    def states(self, symbol: str) -> list[tuple[str, str]]:
        """Return the states and reasons of a book, oldest first."""
        return [
            (
                types_pb2.State.Name(one.update.stream_state.state).removeprefix("STATE_"),
                types_pb2.StateReason.Name(one.update.stream_state.reason).removeprefix("STATE_REASON_"),
            )
            for one in self.told(symbol, "stream_state")
        ]

    def is_live(self, symbol: str) -> bool:
        """Tell whether a subscriber may use the book."""
        moment = self.moments.get(self.topic(symbol))
        return moment is not None and moment.is_live and moment.is_whole

    def equals_truth(self, symbol: str, depth: int | None = None) -> bool:
        """Tell whether the subscriber's book is LIVE and the truth."""
        moment = self.moments[self.topic(symbol)]
        return self.is_live(symbol) and moment.book.text() == self.script.markets[symbol].book(depth).text()

    def counted(self, symbol: str, name: str) -> int:
        """Return a count of a topic, as ``Health`` shows it."""
        for topic in self.feed.topics():
            if topic["symbol"] == self.script.canonical(symbol) and topic["channel"] == BOOK:
                return int(topic[name])
        raise KeyError(symbol)
