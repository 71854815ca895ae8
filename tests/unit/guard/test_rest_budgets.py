"""A host's allowance is what the venue documents, corrected by what its answers say."""

from __future__ import annotations

from random import Random

import pytest

from datafacade.config import ParameterWeight, RestBudget, WeightStep, Window, load_config
from datafacade.guard import rest_budgets
from datafacade.guard.outlook import backoff_s, check_budget
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.guard.retry import Retries, RetryFigures
from datafacade.types import Priority
from tests.unit.fakes import ManualClock


class Fixed(Random):
    """Chance that always says the most."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def rest(*, per_endpoint: bool = False, **more: object) -> tuple[RestBudgets, ManualClock]:
    clock = ManualClock()
    config = RestBudget(
        windows=(Window(limit=10, seconds=60),),
        per_endpoint=per_endpoint,
        endpoints={"/own": (Window(limit=100, seconds=1),)},
        per_parameter={"/pairs": "pair"},
        weights={"/heavy": 2},
        used_header="X-USED",
        **more,  # type: ignore[arg-type]
    )
    return RestBudgets(config, share_ratio=0.8, clock=clock, venue="okx"), clock


def packaged(venue: str) -> tuple[RestBudgets, ManualClock]:
    """Return the budgets that we ship for a venue."""
    clock, limits = ManualClock(), load_config(environment={}).rate_limits
    made = RestBudgets(limits.venues[venue].rest, share_ratio=limits.share_ratio, clock=clock, venue=venue)
    return made, clock


def test_paths_share_one_budget_unless_each_has_its_own() -> None:
    one, _ = rest()
    assert one.of("/a?x=1") is one.of("/b")
    assert one.of("/own") is not one.of("/b")
    assert one.of("/own").windows()[0].limit == 80
    each, _ = rest(per_endpoint=True)
    assert each.of("/a?x=1") is each.of("/a?x=2")
    assert each.of("/a") is not each.of("/b")
    assert set(each.budgets()) == {"/a", "/b"}


def test_a_parameter_can_have_a_budget_for_each_value_and_the_scarcest_is_shown() -> None:
    made, _ = rest()
    assert made.of("/pairs?pair=A&x=1") is made.of("/pairs?x=2&pair=A")
    assert made.of("/pairs?pair=A") is not made.of("/pairs?pair=B")
    made.of("/pairs?pair=B").take(3)
    assert made.budgets()["/pairs"].check() == (True, 5)
    made.block(5, "/pairs?pair=A")
    assert not made.of("/pairs?pair=B").take()
    assert not made.of("/pairs?pair=C").take()  # a limit that was hit holds for the path
    assert made.of("/a").take()


def test_budgets_of_values_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_budgets, "BUDGETS_MAX", 10)
    made, clock = rest()
    for number in range(100):
        made.of(f"/pairs?pair={number}").take()
        clock.advance(30)
    assert len(made._budgets) <= 11


@pytest.mark.parametrize(
    ("venue", "path", "weight"),
    [  # venues/binance.md sections 6 and 7
        ("binance", "/api/v3/depth?symbol=BTCUSDT", 5),
        ("binance", "/api/v3/depth?symbol=BTCUSDT&limit=100", 5),
        ("binance", "/api/v3/depth?symbol=BTCUSDT&limit=101", 25),
        ("binance", "/api/v3/depth?limit=1000&symbol=BTCUSDT", 50),
        ("binance", "/api/v3/depth?limit=5000", 250),
        ("binance", "/api/v3/depth?limit=99999999999999999999", 250),
        ("binance", "/api/v3/depth?limit=many", 250),
        ("binance", "/api/v3/klines?symbol=BTCUSDT&limit=1000", 2),
        ("binance", "/api/v3/ticker/24hr?symbol=BTCUSDT", 2),
        ("binance", "/api/v3/ticker/24hr", 80),
        ("binance", "/api/v3/exchangeInfo", 20),
        ("binance", "/api/v3/aggTrades?symbol=BTCUSDT", 4),
        ("binance-usdm", "/fapi/v1/klines?limit=99", 1),
        ("binance-usdm", "/fapi/v1/klines?limit=1500", 10),
        ("binance-usdm", "/fapi/v1/depth?limit=1000", 20),
        ("binance-usdm", "/fapi/v1/premiumIndex", 10),
        ("binance", "/unheard/of", 1),
        ("kraken", "/0/public/OHLC?pair=XBTUSD", 1),
    ],
)
def test_packaged_weights_are_those_of_the_venue_sheets(venue: str, path: str, weight: int) -> None:
    made, _ = packaged(venue)
    assert made.weight(path) == weight


@pytest.mark.parametrize(
    ("venue", "windows"),
    [
        ("binance", [(4_800, 60_000)]),
        ("coingecko", [(24, 60_000), (8_000, 2_678_400_000)]),
        ("coinpaprika", [(7, 1_000), (16_000, 2_678_400_000)]),
        ("kraken", [(1, 1_250)]),
    ],
)
def test_we_spend_four_fifths_of_what_each_source_allows(venue: str, windows: list[tuple[int, int]]) -> None:
    made, _ = packaged(venue)
    assert [(one.limit, one.span_ms) for one in made.of("/any").windows()] == windows


def test_kraken_counts_candles_and_trades_by_pair_and_all_else_together() -> None:
    made, _ = packaged("kraken")
    assert made.of("/0/public/OHLC?pair=A") is not made.of("/0/public/OHLC?pair=B")
    assert made.of("/0/public/Ticker?pair=A") is made.of("/0/public/Depth?pair=B")


def test_steps_and_presence_decide_weights() -> None:
    steps = (WeightStep(upto=10, weight=1), WeightStep(upto=20, weight=9))
    made, _ = rest()
    made._config.weights["/s"] = ParameterWeight(parameter="n", absent=3, steps=steps)
    made._config.weights["/p"] = ParameterWeight(parameter="n", absent=3, present=4)
    found = [made.weight(path) for path in ("/s", "/s?n=10", "/s?n=11", "/s?n=21", "/s?n=", "/p", "/p?n=x")]
    assert found == [3, 1, 9, 9, 9, 3, 4]


@pytest.mark.proves("ROW-C08")
@pytest.mark.parametrize(
    ("headers", "remaining"),
    [
        ({"x-used": "8"}, 0),
        ({"x-used-1m": "5"}, 3),
        ({"x-used-1m": "5", "x-used": "7"}, 1),
        ({"x-used-10s": "8"}, 8),  # a window that we do not keep
        ({"x-used": "999999999999999999999"}, 0),
        *(({"x-used": nonsense}, 8) for nonsense in ("", "-5", "many", "1e9", "٣")),
    ],
)
def test_headers_teach_the_budget_and_nonsense_is_ignored(headers: dict[str, str], remaining: int) -> None:
    made, _ = rest()
    made.learn("/a", headers)
    assert made.of("/a").check()[1] == remaining


@pytest.mark.proves("ROW-C08")
@pytest.mark.parametrize(
    ("headers", "remaining"),
    [({"x-left": "4"}, 2), ({"x-left": "4", "x-most": "8"}, 4), ({"x-left": "99"}, 8), ({"x-left": "?"}, 8)],
)
def test_what_is_left_teaches_the_budget_too(headers: dict[str, str], remaining: int) -> None:
    made, _ = rest(remaining_header="X-Left", limit_header="X-Most")
    made.learn("/a", headers)
    assert made.of("/a").check()[1] == remaining


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


@pytest.mark.proves("REQ-R2")
def test_check_budget_tells_whether_so_many_requests_pass_and_what_the_scarcest_has_left() -> None:
    (one, _), (other, clock) = rest(), rest()
    assert check_budget([one, other], 8) == (True, 8)
    assert check_budget([one, other], 9) == (False, 8)
    other.of("/a").take(6)
    assert check_budget([one, other], 2) == (True, 2)
    assert check_budget([one, other], 3) == (False, 2)
    other.block(30)
    assert check_budget([one, other], 1)[0] is False
    clock.advance(61)
    assert check_budget([one, other], 8) == (True, 8)
    assert other.check(1, Priority.SNAPSHOT) == (True, 8)


@pytest.mark.proves("REQ-R2")
def test_get_backoff_doubles_with_each_attempt_and_is_never_less_than_a_ban() -> None:
    made, clock = rest()
    retries = Retries(RetryFigures(), clock=clock, random=Fixed())
    waits = [backoff_s([made], retries, attempt, breaker_wait_ms=0) for attempt in (1, 2, 3, 4, 5, 99)]
    assert waits == [1, 2, 4, 8, 8, 8]
    assert backoff_s([made], retries, 1, breaker_wait_ms=50_000) == 50
    made.block(60)
    assert backoff_s([made], retries, 1, breaker_wait_ms=50_000) == 60
