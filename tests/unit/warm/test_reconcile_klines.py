"""Klines of several sources: order of prices, sums, what is refused and why."""

from __future__ import annotations

from decimal import Decimal
from statistics import median

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade.warm.reconcile import Rules
from datafacade.warm.reconcile_klines import PRICES, reconcile_klines

MINUTE = 60_000_000_000


def bars(*rows: tuple[int, str, str, str, str, str], **more: list[object]) -> pl.DataFrame:
    """Return bars: minute, open, high, low, close, volume."""
    schema = {"minute": pl.Int64, **dict.fromkeys((*PRICES, "volume"), pl.String)}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    decimals = [pl.col(name).cast(pl.Decimal(38, 2)) for name in (*PRICES, "volume")]
    times = pl.from_epoch(pl.col("minute") * MINUTE, time_unit="ns").dt.replace_time_zone("UTC")
    return frame.select(times.alias("ts_open"), *decimals).with_columns(
        pl.Series(name, values) for name, values in more.items()
    )


GOOD = (0, "100", "101", "99", "100.50", "10")


def test_prices_are_medians_and_volumes_add_up() -> None:
    given_bars = {
        "binance": bars(GOOD),
        "kraken": bars((0, "100.10", "101.20", "99.10", "100.40", "2")),
        "okx": bars((0, "100.20", "100.90", "98.90", "100.60", "0.50")),
    }
    answer = reconcile_klines(given_bars)
    row = answer.klines.row(0, named=True)
    assert [row[name] for name in PRICES] == [Decimal(text) for text in ("100.1", "101", "99", "100.5")]
    assert (row["volume"], row["sources"], row["is_complete"]) == (Decimal("12.5"), 3, True)
    assert answer.klines.schema["open"] == pl.Decimal(38, 3)
    assert answer.refused.is_empty()


def test_one_false_tick_moves_neither_high_nor_low() -> None:
    given_bars = {name: bars(GOOD) for name in ("coinbase", "kraken")}
    given_bars["okx"] = bars((0, "100", "250", "1", "100.50", "10"))
    row = reconcile_klines(given_bars).klines.row(0, named=True)
    assert (row["high"], row["low"], row["sources"]) == (101, 99, 3)


def test_source_that_is_off_or_contradicts_itself_is_out_as_a_whole() -> None:
    given_bars = {name: bars(GOOD) for name in ("binance", "coinbase", "kraken")}
    given_bars["okx"] = bars((0, "103", "104", "102", "103", "900"))  # 3 % off
    given_bars["other"] = bars((0, "100", "100.20", "99", "100.50", "900"))  # closes above its high
    answer = reconcile_klines(given_bars)
    row = answer.klines.row(0, named=True)
    assert (row["volume"], row["sources"], row["is_complete"]) == (30, 3, False)
    reasons = dict(zip(answer.evidence["source"], answer.evidence["reason"].cast(pl.String), strict=True))
    assert reasons == {"binance": "", "coinbase": "", "kraken": "", "okx": "OUTLIER", "other": "NOT_ORDERED"}


def test_interval_without_two_sources_or_agreement_is_refused_with_its_reason() -> None:
    given_bars = {
        "kraken": bars(GOOD, (1, *GOOD[1:]), (2, *GOOD[1:])),
        "okx": bars(GOOD, (2, "103", "104", "102", "103", "1")),
    }
    answer = reconcile_klines(given_bars)
    assert answer.klines["sources"].to_list() == [2]
    refused = [(str(row["outcome"]), row["sources"]) for row in answer.refused.to_dicts()]
    assert refused == [("INSUFFICIENT_SOURCES", 1), ("LOW_CONFIDENCE", 2)]
    assert answer.refused["ts_open"].cast(pl.Int64).to_list() == [MINUTE, 2 * MINUTE]


def test_bar_without_a_price_is_no_bar() -> None:
    empty = bars(GOOD).with_columns(pl.lit(None, dtype=pl.Decimal(38, 2)).alias(name) for name in PRICES)
    answer = reconcile_klines({"a": bars(GOOD), "b": empty, "c": bars(GOOD)})
    assert (answer.klines["sources"].to_list(), answer.klines["is_complete"].to_list()) == ([2], [False])
    assert answer.evidence["reason"].cast(pl.String).to_list() == ["", "NOT_GIVEN", ""]
    alone = reconcile_klines({"b": empty})
    assert (alone.klines.height, alone.refused["sources"].to_list()) == (0, [0])


def test_sum_that_one_source_does_not_tell_is_absent() -> None:
    whole = {"a": bars(GOOD, trade_count=[7]), "b": bars(GOOD, trade_count=[5])}
    assert reconcile_klines(whole).klines["trade_count"].to_list() == [12]
    assert reconcile_klines(whole | {"c": bars(GOOD)}).klines["trade_count"].to_list() == [None]


@pytest.mark.parametrize(
    ("change", "error"),
    [({}, "at least one"), ({"a": bars(GOOD, GOOD)}, "stands twice")],
)
def test_nothing_and_doubled_intervals_are_refused(change: dict[str, pl.DataFrame], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        reconcile_klines(change)


def test_floats_need_their_digits() -> None:
    floats = bars(GOOD).with_columns(pl.col(name).cast(pl.Float64) for name in PRICES)
    with pytest.raises(TypeError, match="price_digits"):
        reconcile_klines({"a": floats})
    assert reconcile_klines({"a": floats, "b": floats}, price_digits=2).klines["close"].to_list() == [
        Decimal("100.5")
    ]


WALK = st.lists(st.integers(9_980, 10_020), min_size=2, max_size=6)


@settings(max_examples=200)
@given(walks=st.lists(WALK, min_size=2, max_size=5), mean=st.booleans())
def test_order_holds_and_medians_are_those_of_a_naive_model(walks: list[list[int]], mean: bool) -> None:
    given_bars = {
        f"s{at}": bars(
            (0, *(f"{number / 100:.2f}" for number in (walk[0], max(walk), min(walk), walk[-1])), str(at + 1))  # type: ignore[arg-type]
        )
        for at, walk in enumerate(walks)
    }
    rules = Rules(method="trimmed_mean" if mean else "trimmed_median", confidence_ratio_min=0.0)
    row = reconcile_klines(given_bars, rules=rules).klines.row(0, named=True)
    assert row["low"] <= min(row["open"], row["close"])
    assert max(row["open"], row["close"]) <= row["high"]
    assert row["volume"] == sum(range(1, len(walks) + 1))  # all within 1 %
    if not mean:
        wanted = [
            median(numbers) for numbers in zip(*((w[0], max(w), min(w), w[-1]) for w in walks), strict=True)
        ]
        assert [row[name] * 100 for name in PRICES] == [Decimal(str(number)) for number in wanted]
