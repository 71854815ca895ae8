"""Fetches reach the venue once per path, and the newest question gets the answer."""

import asyncio

from datafacade.errors import VenueRateLimited
from datafacade.hot.fetch import Fetcher
from datafacade.hot.ports import Fetch
from datafacade.types import Priority
from tests.unit.fakes import ManualClock
from tests.unit.hot.fakes import FakeRest, answer, until


async def test_a_snapshot_is_fetched_with_its_weight_before_anything_else() -> None:
    rest, seen = FakeRest(), []
    fetcher = Fetcher(rest, venue="binance", clock=ManualClock())
    rest.answers.put_nowait(answer(b"book", ts_recv=9))
    async with asyncio.TaskGroup() as tasks:
        fetcher.fetch(("fetch", 7, "/depth", 50, "snapshot"), tasks=tasks, then=lambda *got: seen.append(got))
    assert rest.asked == [("/depth", Priority.SNAPSHOT, 50)]
    assert seen == [(7, 200, b"book", 9)]


async def test_a_repeated_question_is_not_sent_again_and_the_newest_gets_the_answer() -> None:
    rest, seen = FakeRest(), []
    fetcher = Fetcher(rest, venue="binance", clock=ManualClock())
    async with asyncio.TaskGroup() as tasks:
        for number in (1, 2, 3):
            fetcher.fetch(
                ("fetch", number, "/depth", 50, "snapshot"), tasks=tasks, then=lambda *got: seen.append(got)
            )
        await until(lambda: rest.asked)
        rest.answers.put_nowait(answer())
    assert len(rest.asked) == 1
    assert [got[0] for got in seen] == [3]
    rest.answers.put_nowait(answer())
    async with asyncio.TaskGroup() as tasks:
        fetcher.fetch(("fetch", 4, "/depth", 50, "snapshot"), tasks=tasks, then=lambda *got: seen.append(got))
    assert len(rest.asked) == 2


async def test_no_answer_is_told_as_status_0() -> None:
    rest, seen = FakeRest(), []
    fetcher = Fetcher(rest, venue="binance", clock=ManualClock(wall_ns=77))
    rest.answers.put_nowait(VenueRateLimited(1_000, venue="binance"))
    async with asyncio.TaskGroup() as tasks:
        fetcher.fetch(("fetch", 1, "/depth", 50, "snapshot"), tasks=tasks, then=lambda *got: seen.append(got))
    assert seen == [(1, 0, b"binance: rate limited for 1000 ms", 77)]


async def test_a_cancelled_fetch_can_be_asked_again() -> None:
    rest = FakeRest()
    fetcher = Fetcher(rest, venue="binance", clock=ManualClock())

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            fetcher.fetch(("fetch", 1, "/depth", 50, "snapshot"), tasks=tasks, then=lambda *_: None)

    task = asyncio.ensure_future(run())
    await until(lambda: rest.asked)
    task.cancel()
    await asyncio.wait([task])
    rest.answers.put_nowait(answer())
    async with asyncio.TaskGroup() as tasks:
        fetcher.fetch(("fetch", 2, "/depth", 50, "snapshot"), tasks=tasks, then=lambda *_: None)
    assert len(rest.asked) == 2


async def test_what_is_asked_for_more_urgently_does_not_wait_for_the_lesser_question() -> None:
    rest, seen = FakeRest(), []
    fetcher = Fetcher(rest, venue="binance", clock=ManualClock())
    async with asyncio.TaskGroup() as tasks:
        for number, urgency in enumerate(("fallback", "probe", "backfill", "snapshot")):
            command: Fetch = ("fetch", number, "/depth", 50, urgency)  # type: ignore[assignment]  # all four
            fetcher.fetch(command, tasks=tasks, then=lambda *got: seen.append(got))
        await until(lambda: len(rest.asked) == 4)
        for _ in range(4):
            rest.answers.put_nowait(answer())
    priorities = [priority for _, priority, _ in rest.asked]
    assert priorities == sorted(priorities, reverse=True)
    assert sorted(got[0] for got in seen) == [0, 1, 2, 3]
