"""Damage does what its name says."""

import json

import pytest

from datafacade.sim import damage
from datafacade.sim.rest_verbs import MALFORMED_KINDS
from datafacade.sim.verbs import BAD_FRAME_KINDS

BOOK = '{"e":"depthUpdate","b":[["97012.01","0.5"]],"checksum":0}'


@pytest.mark.parametrize("kind", MALFORMED_KINDS)
def test_every_kind_of_malformed_message_exists(kind: str) -> None:
    assert damage.malform(BOOK, kind) != BOOK.encode()


@pytest.mark.parametrize("kind", ["truncated", "not_json"])
def test_broken_json_does_not_parse(kind: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json.loads(damage.malform(BOOK, kind))


def test_hostile_values_are_what_they_claim() -> None:
    assert b"NaN" in damage.malform(BOOK, "nan")
    assert b"1e999" in damage.malform(BOOK, "huge_exponent")
    assert damage.malform(BOOK, "deep").count(b"[") > 10_000
    assert b"1" * 4_301 in damage.malform(BOOK, "many_digits")
    assert len(damage.malform(BOOK, "long_string")) > 10_000_000
    keys = [key for key, _ in json.loads(damage.malform(BOOK, "duplicate_keys"), object_pairs_hook=list)]
    assert len(keys) > len(set(keys))
    with pytest.raises(UnicodeDecodeError):
        damage.malform(BOOK, "bad_utf8").decode()


def test_a_wrong_checksum_is_not_zero_and_not_the_right_one() -> None:
    for right in (0, 5, 4294967295, -12):
        text = damage.wrong_checksum(f'{{"checksum":{right},"x":1}}')
        assert text is not None
        assert json.loads(text)["checksum"] not in (0, right)
    assert damage.wrong_checksum("{}") is None


@pytest.mark.parametrize("quantity", [1, 9, 10, 19, 123450])
def test_a_changed_digit_leaves_a_positive_quantity_of_the_same_length(quantity: int) -> None:
    changed = damage.change_digit(quantity)
    assert changed > 0
    assert sum(a != b for a, b in zip(str(quantity), str(changed), strict=True)) == 1


def test_padding_keeps_the_content() -> None:
    text = damage.pad(BOOK, 1 << 20)
    assert len(text) >= 1 << 20
    assert json.loads(text) == json.loads(BOOK)


def test_a_changed_byte_breaks_the_json() -> None:
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(damage.break_byte(BOOK))


@pytest.mark.parametrize("kind", BAD_FRAME_KINDS)
def test_every_kind_of_bad_frame_exists(kind: str) -> None:
    octets = damage.bad_frame(kind, 64)
    assert len(octets) > 2
    if kind == "oversize":
        assert int.from_bytes(octets[2:10], "big") == 64 << 20
