"""The entry of the shared cache: what is written is read back, and nothing else is."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.store.shared_entry import ENTRY_BYTES_MAX, NoEntry, SharedAnswer, decode, encode

KEY: Final = "klines:kraken:BTC-USD:1h:24"
ANSWER: Final = SharedAnswer(
    message=b"\x0a\x06kraken",
    snapshot_id=hashlib.sha256(b"\x0a\x06kraken").hexdigest(),
    source="kraken",
    cache_class="prices_warm",
    ts_cached=1_707_350_400_000_000_001,
    ts_expires=1_707_350_430_000_000_001,
    age_ns=250,
)


@pytest.mark.proves("REQ-K4")
def test_an_entry_has_the_six_keys_and_plain_values() -> None:
    entry = json.loads(encode(KEY, ANSWER))
    checksum = entry["attribution"].pop("checksum")
    assert entry == {
        "data": base64.b64encode(ANSWER.message).decode(),
        "source": "kraken",
        "cached_at": "2024-02-08T00:00:00.000000001Z",
        "expires_at": "2024-02-08T00:00:30.000000001Z",
        "point_in_time": ANSWER.snapshot_id,
        "attribution": {"schema": 1, "cache_class": "prices_warm", "age_ns": 250},
    }
    assert len(checksum) == 64


@given(
    message=st.binary(max_size=200),
    text=st.text(max_size=20),
    times=st.tuples(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**62)),
)
def test_what_is_written_is_read_back(message: bytes, text: str, times: tuple[int, int, int]) -> None:
    text = text.encode("utf-8", "ignore").decode()
    answer = SharedAnswer(
        message=message,
        snapshot_id=hashlib.sha256(message).hexdigest(),
        source=text,
        cache_class=text,
        ts_cached=times[0],
        ts_expires=times[1],
        age_ns=times[2],
    )
    assert decode(text, encode(text, answer)) == answer


@pytest.mark.proves("ROW-C15")
@given(st.data())
def test_a_damaged_entry_is_refused_or_says_the_same(data: st.DataObject) -> None:
    value = bytearray(encode(KEY, ANSWER))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(NoEntry):
        assert decode(KEY, bytes(value)) == ANSWER  # as where a letter in \\u00e9 changes its case


@pytest.mark.proves("ROW-C15")
@given(st.binary(max_size=100) | st.text(max_size=50).map(str.encode))
def test_garbage_is_refused(value: bytes) -> None:
    with pytest.raises(NoEntry):
        decode(KEY, value)


@pytest.mark.proves("CTL-S29")
@pytest.mark.proves("ROW-C15")
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"[]",
        b'{"attribution": 1}',
        b"[" * 100_000,
        b'"' + b"x" * (ENTRY_BYTES_MAX + 1),
        encode("klines:kraken:ETH-USD:1h:24", ANSWER),
        encode(KEY, replace(ANSWER, snapshot_id="0" * 64)),
        encode(KEY, ANSWER).replace(b'"schema":1', b'"schema":2'),
        encode(KEY, ANSWER).replace(b'{"attribution', b'{"more":1,"attribution'),
        encode(KEY, ANSWER)[:-1],
    ],
    ids=["empty", "null", "list", "flat", "deep", "huge", "key", "hash", "schema", "more", "cut"],
)
def test_what_another_instance_left_is_refused(value: bytes) -> None:
    with pytest.raises(NoEntry):
        decode(KEY, value)
