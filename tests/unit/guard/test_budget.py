"""Budgets never spend more than their windows hold, and serve the most urgent first."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade.config import Window
from datafacade.errors import VenueRateLimited
from datafacade.guard.budget import WAITERS_MAX, Budget, shared
from datafacade.guard.window import ENTRIES_MAX, SpentWindow
from datafacade.types import Priority
from tests.unit.fakes import ManualClock
from tests.unit.virtual import in_virtual_time, virtual_clock


def budget(limit: int, seconds: float, clock: ManualClock | None = None) -> tuple[Budget, ManualClock]:
    clock = clock or ManualClock()
    return Budget([Window(limit=limit, seconds=seconds)], clock=clock, venue="kraken"), clock


LIMITS = st.one_of(st.integers(1, 40), st.integers(1_000, 6_000), st.sampled_from([2**31, 2**63 - 1]))
SPANS = st.one_of(st.floats(0.1, 60), st.sampled_from([86_400.0, 31 * 86_400.0]))
PAUSES = st.one_of(st.just(0.0), st.floats(0, 5), st.floats(0, 1e6))  # the last: a machine that slept
WEIGHTS = st.one_of(st.integers(1, 50), st.sampled_from([0, -1, 2**31, 2**63, 2**64 - 1, 2**64]))


CALLS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=20, max_size=100)


@given(limit=st.integers(1, 20), span=st.integers(1, 100), calls=CALLS)
@pytest.mark.proves("ROW-C18")
def test_no_window_of_any_position_holds_more_than_its_limit(
    limit: int, span: int, calls: list[tuple[int, int]]
) -> None:
    """Times in tenths of a second."""
    assert_no_window_is_overdrawn(limit, span / 10, [(pause / 10, weight) for pause, weight in calls])


@given(limit=LIMITS, span=SPANS, calls=st.lists(st.tuples(PAUSES, WEIGHTS), max_size=100))
@pytest.mark.proves("ROW-C18")
def test_limits_and_weights_at_the_edge_of_their_numbers_overdraw_no_window_either(
    limit: int, span: float, calls: list[tuple[float, int]]
) -> None:
    assert_no_window_is_overdrawn(limit, span, calls)


def assert_no_window_is_overdrawn(limit: int, span: float, calls: list[tuple[float, int]]) -> None:
    made, clock = budget(limit, span)
    admitted: list[tuple[int, int]] = []
    for pause, weight in calls:
        clock.advance(pause)
        is_allowed = made.check(weight)[0]
        assert made.take(weight) == is_allowed
        if is_allowed:
            admitted.append((clock.monotonic, max(1, weight)))
    span_ns = int(span * 1e9)
    for end, _ in admitted:
        assert sum(weight for at, weight in admitted if end - span_ns < at <= end) <= limit


@pytest.mark.proves("ROW-C18")
@pytest.mark.parametrize("start", [0, -(2**63), 2**63 - 1, 2**64 - 1])
def test_a_clock_at_the_edge_of_its_numbers_or_one_that_goes_back_admits_nothing_more(start: int) -> None:
    made, clock = budget(3, 60, ManualClock(monotonic_ns=start))
    assert [made.take() for _ in range(4)] == [True, True, True, False]
    clock.monotonic = start - 10**15
    assert not made.take()
    assert made.check() == (False, 0)
    clock.monotonic = start + 60 * 10**9
    assert made.take()


@pytest.mark.proves("ROW-C18")
async def test_what_weighs_more_than_a_window_ever_holds_is_refused_at_once() -> None:
    made, _ = budget(10, 60)
    for weight in (11, 2**64 - 1):
        assert not made.take(weight)
        with pytest.raises(VenueRateLimited) as caught:
            await made.acquire(weight)
        assert caught.value.retry_after_ms == 60_001
    assert made.check(10) == (True, 10)


@given(data=st.lists(st.tuples(st.integers(0, 10**11), st.integers(1, 100)), max_size=300))
def test_a_month_in_steps_is_never_less_than_the_exact_sum_and_takes_little_memory(
    data: list[tuple[int, int]],
) -> None:
    span_ns = 31 * 86_400 * 10**9
    window = SpentWindow(Window(limit=10**6, seconds=span_ns / 1e9))
    now, exact = 0, []
    for pause, weight in data:
        now += pause * 3_000
        window.forget(now)
        window.add(now, weight)
        exact.append((now, weight))
        true = sum(spent for at, spent in exact if at > now - span_ns)
        late = sum(spent for at, spent in exact if at > now - span_ns - span_ns // ENTRIES_MAX - 1)
        assert true <= window.total <= late
        assert len(window.entries()) <= ENTRIES_MAX + 1


def test_a_full_month_is_a_thousand_entries() -> None:
    window = SpentWindow(Window(limit=1_000_000, seconds=2_678_400))
    for second in range(0, 2_678_400, 30):
        window.add(second * 10**9, 1)
    assert window.total == 89_280
    assert len(window.entries()) <= ENTRIES_MAX + 1


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


@pytest.mark.proves("ROW-C06")
def test_a_snapshot_is_served_before_what_waited_longer() -> None:
    async def ask() -> None:
        made = Budget([Window(limit=1, seconds=1)], clock=virtual_clock())
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

    in_virtual_time(ask())


def test_a_tenth_of_a_window_is_kept_for_snapshots() -> None:
    made, _ = budget(100, 60)
    assert made.take(90)
    assert made.check(1, Priority.CLIENT) == (False, 0)
    assert made.check(10, Priority.SNAPSHOT) == (True, 10)


def test_who_gives_up_waiting_does_not_hold_up_the_rest() -> None:
    async def ask() -> None:
        made = Budget([Window(limit=1, seconds=1)], clock=virtual_clock())
        await made.acquire()
        first = asyncio.ensure_future(made.acquire(1, Priority.SNAPSHOT))
        second = asyncio.ensure_future(made.acquire())
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert first.cancelled()

    in_virtual_time(ask())


async def test_more_waiters_than_the_bound_are_told_so_and_the_urgent_push_out_the_last() -> None:
    made, _ = budget(1, 1_000)
    made.take()
    waiting = [asyncio.ensure_future(made.acquire(1, Priority.WARMING)) for _ in range(WAITERS_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(VenueRateLimited) as caught:
        await made.acquire(1, Priority.WARMING)
    assert caught.value.retry_after_ms > 0
    waiting.append(asyncio.ensure_future(made.acquire(1, Priority.CLIENT)))
    await asyncio.wait([waiting[WAITERS_MAX - 1]])
    assert isinstance(waiting[WAITERS_MAX - 1].exception(), VenueRateLimited)
    assert made.waiting == WAITERS_MAX
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_a_deadline_that_cannot_be_met_is_refused_at_once_and_one_that_can_is_met() -> None:
    async def ask() -> None:
        clock = virtual_clock()
        made = Budget([Window(limit=2, seconds=10)], clock=clock)
        started = clock.monotonic_ns()
        for _ in range(2):
            await made.acquire()
        queue = [asyncio.ensure_future(made.acquire()) for _ in range(3)]
        await asyncio.sleep(0)  # three wait: for 10, 10 and 20 s; the next one for 20 s
        with pytest.raises(VenueRateLimited) as caught:
            await made.acquire(deadline_ns=started + 19 * 10**9)
        assert caught.value.retry_after_ms == 20_001
        assert clock.monotonic_ns() == started
        await made.acquire(deadline_ns=started + 20 * 10**9)
        assert clock.monotonic_ns() == pytest.approx(started + 20 * 10**9, abs=10**6)
        await asyncio.gather(*queue)

    in_virtual_time(ask())


def test_a_call_that_was_never_made_costs_nothing() -> None:
    async def ask() -> None:
        made = Budget([Window(limit=10, seconds=60)], clock=virtual_clock())
        first = await made.acquire(4)
        await asyncio.sleep(1)
        await made.acquire(3)
        made.refund(first)
        assert made.check() == (True, 7)
        await asyncio.sleep(59.5)
        assert made.check() == (True, 7)  # the second one still counts

    in_virtual_time(ask())


DEMAND = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from(list(Priority)), st.integers(1, 5)),
    min_size=20,
    max_size=60,
)


@given(demand=DEMAND)
@settings(max_examples=50)
@pytest.mark.proves("ROW-C06")
def test_demand_beyond_the_budget_waits_in_order_and_no_minute_holds_more_than_the_limit(
    demand: list[tuple[int, Priority, int]],
) -> None:
    """Ten minutes of three times the budget; arrival in seconds."""
    limit = max(5, sum(weight for _, _, weight in demand) // 30)
    done: list[tuple[int, int, Priority, int]] = []  # came, admitted, priority, weight

    async def load() -> None:
        clock = virtual_clock()
        made = Budget([Window(limit=limit, seconds=60)], clock=clock)

        async def ask(at: int, priority: Priority, weight: int) -> None:
            await asyncio.sleep(at)
            came = clock.monotonic_ns()
            spent = await made.acquire(weight, priority)
            done.append((came, spent.at_ns, priority, weight))

        await asyncio.gather(*(ask(*one) for one in demand))

    in_virtual_time(load())
    assert len(done) == len(demand)
    for _, end, _, _ in done:
        assert sum(weight for _, at, _, weight in done if end - 60 * 10**9 < at <= end) <= limit
    for _, at, priority, _ in done:
        overtaken = [one for one in done if one[2] < priority and one[0] < at < one[1]]
        assert not overtaken, "somebody more urgent waited"


FLIGHTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 30), st.floats(0, 1)), min_size=10, max_size=60
)


@given(limit=st.integers(1, 8), span=st.integers(1, 40), flights=FLIGHTS)
@pytest.mark.proves("ROW-C06")
def test_at_whatever_moment_of_its_way_the_venue_sees_a_request_no_window_of_the_venue_is_overdrawn(
    limit: int, span: int, flights: list[tuple[int, int, float]]
) -> None:
    """Times in tenths of a second; the venue sees a request at any moment between its begin and its end."""

    async def play() -> list[int]:
        clock = virtual_clock()
        made = Budget([Window(limit=limit, seconds=span / 10)], clock=clock, venue="coinbase")
        seen: list[int] = []

        async def call(on_its_way_s: float, part: float) -> None:
            spending = await made.acquire()
            await asyncio.sleep(on_its_way_s * part)
            seen.append(clock.monotonic_ns())
            await asyncio.sleep(on_its_way_s * (1 - part))
            made.settle(spending)

        async with asyncio.TaskGroup() as tasks:
            for pause, way, part in flights:
                await asyncio.sleep(pause / 10)
                tasks.create_task(call(min(way, span - 1) / 10, part))
        return sorted(seen)

    seen = in_virtual_time(play())
    span_ns = span * 10**8
    for first in seen:
        assert sum(first <= at < first + span_ns - 1_000 for at in seen) <= limit
