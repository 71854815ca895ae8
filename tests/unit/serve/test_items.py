"""Each channel takes the variants of its own kind; what suits none is refused, never ignored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.hot.tier import HotTier
from datafacade.serve.items import pair_variants

TRADES, BOOK, TOP, KLINES = 1, 2, 3, 4


def paired(channels: list[int], variants: list[str]) -> list[tuple[int, str]]:
    return list(pair_variants(channels, variants, HotTier.variant))


@pytest.mark.parametrize(
    ("channels", "variants", "expected"),
    [
        ([TRADES], [], [(TRADES, "")]),
        ([TRADES, BOOK], ["25"], [(TRADES, ""), (BOOK, "25")]),
        ([BOOK, KLINES], ["1m", "10", "5m"], [(BOOK, "10"), (KLINES, "1m"), (KLINES, "5m")]),
        ([KLINES], ["60s", "1m"], [(KLINES, "1m")]),
        ([KLINES], [], [(KLINES, "")]),
        ([TRADES], ["25"], [(TRADES, "25")]),  # refused there
        ([BOOK, TRADES], ["25", "7"], [(BOOK, "25"), (TRADES, "7")]),
        ([BOOK], ["25", "7"], [(BOOK, "25"), (BOOK, "7")]),
        ([99], ["25"], [(99, "25")]),
        ([BOOK], ["", "25"], [(BOOK, ""), (BOOK, "25")]),
    ],
)
def test_each_channel_takes_the_variants_of_its_kind(
    channels: list[int], variants: list[str], expected: list[tuple[int, str]]
) -> None:
    assert paired(channels, variants) == expected


VARIANTS = st.sampled_from(["", "1m", "60s", "1h", "100t", "10", "25", "26", "x"])


@given(
    st.lists(st.sampled_from([TRADES, BOOK, TOP, KLINES]), min_size=1, unique=True),
    st.lists(VARIANTS, max_size=6),
)
def test_no_channel_and_no_variant_is_passed_over(channels: list[int], variants: list[str]) -> None:
    found = paired(channels, variants)
    assert {channel for channel, _ in found} == set(channels)
    assert len(set(found)) == len(found)
    texts = {text for _, text in found}
    one_text = {"60s": "1m", "": "1m" if KLINES in channels else ""}
    is_default = "" in texts
    for variant in variants:
        assert variant in texts or one_text.get(variant) in texts or (variant == "" and is_default)
