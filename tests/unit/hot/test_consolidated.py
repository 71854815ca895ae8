"""Only spot markets with exactly the same canonical symbol make a consolidated topic."""

from __future__ import annotations

import pytest

from datafacade.errors import InvalidRequest, UnknownSymbol
from datafacade.hot.consolidated import spot_symbol, spot_venues
from datafacade.hot.resolve import Resolver
from datafacade.types import InstrumentRow


def row(
    symbol: str, venue_symbol: str, *, kind: str = "spot", aliases: tuple[str, ...] = ()
) -> InstrumentRow:
    base, _, quote = symbol.partition("-")
    return InstrumentRow(
        symbol=symbol,
        venue_symbol=venue_symbol,
        aliases=list(aliases),
        base=base,
        quote=quote,
        kind=kind,
        status="trading",
        tick_size="0.1",
        lot_size="0.1",
        contract_size=None,
    )


@pytest.fixture
def resolver() -> Resolver:
    made = Resolver()
    made.replace("okx", [row("BTC-USDT", "BTC-USDT"), row("ETH-USDT", "ETH-USDT")])
    made.replace("binance", [row("BTC-USDT", "BTCUSDT"), row("BTC-USD", "BTCUSD")])
    made.replace(
        "binance-usdm",
        [row("BTC-USDT", "BTCUSDT", kind="perpetual"), row("SOL-USDT", "SOLUSDT", kind="perpetual")],
    )
    made.replace("kraken", [row("BTC-USD", "BTC/USD", aliases=("XBT/USD", "X"))])
    return made


def test_spot_venues_are_those_with_exactly_that_symbol(resolver: Resolver) -> None:
    assert spot_venues(resolver, "BTC-USDT") == ["binance", "okx"]
    assert spot_venues(resolver, "BTC-USD") == ["binance", "kraken"]
    assert spot_venues(resolver, "SOL-USDT") == []


@pytest.mark.parametrize(
    ("spelled", "symbol"), [("btcusdt", "BTC-USDT"), ("XBT/USD", "BTC-USD"), ("ETH-USDT", "ETH-USDT")]
)
def test_any_spelling_names_the_one_symbol(resolver: Resolver, spelled: str, symbol: str) -> None:
    assert spot_symbol(resolver, spelled) == symbol


def test_what_only_a_future_has_is_unknown(resolver: Resolver) -> None:
    with pytest.raises(UnknownSymbol):
        spot_symbol(resolver, "SOL-USDT")


def test_a_spelling_that_means_two_instruments_is_ambiguous(resolver: Resolver) -> None:
    resolver.replace("coinbase", [row("ETH-USD", "X")])
    with pytest.raises(InvalidRequest, match=r"ambiguous: BTC-USD, ETH-USD"):
        spot_symbol(resolver, "X")
