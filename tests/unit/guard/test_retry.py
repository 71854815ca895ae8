"""Retries are few, late, jittered, and earned by requests."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.errors import CircuitOpen, FacadeError, InvalidRequest, VenueFailed, VenueRateLimited
from datafacade.guard.retry import Retries, RetryBudget, RetryFigures, backoff_s
from tests.unit.virtual import in_virtual_time, virtual_clock


@given(attempt=st.integers(-5, 10**9), seed=st.integers(0, 1_000), base=st.floats(0.001, 10))
def test_a_wait_is_anything_up_to_a_bound_that_doubles_to_its_cap(
    attempt: int, seed: int, base: float
) -> None:
    wait = backoff_s(attempt, base_s=base, wait_s_max=8.0, random=Random(seed))
    assert 0.0 <= wait <= min(8.0, base * 2 ** (min(max(attempt, 1), 63) - 1))


def test_full_jitter_spreads_over_the_whole_bound() -> None:
    random = Random(7)
    waits = sorted(backoff_s(3, base_s=1.0, wait_s_max=8.0, random=random) for _ in range(1_000))
    assert waits[0] < 0.1
    assert waits[-1] > 3.9
    assert 1.8 < sum(waits) / 1_000 < 2.2


@given(steps=st.lists(st.booleans(), max_size=500))
@pytest.mark.proves("ROW-C05")
def test_at_no_moment_were_there_more_retries_than_a_tenth_of_the_requests(steps: list[bool]) -> None:
    budget, requests, retries = RetryBudget(), 0, 0
    for is_request in steps:
        if is_request:
            budget.earn()
            requests += 1
        else:
            retries += budget.spend()
        assert retries * 10 <= requests
        assert budget.saved <= 10


def test_calm_times_save_up_ten_retries_and_no_more() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.earn()
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]


class Venue:
    """Raises what is planned, then answers."""

    def __init__(self, *plan: FacadeError) -> None:
        self.plan = list(plan)
        self.calls = 0

    async def ask(self) -> str:
        self.calls += 1
        await asyncio.sleep(0)
        if self.plan:
            raise self.plan.pop(0)
        return "answer"


def failed() -> VenueFailed:
    return VenueFailed("HTTP status 503", venue="kraken")


def rich() -> Retries:
    """Return retries that calm times have paid for."""
    return Retries(RetryFigures(budget_ratio=1.0, saved_max=100), clock=virtual_clock(), random=Random(1))


async def run(retries: Retries, venue: Venue, deadline_ns: int | None = None) -> str:
    for _ in range(5):
        retries._budget.earn()
    return await retries.run(venue.ask, deadline_ns=deadline_ns)


@pytest.mark.proves("ROW-C01")
@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (1, 2), (2, 3), (3, 3), (9, 3)])
def test_a_request_is_tried_three_times_at_most(failures: int, calls: int) -> None:
    async def ask() -> None:
        venue = Venue(*(failed() for _ in range(failures)))
        if failures < 3:
            assert await run(rich(), venue) == "answer"
        else:
            with pytest.raises(VenueFailed):
                await run(rich(), venue)
        assert venue.calls == calls

    in_virtual_time(ask())


@pytest.mark.parametrize(
    "error",
    [
        VenueRateLimited(1_000),
        CircuitOpen(1_000),
        InvalidRequest("symbol", "x"),
        VenueFailed("redirected", is_final=True),
    ],
)
def test_what_cannot_succeed_is_not_tried_again(error: FacadeError) -> None:
    async def ask() -> None:
        venue = Venue(error)
        with pytest.raises(type(error)):
            await run(rich(), venue)
        assert venue.calls == 1

    in_virtual_time(ask())


def test_no_retry_begins_after_the_deadline() -> None:
    async def ask() -> None:
        loop = virtual_clock()
        venue = Venue(failed(), failed())
        with pytest.raises(VenueFailed):
            await run(rich(), venue, deadline_ns=loop.monotonic_ns() + 1)
        assert venue.calls == 1

    in_virtual_time(ask())


@pytest.mark.proves("ROW-C05")
@given(offered=st.integers(1, 300), clients=st.integers(1, 20), seed=st.integers(0, 100))
def test_a_venue_that_always_fails_gets_at_most_a_tenth_more_calls_than_were_offered(
    offered: int, clients: int, seed: int
) -> None:
    async def load() -> None:
        venue = Venue(*(failed() for _ in range(10_000)))
        retries = Retries(RetryFigures(), clock=virtual_clock(), random=Random(seed))
        begun = 0

        async def client() -> None:
            nonlocal begun
            while begun < offered:
                begun += 1
                with pytest.raises(VenueFailed):
                    await retries.run(venue.ask)
                assert venue.calls <= 1.1 * begun

        await asyncio.gather(*(client() for _ in range(clients)))
        assert venue.calls >= offered

    in_virtual_time(load())
