"""Rows of answers as columns: exact as texts, rounded once as floats, and the same for service and client."""

from __future__ import annotations

from decimal import Context, Decimal

import polars as pl
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from datafacade.client.frames import klines_frame, trades_frame
from datafacade.client.warm_decode import klines_of, trades_of
from datafacade.rows.columns import CARRIERS, frame_of
from datafacade.v1 import book_pb2, market_pb2, price_pb2, reference_pb2, types_pb2, warm_pb2

EXACT = {
    "open", "high", "low", "close", "volume", "vwap", "price", "quantity", "rate", "mark_price",
    "index_price", "volume_24h", "tick_size", "lot_size", "contract_value",
}  # fmt: skip
MANTISSAS = st.integers(-(2**63), 2**63 - 1)
EXPONENTS = st.integers(-18, 4)


def klines(mantissa: int = 6160201, exponent: int = -2) -> warm_pb2.WarmKlinesResponse:
    answer = warm_pb2.WarmKlinesResponse(
        venue="okx", symbol="BTC-USD", interval="1h", price_exponent=exponent
    )
    answer.klines.add(
        ts_open=1_700_000_000_000_000_005,
        open=mantissa,
        high=mantissa,
        low=mantissa,
        close=mantissa,
        volume="12345678901234567890.000000000000000001",
        trade_count=2**64 - 1,
        state=market_pb2.KLINE_STATE_FINAL,
    )
    answer.klines.add(ts_open=1_700_003_600_000_000_000, state=market_pb2.KLINE_STATE_PROVISIONAL)
    return answer


def trades() -> warm_pb2.WarmTradesResponse:
    answer = warm_pb2.WarmTradesResponse(
        venue="kraken", symbol="BTC-USD", price_exponent=-1, quantity_exponent=-8
    )
    for side in (types_pb2.SIDE_BUY, types_pb2.SIDE_UNSPECIFIED):
        trade = market_pb2.Trade(price=616020, quantity=1, side=side)
        answer.trades.add(ts_event=0 if side else 7, trade=trade)
    return answer


def others() -> list[Message]:
    funding = warm_pb2.WarmFundingResponse(venue="okx", symbol="BTC-USDT")
    funding.rates.add(
        ts_funding=5, rate="0.0001", state=market_pb2.FUNDING_STATE_SETTLED, mark_price="61602.01"
    )
    funding.rates.add(ts_funding=6, rate="no number")
    price = price_pb2.ReconciledPriceResponse(symbol="BTC-USD")
    price.quotes.add(source="okx", price="61602.010", quote="USDT", used=True)
    price.quotes.add(source="kraken", reason="FAILED")
    book = book_pb2.L2BookResponse(price_exponent=-2, quantity_exponent=-8)
    book.book.bid_prices[:], book.book.bid_quantities[:] = [6160201], [100_000_000]
    book.book.ask_prices[:], book.book.ask_quantities[:] = [6160202, 6160300], [1, 250_000_000]
    listed = reference_pb2.ListInstrumentsResponse()
    listed.instruments.add(
        venue="kraken",
        symbol="BTC-USD",
        venue_symbol="XBT/USD",
        base="BTC",
        quote="USD",
        type=reference_pb2.INSTRUMENT_TYPE_SPOT,
        tick_size="0.1",
    )
    return [funding, price, book, listed]


def rounded(frame: pl.DataFrame) -> pl.DataFrame:
    """Do what a reader of the Arrow stream does who wants to calculate."""
    return frame.with_columns(pl.col(name).cast(pl.Float64) for name in frame.columns if name in EXACT)


def test_numbers_of_the_contract_are_exact_texts() -> None:
    frame = frame_of(klines(), is_exact=True)
    assert frame.columns == [
        "timestamp", "symbol", "exchange", "interval", "open", "high", "low", "close", "volume", "trades",
        "vwap", "is_final",
    ]  # fmt: skip
    assert frame["close"].to_list() == ["61602.01", None]
    assert frame["volume"].to_list() == ["12345678901234567890.000000000000000001", None]
    assert frame["trades"].to_list() == [2**64 - 1, None]
    assert frame["timestamp"].cast(pl.Int64).to_list() == [
        1_700_000_000_000_000_005,
        1_700_003_600_000_000_000,
    ]
    assert frame["is_final"].to_list() == [True, False]


def test_each_kind_says_what_its_answer_says() -> None:
    funding, price, book, listed = (frame_of(answer, is_exact=True).rows() for answer in others())
    assert [row[3:] for row in funding] == [("0.0001", "SETTLED", "61602.01", None)]
    assert price == [
        ("okx", "61602.010", "USDT", None, True, None),
        ("kraken", None, None, None, False, "FAILED"),
    ]
    assert book == [
        ("bid", 0, "61602.01", "1"),
        ("ask", 0, "61602.02", "0.00000001"),
        ("ask", 1, "61603", "2.5"),
    ]
    assert listed[0][:8] == ("kraken", "BTC-USD", "XBT/USD", "BTC", "USD", "SPOT", None, "0.1")


@given(MANTISSAS, EXPONENTS)
def test_a_text_is_the_price_and_rounds_to_the_nearest_float(mantissa: int, exponent: int) -> None:
    answer = klines(mantissa, exponent)
    value = Decimal(mantissa).scaleb(exponent, Context(prec=100))
    told = frame_of(answer, is_exact=True)
    assert Decimal(told["open"][0]) == value
    assert rounded(told)["open"][0] == float(value) == frame_of(answer)["open"][0]


@pytest.mark.parametrize("answer", [klines(), trades(), *others()], ids=lambda answer: type(answer).__name__)
def test_a_reader_who_rounds_the_texts_has_the_frame_of_the_client(answer: Message) -> None:
    assert rounded(frame_of(answer, is_exact=True)).equals(frame_of(answer), null_equal=True)


def test_views_and_answers_have_one_frame() -> None:
    assert klines_frame(klines_of(klines())).equals(frame_of(klines()))
    assert trades_frame(trades_of(trades())).equals(frame_of(trades()))


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=lambda carrier: carrier.__name__)
def test_an_answer_without_rows_has_all_its_columns(carrier: type[Message]) -> None:
    assert frame_of(carrier()).height == 0
    full = {type(answer): frame_of(answer) for answer in (klines(), trades(), *others())}
    assert frame_of(carrier()).schema == full[carrier].schema


def test_what_has_no_rows_is_no_table() -> None:
    with pytest.raises(ValueError, match="WarmTickerResponse is no table"):
        frame_of(warm_pb2.WarmTickerResponse())
