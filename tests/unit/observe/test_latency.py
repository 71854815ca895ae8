"""Quantiles are right within 1.6 %, and the failure ratio forgets after five minutes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.observe.latency import FailureRatio, Latency


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_quantiles_are_those_of_the_sorted_list(durations: list[int]) -> None:
    made = Latency()
    for duration in durations:
        made.record(duration)
    quantiles = made.quantiles()
    assert quantiles is not None
    assert quantiles.count == len(durations)
    ordered = sorted(durations)
    for ratio, found in ((0.5, quantiles.p50_ns), (0.99, quantiles.p99_ns), (0.999, quantiles.p999_ns)):
        exact = ordered[max(0, -int(-len(ordered) * ratio // 1) - 1)]
        assert exact <= found <= exact * 1.016 + 1


def test_nothing_recorded_gives_nothing() -> None:
    assert Latency().quantiles() is None


@pytest.mark.parametrize("extreme", [-5, 0, 2**63, 2**200])
def test_extremes_are_counted_somewhere(extreme: int) -> None:
    made = Latency()
    made.record(extreme)
    assert made.count == 1


def test_failures_count_for_five_minutes() -> None:
    made = FailureRatio()
    assert made.ratio(0) is None
    for second in range(10):
        made.record(second * 10**9, is_failure=second % 2 == 0)
    assert made.ratio(10 * 10**9) == 0.5
    made.record(200 * 10**9, is_failure=False)
    assert made.ratio(200 * 10**9) == pytest.approx(5 / 11)
    assert made.ratio(320 * 10**9) == 0.0
    assert made.ratio(900 * 10**9) is None
