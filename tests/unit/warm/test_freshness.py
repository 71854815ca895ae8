"""The penalty of age against its formula; lights at their borders."""

from __future__ import annotations

import math

import pytest

from datafacade.warm.freshness import (
    Freshness,
    Light,
    freshness_light,
    hit_ratio_light,
    penalty_ratio,
    status,
)

SECOND = 1_000_000_000


@pytest.mark.proves("REQ-H10")
@pytest.mark.parametrize(
    ("age_s", "penalty", "word"),
    [
        (0, 0.0, "fresh"),
        (60, 0.0, "fresh"),
        (60.000000001, 0.1, "stale"),
        (120, 0.1 * math.exp(0.75), "stale"),
        (180, 0.1 * math.exp(1.5), "stale"),
        (240, 0.95, "stale"),  # 0.1 * e^2.25 = 0.9488 is still below the cap
        (241, 0.95, "stale"),
        (300, 0.95, "expired"),
        (86_400, 0.95, "expired"),
    ],
)
def test_penalty_grows_from_one_minute_to_five(age_s: float, penalty: float, word: str) -> None:
    age_ns = round(age_s * SECOND)
    assert penalty_ratio(age_ns) == pytest.approx(penalty, abs=2e-3 if age_s == 240 else 1e-9)
    assert status(age_ns) is Freshness(word)


def test_penalty_never_falls_with_age() -> None:
    penalties = [penalty_ratio(second * SECOND) for second in range(400)]
    assert penalties == sorted(penalties)
    assert max(penalties) == 0.95


@pytest.mark.parametrize(
    ("age_s", "light"),
    [(None, "none"), (0, "green"), (60, "green"), (61, "yellow"), (300, "yellow"), (301, "red")],
)
def test_lights_of_age(age_s: int | None, light: str) -> None:
    assert freshness_light(None if age_s is None else age_s * SECOND) is Light(light)


@pytest.mark.parametrize(
    ("hits", "light"), [(10, "green"), (7, "green"), (6, "yellow"), (5, "yellow"), (4, "red"), (0, "red")]
)
def test_lights_of_hit_ratios(hits: int, light: str) -> None:
    assert hit_ratio_light(hits, 10 - hits) is Light(light)
    assert hit_ratio_light(0, 0) is Light.NONE


def test_signs_are_the_demanded_ones() -> None:
    assert [light.sign for light in Light] == ["🟢", "🟡", "🔴", "⚫"]
