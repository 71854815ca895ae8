"""The judge of the demo: it agrees with a true stream, and every planted lie makes it say so."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import pytest

from datafacade.cli.demo.truth import Truth, pair_of, plain
from datafacade.v1 import book_pb2, hot_pb2, market_pb2, stream_pb2, types_pb2

SECOND = 1_000_000_000
FIRST = "b,100.5,2\nb,100,1\na,101,3"  # the book after the first frame, as docs/simulator.md spells it
SECOND_TEXT = "b,100.5,7\na,101,3"  # 100.5 becomes 7, 100 goes
THIRD = "b,100.5,7\na,101,3\na,102,0.25"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(at: int, text: str | None, *, kind: str = "update", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    told = {} if text is None else {"top50_sha256": digest(text), "book_sha256": digest(text)}
    base = {
        "type": "frame", "venue": "okx", "product": "public", "symbol": "BTC-USDT", "channel": "books",
        "kind": kind, "sequence": None, "t_wall_ns": at * SECOND, "t_mono_ns": at * 10,
    }  # fmt: skip
    return {**base, **told, **fields}


def update(at: int, sequence: int | None = None, **fields: Any) -> hot_pb2.Update:  # noqa: ANN401
    base: dict[str, Any] = {
        "venue": "okx", "symbol": "BTC-USDT", "channel": types_pb2.CHANNEL_BOOK_L2,
        "ts_recv": at * SECOND + 1, "price_exponent": -1, "quantity_exponent": 0,
    }  # fmt: skip
    if sequence is not None:
        base["venue_sequence"] = sequence
    return hot_pb2.Update(**{**base, **fields})


def snapshot(at: int, sequence: int | None = None, **fields: Any) -> hot_pb2.Update:  # noqa: ANN401
    levels = book_pb2.BookSnapshot(
        bid_prices=[1005, 1000], bid_quantities=[2, 1], ask_prices=[1010], ask_quantities=[3]
    )
    return update(at, sequence, book_snapshot=levels, **fields)


def live(at: int, state: int = 3) -> hot_pb2.Update:
    return update(at, stream_state=stream_pb2.StreamState(state=types_pb2.State.ValueType(state)))


def second(at: int, sequence: int | None = None, *, quantity: int = 7) -> hot_pb2.Update:
    levels = book_pb2.BookDelta(bid_prices=[1005, 1000, 990], bid_quantities=[quantity, 0, 0])
    return update(at, sequence, book_delta=levels)


def third(at: int, sequence: int | None = None) -> hot_pb2.Update:
    levels = book_pb2.BookDelta(ask_prices=[102], ask_quantities=[25])
    return update(at, sequence, book_delta=levels, price_exponent=0, quantity_exponent=-2)


def judged(records: list[dict[str, Any]], updates: list[hot_pb2.Update]) -> Truth:
    truth = Truth([("okx", "BTC-USDT")])
    for one in updates:
        truth.on_update(one, 0)
    for told in [*records, record(99, None, channel="pong", symbol=None)]:
        truth.on_record(told)
    truth.settle()
    assert truth.waiting == 0
    return truth


def log(**fields: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [
        record(1, FIRST, kind="snapshot", sequence=11, **fields),
        record(2, SECOND_TEXT, sequence=12, **fields),
        record(3, THIRD, sequence=13, **fields),
    ]


def stream() -> list[hot_pb2.Update]:
    return [snapshot(1, 11), live(1), second(2, 12), third(3, 13), live(4)]


def test_a_true_stream_equals_the_truth_at_every_frame() -> None:
    truth = judged(log(), stream())
    assert (truth.comparisons, truth.is_equal) == (3, True)


def test_a_forged_quantity_is_a_difference() -> None:
    truth = judged(log(), [snapshot(1, 11), live(1), second(2, 12, quantity=8), live(4)])
    assert not truth.is_equal


def test_a_lost_change_is_a_difference() -> None:
    assert not judged(log(), [snapshot(1, 11), live(1), third(3, 13), live(4)]).is_equal


def test_a_change_that_was_never_sent_is_a_difference() -> None:
    truth = judged(log(), [*stream(), second(4, 777)])
    assert truth.books[pair_of("okx", "BTC-USDT")].unknown == 1
    assert not truth.is_equal


@pytest.mark.parametrize("field", ["top50_sha256", "book_sha256"])
def test_a_tampered_log_is_a_difference(field: str) -> None:
    records = log()
    records[1][field] = digest(SECOND_TEXT + "x")
    assert not judged(records, stream()).is_equal


def test_a_book_that_was_never_compared_is_not_equal() -> None:
    truth = Truth([("okx", "BTC-USDT"), ("okx", "ETH-USDT")])
    for told in log():
        truth.on_record(told)
    for one in stream()[:-1]:
        truth.on_update(one, 0)
    truth.on_record(record(9, None, channel="pong"))
    truth.settle()
    assert truth.comparisons > 0
    assert not truth.is_equal


def test_no_books_at_all_are_not_equal() -> None:
    assert not Truth([]).is_equal


def test_a_book_that_is_not_live_is_not_judged() -> None:
    truth = judged(log(), [snapshot(1, 11), live(1, state=5), second(2, 12, quantity=8), third(3, 13)])
    assert truth.comparisons == 0


def test_frames_without_a_venue_sequence_are_counted_from_the_snapshot() -> None:
    records = log()
    for told in records:
        told["sequence"] = None
    older = record(0, "b,1,1", kind="snapshot")
    true = judged([older, *records], [snapshot(1), live(1), second(2), third(3), live(4)])
    assert (true.comparisons, true.is_equal) == (3, True)
    assert not judged([older, *records], [snapshot(1), live(1), third(3), live(4)]).is_equal


def test_a_snapshot_made_for_a_joiner_gives_no_place_to_count_from() -> None:
    records = [{**told, "sequence": None} for told in log()]
    cut = snapshot(1, flags=types_pb2.UPDATE_FLAG_CUT)
    truth = judged(records, [cut, live(1), live(4)])
    assert (truth.comparisons, truth.is_equal) == (0, False)


def test_two_events_of_one_frame_are_compared_behind_the_second() -> None:
    records = [log()[0], record(3, THIRD, sequence=12)]
    truth = judged(records, [snapshot(1, 11), live(1), second(3, 12), third(3, 12), live(4)])
    assert (truth.comparisons, truth.is_equal) == (2, True)


def test_a_snapshot_in_parts_is_one_book() -> None:
    bids = book_pb2.BookSnapshot(bid_prices=[1005, 1000], bid_quantities=[2, 1])
    asks = book_pb2.BookSnapshot(ask_prices=[1010], ask_quantities=[3])
    parts = [
        update(1, 11, book_snapshot=bids, flags=types_pb2.UPDATE_FLAG_MORE),
        update(1, 11, book_snapshot=asks),
    ]
    truth = judged(log(), [*parts, live(1), second(2, 12), live(4)])
    assert (truth.comparisons, truth.is_equal) == (2, True)


def test_the_book_of_a_shorter_snapshot_is_legal_at_binance() -> None:
    records = log()
    records[1]["book_sha256"] = digest("a deeper book")
    records[1]["views"] = [{"book_sha256": digest(SECOND_TEXT)}]
    assert judged(records, stream()).is_equal


def test_other_products_of_a_venue_are_left_out() -> None:
    truth = judged(log(product="usdm"), stream())
    assert truth.comparisons == 0


def test_updates_wait_until_the_log_has_told_what_was_sent_before() -> None:
    truth = Truth([("okx", "BTC-USDT")])
    truth.on_record(log()[0])
    truth.on_update(snapshot(1, 11), 0)
    assert truth.settle() == []
    assert truth.waiting == 1
    truth.on_record(log()[1])
    truth.settle()
    assert truth.waiting == 0


def test_a_trade_takes_from_its_send_to_its_receipt() -> None:
    truth = Truth([("okx", "BTC-USDT")])
    truth.on_record(record(1, None, channel="trades", trades=[{"id": 5}]))
    trade = update(1, trade=market_pb2.Trade(trade_id=5), channel=types_pb2.CHANNEL_TRADES)
    truth.on_update(trade, 10 + 1_234)
    truth.on_update(trade, 9_999)  # told twice: the second has no send of its own
    truth.on_record(record(2, None, channel="pong"))
    assert [(delay.venue, delay.symbol, delay.ns) for delay in truth.settle()] == [("okx", "BTC-USDT", 1_234)]


def test_numbers_are_plain() -> None:
    texts = ["100", "1E+2", "0.50", "0.00000001", "120"]
    assert [plain(Decimal(text)) for text in texts] == ["100", "100", "0.5", "0.00000001", "120"]
