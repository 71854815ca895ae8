"""Wherever history ends and the live records begin, each trade and each bar comes out once, in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.errors import InvalidRequest, NotSupported, VenueFailed
from datafacade.hot.history import Live, PastFetcher, join
from datafacade.hot.kept import KeptPast, Row
from datafacade.hot.tier import HotTier
from datafacade.types import Channel, FeedKey, Topic
from tests.unit.hot.fakes import FakeRest, answer

TRADES = Topic("kraken", "BTC-USD", Channel.TRADES)
KLINES = Topic("kraken", "BTC-USD", Channel.KLINES, "1m")


def rows(keys: list[int]) -> list[Row]:
    return [Row(key, key * 10, b"") for key in keys]


@given(
    first_id=st.integers(0, 10**12),
    count=st.integers(1, 60),
    rest_until=st.integers(0, 60),
    live_from=st.integers(0, 60),
    seq_base=st.integers(1, 10**9),
)
def test_any_split_point_gives_the_same_final_sequence(
    first_id: int, count: int, rest_until: int, live_from: int, seq_base: int
) -> None:
    """A market of ``count`` trades: REST has those up to one point, the stream those from another on."""
    market = list(range(first_id, first_id + count))
    live_from, rest_until = min(live_from, count), min(rest_until, count)
    live = {seq_base + at: key for at, key in enumerate(market[live_from:])}
    first = Live(market[live_from], seq_base) if live_from < count else None
    found = join(rows(market[:rest_until]), first, head=seq_base - 1, is_dense=True)
    told = [row.key for row in found.rows] + [key for seq, key in live.items() if seq > found.seq_after]
    hole = list(range(found.missing[0], found.missing[1] + 1)) if found.missing else []
    if live_from < count and 0 < rest_until < live_from:
        assert hole == market[rest_until:live_from]  # told, never silent
    else:
        assert hole == []
    if rest_until >= live_from or hole:
        assert sorted(told + hole) == market
        assert told == sorted(told)


@given(st.integers(1, 40), st.integers(0, 40))
def test_bars_join_at_the_first_live_bar_whatever_rest_has(count: int, live_from: int) -> None:
    opens = [60 * number for number in range(count)]
    live_from = min(live_from, count - 1)
    found = join(rows(opens), Live(opens[live_from], 7), head=6, is_dense=False)
    assert [row.key for row in found.rows] + opens[live_from:] == opens
    assert found.seq_after == 6


def test_in_a_quiet_market_all_that_rest_has_is_history() -> None:
    assert join(rows([1, 2]), None, head=5, is_dense=True) == (rows([1, 2]), 5, None)


@dataclass
class FakePages:
    """A venue's history in pages of three, newest first, as some venues have it."""

    keys: list[int]
    is_known: bool = True
    asked: list[str] = field(default_factory=list)

    def history_path(self, *_: object, cursor: str, **__: object) -> tuple[str, int] | None:
        self.asked.append(cursor)
        return (f"/trades?before={cursor}", 5) if self.is_known else None

    def history_page(
        self, *arguments: object, cursor: str, **_: object
    ) -> tuple[list[tuple[int, int, bytes]], str]:
        if arguments[-1] == b"nonsense":
            raise ValueError("no list")
        before = [key for key in self.keys if not cursor or key < int(cursor)]
        page = before[-3:]
        return [(key, key, b"u%d" % key) for key in page], str(page[0]) if len(before) > 3 else ""


class FakeLine:
    """One venue with one feed."""

    def __init__(self, pages: FakePages) -> None:
        self.feed = pages
        self.key = FeedKey("kraken", "spot")
        self.rest = FakeRest()
        self.rests = {"spot": self.rest}

    def runner(self, _: Channel) -> Any:  # noqa: ANN401  stands for a FeedRunner
        return self

    def venue(self, _: str) -> Any:  # noqa: ANN401  stands for the tier too
        return self


def fetch(
    line: FakeLine, topic: Topic = TRADES, *, rows_max: int = 100, status: int = 200, body: bytes = b""
) -> list[Row]:
    async def run() -> list[Row]:
        line.rest = FakeRest()
        line.rests = {"spot": line.rest}
        for _ in range(50):
            line.rest.answers.put_nowait(answer(body, status))
        fetcher = PastFetcher(
            cast("HotTier", line), kept=KeptPast(None), trades_max=rows_max, klines_max=rows_max
        )
        return await fetcher.fetch(topic, ts_from=0, ts_until=10_000)

    return asyncio.run(run())


def test_pages_join_in_order_whatever_their_direction() -> None:
    line = FakeLine(FakePages(list(range(10, 21))))
    assert [row.key for row in fetch(line)] == list(range(10, 21))
    assert line.feed.asked == ["", "18", "15", "12"]
    assert {weight for _, _, weight in line.rest.asked} == {5}


def test_too_many_trades_are_refused_by_the_limits_name() -> None:
    with pytest.raises(InvalidRequest, match=r"hot\.history_trades_max allows 5 rows"):
        fetch(FakeLine(FakePages(list(range(20)))), rows_max=5)


def test_too_many_bars_are_refused_after_one_page() -> None:
    line = FakeLine(FakePages(list(range(0, 10_000, 10))))
    with pytest.raises(
        InvalidRequest, match=r"hot\.history_klines_max allows 999 rows, the range holds 1000"
    ):
        fetch(line, KLINES, rows_max=999)
    assert len(line.feed.asked) == 1


@pytest.mark.parametrize(
    ("line", "arguments", "error"),
    [
        (FakeLine(FakePages([1], is_known=False)), {}, NotSupported),
        (FakeLine(FakePages([1])), {"status": 503}, VenueFailed),
        (FakeLine(FakePages([1])), {"body": b"nonsense"}, VenueFailed),
    ],
)
def test_a_venue_that_cannot_tell_is_named(
    line: FakeLine, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as told:
        fetch(line, **arguments)
    assert cast("VenueFailed", told.value).venue == "kraken"
