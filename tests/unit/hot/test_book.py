"""A book's answer says exactly what its Updates say, and the spread to the digit."""

import pytest

from datafacade.hot.book import encode, spread
from datafacade.v1 import book_pb2, hot_pb2, types_pb2


@pytest.mark.proves("REQ-L2")
@pytest.mark.parametrize(
    ("bid", "ask", "exponent", "expected"),
    [
        (6160201, 6160202, -2, ("0.01", "0.000016233235")),
        (1, 3, 0, ("2", "100.000000000000")),
        (1, 1, 3, ("0", "0.000000000000")),
        (-5, 5, -1, ("1.0", "")),  # the mid is 0
        (-3, -1, 0, ("2", "-100.000000000000")),
        (2**62, 2**62 + 1, -18, ("0.000000000000000001", "0.000000000000")),
    ],
)
def test_the_spread_is_exact(bid: int, ask: int, exponent: int, expected: tuple[str, str]) -> None:
    assert spread(bid, ask, exponent=exponent) == expected


def test_an_answer_carries_all_that_its_updates_tell() -> None:
    snapshot = hot_pb2.Update(
        venue="okx",
        symbol="BTC-USDT",
        epoch=7,
        seq=41,
        ts_event=1,
        ts_recv=2,
        price_exponent=-1,
        quantity_exponent=-3,
        flags=types_pb2.UPDATE_FLAG_CUT | types_pb2.UPDATE_FLAG_BAD_TS,
        venue_sequence=0,
        book_snapshot=book_pb2.BookSnapshot(
            bid_prices=[10], bid_quantities=[1], ask_prices=[12], ask_quantities=[2]
        ),
    )
    checkpoint = hot_pb2.Update(seq=41, checkpoint=book_pb2.Checkpoint(levels=50, sha256=b"x" * 32))
    answer = encode(snapshot.SerializeToString(), checkpoint.SerializeToString())
    assert (answer.venue, answer.symbol, answer.epoch, answer.seq) == ("okx", "BTC-USDT", 7, 41)
    assert (answer.ts_event, answer.ts_recv) == (1, 2)
    assert (answer.price_exponent, answer.quantity_exponent) == (-1, -3)
    assert answer.flags == types_pb2.UPDATE_FLAG_BAD_TS
    assert answer.HasField("venue_sequence")
    assert (answer.spread, answer.spread_percent) == ("0.2", "18.181818181818")
    assert answer.checkpoint.sha256 == b"x" * 32
    assert list(answer.book.ask_prices) == [12]


def test_a_one_sided_book_has_no_spread() -> None:
    snapshot = hot_pb2.Update(book_snapshot=book_pb2.BookSnapshot(bid_prices=[1], bid_quantities=[1]))
    answer = encode(snapshot.SerializeToString(), b"")
    assert (answer.spread, answer.spread_percent) == ("", "")
    assert not answer.HasField("venue_sequence")
