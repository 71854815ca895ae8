"""The faces of reconciliation in Python: configuration, volumes, evidence, tables."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade.config import load_config
from datafacade.errors import FacadeError, InsufficientSources, LowConfidence
from datafacade.v1 import lineage_pb2
from datafacade.warm.reconcile import (
    Quote,
    Reconciled,
    Rules,
    age_of,
    reconcile,
    source_quotes,
)
from datafacade.warm.reconcile_table import reconcile_many

SECOND = 1_000_000_000


def quote(source: str, price: str, **more: object) -> Quote:
    return Quote(source=source, price=price, age_ns=0, **more)  # type: ignore[arg-type]


@pytest.mark.proves("REQ-Q2")
def test_method_is_configured_and_the_other_one_differs() -> None:
    told = [quote(f"s{at:02}", str(1000 + at % 5)) for at in range(40)]
    told += [quote("s40", "1009"), quote("s41", "1009")]
    median = reconcile(told, rules=Rules(method="trimmed_median"))
    mean = reconcile(told, rules=Rules(method="trimmed_mean"))
    assert median.price == 1002
    kept = sorted([1000 + at % 5 for at in range(40)] + [1009, 1009])[
        2:-2
    ]  # 5 % of 42, rounded down, each side
    assert mean.price == pytest.approx(Decimal(sum(kept)) / len(kept), abs=Decimal("1e-12"))
    assert sorted(mean.dropped.values()) == ["TRIMMED"] * 4
    assert (
        load_config(environment={}).data_sources.authority.price_volume.reconciliation_method
        == "trimmed_median"
    )


@pytest.mark.proves("REQ-Q1")
def test_rules_come_from_data_sources_yaml() -> None:
    rules = Rules.of(load_config(environment={}).data_sources.authority)
    assert (rules.deviation_ratio_max, rules.sources_min, rules.confidence_ratio_min) == (0.01, 2, 0.7)
    assert (rules.age_limit("kraken"), rules.age_limit("coinpaprika")) == (30 * SECOND, 600 * SECOND)
    assert rules.aggregators == ("coingecko", "coinpaprika")


@pytest.mark.parametrize(
    ("rule", "value"),
    [("deviation_ratio_max", 0.0), ("sources_min", 1), ("confidence_ratio_min", 1.5), ("trim_ratio", 0.9)],
)
def test_rule_out_of_bounds_is_named(rule: str, value: float) -> None:
    with pytest.raises(ValueError, match=rule):
        Rules(**{rule: value}).core()  # type: ignore[arg-type]


def test_source_that_stands_twice_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="kraken"):
        reconcile([quote("kraken", "1"), quote("okx", "1"), quote("kraken", "1")])


def test_volumes_of_venues_add_up_and_those_of_aggregators_do_not_enter() -> None:
    rules = Rules(aggregators=("coingecko", "coinpaprika"))
    told = [
        quote("binance", "100", volume_24h="10.5"),
        quote("coingecko", "100", volume_24h="900"),
        quote("kraken", "100.1", volume_24h="0.25"),
        quote("okx", "150", volume_24h="7000"),  # an outlier: its volume goes with it
    ]
    assert reconcile(told, rules=rules).volume_24h == Decimal("10.75")
    two = [quote("coingecko", "100", volume_24h="900"), quote("coinpaprika", "100", volume_24h="1000")]
    assert reconcile(two, rules=rules).volume_24h == 950
    assert reconcile([quote("kraken", "100"), quote("okx", "100")]).volume_24h is None


@pytest.mark.proves("REQ-Q4")
def test_every_source_stands_in_the_evidence_with_what_became_of_it() -> None:
    told = [
        quote("okx", "100.00", ts_source=5, latency_ns=9, volume_24h="3"),
        quote("kraken", "100.1"),
        quote("binance", "103"),
        quote("coingecko", "", failure="FAILED"),
    ]
    rules = Rules(aggregators=("coingecko",))
    answer = reconcile(told, rules=rules)
    binance, coingecko, kraken, okx = source_quotes(answer.quotes, rules)
    assert (binance.source, binance.price, binance.used, binance.reason) == (
        "binance",
        "103",
        False,
        "OUTLIER",
    )
    assert (coingecko.reason, coingecko.price, coingecko.is_aggregator) == ("FAILED", "", True)
    assert (kraken.used, kraken.reason, kraken.HasField("latency_ns")) == (True, "", False)
    assert (okx.price, okx.ts_source, okx.latency_ns, okx.volume_24h) == ("100.00", 5, 9, "3")
    assert (okx.HasField("age_ns"), okx.age_ns, okx.age_ns_max) == (True, 0, 30 * SECOND)
    assert (answer.used, answer.median) == (("kraken", "okx"), Decimal("100.1"))


@pytest.mark.proves("REQ-Q3")
def test_refusal_carries_its_evidence_and_no_price() -> None:
    with pytest.raises(FacadeError) as caught:
        reconcile([quote("kraken", "100"), quote("okx", "101")])
    lineage = lineage_pb2.Lineage.FromString(caught.value.evidence)  # type: ignore[attr-defined]
    assert [(one.source, one.price, one.used) for one in lineage.sources] == [
        ("kraken", "100", True),
        ("okx", "101", True),
    ]
    assert not hasattr(caught.value, "price")


def test_all_that_failed_is_too_few() -> None:
    with pytest.raises(InsufficientSources) as caught:
        reconcile([quote("kraken", "", failure="FAILED"), quote("okx", "", failure="FAILED")])
    assert (caught.value.used, caught.value.needed) == (0, 2)


@pytest.mark.parametrize(
    ("ts_s", "age_s"), [(0, None), (-1, None), (100, 0), (90, 10), (104, 0), (106, None)]
)
def test_age_is_unknown_without_a_time_or_with_one_from_the_future(ts_s: int, age_s: int | None) -> None:
    assert age_of(ts_s * SECOND, 100 * SECOND) == (None if age_s is None else age_s * SECOND)


SYMBOLS = ("AAA-USD", "BBB-USD", "CCC-USD")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(SYMBOLS),
        st.sampled_from(["binance", "coingecko", "kraken", "okx"]),
        st.one_of(st.integers(9_950, 10_050), st.integers(-5, 20_000)).map(
            lambda number: f"{number / 100:.2f}"
        ),
        st.sampled_from([0, 0, 0, 40 * SECOND, None]),
    ),
    unique_by=lambda row: row[:2],
    min_size=1,
)


@settings(max_examples=200)
@given(rows=ROWS)
def test_table_says_what_symbol_after_symbol_says(rows: list[tuple[str, str, str, int | None]]) -> None:
    schema = {"symbol": pl.String, "source": pl.String, "price": pl.String, "age_ns": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    rules = Rules(aggregators=("coingecko",))
    whole = reconcile_many(frame, rules=rules)
    assert whole.evidence.select("symbol", "source").equals(frame.select("symbol", "source"))
    reasons = {(symbol, source): str(reason) for symbol, source, _, reason in whole.evidence.rows()}
    assert whole.answers["symbol"].to_list() == list(dict.fromkeys(row[0] for row in rows))
    for answer in whole.answers.to_dicts():
        told = [
            Quote(source=row[1], price=row[2], age_ns=row[3]) for row in rows if row[0] == answer["symbol"]
        ]
        one = answer_or_refusal(told, rules)
        if isinstance(one, FacadeError):
            assert (answer["price"], answer["outcome"]) == (None, outcome(one))
            continue
        assert (answer["price"], answer["outcome"]) == (str(one.price), "")
        assert answer["confidence_ratio"] == one.confidence_ratio
        assert (answer["quotes"], answer["is_correlated"]) == (len(told), bool(one.warnings))
        for judged in one.quotes:
            assert reasons[answer["symbol"], judged.quote.source] == judged.reason


def answer_or_refusal(told: list[Quote], rules: Rules) -> Reconciled | FacadeError:
    try:
        return reconcile(told, rules=rules)
    except (InsufficientSources, LowConfidence) as error:
        return error


def outcome(error: FacadeError) -> str:
    return "INSUFFICIENT_SOURCES" if isinstance(error, InsufficientSources) else "LOW_CONFIDENCE"


@pytest.mark.parametrize(
    "prices",
    [
        pl.Series([100.25, 100.5, float("nan")]),
        pl.Series(["100.25", "100.50", "x"]),
        pl.Series([10_025, 10_050, None]),
        pl.Series([Decimal("100.25"), Decimal("100.50"), None]),
    ],
    ids=["floats", "texts", "mantissas", "decimals"],
)
def test_prices_of_any_type_are_exact_and_one_that_is_none_spoils_no_other(prices: pl.Series) -> None:
    frame = pl.DataFrame({"symbol": ["A"] * 3, "source": ["a", "b", "c"], "price": prices, "age_ns": [0] * 3})
    whole = reconcile_many(frame, price_digits=2)
    assert whole.answers["price"].to_list() == ["100.375"]
    assert whole.evidence["used"].to_list() == [True, True, False]
    assert str(whole.evidence["reason"][2]) in ("NOT_A_NUMBER", "NOT_GIVEN")


def test_table_converts_by_rate_and_leaves_out_what_has_none() -> None:
    frame = pl.DataFrame(
        {
            "symbol": ["A"] * 3, "source": ["a", "b", "c"], "price": ["100", "101", "100"], "age_ns": [0] * 3,
            "rate": [None, "0.99", ""],
        }
    )  # fmt: skip
    whole = reconcile_many(frame)
    assert whole.answers["price"].to_list() == ["99.995"]
    assert whole.evidence["reason"].cast(pl.String).to_list() == ["", "", "NOT_CONVERTIBLE"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": ["a", "a"]}, "stands twice"),
        ({"symbol": ["A", None]}, "absent"),
        ({"source": ["a", None]}, "absent"),
    ],
)
def test_table_with_a_doubled_or_nameless_source_is_refused(
    change: dict[str, list[str]], message: str
) -> None:
    table: dict[str, object] = {
        "symbol": ["A", "A"],
        "source": ["a", "b"],
        "price": ["1", "1"],
        "age_ns": [0, 0],
    }
    with pytest.raises(ValueError, match=message):
        reconcile_many(pl.DataFrame(table | change))
