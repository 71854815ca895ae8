"""Tables of answers: every digit of the answer, and nothing that the answer does not hold."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from datafacade.config import load_config
from datafacade.errors import ConfigError
from datafacade.store.pit.names import Entity
from datafacade.store.pit.store import PitStore
from datafacade.store.pit.tables import Codec
from datafacade.v1 import market_pb2, warm_pb2
from datafacade.warm.snapshots import Snapshots
from datafacade.warm.tables import ROWS_MIN, Tables, table_of
from tests.unit.store.pit.fakes import HOUR, ManualClock

KLINES = Entity("warm.klines", "okx", "BTC-USDT", "1h")
MANTISSA = st.integers(-(2**63), 2**63 - 1)


def klines(count: int, *, exponent: int = -2) -> warm_pb2.WarmKlinesResponse:
    answer = warm_pb2.WarmKlinesResponse(
        venue="okx", symbol="BTC-USDT", interval="1h", price_exponent=exponent
    )
    for number in range(count):
        answer.klines.add(
            ts_open=number * HOUR,
            open=number,
            volume=f"{number}.125",
            state=market_pb2.KLINE_STATE_FINAL,
        )
    return answer


@given(st.lists(MANTISSA, max_size=5), st.integers(-30, 30), st.integers(-30, 30))
def test_no_digit_of_a_trade_is_lost(
    mantissas: list[int], price_exponent: int, quantity_exponent: int
) -> None:
    answer = warm_pb2.WarmTradesResponse(price_exponent=price_exponent, quantity_exponent=quantity_exponent)
    for mantissa in mantissas:
        row = answer.trades.add(ts_event=5)
        row.trade.price, row.trade.quantity, row.trade.trade_id = mantissa, -(mantissa + 1), 2**64 - 1
    frame = table_of(answer)
    for column, exponent, numbers in (
        ("price", price_exponent, mantissas),
        ("quantity", quantity_exponent, [-(number + 1) for number in mantissas]),
    ):
        expected = [Decimal(number).scaleb(exponent) for number in numbers]
        assert [Decimal(value) for value in frame[column]] == expected
    assert list(frame["trade_id"]) == [2**64 - 1] * len(mantissas)


def test_what_the_venue_did_not_give_is_null() -> None:
    frame = table_of(klines(2))
    assert frame["high"].to_list() == [None, None]
    assert frame["vwap"].to_list() == [None, None]
    assert frame["ts_close"].to_list() == [None, None]
    assert frame["trade_count"].to_list() == [None, None]
    assert frame["open"].to_list() == [Decimal("0.00"), Decimal("0.01")]
    assert frame["volume"].to_list() == [Decimal("0.125"), Decimal("1.125")]
    assert frame["state"].to_list() == ["KLINE_STATE_FINAL"] * 2
    assert frame["venue"].to_list() == ["okx", "okx"]


def test_funding_rates_are_exact() -> None:
    answer = warm_pb2.WarmFundingResponse(venue="okx", symbol="BTC-USDT")
    answer.rates.add(ts_funding=HOUR, rate="-0.000012345678901234", interval_s=28_800)
    (row,) = table_of(answer).to_dicts()
    assert (row["rate"], row["mark_price"]) == (Decimal("-0.000012345678901234"), None)
    assert (row["ts_funding"], row["interval_s"]) == (HOUR, 28_800)


@pytest.mark.proves("REQ-P8")
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_a_large_answer_is_kept_as_a_table_too_and_the_answer_as_always(
    tmp_path: Path, codec: Codec
) -> None:
    clock, path = ManualClock(), tmp_path / "pit"
    opener = partial(PitStore.open, path, clock=clock)
    tables = Tables(codec)
    kept = Snapshots(path, opener, clock=clock, retention_hours=24, tables=tables)
    carrier: type[Message] = warm_pb2.WarmKlinesResponse
    small, large = klines(ROWS_MIN - 1), klines(ROWS_MIN)
    for answer in (small, large):
        await kept.put(KLINES, carrier, answer.SerializeToString())
    await kept.put(Entity("warm.ticker", "okx", "BTC-USDT"), warm_pb2.WarmTickerResponse, b"")
    await tables.handed_over()
    await kept.store.run(lambda _: None)  # behind all that was handed over
    answers = kept.store.list(str(KLINES), 0, 2**62)
    assert [kept.store.get(ref.id).message for ref in answers] == [
        small.SerializeToString(),
        large.SerializeToString(),
    ]
    assert all(ref.path.endswith(".json.gz") for ref in answers)
    (table,) = kept.store.list("table.warm.klines/okx/BTC-USDT/1h", 0, 2**62)
    assert table.path.endswith(".parquet")
    assert (table.ts_wall, table.rows) == (answers[1].ts_wall, ROWS_MIN)
    assert kept.store.get(table.id).frame().equals(table_of(large))
    clock.wall += 25 * HOUR
    is_held = kept.store.catalog.index.is_held
    assert [is_held(ref.id) for ref in answers] == [False, True], "the table refers to it"
    kept.close()


@pytest.mark.proves("REQ-P6")
def test_a_packing_that_is_not_obeyed_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "pit.yaml").write_text("version: 1\nformat: json.gz\ncompression: zstd\n")
    with pytest.raises(ConfigError, match=r"pit.yaml:3: compression: format json.gz is gzip"):
        load_config(tmp_path, environment={})
    (tmp_path / "pit.yaml").write_text("version: 1\nredis_index: true\n")
    with pytest.raises(ConfigError, match=r"pit.yaml:2: redis_index: expected redis.url"):
        load_config(tmp_path, environment={})
    (tmp_path / "pit.yaml").write_text(
        "version: 1\nformat: parquet\ncompression: zstd\nretention_hours: 48\n"
    )
    assert load_config(tmp_path, environment={}).pit.compression == "zstd"
