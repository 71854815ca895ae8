"""Row C17 without a network: pages of klines that overlap and come in disorder make one past."""

from __future__ import annotations

import asyncio
import random
from typing import Final, cast

import pytest

from datafacade.hot.history import PastFetcher
from datafacade.hot.kept import KeptPast, Row
from datafacade.hot.tier import HotTier
from datafacade.types import Channel, FeedKey, Topic
from tests.unit.hot.fakes import FakeRest, answer

pytestmark = pytest.mark.chaos

MINUTE_NS: Final = 60_000_000_000
KLINES: Final = Topic("kraken", "BTC-USD", Channel.KLINES, "1m")
COUNT: Final = 40


class HostilePages:
    """A venue whose pages overlap by any number of bars, in any direction, and end where they like."""

    def __init__(self, seed: int, holes: set[int]) -> None:
        chance = random.Random(seed)
        opens = [at for at in range(COUNT) if at not in holes]
        self.pages: list[list[int]] = []
        first = 0
        while first < len(opens):
            last = first + chance.randint(1, 9)
            self.pages.append(opens[max(0, first - chance.randint(0, 5)) : last])
            first = last
        chance.shuffle(self.pages)

    def history_path(self, *_: object, cursor: str, **__: object) -> tuple[str, int]:
        return f"/klines?page={cursor or 0}", 1

    def history_page(self, *_: object, cursor: str, **__: object) -> tuple[list[tuple[int, int, bytes]], str]:
        at = int(cursor or 0)
        rows = [(open_at * MINUTE_NS, open_at * MINUTE_NS, b"%d" % open_at) for open_at in self.pages[at]]
        return rows, str(at + 1) if at + 1 < len(self.pages) else ""


class OneVenue:
    """As much of the tier as the fetcher asks for."""

    def __init__(self, pages: HostilePages) -> None:
        self.feed = pages
        self.key = FeedKey("kraken", "spot")
        self.rests = {"spot": FakeRest()}

    def venue(self, _: str) -> OneVenue:
        return self

    def runner(self, _: Channel) -> OneVenue:
        return self


async def fetch(pages: HostilePages) -> list[Row]:
    """Return the past that these pages make."""
    line = OneVenue(pages)
    for _ in pages.pages:
        line.rests["spot"].answers.put_nowait(answer(b"", 200))
    tier = cast("HotTier", line)
    fetcher = PastFetcher(tier, kept=KeptPast(None), trades_max=1_000, klines_max=1_000)
    return await fetcher.fetch(KLINES, ts_from=0, ts_until=COUNT * MINUTE_NS)


@pytest.mark.proves("ROW-C17")
@pytest.mark.parametrize("seed", range(20))
def test_pages_that_overlap_in_any_order_give_each_bar_once_and_sorted(seed: int) -> None:
    holes = set(random.Random(-seed).sample(range(1, COUNT - 1), seed % 5))
    found = asyncio.run(fetch(HostilePages(seed, holes)))
    assert [row.key // MINUTE_NS for row in found] == [at for at in range(COUNT) if at not in holes]
    assert [row.update for row in found] == [b"%d" % (row.key // MINUTE_NS) for row in found]
