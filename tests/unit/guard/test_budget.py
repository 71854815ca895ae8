"""Budgets never spend more than their windows hold, and serve the most urgent first."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.clock import SystemClock
from datafacade.config import RestBudget, Window
from datafacade.errors import VenueRateLimited
from datafacade.guard.budget import WAITERS_MAX, Budget, RestBudgets, shared
from datafacade.types import Priority
from tests.unit.fakes import ManualClock


def budget(limit: int, seconds: float, clock: ManualClock | None = None) -> tuple[Budget, ManualClock]:
    clock = clock or ManualClock()
    return Budget([Window(limit=limit, seconds=seconds)], clock=clock, venue="kraken"), clock


@given(
    limit=st.integers(1, 40),
    span=st.floats(0.1, 60),
    calls=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=200),
)
@pytest.mark.proves("ROW-C18")
def test_no_window_of_any_position_holds_more_than_its_limit(
    limit: int, span: float, calls: list[tuple[float, int]]
) -> None:
    made, clock = budget(limit, span)
    admitted: list[tuple[int, int]] = []
    for pause, weight in calls:
        clock.advance(pause)
        if made.take(weight):
            admitted.append((clock.monotonic, min(weight, limit)))
    span_ns = int(span * 1e9)
    for end, _ in admitted:
        inside = sum(weight for at, weight in admitted if end - span_ns < at <= end)
        assert inside <= limit


def test_the_wait_ends_when_enough_has_left_the_window() -> None:
    made, clock = budget(10, 60)
    assert made.take(6)
    clock.advance(20)
    assert made.take(4)
    assert made.check(5) == (False, 0)
    clock.advance(40.000001)
    assert made.check(6) == (True, 6)
    assert made.check(7) == (False, 6)


def test_all_windows_must_agree() -> None:
    clock = ManualClock()
    made = Budget([Window(limit=5, seconds=30), Window(limit=6, seconds=600)], clock=clock)
    assert [made.take() for _ in range(6)] == [True] * 5 + [False]
    clock.advance(31)
    assert [made.take() for _ in range(2)] == [True, False]


@pytest.mark.proves("ROW-C08")
def test_the_larger_count_is_believed() -> None:
    made, clock = budget(100, 60)
    made.take(10)
    made.learn_used(90)
    assert made.check(10) == (True, 10)
    made.learn_used(20)
    assert made.check(11) == (False, 10)
    clock.advance(61)
    assert made.check(100) == (True, 100)


def test_a_ban_blocks_until_it_ends() -> None:
    made, clock = budget(100, 60)
    made.block(30)
    assert not made.take()
    assert made.blocked_ns() == 30_000_000_000
    clock.advance(30)
    assert made.take()
    assert made.blocked_ns() == 0


def test_our_share_is_less_weight_or_a_longer_span() -> None:
    windows = [Window(limit=6000, seconds=60), Window(limit=1, seconds=1)]
    assert shared(windows, 0.8) == (Window(limit=4800, seconds=60), Window(limit=1, seconds=1.25))


async def test_a_snapshot_is_served_before_what_waited_longer() -> None:
    made = Budget([Window(limit=1, seconds=0.05)], clock=SystemClock())
    await made.acquire()
    order: list[str] = []

    async def spend(name: str, priority: Priority) -> None:
        await made.acquire(1, priority)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(spend("warming", Priority.WARMING))
        group.create_task(spend("client", Priority.CLIENT))
        group.create_task(spend("snapshot", Priority.SNAPSHOT))
    assert order == ["snapshot", "client", "warming"]


async def test_who_gives_up_waiting_does_not_hold_up_the_rest() -> None:
    made = Budget([Window(limit=1, seconds=0.05)], clock=SystemClock())
    await made.acquire()
    first = asyncio.ensure_future(made.acquire(1, Priority.SNAPSHOT))
    second = asyncio.ensure_future(made.acquire())
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()


async def test_more_waiters_than_the_bound_are_told_so() -> None:
    made, _ = budget(1, 1_000)
    made.take()
    waiting = [asyncio.ensure_future(made.acquire()) for _ in range(WAITERS_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(VenueRateLimited) as caught:
        await made.acquire()
    assert caught.value.retry_after_ms > 0
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def rest(*, per_endpoint: bool) -> tuple[RestBudgets, ManualClock]:
    clock = ManualClock()
    config = RestBudget(
        windows=(Window(limit=10, seconds=60),),
        per_endpoint=per_endpoint,
        endpoints={"/own": (Window(limit=100, seconds=1),)},
        weights={"/heavy": 20},
        used_header="X-USED",
    )
    return RestBudgets(config, share_ratio=0.8, clock=clock, venue="okx"), clock


def test_paths_share_one_budget_unless_each_has_its_own() -> None:
    one, _ = rest(per_endpoint=False)
    assert one.of("/a?x=1") is one.of("/b")
    assert one.of("/own") is not one.of("/b")
    assert one.of("/own").limit == 80
    each, _ = rest(per_endpoint=True)
    assert each.of("/a?x=1") is each.of("/a?x=2")
    assert each.of("/a") is not each.of("/b")
    assert set(each.budgets()) == {"/a", "/b"}


def test_weights_come_from_the_table() -> None:
    made, _ = rest(per_endpoint=False)
    assert made.weight("/heavy?limit=5") == 20
    assert made.weight("/light") == 1


def test_headers_teach_the_budget_and_nonsense_is_ignored() -> None:
    made, _ = rest(per_endpoint=False)
    made.learn("/a", {"x-used": "8"})
    assert made.of("/a").check() == (False, 0)
    for nonsense in ("", "-5", "many", "1e9", "٣"):
        made.learn("/own", {"x-used": nonsense})
    assert made.of("/own").check() == (True, 80)


@pytest.mark.proves("ROW-C07")
def test_a_ban_holds_for_paths_that_come_later_too() -> None:
    made, clock = rest(per_endpoint=True)
    made.of("/a")
    made.block(60)
    assert not made.of("/a").take()
    assert not made.of("/later").take()
    clock.advance(60)
    assert made.of("/later").take()


def test_a_limit_of_one_path_leaves_the_others_alone() -> None:
    made, _ = rest(per_endpoint=True)
    made.block(2, "/a")
    assert not made.of("/a").take()
    assert made.of("/b").take()
