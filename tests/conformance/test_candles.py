"""Klines of recorded trades against recorded candles (MANIFEST section 2 and ``expected.json``)."""

import gzip
import io
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datafacade.query.klines import klines_from_klines, klines_from_trades
from tests.conformance.recordings import expected, recordings_folder

pytestmark = pytest.mark.recordings

OHLCV = ["open", "high", "low", "close", "volume"]
LEAN_DAYS = ["20161007", "20161008", "20170903", "20170904", "20171217", "20180404"]


def freqtrade(name: str) -> Path:
    """Return a file of the XRP/ETH recording."""
    return recordings_folder() / "candles/binance_xrpeth_201910" / name


@pytest.mark.parametrize(("variant", "candles"), [("1m", 2_469), ("5m", 706)])
def test_klines_of_xrp_eth_trades_are_the_recorded_candles(variant: str, candles: int) -> None:
    rows = json.loads(gzip.decompress(freqtrade("XRP_ETH-trades.json.gz").read_bytes()))
    trades = pl.DataFrame(
        {
            "ts_event": [row[0] * 1_000_000 for row in rows],
            "price": [float(row[4]) for row in rows],
            "quantity": [float(row[5]) for row in rows],
            "is_buy": [row[3] == "buy" for row in rows],
        }
    )
    klines = klines_from_trades(trades, variant, price_digits=8, quantity_digits=0)
    wanted = pl.read_ipc(freqtrade(f"XRP_ETH-{variant}.feather"))
    assert klines.height == wanted.height == candles
    assert klines["ts_open"].to_list() == wanted["date"].to_list()
    for name in OHLCV:
        assert klines[name].cast(pl.Float64).to_list() == wanted[name].to_list(), name
    assert klines["volume"].sum() == 5_545_735
    assert klines["trade_count"].sum() == 12_477


def binance_trades(files: list[Path]) -> pl.DataFrame:
    """Return the trades of ns-line recordings as texts, as the venue sent them."""
    rows: list[dict[str, Any]] = []
    for file in files:
        with gzip.open(file, "rb") as lines:
            frames = (line.partition(b" ")[2] for line in lines if b"@trade" in line[:80])
            rows += [json.loads(frame)["data"] for frame in frames]
    return pl.DataFrame(
        {
            "ts_event": [row["T"] * 1_000_000 for row in rows],
            "price": [row["p"] for row in rows],
            "quantity": [row["q"] for row in rows],
            "is_buy": [not row["m"] for row in rows],
        }
    )


@pytest.mark.parametrize(
    ("recording", "files", "digits"),
    [
        ("binance_spot_btcusdt", ["spot/btcusdt_20240808.gz", "spot/btcusdt_20240809.gz"], (2, 5)),
        ("binance_usdm_btcusdt", ["usdm/btcusdt_20240808.gz"], (1, 3)),
    ],
)
def test_klines_of_binance_trades_are_the_verified_candles(
    recording: str, files: list[str], digits: tuple[int, int]
) -> None:
    trades = binance_trades([recordings_folder() / "binance" / file for file in files])
    klines = klines_from_trades(trades, "1m", price_digits=digits[0], quantity_digits=digits[1])
    facts = expected("binance", recording)["trades"]
    names = [*OHLCV, "quote_volume", "trade_count", "taker_buy_volume"]
    rows = klines.select(pl.col("ts_open").dt.epoch("ms"), *names).rows()
    assert len(rows) == len(facts["candles_1m"])
    for row, wanted in zip(rows, facts["candles_1m"], strict=True):
        assert [Decimal(number) for number in row] == [Decimal(str(number)) for number in wanted]
    whole = klines_from_klines(klines, "1w")
    assert whole["quote_volume"].to_list() == [Decimal(facts["notional"])]
    vwap = whole["vwap"].to_list()[0]
    assert round(vwap, 8) == Decimal(facts["vwap"])


def lean(name: str) -> pl.DataFrame:
    """Return the klines of a Coinbase file of Lean: second, minute or day."""
    with zipfile.ZipFile(recordings_folder() / "candles/coinbase_btcusd_lean" / f"{name}.zip") as archive:
        text = archive.read(archive.namelist()[0])
    frame = pl.read_csv(io.BytesIO(text), has_header=False, infer_schema=False, new_columns=["ts", *OHLCV])
    if name == "daily_trade":
        opens = pl.col("ts").str.to_datetime("%Y%m%d %H:%M", time_unit="ns").dt.epoch("ns")
    else:
        midnight = int(pl.Series([name.split("_")[1]]).str.to_date("%Y%m%d").dt.epoch("ms")[0])
        opens = (pl.col("ts").cast(pl.Int64) + midnight) * 1_000_000
    return frame.select(opens.alias("ts_open"), *OHLCV)


def same(made: pl.DataFrame, wanted: pl.DataFrame) -> int:
    """Return how many klines are equal in every number."""
    opens = pl.col("ts_open").dt.epoch("ns")
    left = {row[0]: row[1:] for row in made.select(opens, *OHLCV).rows()}
    right = {row[0]: tuple(Decimal(number) for number in row[1:]) for row in wanted.rows()}
    return sum(left.get(ts) == numbers for ts, numbers in right.items())


@pytest.mark.parametrize(("day", "minutes"), [("20161007", 1_419), ("20161008", 1_400)])
def test_coinbase_seconds_roll_up_to_the_recorded_minutes(day: str, minutes: int) -> None:
    seconds, wanted = lean(f"second_{day}_trade"), lean(f"minute_{day}_trade")
    made = klines_from_klines(seconds, "1m", price_digits=8, quantity_digits=8)
    assert made.height == wanted.height == minutes
    assert same(made, wanted) == minutes


def test_coinbase_minutes_roll_up_to_the_recorded_days() -> None:
    days = lean("daily_trade")
    for day in LEAN_DAYS:
        made = klines_from_klines(lean(f"minute_{day}_trade"), "1d", price_digits=8, quantity_digits=8)
        wanted = days.filter(pl.col("ts_open") == made["ts_open"].dt.epoch("ns")[0])
        assert (made.height, wanted.height, same(made, wanted)) == (1, 1, 1), day
