"""The witness and the captures are held against the verified facts before they judge anything."""

import pytest

from tests.conformance.capture_file import encode, whole_records
from tests.conformance.captures import CAPTURES
from tests.conformance.facts import FACTS
from tests.conformance.recordings import recordings_folder
from tests.conformance.sessions import SESSIONS, capture_of

pytestmark = pytest.mark.recordings


@pytest.mark.parametrize("name", SESSIONS)
def test_witness_ends_at_the_verified_book(name: str) -> None:
    witness = SESSIONS[name].witness()
    for record in capture_of(name).records:
        witness.take(record)
    assert {symbol: book.sha256() for symbol, book in witness.books.items()} == {
        symbol: fact.final["sha256"] for symbol, fact in FACTS[name]().items()
    }


@pytest.mark.parametrize("name", CAPTURES)
def test_converting_a_recording_twice_gives_the_same_bytes(name: str) -> None:
    packed = encode(CAPTURES[name](recordings_folder()))
    assert packed == encode(CAPTURES[name](recordings_folder()))
    assert whole_records(packed) == len(capture_of(name).records)
