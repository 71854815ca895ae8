"""Books and checksums against the recorded vectors and a naive dict."""

import hashlib
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.sim.books import Book, Change, kraken_checksum, kraken_checksum_of, net, okx_checksum, rank_of

RECORDINGS = Path(os.environ.get("DATAFACADE_RECORDINGS", "../shared/recordings"))
changes = st.lists(
    st.tuples(st.sampled_from(["b", "a"]), st.integers(1, 40), st.integers(0, 9)),
    max_size=80,
)


def vectors() -> dict[str, list[dict[str, object]]]:
    path = RECORDINGS / "checksums" / "checksum_vectors.json"
    if not path.exists():
        pytest.skip(f"no recordings at {path}: set DATAFACADE_RECORDINGS")
    found: dict[str, list[dict[str, object]]] = json.loads(path.read_text())
    return found


def levels(vector: dict[str, object], side: str) -> list[tuple[str, str]]:
    rows = vector[side]
    assert isinstance(rows, list)
    return [(str(price), str(quantity)) for price, quantity in rows]


def plain(text: str, decimals: object) -> str:
    return text if decimals is None else f"{Decimal(text):.{decimals}f}"


@pytest.mark.recordings
def test_kraken_checksums_equal_the_recorded_vectors() -> None:
    for vector in vectors()["kraken"]:
        sides = [
            [
                (plain(price, vector["price_decimals"]), plain(quantity, vector["qty_decimals"]))
                for price, quantity in levels(vector, side)
            ]
            for side in ("asks", "bids")
        ]
        assert kraken_checksum(*sides) == vector["crc32"], vector["name"]


@pytest.mark.recordings
def test_okx_checksums_equal_the_recorded_vectors() -> None:
    for vector in vectors()["okx"]:
        found = okx_checksum(levels(vector, "asks"), levels(vector, "bids"))
        assert found == vector["crc32_signed"], vector["name"]


def test_checksum_of_tiny_prices_matches_the_sheet() -> None:
    book = Book(8, 8)
    book.apply([("a", 1, 100 * 10**8), ("a", 2, 5 * 10**7)])
    assert kraken_checksum_of(book) == 3402872107


@given(changes)
def test_a_book_is_a_sorted_dict(sequence: list[Change]) -> None:
    book, naive = Book(1, 2), {"b": {}, "a": {}}  # type: ignore[var-annotated]
    book.apply(sequence)
    for side, price, quantity in sequence:
        if quantity:
            naive[side][price] = quantity
        else:
            naive[side].pop(price, None)
    assert book.bids.top() == sorted(naive["b"].items(), reverse=True)
    assert book.asks.top() == sorted(naive["a"].items())
    assert book.bids.top(3) == sorted(naive["b"].items(), reverse=True)[:3]
    for price in naive["b"]:
        assert rank_of(book, "b", price) == sum(other > price for other in naive["b"])
    for price in naive["a"]:
        assert rank_of(book, "a", price) == sum(other < price for other in naive["a"])


@given(changes)
def test_net_changes_lead_to_the_same_book(sequence: list[Change]) -> None:
    one, two = Book(0, 0), Book(0, 0)
    one.apply(sequence)
    two.apply(net(sequence))
    assert one.text() == two.text()


def test_canonical_text_is_that_of_the_manifest() -> None:
    book = Book(2, 7)
    book.apply([("b", 6160201, 16717700), ("b", 6160100, 229), ("a", 6160202, 2000_000_000)])
    assert book.text() == "b,61602.01,1.67177\nb,61601,0.0000229\na,61602.02,200"
    assert book.sha256() == hashlib.sha256(book.text().encode()).hexdigest()
    assert book.text(1) == "b,61602.01,1.67177\na,61602.02,200"
