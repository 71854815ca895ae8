"""A topic over calls that break: each record once, or the hole is told (CONTRACT "Resume")."""

from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from datafacade.client.book import Book
from datafacade.client.events import CaughtUp, Event, Gap, Kline, Resumed, ResumeLost, Trade
from datafacade.client.follower import Follower
from datafacade.client.items import Items, Wish
from datafacade.client.topic import Channel, Position, Topic
from datafacade.v1 import hot_pb2, market_pb2, stream_pb2, types_pb2
from tests.unit.client.make import EPOCH, RECEIVED, cut, delta, snapshot, status, trade, update

BIDS, ASKS = {"10": "1"}, {"11": "1"}
TRADES = Topic("kraken", "BTC-USD", Channel.TRADES)
BOOK = Topic("kraken", "BTC-USD", Channel.BOOK_L2)
BARS = Topic("kraken", "BTC-USD", Channel.KLINES, "1m")


def feed(made: Follower, *updates: hot_pb2.Update) -> list[Event]:
    return [event for one in updates for event in made.on_update(one, RECEIVED)]


def accepted(topic: Topic, seq_next: int = 1) -> Follower:
    made = Follower(topic)
    list(made.accept(status("ACCEPTED", seq_next=seq_next).subscription_status, EPOCH))
    return made


def resumed(made: Follower) -> list[Event]:
    return list(made.resume(status("RESUMED").subscription_status))


def gap(first: int, last: int, cause: str, *, topic: Topic = TRADES) -> hot_pb2.Update:
    row = stream_pb2.Gap(
        gap_id=1,
        scope=stream_pb2.GAP_SCOPE_DELIVERY,
        seq_first=first,
        seq_last=last,
        cause=stream_pb2.GapCause.Value(f"GAP_CAUSE_{cause}"),
        state=stream_pb2.GAP_STATE_LOST,
    )
    channel = types_pb2.CHANNEL_TRADES if topic is TRADES else types_pb2.CHANNEL_BOOK_L2
    return update(0, gap=row, channel=channel)


def test_the_position_is_behind_the_last_record_that_was_processed() -> None:
    made = Follower(TRADES)
    assert made.position is None
    made = accepted(TRADES, seq_next=4)
    assert made.position == Position(TRADES, EPOCH, 3)
    feed(made, trade(4, 70), trade(5, 71))
    assert made.position == Position(TRADES, EPOCH, 5)
    made.lose()
    assert made.position == Position(TRADES, EPOCH, 5)


def test_a_book_has_a_position_once_it_is_whole() -> None:
    made = accepted(BOOK)
    assert made.position is None
    feed(made, cut(8, BIDS, ASKS))
    assert made.position == Position(BOOK, EPOCH, 8)
    part = snapshot(9, BIDS, ASKS, flags=types_pb2.UPDATE_FLAG_MORE)
    feed(made, part)
    assert made.position == Position(BOOK, EPOCH, 8)


def test_a_resumed_book_keeps_its_levels_and_takes_the_missed_changes() -> None:
    made = accepted(BOOK)
    feed(made, cut(8, BIDS, ASKS), delta(9, {"10": "2"}, {}))
    made.lose()
    assert made.book is None
    assert resumed(made) == [Resumed(topic=BOOK, seq_next=10)]
    [book] = feed(made, delta(10, {"9.5": "3"}, {}))
    assert isinstance(book, Book)
    assert [(level.price, level.quantity) for level in book.bids] == [
        (Decimal("10"), Decimal("2")),
        (Decimal("9.5"), Decimal("3")),
    ]
    assert made.report.gaps == 0


def test_a_snapshot_cut_in_its_parts_begins_anew_after_the_resume() -> None:
    made = accepted(BOOK)
    feed(made, cut(8, BIDS, ASKS), snapshot(9, {"7": "7"}, {}, flags=types_pb2.UPDATE_FLAG_MORE))
    made.lose()
    resumed(made)
    events = feed(made, snapshot(9, {"7": "7"}, {}, flags=types_pb2.UPDATE_FLAG_MORE), snapshot(9, {}, ASKS))
    [book] = events
    assert isinstance(book, Book)
    assert book.level_counts == (1, 1)


def test_a_lost_position_is_told_and_the_gap_behind_it_too() -> None:
    made = accepted(TRADES, seq_next=4)
    feed(made, trade(4, 70))
    made.lose()
    lost = status("RESUME_LOST", seq_next=20).subscription_status
    lost.seq_oldest = 15
    assert list(made.lose_position(lost, EPOCH)) == [ResumeLost(topic=TRADES, seq_oldest=15)]
    events = feed(made, gap(5, 19, "RESUME_TOO_OLD"), trade(20, 90))
    assert [type(event) for event in events] == [Gap, Trade]
    assert made.position == Position(TRADES, EPOCH, 20)


def test_the_rest_of_an_older_run_is_followed_by_its_gap_and_the_new_run() -> None:
    made = accepted(TRADES, seq_next=4)
    feed(made, trade(4, 70))
    made.lose()
    resumed(made)
    events = feed(
        made,
        trade(5, 71),
        gap(6, 0, "SERVER_RESTART"),
        trade(1, 80, epoch=EPOCH + 9),
        trade(2, 81, epoch=EPOCH + 9),
    )
    assert [type(event) for event in events] == [Trade, Gap, Trade, Trade]
    assert made.position == Position(TRADES, EPOCH + 9, 2)
    assert made.report.gaps == 1


def test_a_new_run_that_nobody_announced_is_told_as_a_gap() -> None:
    made = accepted(TRADES, seq_next=4)
    events = feed(made, trade(4, 70), trade(1, 80, epoch=EPOCH + 9))
    assert [type(event) for event in events] == [Trade, Gap, Trade]
    assert isinstance(events[1], Gap)
    assert events[1].cause == "SERVER_RESTART"


def test_a_position_of_another_process_is_gone_on_from() -> None:
    made = Follower(TRADES)
    made.stand_at(Position(TRADES, EPOCH, 9))
    resumed(made)
    events = feed(made, trade(10, 70))
    assert [type(event) for event in events] == [Trade]
    assert made.report.gaps == 0


def test_a_book_of_another_process_begins_anew_and_tells_the_hole() -> None:
    made = Follower(BOOK)
    made.stand_at(Position(BOOK, EPOCH, 9))
    assert made.position is None
    list(made.accept(status("ACCEPTED").subscription_status, EPOCH))
    events = feed(made, cut(14, BIDS, ASKS))
    assert [type(event) for event in events] == [Gap, Book]
    assert isinstance(events[0], Gap)
    assert (events[0].cause, events[0].seq_first, events[0].seq_last) == ("CLIENT_RESTART", 10, 14)


def test_history_comes_before_the_seam_and_takes_no_number() -> None:
    made = accepted(TRADES, seq_next=50)
    rows = [trade(0, number, flags=types_pb2.UPDATE_FLAG_HISTORY) for number in (68, 69)]
    events = feed(made, *rows)
    assert [type(event) for event in events] == [Trade, Trade]
    caught_up = status("CAUGHT_UP", seq_next=50).subscription_status
    assert list(made.catch_up(caught_up)) == [CaughtUp(topic=TRADES, seq_next=50)]
    assert [type(event) for event in feed(made, trade(50, 70))] == [Trade]
    assert made.report.gaps == 0


def test_a_kline_says_how_far_it_can_be_trusted() -> None:
    row = market_pb2.Kline(
        ts_open=60_000_000_000,
        ts_close=120_000_000_000,
        open=1000,
        high=1200,
        low=900,
        close=1100,
        volume="12.5",
        quote_volume="130.25",
        vwap="10.42",
        taker_buy_volume="2.5",
        trade_count=7,
        state=market_pb2.KLINE_STATE_FINAL,
        revision=1,
        completeness=market_pb2.COMPLETENESS_INCOMPLETE,
    )
    made = accepted(BARS)
    [bar] = feed(
        made, update(1, kline=row, channel=types_pb2.CHANNEL_KLINES, variant="1m", price_exponent=-2)
    )
    assert isinstance(bar, Kline)
    assert (bar.interval, bar.open, bar.low, bar.volume) == (
        "1m",
        Decimal("10"),
        Decimal("9"),
        Decimal("12.5"),
    )
    assert (bar.is_final, bar.revision, bar.completeness, bar.is_complete) == (True, 1, "INCOMPLETE", False)


@given(st.lists(st.integers(min_value=0, max_value=12), min_size=1, max_size=8))
def test_over_any_breaks_each_trade_comes_once_and_in_order(taken: list[int]) -> None:
    made, seen = accepted(TRADES, seq_next=1), []
    for call, count in enumerate([*taken, 40]):
        position = made.position
        assert position is not None
        if call:
            resumed(made)
        first = position.seq + 1
        events = feed(made, *(trade(seq, 1000 + seq) for seq in range(first, first + count)))
        seen += [event.trade_id for event in events if isinstance(event, Trade)]
        made.lose()
    assert seen == list(range(1001, 1001 + len(seen)))
    assert made.report.gaps == made.report.duplicates == 0


def test_a_request_names_positions_and_asks_for_history_once() -> None:
    items = Items(Random(1))
    wish = Wish(ts_history_start=5, variants=("1m",), delivery="EVERY")
    [item] = items.add(["kraken"], ["BTC-USD"], ["klines"], wish)
    first = item.message()
    assert (first.ts_history_start, list(first.variants), list(first.resume)) == (5, ["1m"], [])
    item.positions = [Position(BARS, EPOCH, 9)]
    second = item.message()
    assert second.ts_history_start == 0
    assert [(one.symbol, one.variant, one.epoch, one.seq) for one in second.resume] == [
        ("BTC-USD", "1m", EPOCH, 9)
    ]
