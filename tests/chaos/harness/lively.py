"""A bed whose markets trade often, and whose probe follows klines of one second beside the trades."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from datafacade.check.names import TRADES, Topic
from datafacade.check.story import Told
from datafacade.check.truth import Row
from datafacade.v1 import hot_pb2, types_pb2
from tests.chaos.harness.bed import LIVE_S, Bed, Plan
from tests.chaos.harness.reckoning import SECOND_NS, Reckoning, klines_of, reckon
from tests.chaos.harness.wait import until

VARIANT: Final = "1s"
OFTEN: Final = ("--trade-ratio", "0.8")
PLACES: Final = {  # where a venue's trades come from, and how it spells BTC
    "binance": ("binance/spot", "{0}USDT"),
    "binance-usdm": ("binance/usdm", "{0}USDT"),
    "okx": ("okx/public", "{0}-USDT"),
    "coinbase": ("coinbase/exchange", "{0}-USD"),
    "kraken": ("kraken/spot", "{0}/USD"),
}
SETTLES_S: Final = 1.2  # klines are final and revised for the last time, in scaled time with room


class LivelyBed(Bed):
    """A bed of trades and their klines."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        super().__init__(folder, plan)
        self.trades = [topic for topic in self.topics if topic.channel == TRADES]
        self.klines = [klines_of(topic, VARIANT) for topic in self.trades]
        for number, venue in enumerate(plan.venues, 101):
            item = hot_pb2.Subscription(
                subscription_id=number,
                venues=[venue],
                symbols=self.symbols(venue),
                channels=[types_pb2.CHANNEL_KLINES],
                variants=[VARIANT],
            )
            self.probe.send(hot_pb2.HotSubscribeRequest(request_id=number, subscribe=[item]))
        self.probe.wait_live(self.topics, within_s=LIVE_S)
        for topic in self.klines:
            until(partial(self.of, topic, "kline"), within_s=LIVE_S, what=f"{topic} begins")

    @staticmethod
    def place(topic: Topic) -> dict[str, str]:
        """Return the selectors of a topic's market."""
        product, spelling = PLACES[topic.venue]
        return {"venue": product, "symbol": spelling.format(topic.symbol.partition("-")[0])}

    def of(self, topic: Topic, *kinds: str, since_ns: int = 0) -> list[Told]:
        """Return what a topic told since a monotonic time, of some kinds."""
        return [one for one in self.probe.of(topic) if one.t_mono_ns >= since_ns and one.kind in kinds]

    def window(self, begin_wall_ns: int) -> range:
        """Wait until all klines since then have had their last word; return the whole seconds."""
        first = begin_wall_ns - begin_wall_ns % SECOND_NS
        end = time.time_ns() // SECOND_NS * SECOND_NS + SECOND_NS
        wait_s = (end - time.time_ns()) / 1e9 + SETTLES_S
        until(lambda: time.time_ns() > end + SETTLES_S * 1e9, within_s=wait_s + 5, what="klines are final")
        return range(first, end)

    def rows(self, topic: Topic) -> dict[int, Row]:
        """Return what the market of some trades traded so far."""
        return self.simulator.truth_until(time.monotonic_ns()).trades[topic]

    def reckonings(
        self, trades: Sequence[Topic], window: range, *, late: Mapping[Topic, Collection[int]] | None = None
    ) -> list[Reckoning]:
        """Add up the klines of these trades; ``late`` names those that came too late for theirs."""
        self.probe.news()
        story, known = self.probe.story, late or {}
        return [
            reckon(story, self.rows(one), klines_of(one, VARIANT), window, late=known.get(one, ()))
            for one in trades
        ]
