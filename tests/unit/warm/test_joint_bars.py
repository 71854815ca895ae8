"""Klines of several venues become one answer: exact prices, sums, states, holes, and each venue's fate."""

from __future__ import annotations

from datafacade.v1 import market_pb2, warm_pb2
from datafacade.warm.joint_bars import join_bars
from datafacade.warm.reconcile import Rules

MINUTE = 60_000_000_000
PROVISIONAL, FINAL = market_pb2.KLINE_STATE_PROVISIONAL, market_pb2.KLINE_STATE_FINAL
RULES = Rules()


def told(
    exponent: int,
    *bars: tuple[int, int, str],
    state: market_pb2.KlineState.ValueType = FINAL,
    holes: tuple[tuple[int, int, str], ...] = (),
) -> warm_pb2.WarmKlinesResponse:
    """Return an answer with flat bars: minute, price mantissa (0: none), volume."""
    answer = warm_pb2.WarmKlinesResponse(price_exponent=exponent)
    for minute, price, volume in bars:
        kline = answer.klines.add(
            ts_open=minute * MINUTE, ts_close=(minute + 1) * MINUTE, volume=volume, state=state
        )
        if price:
            kline.open = kline.high = kline.low = kline.close = price
    for first, last, reason in holes:
        answer.holes.add(ts_start=first * MINUTE, ts_end=last * MINUTE, reason=reason)
    return answer


def test_prices_of_different_exponents_are_exact_and_volumes_of_any_digits_add_up() -> None:
    joint = join_bars(
        {"kraken": told(-1, (0, 1_000, "1.25")), "okx": told(-3, (0, 100_001, "0.0000000000000000000001"))},
        rules=RULES,
        interval_ns=MINUTE,
    )
    (bar,) = joint.message.klines
    assert (bar.open, joint.message.price_exponent) == (1_000_005, -4)  # (100.0 + 100.001) / 2
    assert bar.volume == "1.2500000000000000000001"
    assert (bar.quote_volume, bar.HasField("trade_count")) == ("", False)
    assert joint.fates == {"kraken": "", "okx": ""}
    assert joint.confidence_ratio > 0.9


def test_a_bar_is_final_once_it_is_at_every_venue() -> None:
    answers = {"kraken": told(0, (0, 100, "1"), state=PROVISIONAL), "okx": told(0, (0, 100, "1"))}
    assert join_bars(answers, rules=RULES, interval_ns=MINUTE).message.klines[0].state == PROVISIONAL


def test_a_bar_that_a_venue_lacks_says_that_its_volume_is_not_whole() -> None:
    answers = {
        "coinbase": told(0, (0, 100, "1"), (1, 100, "1"), (2, 100, "1")),
        "kraken": told(0, (0, 100, "1"), (2, 150, "1")),
        "okx": told(0, (0, 100, "1"), (1, 100, "1"), (2, 100, "1")),
    }
    joint = join_bars(answers, rules=RULES, interval_ns=MINUTE)
    incomplete = market_pb2.COMPLETENESS_INCOMPLETE
    assert [bar.completeness for bar in joint.message.klines] == [0, incomplete, incomplete]
    assert [bar.volume for bar in joint.message.klines] == ["3", "2", "2"]
    assert joint.fates["kraken"] == ""  # it took part in one


def test_what_no_two_venues_agree_on_is_a_hole_with_its_reason() -> None:
    answers = {
        "coinbase": told(0, (0, 100, "1"), (1, 100, "1"), (4, 100, "1"), holes=((2, 4, "NO_TRADES"),)),
        "kraken": told(0, (0, 130, "1"), (4, 100, "1"), holes=((1, 4, "MISSING"),)),
    }
    joint = join_bars(answers, rules=RULES, interval_ns=MINUTE)
    assert [bar.ts_open // MINUTE for bar in joint.message.klines] == [4]
    holes = [(one.ts_start // MINUTE, one.ts_end // MINUTE, one.reason) for one in joint.message.holes]
    assert holes == [(0, 1, "LOW_CONFIDENCE"), (1, 2, "INSUFFICIENT_SOURCES"), (2, 4, "MISSING")]


def test_a_venue_that_is_off_in_every_bar_is_dropped_with_its_reason() -> None:
    answers = {name: told(0, (0, 100, "1")) for name in ("binance", "coinbase", "kraken")}
    joint = join_bars(answers | {"okx": told(0, (0, 150, "900"))}, rules=RULES, interval_ns=MINUTE)
    assert joint.fates == {"binance": "", "coinbase": "", "kraken": "", "okx": "OUTLIER"}
    assert joint.message.klines[0].volume == "3"


def test_a_bar_without_trades_is_no_bar() -> None:
    answers = {name: told(0, (0, 100, "1"), (1, 0, "0")) for name in ("coinbase", "kraken")}
    joint = join_bars(answers, rules=RULES, interval_ns=MINUTE)
    assert [bar.ts_open for bar in joint.message.klines] == [0]
    assert [hole.reason for hole in joint.message.holes] == ["INSUFFICIENT_SOURCES"]


def test_nothing_agreed_is_an_answer_without_bars() -> None:
    answers = {"kraken": told(0, (0, 100, "1")), "okx": told(0, (0, 140, "1"))}
    joint = join_bars(answers, rules=RULES, interval_ns=0)
    assert (len(joint.message.klines), joint.confidence_ratio) == (0, 0.0)
