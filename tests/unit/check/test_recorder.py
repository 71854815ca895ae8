"""The recorder goes on where its own file ends, and only there."""

from __future__ import annotations

from pathlib import Path

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.probe import ProbeReader
from datafacade.check.recorder import Places, opened
from datafacade.v1 import hot_pb2, types_pb2

EPOCH = 1_800_000_000
TRADES_OF_BTC = Topic("kraken", "BTC-USD", TRADES)
BOOK_OF_BTC = Topic("kraken", "BTC-USD", BOOK)
WINDOW_OF_BTC = Topic("kraken", "BTC-USD", BOOK, "25")
TOPICS = (TRADES_OF_BTC, BOOK_OF_BTC, WINDOW_OF_BTC)


def record(topic: Topic, seq: int, kind: str, *, flags: int = 0, epoch: int = EPOCH) -> hot_pb2.Update:
    """Return an empty record of a kind."""
    update = hot_pb2.Update(
        venue=topic.venue,
        symbol=topic.symbol,
        channel=topic.channel,  # type: ignore[arg-type]  # a number of the enum
        variant=topic.variant,
        epoch=epoch,
        seq=seq,
        flags=flags,
    )
    getattr(update, kind).SetInParent()
    return update


def positions(places: Places) -> dict[Topic, tuple[int, int]]:
    return {
        Topic(place.venue, place.symbol, place.channel, place.variant): (place.epoch, place.seq)
        for item in places.subscriptions()
        for place in item.resume
    }


def after(*updates: hot_pb2.Update) -> dict[Topic, tuple[int, int]]:
    places = Places(TOPICS)
    for update in updates:
        places.take(update)
    return positions(places)


def test_each_topic_is_asked_for_by_its_place_and_begins_without_a_position() -> None:
    items = Places(TOPICS).subscriptions()
    assert [item.subscription_id for item in items] == [1, 2, 3]
    assert [list(item.variants) for item in items] == [[], [], ["25"]]
    assert not [item for item in items if item.resume]


def test_position_is_the_last_record_with_a_number() -> None:
    told = (record(TRADES_OF_BTC, 7, "trade"), record(TRADES_OF_BTC, 0, "delivery_change"))
    assert after(*told) == {TRADES_OF_BTC: (EPOCH, 7)}
    assert after(*told, record(TRADES_OF_BTC, 1, "trade", epoch=EPOCH + 9)) == {TRADES_OF_BTC: (EPOCH + 9, 1)}


def test_part_of_a_snapshot_is_no_position() -> None:
    part = record(BOOK_OF_BTC, 4, "book_snapshot", flags=types_pb2.UPDATE_FLAG_MORE)
    assert after(part) == {}
    assert after(part, record(BOOK_OF_BTC, 4, "book_snapshot")) == {BOOK_OF_BTC: (EPOCH, 4)}


def test_book_without_its_base_begins_anew() -> None:
    state = record(BOOK_OF_BTC, 9, "stream_state")
    assert after(state, record(BOOK_OF_BTC, 10, "book_delta")) == {}
    base = record(BOOK_OF_BTC, 10, "book_snapshot", flags=types_pb2.UPDATE_FLAG_CUT)
    assert after(state, base, record(BOOK_OF_BTC, 11, "book_delta")) == {BOOK_OF_BTC: (EPOCH, 11)}
    assert after(base, record(BOOK_OF_BTC, 1, "stream_state", epoch=EPOCH + 9)) == {}


def test_book_with_a_hole_begins_anew_until_its_cut_came() -> None:
    told = [record(WINDOW_OF_BTC, 2, "book_snapshot"), record(WINDOW_OF_BTC, 5, "stream_state")]
    assert after(*told) == {}
    told.append(record(WINDOW_OF_BTC, 6, "checkpoint"))
    assert after(*told) == {}
    told.append(record(WINDOW_OF_BTC, 9, "book_snapshot", flags=types_pb2.UPDATE_FLAG_CUT))
    assert after(*told) == {WINDOW_OF_BTC: (EPOCH, 9)}


def test_hole_between_trades_is_the_services_to_explain() -> None:
    told = (record(TRADES_OF_BTC, 2, "trade"), record(TRADES_OF_BTC, 5, "trade"))
    assert after(*told) == {TRADES_OF_BTC: (EPOCH, 5)}


def test_killed_recorder_goes_on_behind_its_last_whole_record(tmp_path: Path) -> None:
    path = tmp_path / "client"
    file = opened(path, Places(TOPICS))
    for seq in (1, 2):
        response = hot_pb2.HotSubscribeResponse(stream_seq=seq, updates=[record(TRADES_OF_BTC, seq, "trade")])
        file.write(b"r", response.SerializeToString())
    file.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[-20:])  # the beginning of a record that a kill tore
    places = Places(TOPICS)
    again = opened(path, places)
    again.write(b"o", b"")
    again.close()
    assert positions(places) == {TRADES_OF_BTC: (EPOCH, 2)}
    assert path.read_bytes().startswith(whole)
    assert [one.kind for one in ProbeReader(path).news()] == ["r", "r", "o"]


def test_position_that_the_service_does_not_know_is_forgotten() -> None:
    places = Places(TOPICS)
    places.take(record(TRADES_OF_BTC, 7, "trade"))
    places.forget(1)
    assert positions(places) == {}
