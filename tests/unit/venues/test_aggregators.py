"""Aggregators give prices and volumes, bounded and typed; everything else that they say is refused."""

import asyncio
import json
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.clock import NS_PER_S
from datafacade.config import Aggregator, load_config
from datafacade.errors import NotSupported, UnknownSymbol, VenueFailed
from datafacade.venues import aggregator
from datafacade.venues.aggregator import AggregatorPrice, AggregatorSource, Dialect, parse
from datafacade.venues.coingecko import CoinGecko
from datafacade.venues.coinpaprika import CoinPaprika
from datafacade.venues.source_times import SourceTimes
from tests.unit.fakes import ManualClock
from tests.unit.venues.rest_fakes import FakeRest, Script

TS = 1_779_092_258
CONFIGS = load_config(environment={}).aggregators.aggregators
DIALECTS: dict[str, Dialect] = {"coingecko": CoinGecko(), "coinpaprika": CoinPaprika()}
GECKO = (
    b'{"bitcoin":{"usd":76975,"usd_24h_vol":33235034316.1,"last_updated_at":1779092258},'
    b'"ethereum":{"usd":1.2e-09,"usd_24h_vol":null,"last_updated_at":1779092258},'
    b'"tether":{"usd":null,"last_updated_at":null}}'
)
PAPRIKA = (
    b'[{"id":"btc-bitcoin","symbol":"BTC","last_updated":"2026-05-18T08:17:38Z",'
    b'"quotes":{"USD":{"price":97012.345,"volume_24h":33235034316.1}}},'
    b'{"id":"eth-ethereum","last_updated":"2026-05-18T08:17:38Z","quotes":{"USD":{"price":"","volume_24h":null}}},'
    b'{"id":"other-coin","quotes":null}]'
)
ERRORS = [
    (
        "coingecko",
        429,
        b'{"status":{"error_code":429,"error_message":"You\'ve exceeded the Rate Limit."}}',
        "429",
    ),
    ("coingecko", 404, b'{"error":"coin not found"}', "coin not found"),
    ("coingecko", 200, b'{"error":{"status":{"error_code":10012,"error_message":"exceeds"}}}', "10012"),
    ("coingecko", 200, b'{"status":{"error_code":10002,"error_message":"missing key"}}', "10002"),
    ("coingecko", 500, b'{"status":500,"error":"Internal Server Error"}', "Internal"),
    ("coinpaprika", 404, b'{"error":"id not found"}', "id not found"),
    ("coinpaprika", 402, b'{"error":"not allowed in this plan"}', "not in this plan"),
    ("coinpaprika", 400, b"{}", "HTTP status 400"),
]
NONSENSE = [
    b"",
    b"<html>1020</html>",
    b"null",
    b"[1]",
    b'{"bitcoin":7}',
    b'{"bitcoin":{"usd":NaN}}',
    b'{"bitcoin":{"usd":1e999}}',
    b'{"bitcoin":{"usd":-1}}',
    b'{"bitcoin":{"usd":true}}',
    b'{"bitcoin":{"usd":1,"usd":2}}',
    b'{"bitcoin":{"usd":' + b"9" * 4_301 + b"}}",
    b"[" * 10_000,
    b'[{"id":"btc-bitcoin"}]',
    b'[{"id":"btc-bitcoin","quotes":{"EUR":{"price":1}}}]',
]


def source(name: str, script: Script, clock: ManualClock | None = None) -> tuple[AggregatorSource, FakeRest]:
    clock = clock or ManualClock(wall_ns=(TS + 30) * NS_PER_S)
    rest = FakeRest(script, clock)
    made = AggregatorSource(DIALECTS[name], rest, config=CONFIGS[name], clock=clock, times=SourceTimes())
    return made, rest


async def test_one_call_tells_all_pinned_coins_of_coingecko() -> None:
    gecko, rest = source("coingecko", lambda _: GECKO)
    prices = await asyncio.gather(*(gecko.price(base, "USD") for base in ("BTC", "ETH", "USDT", "SOL")))
    assert prices == [
        AggregatorPrice("76975", "431764.00540565", TS * NS_PER_S),
        AggregatorPrice("0.0000000012", "", TS * NS_PER_S),
        AggregatorPrice("", "", 0),
        AggregatorPrice("", "", 0),
    ], "micro prices are plain, nulls and absent coins have none; the volume is told in dollars"
    [path] = rest.paths
    assert path.startswith("/simple/price?ids=aave,avalanche-2,")
    assert path.endswith(
        "&vs_currencies=usd&include_24hr_vol=true&include_last_updated_at=true&precision=full"
    )
    await gecko.close()


async def test_one_call_tells_the_whole_market_of_coinpaprika() -> None:
    paprika, rest = source("coinpaprika", lambda _: PAPRIKA)
    assert await paprika.price("BTC", "USD") == AggregatorPrice("97012.345", "342585.61955285", TS * NS_PER_S)
    assert await paprika.price("ETH", "USD") == AggregatorPrice("", "", TS * NS_PER_S)
    assert rest.paths == ["/tickers?quotes=USD"]


async def test_a_table_is_fetched_anew_when_the_aggregator_has_a_new_one() -> None:
    clock = ManualClock(wall_ns=(TS + 30) * NS_PER_S)
    gecko, rest = source("coingecko", lambda _: GECKO, clock)
    for wait_s, calls in ((0.0, 1), (58.0, 1), (2.0, 2), (59.0, 2)):
        clock.advance(wait_s)
        await gecko.price("BTC", "USD")
        assert len(rest.paths) == calls


async def test_what_is_not_pinned_costs_no_call() -> None:
    gecko, rest = source("coingecko", lambda _: GECKO)
    with pytest.raises(UnknownSymbol):
        await gecko.price("PEPE", "USD")
    with pytest.raises(NotSupported):
        await gecko.price("BTC", "USDT")
    assert rest.paths == []


@pytest.mark.proves("ROW-C11")
@pytest.mark.parametrize(("name", "status", "body", "text"), ERRORS)
async def test_every_shape_of_an_error_is_known_and_no_sign_of_bad_health(
    name: str, status: int, body: bytes, text: str
) -> None:
    asked, rest = source(name, lambda _: (status, body))
    with pytest.raises(VenueFailed, match=text) as caught:
        await asked.price("BTC", "USD")
    assert (caught.value.venue, caught.value.is_final) == (name, True)
    assert not rest.is_flagged
    assert len(rest.paths) == 1


@pytest.mark.proves("ROW-C11")
@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("name", DIALECTS)
async def test_nonsense_of_an_aggregator_is_refused_at_once_flagged_and_not_kept(
    name: str, body: bytes
) -> None:
    asked, rest = source(name, lambda _: body)
    started = time.thread_time()  # whatever else the machine does
    with pytest.raises(VenueFailed):
        await asked.price("BTC", "USD")
    assert time.thread_time() - started < 1
    assert rest.is_flagged
    rest.script = lambda _: GECKO if name == "coingecko" else PAPRIKA
    assert (await asked.price("BTC", "USD")).price


@pytest.mark.proves("ROW-C12")
async def test_a_price_of_ten_hours_ago_is_refused() -> None:
    clock = ManualClock(wall_ns=(TS + 30) * NS_PER_S)
    gecko, rest = source("coingecko", lambda _: GECKO, clock)
    await gecko.price("BTC", "USD")
    rest.script = lambda _: GECKO.replace(b"1779092258", b"1779056258")
    clock.advance(61)
    with pytest.raises(VenueFailed, match="older"):
        await gecko.price("BTC", "USD")
    assert rest.is_flagged


async def test_a_large_answer_is_read_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregator, "OFF_LOOP_BYTES_MIN", 1)
    gecko, _ = source("coingecko", lambda _: GECKO)
    assert (await gecko.price("BTC", "USD")).price == "76975"


def test_no_method_of_an_aggregator_could_return_a_book_or_a_trade() -> None:
    public = {name for name in dir(AggregatorSource) if not name.startswith("_")}
    assert public == {"attribution", "close", "price"}


def test_the_licence_text_of_coingecko_is_at_hand() -> None:
    gecko, _ = source("coingecko", lambda _: GECKO)
    assert gecko.attribution == "Data provided by CoinGecko"


@given(st.decimals(min_value=0, max_value=10**12, allow_nan=False, places=12))
def test_numbers_keep_every_digit(value: Decimal) -> None:
    assert parse(json.dumps({"x": "y"}).encode()) == {"x": "y"}
    assert parse(f'{{"x":{value:f}}}'.encode()) == {"x": value}


def test_ids_of_both_aggregators_name_the_same_assets() -> None:
    gecko, paprika = (CONFIGS[name].ids for name in ("coingecko", "coinpaprika"))
    assert set(paprika) <= set(gecko)
    assert all(slug.startswith(f"{asset.lower()}-") for asset, slug in paprika.items())
    assert isinstance(CONFIGS["coingecko"], Aggregator)
