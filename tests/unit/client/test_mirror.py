"""The mirror equals a naive dictionary of texts, and notices what does not fit."""

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.client.book import BookMoved
from datafacade.client.mirror import PARTS_MAX, Mirror, MirrorBroken
from datafacade.v1 import hot_pb2, types_pb2
from tests.unit.client.make import RECEIVED, checkpoint, cut, delta, snapshot, text_of

MORE = types_pb2.UPDATE_FLAG_MORE
VECTOR = "ca17416e9010662095b9158f0323a6446cdfa1fa385097617cd356a57e077c2b"


def mirror_of(bids: dict[str, str], asks: dict[str, str]) -> Mirror:
    mirror = Mirror("kraken")
    assert mirror.on_snapshot(cut(1, bids, asks))
    return mirror


def test_the_contracts_hash_vector_holds() -> None:
    mirror = mirror_of({"61602.01": "1.67177", "61602": "0.5"}, {"61602.02": "2.66795"})
    assert mirror.sha256().hex() == VECTOR


def test_an_empty_book_hashes_the_empty_string() -> None:
    assert mirror_of({}, {}).sha256() == hashlib.sha256(b"").digest()


LEVEL = st.tuples(
    st.integers(1, 400), st.integers(0, 10**6), st.sampled_from([-4, -2, 0, 1]), st.sampled_from([-18, -8, 0])
)


@given(st.lists(st.lists(st.tuples(st.booleans(), LEVEL), max_size=6), max_size=12))
def test_any_deltas_at_any_exponents_leave_the_book_of_a_naive_dictionary(
    steps: list[list[tuple[bool, tuple[int, int, int, int]]]],
) -> None:
    mirror = mirror_of({"10": "1"}, {"20": "1"})
    naive: dict[bool, dict[Decimal, Decimal]] = {
        True: {Decimal(10): Decimal(1)},
        False: {Decimal(20): Decimal(1)},
    }
    for number, changes in enumerate(steps, 2):
        for is_bid, (
            price,
            quantity,
            px,
            qty,
        ) in changes:  # one change a delta: exponents are those of the delta
            exact_price, exact_quantity = Decimal(price).scaleb(px), Decimal(quantity).scaleb(qty)
            rows = {f"{exact_price:f}": f"{exact_quantity:f}"}
            mirror.on_delta(delta(number, rows if is_bid else {}, {} if is_bid else rows, (px, qty)))
            if quantity:
                naive[is_bid][exact_price] = exact_quantity
            else:
                naive[is_bid].pop(exact_price, None)
    texts = [
        {f"{price:f}": f"{quantity:f}" for price, quantity in naive[is_bid].items()}
        for is_bid in (True, False)
    ]
    assert mirror.sha256() == hashlib.sha256(text_of(texts[0], texts[1]).encode()).digest()
    assert mirror.sha256(3) == hashlib.sha256(text_of(texts[0], texts[1], 3).encode()).digest()
    view = mirror.view(delta(99, {}, {}), "LIVE", RECEIVED)
    assert [(level.price, level.quantity) for level in view.bids] == sorted(naive[True].items(), reverse=True)
    assert [(level.price, level.quantity) for level in view.asks] == sorted(naive[False].items())


def test_parts_of_a_deep_snapshot_swap_the_book_at_the_last() -> None:
    mirror = mirror_of({"1": "1"}, {"9": "1"})
    assert not mirror.on_snapshot(cut(7, {"5": "1"}, {"6": "1"}, flags=MORE))
    assert mirror.sha256() == hashlib.sha256(text_of({"1": "1"}, {"9": "1"}).encode()).digest()
    assert mirror.on_snapshot(cut(7, {"4": "1"}, {}, (-2, -9)))
    assert mirror.sha256() == hashlib.sha256(text_of({"5": "1", "4": "1"}, {"6": "1"}).encode()).digest()


def test_parts_of_two_snapshots_do_not_mix() -> None:
    mirror = mirror_of({"1": "1"}, {})
    mirror.on_snapshot(cut(7, {"5": "1"}, {}, flags=MORE))
    with pytest.raises(MirrorBroken) as broken:
        mirror.on_snapshot(cut(8, {"4": "1"}, {}))
    assert broken.value.reason == "LEVELS"


def test_a_snapshot_has_a_bound_of_parts() -> None:
    mirror = Mirror("kraken")
    for _ in range(PARTS_MAX):
        mirror.on_snapshot(cut(7, {"5": "1"}, {}, flags=MORE))
    with pytest.raises(MirrorBroken):
        mirror.on_snapshot(cut(7, {"5": "1"}, {}))


def test_a_delta_without_a_snapshot_is_refused() -> None:
    with pytest.raises(MirrorBroken) as broken:
        Mirror("kraken").on_delta(delta(1, {"1": "1"}, {}))
    assert broken.value.reason == "NO_BASE"


def test_a_delta_between_the_parts_of_a_snapshot_is_refused() -> None:
    mirror = mirror_of({"1": "1"}, {})
    mirror.on_snapshot(cut(7, {"5": "1"}, {}, flags=MORE))
    with pytest.raises(MirrorBroken):
        mirror.on_delta(delta(8, {"1": "2"}, {}))


def test_arrays_of_different_length_are_refused_and_change_nothing() -> None:
    mirror = mirror_of({"1": "1"}, {"2": "1"})
    before = mirror.sha256()
    bad = delta(2, {"1": "7"}, {"2": "7"})
    bad.book_delta.ask_quantities.append(5)
    with pytest.raises(MirrorBroken) as broken:
        mirror.on_delta(bad)
    assert broken.value.reason == "LEVELS"
    assert mirror.sha256() == before


def test_a_checkpoint_of_the_same_book_is_counted_as_proof() -> None:
    book = {"10.5": "1", "10": "0.5"}, {"11": "3"}
    mirror = mirror_of(*book)
    mirror.on_checkpoint(checkpoint(1, *book))
    assert mirror.proof.hash_seq == 1
    assert (mirror.proof.hashes_checked, mirror.proof.levels, mirror.proof.integrity) == (1, 10, "CHECKSUM")


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ({"10.5": "1.00000001"}, {"11": "3"}),
        ({"10.51": "1"}, {"11": "3"}),
        ({"10.5": "1"}, {}),
        ({"10.5": "1", "9": "1"}, {"11": "3"}),
    ],
)
def test_a_checkpoint_of_another_book_breaks_the_mirror(bids: dict[str, str], asks: dict[str, str]) -> None:
    mirror = mirror_of({"10.5": "1"}, {"11": "3"})
    with pytest.raises(MirrorBroken) as broken:
        mirror.on_checkpoint(checkpoint(1, bids, asks))
    assert broken.value.reason == "CHECKPOINT"


def test_a_difference_below_the_hashed_levels_shows_in_the_counts() -> None:
    mirror = mirror_of({"10": "1"}, {"11": "1"})
    with pytest.raises(MirrorBroken) as broken:
        mirror.on_checkpoint(checkpoint(1, {"10": "1", "9": "1"}, {"11": "1"}, levels=1))
    assert "levels" in broken.value.expected


# The venue's chain


def linked(previous: int, number: int, venue: str) -> hot_pb2.Update:
    return delta(2, {"1": "2"}, {}, venue=venue, venue_sequence_previous=previous, venue_sequence=number)


@pytest.mark.parametrize(
    ("venue", "is_cut", "last", "previous", "number", "fits"),
    [
        ("okx", True, 10, 10, 15, True),
        ("okx", True, 10, 10, 3, True),  # the venue restarted its count, told by prevSeqId
        ("okx", True, 10, 9, 15, False),
        ("okx", True, 10, 11, 15, False),
        ("okx", False, 10, 9, 15, False),  # only a Binance REST snapshot may be straddled
        ("binance", False, 100, 98, 101, True),
        ("binance", False, 100, 100, 103, True),
        ("binance", False, 100, 98, 100, False),  # it brings nothing new
        ("binance", False, 100, 101, 103, False),
        ("binance", True, 100, 98, 101, False),  # behind a CUT nothing straddles
        ("binance-usdm", False, 100, 90, 100, True),
        ("binance-usdm", False, 100, 90, 99, False),
        ("binance-coinm", False, 100, 101, 110, False),
        ("coinbase", True, 10, 25, 26, True),  # counts over the whole connection
    ],
)
def test_the_venues_numbers_must_join(
    venue: str, is_cut: bool, last: int, previous: int, number: int, fits: bool
) -> None:
    mirror = Mirror(venue)
    base = cut if is_cut else snapshot
    mirror.on_snapshot(base(1, {"1": "1"}, {}, venue=venue, venue_sequence=last))
    if fits:
        mirror.on_delta(linked(previous, number, venue))
        assert mirror.links_checked == (venue != "coinbase")
    else:
        with pytest.raises(MirrorBroken) as broken:
            mirror.on_delta(linked(previous, number, venue))
        assert broken.value.reason == "VENUE_SEQUENCE"


def test_only_the_first_delta_behind_a_rest_snapshot_may_straddle_it() -> None:
    mirror = Mirror("binance")
    mirror.on_snapshot(snapshot(1, {"1": "1"}, {}, venue="binance", venue_sequence=100))
    mirror.on_delta(linked(98, 101, "binance"))
    with pytest.raises(MirrorBroken):
        mirror.on_delta(linked(100, 105, "binance"))


# Views


def test_best_prices_and_spread_are_exact() -> None:
    view = mirror_of({"61602.01": "1"}, {"61602.02": "2"}).view(cut(1, {}, {}), "LIVE", RECEIVED)
    assert view.best_bid == (Decimal("61602.01"), Decimal(1))
    assert view.best_ask == (Decimal("61602.02"), Decimal(2))
    assert view.spread == Decimal("0.01")
    assert view.spread_bps == pytest.approx(0.01 / 61602.015 * 10_000)


def test_one_empty_side_has_no_spread() -> None:
    view = mirror_of({"5": "1"}, {}).view(cut(1, {}, {}), "LIVE", RECEIVED)
    assert (view.best_ask, view.spread, view.spread_bps) == (None, None, None)


def test_levels_of_a_book_that_moved_on_are_refused_and_frozen_ones_stay() -> None:
    mirror = mirror_of({"5": "1"}, {"6": "1"})
    view = mirror.view(cut(1, {}, {}), "LIVE", RECEIVED)
    kept = view.freeze()
    mirror.on_delta(delta(2, {"5": "9"}, {}))
    with pytest.raises(BookMoved, match="moved on from seq 1"):
        _ = view.bids
    assert view.best_bid == (Decimal(5), Decimal(1))
    assert kept.bids == [(Decimal(5), Decimal(1))]
    assert kept.level_counts == (1, 1)


def test_a_new_snapshot_leaves_older_views_whole() -> None:
    mirror = mirror_of({"5": "1"}, {"6": "1"})
    view = mirror.view(cut(1, {}, {}), "LIVE", RECEIVED)
    mirror.on_snapshot(cut(9, {"1": "1"}, {}))
    assert view.bids == [(Decimal(5), Decimal(1))]


@pytest.mark.parametrize(
    ("state", "integrity", "is_proven"),
    [
        ("LIVE", "CHECKSUM", True),
        ("LIVE", "UNVERIFIABLE", False),
        ("LIVE", "", False),
        ("RESYNC", "CHECKSUM", False),
    ],
)
def test_a_book_is_proven_only_while_live_and_with_a_proof(
    state: str, integrity: str, is_proven: bool
) -> None:
    number = types_pb2.Integrity.Value(f"INTEGRITY_{integrity or 'UNSPECIFIED'}")
    view = mirror_of({"5": "1"}, {"6": "1"}).view(cut(1, {}, {}, integrity=number), state, RECEIVED)
    assert view.is_proven is is_proven
