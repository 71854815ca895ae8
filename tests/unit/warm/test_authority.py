"""Who may give what: the whole table, and refusals by their type."""

from __future__ import annotations

import dataclasses

import pytest

from datafacade.config import load_config
from datafacade.errors import AggregatorBanned, InvalidRequest
from datafacade.warm.authority import Authority, DataKind

SOURCES = load_config(environment={}).data_sources
AUTHORITY = Authority(SOURCES)
NATIVE_ONLY = Authority(dataclasses.replace(SOURCES, exchange_native_only=True))
VENUES = ("binance", "coinbase", "kraken", "okx")
AGGREGATORS = ("coingecko", "coinpaprika")
MICROSTRUCTURE = [kind for kind in DataKind if kind not in (DataKind.PRICE, DataKind.FUNDING)]


@pytest.mark.proves("REQ-U1")
@pytest.mark.parametrize("kind", MICROSTRUCTURE)
def test_microstructure_comes_from_the_four_venues_and_from_no_aggregator(kind: DataKind) -> None:
    for venue in (*VENUES, "binance-usdm"):
        AUTHORITY.require(kind, venue)
    for aggregator in (*AGGREGATORS, "coingecko-pro"):
        with pytest.raises(AggregatorBanned) as caught:
            AUTHORITY.require(kind, aggregator)
        assert (caught.value.source, caught.value.data_kind) == (aggregator, kind.value)
    assert sorted(AUTHORITY.venues(kind)) == sorted(VENUES)


@pytest.mark.proves("REQ-U3")
def test_funding_comes_from_three_venues() -> None:
    for venue in ("binance-usdm", "okx", "kraken"):
        AUTHORITY.require(DataKind.FUNDING, venue)
    with pytest.raises(
        InvalidRequest, match="expected one of binance, okx, kraken for funding, received 'coinbase'"
    ):
        AUTHORITY.require(DataKind.FUNDING, "coinbase")
    with pytest.raises(AggregatorBanned):
        AUTHORITY.require(DataKind.FUNDING, "coinpaprika")


@pytest.mark.proves("REQ-U2")
def test_prices_come_from_aggregators_and_venues() -> None:
    assert AUTHORITY.price_sources() == tuple(sorted((*AGGREGATORS, *VENUES)))
    assert AUTHORITY.price_sources(["okx", "coingecko", "okx"]) == ("coingecko", "okx")
    AUTHORITY.require(DataKind.PRICE, "coingecko")
    with pytest.raises(InvalidRequest, match="sources: expected some of"):
        AUTHORITY.price_sources(["mtgox"])


@pytest.mark.proves("REQ-U4")
@pytest.mark.parametrize(
    ("authority", "by_request"), [(NATIVE_ONLY, False), (AUTHORITY, True), (NATIVE_ONLY, True)]
)
def test_exchange_native_only_leaves_aggregators_out(authority: Authority, by_request: bool) -> None:
    assert authority.price_sources(exchange_native_only=by_request) == VENUES
    with pytest.raises(AggregatorBanned):
        authority.price_sources(["coingecko", "okx"], exchange_native_only=by_request)


def test_unknown_names_are_refused_as_names() -> None:
    for kind in DataKind:
        with pytest.raises(InvalidRequest):
            AUTHORITY.require(kind, "x" * 10_000)
