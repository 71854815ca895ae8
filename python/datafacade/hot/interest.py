"""Count who wants what, so that ten bots share one subscription at the venue."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from datafacade.errors import QuotaExceeded
from datafacade.types import Topic


class Interest:
    """Subscribers per topic. A topic that nobody wants any more lingers, since clients come back."""

    def __init__(
        self,
        *,
        start: Callable[[Topic], None],
        stop: Callable[[Topic], None],
        linger_s: float,
        symbols_max: int,
    ) -> None:
        self._start = start
        self._stop = stop
        self._linger_s = linger_s
        self._symbols_max = symbols_max
        self._counts: dict[Topic, int] = {}
        self._lingering: OrderedDict[Topic, asyncio.TimerHandle] = OrderedDict()  # longest first

    def acquire(self, topic: Topic) -> None:
        """Add one subscriber.

        Raises:
            QuotaExceeded: It would be one symbol too many for the service.
        """
        if topic in self._counts:
            self._counts[topic] += 1
            return
        timer = self._lingering.pop(topic, None)
        if timer is not None:
            timer.cancel()
            self._counts[topic] = 1
            return
        self._make_room(topic.symbol)
        self._start(topic)
        self._counts[topic] = 1

    def release(self, topic: Topic) -> None:
        """Remove one subscriber; the last one's topic is given up after the linger."""
        self._counts[topic] -= 1
        if self._counts[topic] == 0:
            del self._counts[topic]
            loop = asyncio.get_running_loop()
            self._lingering[topic] = loop.call_later(self._linger_s, self._drop, topic)

    def topics(self) -> list[Topic]:
        """Return what is followed at the venues now."""
        return [*self._counts, *self._lingering]

    def symbols(self) -> set[str]:
        """Return the distinct symbols that somebody wants."""
        return {topic.symbol for topic in self._counts}

    def close(self) -> None:
        """Stop all timers."""
        for timer in self._lingering.values():
            timer.cancel()
        self._lingering.clear()

    def _make_room(self, symbol: str) -> None:
        wanted = self.symbols()
        if symbol in wanted:
            return
        if len(wanted) >= self._symbols_max:
            requested = len(wanted) + 1
            raise QuotaExceeded("hot.max_pairs", self._symbols_max, requested, operation="subscribe")
        while len({*wanted, symbol} | {topic.symbol for topic in self._lingering}) > self._symbols_max:
            oldest = next(topic for topic in self._lingering if topic.symbol not in {*wanted, symbol})
            self._lingering[oldest].cancel()
            self._drop(oldest)

    def _drop(self, topic: Topic) -> None:
        del self._lingering[topic]
        self._stop(topic)
