"""The journal is believed only where it has no hole."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from datafacade.hot.kept import Kept, KeptPast, unbroken
from datafacade.types import Channel, Topic
from datafacade.v1 import hot_pb2, market_pb2, types_pb2

TRADES = Topic("kraken", "BTC-USD", Channel.TRADES)
S = 10**9


def trade(trade_id: int, seq: int = 7, ts: int | None = None) -> hot_pb2.Update:
    at = trade_id * S if ts is None else ts
    flags = types_pb2.UPDATE_FLAG_MORE | types_pb2.UPDATE_FLAG_BACKFILLED
    payload = market_pb2.Trade(trade_id=trade_id)
    return hot_pb2.Update(epoch=3, seq=seq, ts_event=at, ts_publish=at, flags=flags, trade=payload)


def bar(ts_open: int, *, is_final: bool = True, is_complete: bool = True) -> hot_pb2.Update:
    kline = market_pb2.Kline(ts_open=ts_open, ts_close=ts_open + 60)
    kline.state = market_pb2.KLINE_STATE_FINAL if is_final else market_pb2.KLINE_STATE_PROVISIONAL
    whole, torn = market_pb2.COMPLETENESS_COMPLETE, market_pb2.COMPLETENESS_INCOMPLETE
    kline.completeness = whole if is_complete else torn
    return hot_pb2.Update(epoch=3, seq=7, kline=kline)


def keys(kept: Kept) -> list[int]:
    return [row.key for row in kept.rows]


def test_rows_are_marked_as_history_and_belong_to_one_subscriber() -> None:
    kept = unbroken({5: trade(5)}, ts_from=0)
    told = hot_pb2.Update.FromString(kept.rows[0].update)
    assert (told.seq, told.trade.trade_id, told.epoch) == (0, 5, 3)
    assert told.flags == types_pb2.UPDATE_FLAG_HISTORY | types_pb2.UPDATE_FLAG_BACKFILLED


@given(st.sets(st.integers(1, 30)), st.integers(0, 31))
def test_only_the_newest_part_without_a_hole_is_used(ids: set[int], start: int) -> None:
    kept = unbroken({one: trade(one) for one in ids}, ts_from=start * S)
    newest = max(ids, default=0)
    dense = [one for one in sorted(ids) if set(range(one, newest + 1)) <= ids]
    assert keys(kept) == [one for one in dense if one >= start]
    assert kept.is_whole == bool(dense and dense[0] < start)


def test_bars_end_where_one_is_torn_or_missing() -> None:
    bars = [bar(0), bar(60, is_complete=False), bar(120), bar(180), bar(240), bar(300, is_final=False)]
    kept = unbroken({one.kline.ts_open: one for one in bars}, ts_from=180)
    assert keys(kept) == [180, 240]
    assert kept.is_whole


class OneEpoch:
    """A journal of trades 1, 2, ... one a second, a thousand of them."""

    def __init__(self) -> None:
        self.bytes_read = 0

    def ranges(self, *_: object) -> list[tuple[int, int, int]]:
        return [(3, 11, 1_000)]

    def read(self, *_: object, epoch: int, seq_after: int, bytes_max: int) -> tuple[bytes, int]:
        assert epoch == 3
        first = max(11, seq_after + 1)
        last = min(1_000, first + bytes_max // 50)
        updates = [trade(seq, seq) for seq in range(first, last + 1)]
        entries = hot_pb2.HotSubscribeResponse(updates=updates).SerializeToString()
        self.bytes_read += len(entries)
        return entries, last if updates else seq_after


def test_a_late_start_reads_little_of_a_long_journal() -> None:
    journal = OneEpoch()
    kept = asyncio.run(KeptPast(journal).rows(TRADES, ts_from=950 * S))
    assert (keys(kept), kept.is_whole) == (list(range(950, 1_001)), True)
    whole = asyncio.run(KeptPast(journal).rows(TRADES, ts_from=0))
    assert (keys(whole), whole.is_whole) == (list(range(11, 1_001)), False)
    late = OneEpoch()
    asyncio.run(KeptPast(late).rows(TRADES, ts_from=950 * S))
    assert late.bytes_read < 10_000


def test_the_newest_trade_is_found_without_reading_the_whole_journal() -> None:
    journal = OneEpoch()
    assert KeptPast(journal).last_trade(TRADES) == (1_000, 1_000 * S)
    assert journal.bytes_read < 20_000
    assert KeptPast(None).last_trade(TRADES) is None


def test_without_a_journal_nothing_is_kept() -> None:
    assert asyncio.run(KeptPast(None).rows(TRADES, ts_from=0)) == ([], False)
