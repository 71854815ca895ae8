"""Equal questions share one piece of work, whoever asked first and whoever leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.guard.single_flight import SingleFlight
from tests.unit.virtual import in_virtual_time, virtual_clock


class Venue:
    """Counts what reaches it; answers after a while, with a number or with a failure."""

    def __init__(self, *, takes_s: float = 1.0, failures: int = 0) -> None:
        self.calls = 0
        self.cancelled_at: list[float] = []
        self._takes_s = takes_s
        self._failures = failures

    async def ask(self) -> int:
        self.calls += 1
        mine = self.calls
        try:
            await asyncio.sleep(self._takes_s)
        except asyncio.CancelledError:
            self.cancelled_at.append(asyncio.get_running_loop().time())
            raise
        if mine <= self._failures:
            raise OSError("refused")
        return mine


@pytest.mark.proves("ROW-C03")
def test_a_thousand_equal_questions_are_one_call() -> None:
    async def ask() -> None:
        venue, flights = Venue(), SingleFlight[int]()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(flights.do("BTC", venue.ask)) for _ in range(1_000)]
        assert {task.result() for task in asked} == {1}
        assert venue.calls == 1
        assert len(flights) == 0

    in_virtual_time(ask())


@pytest.mark.proves("ROW-C03")
def test_a_failure_is_that_of_all_who_waited_and_costs_one_call_more() -> None:
    async def ask() -> None:
        venue, flights = Venue(failures=1), SingleFlight[int]()
        waited = [asyncio.ensure_future(flights.do("BTC", venue.ask)) for _ in range(1_000)]
        answers = await asyncio.gather(*waited, return_exceptions=True)
        assert all(isinstance(answer, OSError) for answer in answers)
        assert venue.calls == 1
        async with asyncio.TaskGroup() as group:
            again = [group.create_task(flights.do("BTC", venue.ask)) for _ in range(1_000)]
        assert {task.result() for task in again} == {2}

    in_virtual_time(ask())


@pytest.mark.proves("ROW-C03")
def test_each_caller_keeps_its_own_deadline() -> None:
    async def ask() -> None:
        venue, flights = Venue(takes_s=2.0), SingleFlight[int]()
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def caller(seconds: float) -> tuple[bool, float]:
            try:
                async with asyncio.timeout(seconds):
                    await flights.do("BTC", venue.ask)
            except TimeoutError:
                return False, loop.time() - started
            return True, loop.time() - started

        ends = await asyncio.gather(*(caller(seconds) for seconds in (0.5, 1.0, 3.0)))
        assert [ok for ok, _ in ends] == [False, False, True]
        assert [at for _, at in ends] == pytest.approx([0.5, 1.0, 2.0], abs=1e-6)
        assert venue.calls == 1

    in_virtual_time(ask())


@pytest.mark.proves("ROW-C04")
@pytest.mark.proves("ROW-E13")
def test_work_ends_at_once_when_the_last_who_waits_leaves() -> None:
    async def ask() -> None:
        venue, flights = Venue(takes_s=5.0), SingleFlight[int]()
        started = asyncio.get_running_loop().time()

        async def caller(seconds: float) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(seconds):
                    await flights.do("BTC", venue.ask)

        await asyncio.gather(caller(1.0), caller(2.0))
        await asyncio.sleep(0)
        assert venue.cancelled_at == pytest.approx([started + 2.0], abs=1e-6)
        assert len(flights) == 0

    in_virtual_time(ask())


def test_who_comes_while_abandoned_work_ends_starts_anew() -> None:
    async def ask() -> None:
        venue, flights = Venue(), SingleFlight[int]()
        first = asyncio.ensure_future(flights.do("BTC", venue.ask))
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.wait([first])
        assert await flights.do("BTC", venue.ask) == 2

    in_virtual_time(ask())


def test_different_keys_have_nothing_to_do_with_each_other() -> None:
    async def ask() -> None:
        venue, flights = Venue(), SingleFlight[int]()
        answers = await asyncio.gather(*(flights.do(key, venue.ask) for key in ("BTC", "ETH", "BTC")))
        assert answers == [1, 2, 1]

    in_virtual_time(ask())


def test_close_leaves_no_work_behind() -> None:
    async def ask() -> None:
        venue, flights = Venue(takes_s=100.0), SingleFlight[int]()
        asked = [asyncio.ensure_future(flights.do(key, venue.ask)) for key in range(3)]
        await asyncio.sleep(1)
        await flights.close()
        await asyncio.wait(asked)
        assert len(venue.cancelled_at) == 3
        assert len(asyncio.all_tasks()) == 1

    in_virtual_time(ask())


CALLER = st.tuples(st.integers(0, 1), st.integers(0, 50), st.integers(1, 60))  # key, comes at, patience


@given(
    callers=st.lists(CALLER, min_size=1, max_size=30), takes=st.integers(1, 30), failures=st.integers(0, 3)
)
@pytest.mark.proves("ROW-C03")
def test_never_is_work_doubled_and_nobody_waits_past_its_patience(
    callers: list[tuple[int, int, int]], takes: int, failures: int
) -> None:
    """Times in tenths of a second."""

    async def ask() -> None:
        flights = SingleFlight[int]()
        venues = [_Exclusive(takes_s=takes / 10, failures=failures) for _ in range(2)]
        loop = virtual_clock()

        async def caller(key: int, comes: int, patience: int) -> None:
            await asyncio.sleep(comes / 10)
            came = loop.time()
            try:
                async with asyncio.timeout(patience / 10):
                    await flights.do(key, venues[key].ask)
            except (TimeoutError, OSError):
                pass
            assert loop.time() - came <= min(patience, takes) / 10 + 1e-6

        await asyncio.gather(*(caller(*one) for one in callers))
        assert len(flights) == 0
        for key, venue in enumerate(venues):
            assert venue.calls <= sum(one[0] == key for one in callers)

    in_virtual_time(ask())


class _Exclusive(Venue):
    """A venue that never sees two calls at once, but for one that is being cancelled."""

    def __init__(self, *, takes_s: float, failures: int) -> None:
        super().__init__(takes_s=takes_s, failures=failures)
        self._inside: list[asyncio.Task[int] | None] = []

    async def ask(self) -> int:
        assert all(task is not None and task.cancelling() for task in self._inside)
        me: asyncio.Task[int] | None = asyncio.current_task()
        self._inside.append(me)
        try:
            return await super().ask()
        finally:
            self._inside.remove(me)


def test_work_starts_in_the_task_of_the_flight_not_of_the_caller() -> None:
    async def ask() -> None:
        inside: list[asyncio.Task[None] | None] = []

        async def work() -> None:
            inside.append(asyncio.current_task())

        make: Callable[[], Awaitable[None]] = work
        await SingleFlight[None]().do("BTC", make)
        assert inside != [asyncio.current_task()]

    in_virtual_time(ask())
