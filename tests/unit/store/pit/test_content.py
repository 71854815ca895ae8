"""What is accepted at a write can be read: the readable form, however much it repeats itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.errors import InvalidRequest
from datafacade.store.pit import content
from datafacade.store.pit.content import READABLE_BYTES_MAX, prepare, squeeze
from datafacade.store.pit.record import Draft
from datafacade.store.pit.snapshot import unpack_text


@given(st.binary(max_size=64), st.integers(0, 40_000))
def test_whatever_is_packed_is_unpacked_again(pattern: bytes, repeats: int) -> None:
    text = pattern * repeats
    assert unpack_text(squeeze(text)) == text


def test_text_that_repeats_itself_like_a_bomb_is_kept_as_it_is() -> None:
    text = b'{"prices":[' + b"0," * 24 * 2**20 + b"0]}"
    packed = squeeze(text)
    assert len(packed) > len(text), "a reader would refuse what packs a thousand to one"
    assert unpack_text(packed) == text


def test_text_beyond_what_a_reader_takes_is_refused_at_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "READABLE_BYTES_MAX", 100)
    draft = Draft(entity="warm.klines/kraken/BTC-USD/1m", kind="K", message=b"m", readable=b"1" * 101)
    with pytest.raises(InvalidRequest, match="expected at most 100 bytes of JSON, received 101"):
        prepare(draft, ts_wall=1, ts_mono=1)
    assert READABLE_BYTES_MAX == 192 * 2**20
