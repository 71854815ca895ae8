"""Public batch functions of klines: types in and out, refusals, arithmetic against exact fractions."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade.query.klines import (
    COLUMNS,
    FillMethod,
    Table,
    fill_klines,
    klines_from_klines,
    klines_from_trades,
)

MINUTE = 60_000_000_000


def trades(**columns: object) -> pl.DataFrame:
    """Return three trades of two minutes, with some columns replaced."""
    table: dict[str, object] = {
        "ts_event": [0, MINUTE - 1, MINUTE],
        "price": ["100.5", "99.25", "101"],
        "quantity": ["2", "1", "0.5"],
        "is_buy": [True, False, None],
    }
    return pl.DataFrame(table | columns)


def make(table: Table, variant: str = "1m") -> pl.DataFrame:
    """Make klines at the digits of ``trades``."""
    return klines_from_trades(table, variant, price_digits=2, quantity_digits=1)


def test_a_kline_has_exact_numbers_and_utc_times() -> None:
    klines = make(trades())
    assert tuple(klines.columns) == COLUMNS
    assert klines.row(0, named=True) == {
        "ts_open": datetime(1970, 1, 1, tzinfo=UTC),
        "ts_close": datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
        "open": Decimal("100.50"), "high": Decimal("100.50"),
        "low": Decimal("99.25"), "close": Decimal("99.25"),
        "volume": Decimal("3.0"), "quote_volume": Decimal("300.250"), "vwap": Decimal("100.08333333333333"),
        "taker_buy_volume": Decimal("2.0"), "taker_sell_volume": Decimal("1.0"), "trade_count": 2,
        "is_synthetic": False,
    }  # fmt: skip
    assert klines.row(1, named=True)["taker_buy_volume"] == 0
    assert klines.schema["ts_open"] == pl.Datetime("ns", "UTC")


@pytest.mark.parametrize(
    "columns",
    [
        {"price": [100.5, 99.25, 101.0], "quantity": [2.0, 1.0, 0.5]},
        {"price": [10_050, 9_925, 10_100], "quantity": [20, 10, 5]},
        {"price": [Decimal("100.5"), Decimal("99.25"), Decimal(101)]},
        {"ts_event": pl.Series([0, 59_999, 60_000]).cast(pl.Datetime("ms", "UTC"))},
        {"ts_event": pl.Series([0, 59_999_999, 60_000_000]).cast(pl.Datetime("us"))},
        {"is_buy": pl.Series([1, -1, 0], dtype=pl.Int8)},
    ],
    ids=["floats", "mantissas", "decimals", "ms", "us", "signs"],
)
def test_any_type_of_column_gives_the_same_klines(columns: dict[str, object]) -> None:
    assert make(trades(**columns)).equals(make(trades()))


def test_tables_may_be_lazy_in_chunks_or_of_another_library() -> None:
    wanted = make(trades())
    assert make(trades().lazy()).equals(wanted)
    assert make(pl.concat([trades()[:1], trades()[1:]], rechunk=False)).equals(wanted)
    assert make(Lender(trades())).equals(wanted)


class Lender:
    """A table that speaks the Arrow interface and nothing else."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Lend the table."""
        return self.frame.__arrow_c_stream__(requested_schema)


def test_digits_follow_from_decimal_columns() -> None:
    table = trades().with_columns(
        pl.col("price").cast(pl.Decimal(20, 2)), pl.col("quantity").cast(pl.Decimal(20, 1))
    )
    assert klines_from_trades(table).equals(make(trades()))
    with pytest.raises(ValueError, match="say price_digits"):
        klines_from_trades(trades())


def test_trades_in_disorder_are_sorted_and_those_of_one_instant_keep_their_order() -> None:
    table = trades(ts_event=[MINUTE, 5, 5], price=["3", "1", "2"])
    klines = make(table)
    assert klines["open"].to_list() == [1, 3]
    assert klines["close"].to_list() == [2, 3]


def test_no_side_gives_no_volume_of_takers() -> None:
    klines = make(trades().drop("is_buy"))
    assert set(COLUMNS) - set(klines.columns) == {"taker_buy_volume", "taker_sell_volume"}


@pytest.mark.parametrize(
    ("columns", "variant", "error", "text"),
    [
        (
            {"price": [0.1 + 0.2, 1.0, 1.0]},
            "1m",
            ValueError,
            'column "price", row 0: 0.30000000000000004 is no dec',
        ),
        ({"price": ["1", "1.005", "1"]}, "1m", ValueError, 'column "price", row 1: 1.005 is no decimal'),
        ({"price": ["1", "x", "1"]}, "1m", ValueError, "row 1: x is no decimal"),
        ({"quantity": ["1", None, "1"]}, "1m", ValueError, 'column "quantity" has absent values'),
        ({"quantity": ["1", "-1", "1"]}, "1m", ValueError, "quantity below 0"),
        ({"price": [True, True, True]}, "1m", TypeError, 'column "price" is of type Boolean'),
        ({"ts_event": [0.0, 1.0, 2.0]}, "1m", TypeError, 'column "ts_event" is of type Float64'),
        ({"is_buy": ["buy", "sell", "buy"]}, "1m", TypeError, 'column "is_buy" is of type'),
        (
            {"price": [2**63 - 1] * 3, "quantity": [2**63 - 1] * 3},
            "1w",
            ValueError,
            "do not fit at one exponent",
        ),
        ({}, "1y", ValueError, "no interval and no bar type"),
    ],
)
def test_what_is_not_exact_is_refused(
    columns: dict[str, object], variant: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        make(trades(**columns), variant)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="quantity"):
        make(trades().drop("quantity"))
    with pytest.raises(ValueError, match="volume"):
        klines_from_klines(make(trades()).drop("volume"), "1h")


def test_longer_klines_keep_only_what_the_shorter_ones_have() -> None:
    klines = make(trades())
    hour = klines_from_klines(klines, "1h")
    assert tuple(hour.columns) == COLUMNS
    assert hour.equals(make(trades(), "1h"))
    plain = klines_from_klines(klines.select("ts_open", "open", "high", "low", "close", "volume"), "1h")
    assert plain.equals(hour.select(plain.columns))
    assert plain.columns == ["ts_open", "ts_close", "open", "high", "low", "close", "volume"]
    with pytest.raises(ValueError, match="row 0 does not lie in one interval"):
        klines_from_klines(hour, "1m")


@pytest.mark.parametrize(("method", "px"), [("previous", "99.25"), ("zero", "0"), ("interpolate", "100.12")])
def test_empty_intervals_are_filled_by_request_and_marked(method: FillMethod, px: str) -> None:
    klines = make(trades(ts_event=[0, 1, 2 * MINUTE]))
    filled = fill_klines(klines, "1m", method=method)
    assert filled["is_synthetic"].to_list() == [False, True, False]
    assert filled.row(1, named=True) | {"volume": 0} == {
        "ts_open": datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
        "ts_close": datetime(1970, 1, 1, 0, 2, tzinfo=UTC),
        "open": Decimal(px), "high": Decimal(px), "low": Decimal(px), "close": Decimal(px),
        "volume": 0, "quote_volume": 0, "vwap": None, "taker_buy_volume": 0, "taker_sell_volume": 0,
        "trade_count": 0, "is_synthetic": True,
    }  # fmt: skip
    assert filled.filter(~pl.col("is_synthetic")).equals(klines)


def test_filling_goes_on_behind_the_last_kline_up_to_the_end() -> None:
    klines = make(trades())
    end = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    assert fill_klines(klines, "1m", ts_end=end).height == 5
    assert fill_klines(klines, "1m", ts_end=5 * MINUTE).equals(fill_klines(klines, "1m", ts_end=end))
    assert fill_klines(klines, "1m", ts_end=end, method="interpolate").height == 2
    with pytest.raises(ValueError, match="no time zone"):
        fill_klines(klines, "1m", ts_end=datetime(1970, 1, 1))  # noqa: DTZ001  that is refused
    with pytest.raises(ValueError, match="expected previous, zero or interpolate"):
        fill_klines(klines, "1m", method="guess")  # type: ignore[arg-type]


def test_a_table_without_rows_gives_none() -> None:
    klines = make(trades()[:0])
    assert klines.height == 0
    assert tuple(klines.columns) == COLUMNS
    assert fill_klines(klines, "1m").height == 0
    assert klines_from_klines(klines, "1h").height == 0


numbers = st.integers(min_value=0, max_value=10**15)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), numbers, numbers, st.sampled_from([True, False, None])), max_size=60
    )
)
def test_klines_are_those_of_exact_fractions(rows: list[tuple[int, int, int, bool | None]]) -> None:
    rows.sort(key=lambda row: row[0])
    frame = pl.DataFrame(
        {
            "ts_event": [row[0] * MINUTE // 10 for row in rows],
            "price": [row[1] for row in rows],
            "quantity": [row[2] for row in rows],
            "is_buy": pl.Series([row[3] for row in rows], dtype=pl.Boolean),
        },
        schema_overrides={"ts_event": pl.Int64, "price": pl.Int64, "quantity": pl.Int64},
    )
    made = klines_from_trades(frame, "1m", price_digits=6, quantity_digits=4)
    groups: dict[int, list[tuple[Fraction, Fraction, bool | None]]] = {}
    for tenth, px, qty, is_buy in rows:
        groups.setdefault(tenth // 10, []).append((Fraction(px, 10**6), Fraction(qty, 10**4), is_buy))
    assert made.height == len(groups)
    for kline, group in zip(made.iter_rows(named=True), groups.values(), strict=True):
        prices = [px for px, _, _ in group]
        wanted = [prices[0], max(prices), min(prices), prices[-1]]
        assert [Fraction(kline[name]) for name in ("open", "high", "low", "close")] == wanted
        assert Fraction(kline["volume"]) == sum(qty for _, qty, _ in group)
        value = sum((px * qty for px, qty, _ in group), Fraction(0))
        assert Fraction(kline["quote_volume"]) == value
        for name, side in (("taker_buy_volume", True), ("taker_sell_volume", False)):
            assert Fraction(kline[name]) == sum(qty for _, qty, is_buy in group if is_buy is side)
        if volume := sum(qty for _, qty, _ in group):
            assert abs(Fraction(kline["vwap"]) - value / volume) <= Fraction(1, 2 * 10**18)
