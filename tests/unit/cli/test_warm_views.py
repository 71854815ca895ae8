"""What people and programs see of warm answers: every figure, and no sign that a remote side could abuse."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from rich.console import Console, RenderableType

from datafacade.cli import budget, funding, klines, price, ticker, trades
from datafacade.cli.provenance import provenance_line
from datafacade.cli.values import values
from datafacade.client.stamp import Received
from datafacade.client.warm_decode import funding_of, klines_of, price_of, ticker_answer_of, trades_of
from datafacade.v1 import health_pb2, lineage_pb2, market_pb2, price_pb2, types_pb2, warm_pb2

EVIL = "kra\x1b[2Jken\x07\u202e"
SECOND = 10**9
SERVED = lineage_pb2.Served(
    cache_tier=lineage_pb2.CACHE_TIER_L2,
    age_ns=90 * SECOND,
    is_stale=True,
    snapshot_id="ab" * 32,
    latency_ns=1_500_000,
    freshness_penalty_ratio=0.16,
)
LINEAGE = lineage_pb2.Lineage(
    sources=[
        lineage_pb2.SourceQuote(source=EVIL, price="100.10", used=True, age_ns=SECOND, latency_ns=2_000),
        lineage_pb2.SourceQuote(
            source="okx", quote=EVIL, reason="NOT_CONVERTIBLE", is_aggregator=True, age_ns_max=30 * SECOND
        ),
    ]
)


def drawn(*pictures: RenderableType) -> str:
    """Return what stands on a wide terminal without colours."""
    console = Console(file=io.StringIO(), width=200, no_color=True, highlight=False)
    for picture in pictures:
        console.print(picture)
    file = console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    return text


def rows(table: RenderableType) -> list[str]:
    """Return the lines below the heading of a table."""
    lines = [line for line in drawn(table).splitlines() if line.strip()]
    return lines[2:]


def price_answer() -> price_pb2.ReconciledPriceResponse:
    return price_pb2.ReconciledPriceResponse(
        symbol=EVIL, price="1", quotes=LINEAGE.sources, lineage=LINEAGE, served=SERVED, warnings=[EVIL]
    )


def test_the_line_about_an_answer_tells_tier_age_staleness_source_and_snapshot() -> None:
    text = drawn(provenance_line(price_of(price_answer()).provenance))
    assert text.startswith("STALE, past its lifetime; from the shared cache (L2), age 0:01:30,")
    for part in ("freshness penalty 16%", "source kraken, answered in 1.50 ms", f"snapshot {'ab' * 32}"):
        assert part in text.replace("\n", "")


def test_a_fresh_answer_without_sources_says_only_what_is_known() -> None:
    told = klines_of(
        warm_pb2.WarmKlinesResponse(served=lineage_pb2.Served(cache_tier=lineage_pb2.CACHE_TIER_MISS))
    )
    assert drawn(provenance_line(told.provenance)) == "fetched for this call, age 0 ns, answered in 0 ns\n"


def test_sources_stand_with_their_fate_age_limit_and_currency() -> None:
    used, dropped = rows(price.sources_table(price_of(price_answer()).quotes))
    assert used.split() == ["kraken", "venue", "used", "100.10", "-", "1.00", "s", "-", "2.00", "µs", "-"]
    assert "aggregator   dropped: not convertible" in dropped
    assert "30.0 s" in dropped


def test_klines_without_trades_show_dashes_and_the_open_one_says_so() -> None:
    row = market_pb2.Kline(ts_open=0, ts_close=SECOND, state=market_pb2.KLINE_STATE_PROVISIONAL)
    (line,) = rows(klines.klines_table(klines_of(warm_pb2.WarmKlinesResponse(klines=[row]))))
    assert line.split() == ["1970-01-01", "00:00:00", *["-"] * 7, "still", "open"]


def test_a_reconciled_kline_in_which_a_venue_is_missing_says_so() -> None:
    row = market_pb2.Kline(
        state=market_pb2.KLINE_STATE_FINAL, completeness=market_pb2.COMPLETENESS_INCOMPLETE
    )
    (line,) = rows(klines.klines_table(klines_of(warm_pb2.WarmKlinesResponse(klines=[row]))))
    assert line.rstrip().endswith("a venue is missing")


def test_trades_without_side_time_and_number_show_dashes() -> None:
    row = market_pb2.TradeRow(trade=market_pb2.Trade(price=12345, quantity=5))
    answer = warm_pb2.WarmTradesResponse(trades=[row], price_exponent=-1, quantity_exponent=-3)
    (line,) = rows(trades.trades_table(trades_of(answer)))
    assert line.split() == ["-", "-", "0.005", "1,234.5", "-"]


def test_a_ticker_shows_only_what_the_venue_gave() -> None:
    row = market_pb2.Ticker(bid_price=12345, bid_quantity=5, trade_count_24h=7, change_percent_24h="-1.5")
    told = ticker_answer_of(warm_pb2.WarmTickerResponse(ticker=row), Received(0, 0))
    lines = [line.split() for line in rows(ticker.ticker_table(told.ticker))]
    assert lines == [["bid", "12,345", "5"], ["change", "24", "h", "-1.5", "%"], ["trades", "24", "h", "7"]]


def test_funding_is_told_in_percent_with_the_estimate_last() -> None:
    settled = market_pb2.FundingRate(
        ts_funding=SECOND, rate="-0.0001", interval_s=28_800, state=market_pb2.FUNDING_STATE_SETTLED
    )
    ahead = market_pb2.FundingRate(rate="0.00025", state=market_pb2.FUNDING_STATE_ESTIMATED)
    found = funding_of(warm_pb2.WarmFundingResponse(rates=[settled], next=ahead))
    first, last = [line.split() for line in rows(funding.funding_table(found))]
    assert first == ["1970-01-01", "00:00:01", "-0.0100", "%", "8:00:00", "-", "-", "settled"]
    assert last[2:] == ["+0.02500", "%", "-", "-", "-", "estimated"]


@pytest.mark.proves("REQ-M7")
def test_budgets_tell_what_is_left_and_for_how_long_by_the_clock_of_the_service() -> None:
    venue = health_pb2.VenueHealth(
        venue=EVIL,
        rate_limits=[
            health_pb2.RateLimitHealth(
                budget="rest:spot", limit=1_000, remaining=10, window_ms=60_000, ts_reset=40 * SECOND,
                ts_backoff_until=13 * SECOND,
            ),
            health_pb2.RateLimitHealth(budget="connections", limit=5, remaining=5, window_ms=1_000),
        ],
        breakers=[
            health_pb2.BreakerHealth(
                transport=EVIL, state=health_pb2.BREAKER_STATE_OPEN, failures=5, ts_retry=70 * SECOND
            )
        ],
    )  # fmt: skip
    answer = health_pb2.HealthResponse(ts_measured=10 * SECOND, venues=[venue])
    scarce, full = [line.split() for line in rows(budget.budgets_table(answer))]
    assert scarce == ["kraken", "rest:spot", "10", "1,000", "0:01:00", "30.0", "s", "3.00", "s"]
    assert full == ["kraken", "connections", "5", "5", "1.00", "s", "-", "-"]
    (breaker,) = [line.split() for line in rows(budget.breakers_table(answer))]
    assert breaker == ["kraken", "kraken", "open", "5", "0:01:00"]
    told = json.loads(json.dumps(budget.as_values(answer)))
    assert told["venues"][EVIL]["breakers"][0]["state"] == "OPEN"


def test_views_become_json_with_exact_texts() -> None:
    answer = warm_pb2.WarmTradesResponse(
        venue="okx",
        trades=[market_pb2.TradeRow(trade=market_pb2.Trade(price=1, quantity=2, side=types_pb2.SIDE_BUY))],
        price_exponent=3,
        quantity_exponent=-8,
    )
    told = json.loads(json.dumps(values(trades_of(answer))))
    assert told["rows"] == [
        {"ts_event": 0, "price": "1000", "quantity": "0.00000002", "side": "BUY", "trade_id": None}
    ]
    assert told["provenance"]["confidence_ratio"] is None


@pytest.mark.parametrize(
    ("value", "told"), [(Decimal("1E+3"), "1000"), (None, None), (True, True), ({"a": (1,)}, {"a": [1]})]
)
def test_plain_values_stay_what_they_are(value: object, told: object) -> None:
    assert values(value) == told
