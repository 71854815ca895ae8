"""Call every method of the core's feeds, hub and clock from four threads at once (row H03).

``python -m tests.chaos.harness.stress SECONDS SEED`` exits 1 after a fault, a panic, or a stall of 5 s.
"""

from __future__ import annotations

import contextlib
import faulthandler
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from datafacade._core import Clock, Feed, Hub
from tests.chaos.virtual.script import Script
from tests.chaos.virtual.scripts import SCRIPTS

THREADS: Final = 4
SWITCH_S: Final = 1e-6
STALL_S: Final = 5.0
CHANNELS: Final = (1, 2, 3, 5)
LATE_S: Final = 20.0
Act = Callable[[], object]


class Stress:
    """What the threads share."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.end = time.monotonic() + seconds
        self.seed = seed
        self.clock = Clock.real()
        self.hub = Hub(epoch=1)
        self.feeds = [self._feed(make()) for make in SCRIPTS.values()]
        self.beats = [time.monotonic()] * THREADS
        self.faults: list[str] = []

    def _feed(self, script: Script) -> tuple[Script, Feed]:
        feed = Feed(venue=script.venue, product=script.product, hub=self.hub, clock=self.clock, epoch=1)
        feed.add_instruments(script.instruments())
        script.opened()
        return script, feed

    def work(self, number: int) -> None:
        """Call one method after another, drawn by chance."""
        chance = random.Random(self.seed + number)
        subscriber = self.hub.subscriber()
        while time.monotonic() < self.end:
            script, feed = chance.choice(self.feeds)
            symbol = chance.choice(script.symbols)
            topic = (script.venue, script.canonical(symbol), chance.choice(CHANNELS), "")
            acts = self.of_feed(script, feed, symbol, topic, chance) + self.of_hub(feed, subscriber, topic)
            try:
                with contextlib.suppress(
                    ValueError
                ):  # attached twice or not at all: refused, as it should be
                    chance.choice(acts)()
            except BaseException as error:  # a panic surfaces as one
                self.faults.append(repr(error))
                return
            self.beats[number] = time.monotonic()

    @staticmethod
    def of_feed(
        script: Script, feed: Feed, symbol: str, topic: tuple[str, str, int, str], chance: random.Random
    ) -> list[Act]:
        """Return calls of every method of a feed."""
        levels = script.markets[symbol].top(chance.randrange(1, 9))
        frame = script.delta(symbol, levels, time.time_ns()).encode()
        number = chance.randrange(50)
        return [
            lambda: feed.subscribe(symbol, topic[2]),
            lambda: feed.unsubscribe(symbol, topic[2]),
            feed.start,
            feed.on_opened,
            lambda: feed.on_frame(frame, time.time_ns()),
            lambda: feed.on_large_frame(frame, time.time_ns()),
            lambda: feed.on_frame(frame[:-9], time.time_ns()),
            lambda: feed.on_response(number, 200, b"{}", 1),
            lambda: feed.on_recorded_snapshot(symbol, b"{}", 1),
            feed.on_tick,
            feed.deadline_ns,
            lambda: feed.on_closed(1006, "eof"),
            lambda: feed.on_dial_failed("tls"),
            feed.stats,
            feed.topics,
            feed.report,
            feed.instruments,
            lambda: feed.book(topic[1], 5),
            lambda: feed.set_book_depth(10),
            lambda: feed.add_instruments(script.instruments()),
        ]

    def of_hub(self, feed: Feed, subscriber: int, topic: tuple[str, str, int, str]) -> list[Act]:
        """Return calls of every method of the hub and of the clock."""
        hub, clock = self.hub, self.clock

        def attach() -> object:
            about = {"request_id": 1, "subscription_id": 1, "requested_symbol": "S", "wall_ns": 1}
            return hub.attach(subscriber, *topic, start="cut", **about)  # type: ignore[arg-type]

        def detach() -> object:
            about = {"request_id": 1, "subscription_id": 1, "requested_symbol": "S", "wall_ns": 1}
            return hub.detach(subscriber, *topic, **about)  # type: ignore[arg-type]

        return [
            attach,
            detach,
            lambda: feed.serve_cuts(hub.cuts_wanted()),
            lambda: hub.take(subscriber, 65_536, monotonic_ns=clock.monotonic_ns()),
            lambda: hub.push(subscriber, b"\x0a\x01v"),
            lambda: hub.ack(subscriber, 1, monotonic_ns=clock.monotonic_ns()),
            lambda: hub.positions(subscriber),
            lambda: hub.head(*topic),
            lambda: hub.subscribers(*topic),
            lambda: hub.advance(time.time_ns(), time.monotonic_ns()),
            lambda: hub.close(hub.subscriber()),
            hub.ready,
            hub.stats,
            clock.wall_ns,
            clock.monotonic_ns,
        ]


def main(seconds: float, seed: int) -> int:
    """Run the threads; return the exit code."""
    sys.setswitchinterval(SWITCH_S)
    stress = Stress(seconds, seed)
    threads = [threading.Thread(target=stress.work, args=(number,)) for number in range(THREADS)]
    faulthandler.dump_traceback_later(seconds + LATE_S, exit=True)
    for thread in threads:
        thread.start()
    worst = 0.0
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.1)
        if time.monotonic() < stress.end:
            worst = max(worst, time.monotonic() - min(stress.beats))
    panics = sum(int(feed.stats()["panics"]) for _, feed in stress.feeds)
    sys.stdout.write(f"worst stall {worst:.2f} s, {panics} panics, faults {stress.faults}\n")
    return 1 if stress.faults or panics or worst > STALL_S else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
