"""Rows D01 to D07: sources that are off, split, old, gone, wrong together, absurd, or in another currency.

Judged by what a caller gets: the price with its evidence, or a refusal with its status and its evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datafacade.config import load_config
from datafacade.errors import FacadeError, InsufficientSources, LowConfidence
from datafacade.serve.status import refuse
from datafacade.v1 import lineage_pb2
from datafacade.warm.reconcile import Quote, Rate, Reconciled, Rules, reconcile, source_quotes
from tests.chaos.harness.tier import IS_FULL
from tests.chaos.virtual import fractions_model as model
from tests.chaos.virtual.fractions_model import Told

pytestmark = pytest.mark.chaos

SECOND = 1_000_000_000
TRUTH = Decimal("61018.6")
VENUES = {"binance": "61020.1", "coinbase": "61011.24", "kraken": "61018.6", "okx": "61025.9"}
NAMES = ("binance", "coinbase", "coingecko", "coinpaprika", "kraken", "okx")
RULES = Rules.of(load_config(environment={}).data_sources.authority)


def quotes(prices: dict[str, str], **ages: int | None) -> list[Quote]:
    """Return quotes of one second, or as old as is said."""
    return [
        Quote(source=source, price=price, age_ns=ages.get(source, SECOND)) for source, price in prices.items()
    ]


def evidence(answer: Reconciled) -> dict[str, str]:
    """Return the reason by source as the contract writes it; empty: used."""
    told = source_quotes(answer.quotes, answer.rules)
    assert [one.source for one in told] == sorted(one.source for one in told)
    assert all(one.used == (not one.reason) for one in told)
    return {one.source: one.reason for one in told}


def refusal(error: FacadeError) -> tuple[int, dict[str, str], dict[str, str]]:
    """Return the status of a refusal, its details, and the reason by source."""
    told = refuse(error)
    status = status_pb2.Status.FromString(told.details)
    info, lineage = error_details_pb2.ErrorInfo(), lineage_pb2.Lineage()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(lineage)
    return (
        told.code,
        dict(info.metadata) | {"reason": info.reason},
        {one.source: one.reason for one in lineage.sources},
    )


@pytest.mark.proves("ROW-D01")
@pytest.mark.parametrize("wrong", VENUES)
@pytest.mark.parametrize("factor", ["1.05", "0.95"])
def test_one_of_four_sources_that_is_off_is_dropped_and_named(wrong: str, factor: str) -> None:
    control = reconcile(quotes(VENUES), rules=RULES)
    assert control.dropped == {}
    moved = VENUES | {wrong: str(Decimal(VENUES[wrong]) * Decimal(factor))}
    answer = reconcile(quotes(moved), rules=RULES)
    assert evidence(answer) == dict.fromkeys(VENUES, "") | {wrong: "OUTLIER"}
    assert abs(answer.price / TRUTH - 1) < Decimal("0.01")


@pytest.mark.proves("ROW-D02")
@pytest.mark.parametrize("apart", ["0.008", "0.01", "0.015", "0.02", "0.021", "0.05", "1", "1000"])
def test_two_sources_against_two_give_no_price(apart: str) -> None:
    other = str(TRUTH * (1 + Decimal(apart)))
    split = {"binance": str(TRUTH), "coinbase": str(TRUTH), "kraken": other, "okx": other}
    assert reconcile(quotes(dict.fromkeys(split, str(TRUTH))), rules=RULES).confidence_ratio == 1
    with pytest.raises((LowConfidence, InsufficientSources)) as caught:
        reconcile(quotes(split), rules=RULES)
    code, details, reasons = refusal(caught.value)
    assert code == code_pb2.FAILED_PRECONDITION
    assert details["reason"] in ("LOW_CONFIDENCE", "INSUFFICIENT_SOURCES")
    assert sorted(reasons) == sorted(split)
    if isinstance(caught.value, LowConfidence):
        assert caught.value.confidence_ratio < 0.7


@pytest.mark.proves("ROW-D03")
@pytest.mark.parametrize(
    ("age_ns", "reason"), [(60 * SECOND, "TOO_OLD"), (None, "AGE_UNKNOWN"), (-1, "AGE_UNKNOWN")]
)
@pytest.mark.parametrize("old", VENUES)
def test_a_source_that_is_old_or_of_unknown_age_takes_no_part(
    old: str, age_ns: int | None, reason: str
) -> None:
    far = VENUES | {old: "61300"}  # inside 1 %: only its age can exclude it
    assert reconcile(quotes(far), rules=RULES).dropped == {}
    answer = reconcile(quotes(far, **{old: age_ns}), rules=RULES)
    assert evidence(answer) == dict.fromkeys(VENUES, "") | {old: reason}
    rest = {source: price for source, price in VENUES.items() if source != old}
    assert answer.price == reconcile(quotes(rest), rules=RULES).price


@pytest.mark.proves("ROW-D03")
@pytest.mark.parametrize(("source", "limit_s"), [("kraken", 30), ("coingecko", 120), ("coinpaprika", 600)])
def test_each_source_has_its_own_limit_of_age_and_the_answer_says_it(source: str, limit_s: int) -> None:
    told = VENUES | {source: "61018.6"}
    within = reconcile(quotes(told, **{source: limit_s * SECOND}), rules=RULES)
    beyond = reconcile(quotes(told, **{source: limit_s * SECOND + 1}), rules=RULES)
    assert (within.dropped, beyond.dropped) == ({}, {source: "TOO_OLD"})
    limits = {one.source: one.age_ns_max for one in source_quotes(beyond.quotes, RULES)}
    assert limits[source] == limit_s * SECOND


@pytest.mark.proves("ROW-D04")
@pytest.mark.parametrize("others", [{}, {"okx": "NaN"}, {"okx": "0", "coinbase": ""}])
def test_one_source_left_is_refused_with_the_count(others: dict[str, str]) -> None:
    with pytest.raises(InsufficientSources) as caught:
        reconcile(quotes({"kraken": "61018.6"} | others), rules=RULES)
    code, details, reasons = refusal(caught.value)
    assert code == code_pb2.FAILED_PRECONDITION
    assert (details["reason"], details["used"], details["needed"]) == ("INSUFFICIENT_SOURCES", "1", "2")
    assert [source for source, reason in reasons.items() if not reason] == ["kraken"]


@pytest.mark.proves("ROW-D05")
@pytest.mark.parametrize("venues", [1, 2, 3, 4])
def test_aggregators_that_agree_against_the_venues_are_flagged(venues: int) -> None:
    common = str(TRUTH * Decimal("1.025"))  # more than 2 % above each mid
    told = dict(list(VENUES.items())[:venues]) | {"coingecko": common, "coinpaprika": common}
    near = told | dict.fromkeys(("coingecko", "coinpaprika"), str(TRUTH))
    assert reconcile(quotes(near), rules=RULES).warnings == ()
    lenient = Rules(aggregators=RULES.aggregators, confidence_ratio_min=0.0)
    if venues == 2:  # two against two: no price at all
        with pytest.raises((LowConfidence, InsufficientSources)):
            reconcile(quotes(told), rules=RULES)
        return
    answer = reconcile(quotes(told), rules=lenient)
    assert answer.warnings == ("CORRELATED_SOURCES",)
    wrong = {"coingecko", "coinpaprika"} if venues > 2 else {"binance"}  # the limit of the rule, named
    assert set(answer.dropped) == wrong


@pytest.mark.proves("ROW-D07")
def test_dollar_tokens_are_pooled_only_by_a_stated_rate() -> None:
    depeg = Decimal("0.97")
    dollars = quotes({"coinbase": "61011.24", "kraken": "61018.6"})
    tokens = [
        Quote(source=source, price=str(Decimal(price) / depeg)[:18], age_ns=SECOND, currency="USDT")
        for source, price in {"binance": "61020.1", "okx": "61025.9"}.items()
    ]
    alone = reconcile([*dollars, *tokens], rules=RULES)
    assert evidence(alone) == {
        "binance": "NOT_CONVERTIBLE",
        "coinbase": "",
        "kraken": "",
        "okx": "NOT_CONVERTIBLE",
    }
    assert alone.price == Decimal("61014.92")
    rate = Rate(currency="USDT", target="USD", rate="0.97", source="kraken", age_ns=SECOND, ts_source=7)
    whole = reconcile([*dollars, *tokens], rules=RULES, rates=[rate])
    assert (whole.dropped, whole.conversions) == ({}, (rate,))
    assert abs(whole.price / TRUTH - 1) < Decimal("0.0002")
    told = {one.source: (one.price, one.quote) for one in source_quotes(whole.quotes, RULES)}
    assert told["okx"] == (tokens[1].price, "USDT")  # as it was said, not as it was converted


@pytest.mark.proves("ROW-D07")
@pytest.mark.parametrize(
    "rate", [{"age_ns": None}, {"age_ns": 31 * SECOND}, {"rate": "0"}, {"rate": "NaN"}, {"target": "EUR"}]
)
def test_a_rate_that_cannot_be_trusted_converts_nothing(rate: dict[str, object]) -> None:
    good: dict[str, object] = {
        "currency": "USDT",
        "target": "USD",
        "rate": "0.97",
        "source": "kraken",
        "age_ns": 0,
    }
    told = [*quotes({"coinbase": "61011.24", "kraken": "61018.6"}),
            Quote(source="okx", price="62905", age_ns=SECOND, currency="USDT")]  # fmt: skip
    assert reconcile(told, rules=RULES, rates=[Rate(**good)]).dropped == {}  # type: ignore[arg-type]
    answer = reconcile(told, rules=RULES, rates=[Rate(**good | rate)])  # type: ignore[arg-type]
    assert answer.dropped == {"okx": "NOT_CONVERTIBLE"}


# D06

ABSURD = ("0", "-0.0", "NaN", "sNaN", "inf", "-Infinity", "-61018.6", "bitcoin", "1e30", "1e-30", "", "1e999")


@st.composite
def told_by_sources(draw: st.DrawFn) -> list[Told]:
    """Return what up to six sources tell: near one another, further off, at borders, absurd."""
    near = st.integers(9_930, 10_070).map(lambda number: f"{number / 100:.2f}")
    far = st.integers(1, 10**15).map(str)
    fine = st.integers(1, 10**18 - 1).map(lambda number: f"{number}e-17")
    price = st.one_of(near, near, near, near, far, fine, st.sampled_from(ABSURD))
    age = st.one_of(st.just(0.0), st.just(0.0), st.just(0.0), st.sampled_from([None, -1.0, 30.0, 31.0]))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    return [
        Told(name, draw(price), draw(age), name.startswith("coing") or name.startswith("coinp"))
        for name in names
    ]


def answer_of(told: Sequence[Told], rules: Rules) -> Reconciled | FacadeError:
    """Return the answer or the refusal."""
    given_quotes = [
        Quote(
            source=one.source,
            price=one.price,
            age_ns=None if one.age_s is None else round(one.age_s * SECOND),
        )
        for one in told
    ]
    try:
        return reconcile(given_quotes, rules=rules)
    except (InsufficientSources, LowConfidence) as error:
        return error


def bytes_of(answer: Reconciled | FacadeError) -> bytes:
    """Return all that a caller would see, as bytes."""
    if isinstance(answer, FacadeError):
        return refuse(answer).details
    told = b"".join(
        one.SerializeToString(deterministic=True) for one in source_quotes(answer.quotes, answer.rules)
    )
    return (
        told + repr((answer.price, answer.confidence_ratio, answer.deviation_ratio, answer.warnings)).encode()
    )


@pytest.mark.proves("ROW-D06")
@settings(max_examples=5_000 if IS_FULL else 500)
@given(told=told_by_sources(), order=st.randoms(use_true_random=False), mean=st.booleans())
@example(told=[Told("a", "100"), Told("b", "100"), Told("c", "101"), Told("d", "99")], order=None, mean=False)
def test_any_quotes_give_what_the_rule_says_in_any_order(told: list[Told], order: object, mean: bool) -> None:
    aggregators = ("coingecko", "coinpaprika")
    rules = Rules(method="trimmed_mean" if mean else "trimmed_median", aggregators=aggregators)
    wanted = model.reconcile(told, mean=mean)
    answer = answer_of(told, rules)
    shuffled = list(told)
    if order is not None:
        order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert bytes_of(answer_of(shuffled, rules)) == bytes_of(answer)
    if abs(wanted.confidence - 0.7) < 1e-12:
        return  # a root is no fraction: too near to tell
    if isinstance(answer, FacadeError):
        _, details, reasons = refusal(answer)
        assert (details["reason"], reasons) == (wanted.outcome, wanted.reasons)
        return
    assert wanted.outcome == ""
    assert evidence(answer) == wanted.reasons
    assert wanted.price is not None
    exact = Fraction(answer.price)
    assert exact == wanted.price if not mean else abs(exact / wanted.price - 1) < Fraction(1, 10**15)
    assert answer.confidence_ratio == pytest.approx(wanted.confidence, abs=1e-12)
    assert (Fraction(answer.median), bool(answer.warnings)) == (wanted.median, wanted.is_correlated)
    used = [Fraction(one.price) for one in answer.quotes if one.is_used and one.price is not None]
    assert min(used) <= exact <= max(used)


@pytest.mark.proves("ROW-D06")
@pytest.mark.parametrize("absurd", ABSURD)
@pytest.mark.parametrize("count", [1, 2])
def test_what_is_no_price_is_excluded_before_anything_is_compared(absurd: str, count: int) -> None:
    clean = quotes({"coinbase": "61011.24", "kraken": "61018.6"})
    control = reconcile(clean, rules=RULES)
    hostile = quotes(dict.fromkeys(("binance", "okx")[:count], absurd))
    answer = reconcile([*hostile, *clean], rules=RULES)
    assert (answer.price, answer.confidence_ratio) == (control.price, control.confidence_ratio)
    assert len(answer.dropped) == count
