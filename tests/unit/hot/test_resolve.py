"""Any known spelling finds its instrument; nothing is guessed from letters."""

import time

import pytest

from datafacade.errors import InvalidRequest, UnknownSymbol
from datafacade.hot.resolve import Resolver
from datafacade.types import InstrumentRow


def row(symbol: str, venue_symbol: str, *aliases: str, base: str = "", quote: str = "") -> InstrumentRow:
    if not base:
        base, _, quote = symbol.partition("-")
    return InstrumentRow(
        symbol=symbol,
        venue_symbol=venue_symbol,
        aliases=list(aliases),
        base=base,
        quote=quote,
        kind="spot",
        status="trading",
        tick_size="0.1",
        lot_size="0.1",
        contract_size=None,
    )


@pytest.fixture
def resolver() -> Resolver:
    made = Resolver()
    made.replace(
        "kraken",
        [
            row("BTC-USD", "BTC/USD", "XBT/USD", "XBTUSD", "XXBTZUSD"),
            row("BTC-USDT", "BTC/USDT", "XBT/USDT", "XBTUSDT"),
            row("DOGE-USD", "DOGE/USD", "XDG/USD", "XDGUSD"),
        ],
    )
    made.replace(
        "binance", [row("BTC-USDT", "BTCUSDT"), row("USDC-USDT", "USDCUSDT"), row("币安-USDT", "币安USDT")]
    )
    made.replace(
        "okx",
        [
            row("BTC-USDT", "BTC-USDT"),
            row("BTC-USDT-SWAP", "BTC-USDT-SWAP", base="BTC", quote="USDT"),
            row("A-BCD", "A-BCD"),
            row("AB-CD", "AB-CD"),
        ],
    )
    return made


@pytest.mark.proves("ROW-E07")
@pytest.mark.parametrize(
    ("venue", "spelling", "symbol"),
    [
        ("kraken", "BTC-USD", "BTC-USD"),
        ("kraken", "BTCUSD", "BTC-USD"),
        ("kraken", "btc/usd", "BTC-USD"),
        ("kraken", "XBT/USD", "BTC-USD"),
        ("kraken", "XXBTZUSD", "BTC-USD"),
        ("kraken", "XDGUSD", "DOGE-USD"),
        ("binance", "btcusdt", "BTC-USDT"),
        ("binance", "BTC/USDT", "BTC-USDT"),
        ("binance", "BTC_USDT", "BTC-USDT"),
        ("binance", "XBT/USDT", "BTC-USDT"),  # Kraken's own list says what XBT is
        ("binance", "币安USDT", "币安-USDT"),
        ("okx", "BTCUSDT", "BTC-USDT"),
        ("okx", "BTC-USDT-SWAP", "BTC-USDT-SWAP"),
        ("okx", "A-BCD", "A-BCD"),
    ],
)
def test_every_known_spelling_is_found(resolver: Resolver, venue: str, spelling: str, symbol: str) -> None:
    assert resolver.resolve(venue, spelling)["symbol"] == symbol


@pytest.mark.proves("ROW-E07")
@pytest.mark.parametrize(
    ("venue", "spelling", "nearest"),
    [
        ("binance", "BTCUSD", "BTC-USDT"),  # USDT is not USD
        ("binance", "BTC-USDD", "BTC-USDT"),
        ("kraken", "DOGEUSDT", "DOGE-USD"),
    ],
)
def test_unknown_symbols_come_with_the_nearest_of_that_venue(
    resolver: Resolver, venue: str, spelling: str, nearest: str
) -> None:
    with pytest.raises(UnknownSymbol) as caught:
        resolver.resolve(venue, spelling)
    assert caught.value.suggestions[0] == nearest


def test_an_ambiguous_spelling_names_its_candidates(resolver: Resolver) -> None:
    with pytest.raises(InvalidRequest, match="ambiguous on okx: A-BCD, AB-CD"):
        resolver.resolve("okx", "ABCD")


@pytest.mark.proves("CTL-S21")
@pytest.mark.parametrize("spelling", ["", "x" * 65, "x" * 100_000])
def test_names_of_impossible_length_are_refused(resolver: Resolver, spelling: str) -> None:
    with pytest.raises(InvalidRequest):
        resolver.resolve("kraken", spelling)


@pytest.mark.proves("CTL-S21")
@pytest.mark.parametrize(
    "spelling", ["../../etc/passwd", "'; DROP TABLE", "BTC\x00USD", "*", ">", "%s", "{0}"]
)
def test_hostile_names_are_just_unknown(resolver: Resolver, spelling: str) -> None:
    with pytest.raises(UnknownSymbol):
        resolver.resolve("kraken", spelling)


def test_a_new_list_replaces_the_old_one(resolver: Resolver) -> None:
    resolver.replace("kraken", [row("ETH-USD", "ETH/USD")])
    assert resolver.resolve("kraken", "ETHUSD")["symbol"] == "ETH-USD"
    with pytest.raises(UnknownSymbol):
        resolver.resolve("kraken", "BTCUSD")


@pytest.mark.proves("ROW-E07")
def test_suggestions_among_ten_thousand_symbols_take_a_millisecond_or_so() -> None:
    made = Resolver()
    made.replace("binance", [row(f"C{n:04}-USDT", f"C{n:04}USDT") for n in range(10_000)])
    made.nearest("warm up")
    started = time.thread_time()  # whatever else the machine does
    for number in range(20):
        assert made.nearest(f"C{number:04}-USDX")
    assert (time.thread_time() - started) / 20 < 0.05
