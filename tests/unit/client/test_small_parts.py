"""Topics, words, waits, numbers in a row, what is asked for."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.client.backoff import Backoff
from datafacade.client.contiguity import Contiguity, Place
from datafacade.client.errors import UnknownSymbol, VenueFailed
from datafacade.client.items import ITEMS_PER_REQUEST, Items, Wish, requests_of
from datafacade.client.subscription import words as as_list
from datafacade.client.topic import Channel, Topic, channel_from_number, channel_number, channel_of
from datafacade.rows import words
from datafacade.v1 import types_pb2


@pytest.mark.parametrize(
    ("name", "channel"),
    [("book", Channel.BOOK_L2), (" L2 ", Channel.BOOK_L2), ("Trades", Channel.TRADES),
     ("top", Channel.TOP_OF_BOOK), ("bbo", Channel.TOP_OF_BOOK),
     ("ticker", Channel.TICKER), ("book_l2", Channel.BOOK_L2)],
)  # fmt: skip
def test_channels_have_short_names(name: str, channel: Channel) -> None:
    assert channel_of(name) is channel


def test_an_unknown_channel_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="trades, book_l2"):
        channel_of("candles")


def test_channel_numbers_are_the_contracts() -> None:
    assert [channel_number(channel) for channel in Channel] == list(range(1, len(Channel) + 1))
    assert all(channel_from_number(channel_number(channel)) is channel for channel in Channel)
    assert channel_from_number(99) is None


def test_a_topic_reads_as_people_write_it() -> None:
    assert str(Topic("okx", "BTC-USDT", Channel.BOOK_L2, "25")) == "okx:BTC-USDT/book_l2/25"


def test_words_are_the_enums_without_prefix_and_unknown_numbers_stay_readable() -> None:
    assert words.STATE(types_pb2.STATE_LIVE) == "LIVE"
    assert words.INTEGRITY(types_pb2.INTEGRITY_SEQUENCE_AND_CHECKSUM) == "SEQUENCE_AND_CHECKSUM"
    assert words.STATE(0) == ""
    assert words.STATE(77) == "UNKNOWN_77"


@given(st.integers(0, 2**32), st.floats(0.01, 1), st.floats(1, 20))
def test_waits_double_to_a_bound_and_half_of_each_is_random(seed: int, first_s: float, max_s: float) -> None:
    backoff = Backoff(Random(seed), first_s=first_s, max_s=max_s)
    for attempt in range(30):
        whole = min(max_s, first_s * 2**attempt)
        assert whole / 2 <= backoff.next_s() <= whole
    backoff.reset()
    assert backoff.next_s() <= first_s


def test_the_service_may_ask_for_a_longer_wait() -> None:
    assert Backoff(Random(1)).next_s(7.0) == 7.0


@given(st.integers(1, 100), st.lists(st.integers(1, 120), max_size=60))
def test_numbers_are_judged_as_a_naive_list_judges_them(seq_next: int, seqs: list[int]) -> None:
    order = Contiguity()
    order.begin(seq_next)
    taken: list[int] = []
    for seq in seqs:
        expected = taken[-1] + 1 if taken else seq_next
        place = order.place(seq)
        if seq == expected:
            assert place is Place.NEXT
        elif seq > expected:
            assert place is Place.HOLE
        else:
            assert place is (Place.OLD if taken else Place.PRESENT)
        if place in (Place.NEXT, Place.HOLE):
            order.take(seq)
            taken.append(seq)


def test_items_are_the_cross_product_once_each() -> None:
    items = Items(Random(1))
    added = items.add(
        ["kraken", "okx"], ["BTC-USD", "BTC-USD"], ["book", "trades"], Wish(allow_unverified=True)
    )
    assert [(item.venue, item.channel) for item in added] == list(
        itertools.product(["kraken", "okx"], [Channel.BOOK_L2, Channel.TRADES])
    )
    [request] = requests_of(items, itertools.count(5))
    assert request.request_id == 5
    first = request.subscribe[0]
    assert (list(first.venues), list(first.symbols), list(first.channels)) == (["kraken"], ["BTC-USD"], [2])
    assert first.allow_unverified
    assert len({one.subscription_id for one in request.subscribe}) == 4


def test_without_venues_an_item_asks_for_all() -> None:
    items = Items(Random(1))
    items.add([], ["BTC-USD"], ["top"], Wish())
    [request] = requests_of(items, itertools.count(1))
    assert list(request.subscribe[0].venues) == []


@pytest.mark.parametrize(("symbols", "channels"), [([], ["book"]), (["BTC-USD"], [])])
def test_asking_for_nothing_is_an_error(symbols: list[str], channels: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Items(Random(1)).add(["kraken"], symbols, channels, Wish())


def test_many_items_are_cut_into_requests_of_less_than_64_kib() -> None:
    items = Items(Random(1))
    items.add(
        ["coinbase"],
        [f"VERYLONGNAME{number}-USD" for number in range(450)],
        ["book"],
        Wish(allow_unverified=True),
    )
    requests = list(requests_of(items, itertools.count(1)))
    assert [len(request.subscribe) for request in requests] == [ITEMS_PER_REQUEST, ITEMS_PER_REQUEST, 50]
    assert max(request.ByteSize() for request in requests) < 64 << 10


def test_hope_ends_when_each_item_is_refused_for_good() -> None:
    items = Items(Random(1))
    one, other = items.add(["kraken"], ["A-B", "C-D"], ["book"], Wish())
    one.refusal = UnknownSymbol("no A-B")
    assert items.first_refusal is None
    other.refusal = VenueFailed("later")
    assert items.first_refusal is None
    other.refusal = UnknownSymbol("no C-D")
    assert items.first_refusal is one.refusal
    other.topics.add(Topic("kraken", "C-D", Channel.BOOK_L2))
    assert items.first_refusal is None


def test_a_renewed_item_has_a_new_id_and_the_old_one_is_unknown() -> None:
    items = Items(Random(1))
    [item] = items.add(["kraken"], ["BTC-USD"], ["book"], Wish())
    old = items.renumber(item)
    assert items.get(old) is None
    assert items.get(item.subscription_id) is item
    assert items.remove(item.handle) == [item]
    assert items.remove(item.handle) == []


def test_renewals_wait_longer_each_time_and_forget_after_a_good_while() -> None:
    [item] = Items(Random(1)).add(["kraken"], ["BTC-USD"], ["book"], Wish())
    waits = [item.renewal_s(now=100.0) for _ in range(9)]
    assert waits[-1] > 20 * waits[0]
    assert item.renewal_s(now=10_000.0) <= 0.05


def test_one_name_or_many() -> None:
    assert as_list("kraken") == ["kraken"]
    assert as_list(iter(["kraken", "okx"])) == ["kraken", "okx"]
