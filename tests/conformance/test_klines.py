"""Klines that a replay makes of recorded trades equal the verified candles of the recordings."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.capture_file import write
from tests.conformance.command import replay
from tests.conformance.recordings import expected
from tests.conformance.sessions import capture_of

pytestmark = pytest.mark.recordings

CANDLES = {
    "binance_spot": ("binance:BTC-USDT", "binance_spot_btcusdt"),
    "binance_usdm": ("binance-usdm:BTC-USDT", "binance_usdm_btcusdt"),
}


def candles(recording: str) -> list[list[Any]]:
    """Return the verified candles but the first and the last, which are partial."""
    rows: list[list[Any]] = expected("binance", recording)["trades"]["candles_1m"]
    return rows[1:-1]


def joined(rows: list[list[Any]], minutes: int) -> list[list[Any]]:
    """Roll one-minute candles up, those intervals only of which every minute is there."""
    length = minutes * 60_000
    whole = Counter(row[0] // length for row in rows)
    groups = [[row for row in rows if row[0] // length == at] for at in sorted(whole) if whole[at] == minutes]

    def total(group: list[list[Any]], at: int) -> Decimal:
        return sum((Decimal(row[at]) for row in group), Decimal(0))

    return [
        [
            group[0][0],
            Decimal(group[0][1]),
            max(Decimal(row[2]) for row in group),
            min(Decimal(row[3]) for row in group),
            Decimal(group[-1][4]),
            *(total(group, at) for at in range(5, 9)),
        ]
        for group in groups
    ]


@pytest.mark.parametrize("name", CANDLES)
def test_complete_minutes_equal_the_verified_candles(name: str, tmp_path: Path) -> None:
    key, recording = CANDLES[name]
    outcome = replay(write(capture_of(name), tmp_path), "--klines", "1m")
    assert outcome.report["klines"] == {key: candles(recording)}


def test_several_intervals_bear_their_names_and_roll_up(tmp_path: Path) -> None:
    path = write(capture_of("binance_spot"), tmp_path)
    klines = replay(path, "--klines", "60s", "--klines", "3m", "--klines", "1m").report["klines"]
    assert set(klines) == {"binance:BTC-USDT/1m", "binance:BTC-USDT/3m"}
    minutes = candles("binance_spot_btcusdt")
    assert klines["binance:BTC-USDT/1m"] == minutes
    rows = [
        [row[0], *map(Decimal, row[1:7]), row[7], Decimal(row[8])] for row in klines["binance:BTC-USDT/3m"]
    ]
    assert rows == joined(minutes, 3)
    assert rows


def test_klines_by_trades_hold_so_many_trades_each(tmp_path: Path) -> None:
    path = write(capture_of("binance_spot"), tmp_path)
    rows = replay(path, "--klines", "100t").report["klines"]["binance:BTC-USDT"]
    assert {row[7] for row in rows} == {100}
    trades = expected("binance", "binance_spot_btcusdt")["trades"]
    assert len(rows) in {trades["count"] // 100 - 1, trades["count"] // 100}


def test_replay_with_klines_says_the_same_otherwise_and_always(tmp_path: Path) -> None:
    path = write(capture_of("binance_usdm"), tmp_path)
    once, twice, bare = replay(path, "--klines", "1m"), replay(path, "--klines", "1m"), replay(path)
    assert once.report == twice.report
    assert {name: value for name, value in once.report.items() if name != "klines"} == bare.report


@pytest.mark.parametrize("text", ["m", "1M", "2w", "0s", "book"])
def test_klines_that_do_not_exist_are_refused(text: str, tmp_path: Path) -> None:
    outcome = replay(write(capture_of("binance_usdm"), tmp_path), "--klines", text)
    assert outcome.code == 2
    assert "klines" in outcome.stderr
