"""Names on disk: any text becomes one harmless component, and different texts different ones."""

from __future__ import annotations

import os
import random
import re
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.errors import InvalidRequest
from datafacade.store.pit.names import Entity, day_of, is_id, meta_name, stem_of, utc_text

HOSTILE = (
    "", ".", "..", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "C:\\x", "NUL", "con", "\0", "BTC\0",
    "*", "?", ":", "|", "<", ">", '"', "~", "%", "%%", "%2f", "@", "A@B", ".manifest", ".lock",
    "metadata", "-rf", " ", "BTC ", "BTC.", "btc-usdt", "BTC-USDT", "Btc-Usdt", "BTC_USDT", "BTC/USDT",
    "\u5e01\u5b89\u4eba\u751fUSDT", "\u00e9", "e\u0301", "\u0410", "A", "\uff21", "\u017f", "K", "\u212a",
    "\u00df", "SS", "\u0130", "i\u0307", "\u202e", "\ud800", "\udfff", "\U0001f600", "\n", "\r\n",
    "\x1b[31m", "X" * 300, "x" * 300, "X" * 299 + "Y", "%" * 300, "\u5e01" * 100,
)  # fmt: skip
HARMLESS = re.compile(r"[a-z0-9@%_~-][a-z0-9@%_~.-]{0,199}")
ALPHABET = [
    *string.printable,
    *"\u00e9\u00c9\u0410\u0430\u0391\u03b1\u5e01\u5b89\u0130\u0131\u017fK\u00c5\u0301\u202e\u200b\ud800\U0001f600",
    "..",
    "../",
    "%2e",
    "@@",
]


def made_up(count: int, seed: int) -> set[str]:
    """Return so many different symbols, twins of one another among them."""
    draw = random.Random(seed)
    symbols = set(HOSTILE)
    while len(symbols) < count:
        symbol = "".join(draw.choices(ALPHABET, k=draw.choice((1, 2, 3, 4, 6, 8, 12, 12, 12, 64))))
        symbols |= {symbol, symbol.swapcase(), symbol.lower(), symbol + draw.choice(ALPHABET)}
        if symbol.isascii():
            symbols.add(unicodedata.normalize("NFKC", symbol))
    return symbols


@pytest.mark.proves("ROW-F13")
def test_a_hundred_thousand_names_get_a_folder_each_and_none_lies_outside(tmp_path: Path) -> None:
    symbols = made_up(100_000, seed=13)
    folders = set()
    for symbol in symbols:
        folder = Entity("warm.klines", "binance", symbol, "1h").folder
        assert HARMLESS.fullmatch(folder)
        folders.add(folder)
    assert len(symbols) >= 100_000
    for folder in random.Random(1).sample(sorted(folders), 1_000):
        assert os.path.realpath(f"{tmp_path}/{folder}") == f"{os.path.realpath(tmp_path)}/{folder}"
    assert len(folders) == len(symbols), "two symbols share a folder"
    assert len({folder.casefold() for folder in folders}) == len(symbols), "case twins would share one"
    assert len({unicodedata.normalize("NFKC", folder) for folder in folders}) == len(symbols)


def test_a_plain_symbol_keeps_the_look_that_was_asked_for() -> None:
    entity = Entity("warm.klines", "binance", "BTC-USDT", "1h")
    assert entity.folder == "btc-usdt@binance@warm.klines@1h"
    assert Entity("book", "kraken", "BTC-USD").folder == "btc-usd@kraken@book"
    assert Entity("warm.klines", "binance", "kPEPE", "1M").folder == "%6bpepe@binance@warm.klines@1%4d"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
PARTS = st.tuples(TEXTS.filter(bool), TEXTS, TEXTS, TEXTS)


@given(PARTS)
def test_an_entity_is_read_back_from_its_text(parts: tuple[str, str, str, str]) -> None:
    entity = Entity(*parts)
    if len(str(entity)) <= 1_024:
        assert Entity.parse(str(entity)) == entity


@given(PARTS, PARTS)
def test_different_entities_have_different_folders_in_every_part(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert (Entity(*one).folder == Entity(*other).folder) == (one == other)


@pytest.mark.parametrize("text", ["", "BTC-USDT", "a/b", "/a/b", "a/b/c/d/e", "a/b/" + "c" * 1_100])
def test_text_that_names_no_entity_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="entity"):
        Entity.parse(text)


@pytest.mark.proves("REQ-P2")
def test_files_are_named_by_second_and_id() -> None:
    ts, digits = 1_795_279_289_123_456_789, "0123456789abcdef" * 4
    assert stem_of(ts, digits) == "20261121_164129_" + "0123456789abcdef" * 2
    assert day_of(ts) == "2026-11-21"
    assert meta_name(digits) == "0123456789abcdef" * 2 + ".meta.json"
    assert utc_text(ts) == "2026-11-21T16:41:29.123456789Z"


def test_an_id_is_sixteen_to_sixty_four_lower_case_hex_digits() -> None:
    assert is_id("0" * 64)
    assert is_id("abcdef0123456789")
    for text in ("", "0" * 15, "0" * 65, "A" * 16, "g" * 16, "0" * 16 + "\n"):
        assert not is_id(text)
