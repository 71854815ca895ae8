"""The advice follows the signs, the strongest first (REQUIREMENTS B9, D5)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.hot.advice import VenueSigns, advise
from datafacade.v1 import health_pb2 as health

WELL = VenueSigns(is_offline=False, is_ws_connected=True, is_rest_healthy=True)


@pytest.mark.proves("REQ-B9")
@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({}, "USE_PRIMARY"),
        ({"is_rest_healthy": None}, "USE_PRIMARY"),
        ({"is_ws_connected": False}, "USE_FALLBACK"),
        ({"is_rest_healthy": False}, "USE_FALLBACK"),
        ({"error_ratio": 0.1}, "USE_PRIMARY"),
        ({"error_ratio": 0.11}, "USE_FALLBACK"),
        ({"error_ratio": 0.5}, "USE_FALLBACK"),
        ({"error_ratio": 0.51}, "AVOID"),
        ({"is_offline": True}, "AVOID"),
        ({"latency_ns_p99": 2_000_000_000}, "USE_PRIMARY"),
        ({"latency_ns_p99": 2_000_000_001}, "HALVE_SIZE"),
        ({"silent_ns": 10_000_000_000}, "USE_PRIMARY"),
        ({"silent_ns": 10_000_000_001}, "CHECK_CONNECTION"),
    ],
)
def test_each_sign_has_its_advice(change: dict[str, Any], advice: str) -> None:
    signs = replace(WELL, **change)
    assert health.Recommendation.Name(advise(signs)) == f"RECOMMENDATION_{advice}"


@given(
    is_ws_connected=st.booleans(),
    is_rest_healthy=st.sampled_from([True, False, None]),
    error_ratio=st.floats(0, 1),
)
def test_a_venue_that_is_not_well_is_never_the_first_choice(
    is_ws_connected: bool, is_rest_healthy: bool | None, error_ratio: float
) -> None:
    signs = replace(
        WELL, is_ws_connected=is_ws_connected, is_rest_healthy=is_rest_healthy, error_ratio=error_ratio
    )
    is_well = is_ws_connected and is_rest_healthy is not False and error_ratio <= 0.1
    assert (advise(signs) == health.RECOMMENDATION_USE_PRIMARY) is is_well
