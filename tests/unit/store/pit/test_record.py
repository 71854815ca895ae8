"""A line of the manifest is whole or broken; nothing else is ever believed."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.store.pit.record import ZERO, Broken, line_of, record_of, values_of

LINE = line_of({"op": "drop", "id": "ab" * 32, "ts": 5, "why": "old"}, seq=7, prev=ZERO)[0].rstrip(b"\n")


def forged(body: bytes) -> bytes:
    """Return a line whose hash is right and whose content we never wrote."""
    return body + b',"hash":"' + sha256(body).hexdigest().encode() + b'"}'


def test_a_line_is_read_back_as_it_was_told() -> None:
    record = record_of(LINE)
    assert (record.seq, record.op, record.id, record.ts, record.prev) == (7, "drop", "ab" * 32, 5, ZERO)
    assert record.values == {"why": "old"}


@given(st.integers(0, len(LINE) * 8 - 1))
def test_any_flipped_bit_breaks_a_line(bit: int) -> None:
    changed = bytearray(LINE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Broken):
        values_of(bytes(changed))


@given(st.binary(max_size=200))
def test_random_bytes_are_no_line_even_with_a_right_hash(noise: bytes) -> None:
    for text in (noise, forged(noise), forged(b'{"a":1' + noise), LINE + noise[:1] if noise else b""):
        with pytest.raises(Broken):
            values_of(text)
