"""Each venue's module and the packaged configuration agree with each other."""

import pytest

from datafacade.config import load_config
from datafacade.types import Channel
from datafacade.venues.catalog import VENUES
from datafacade.venues.retry_after import retry_after_s
from datafacade.venues.spec import STREAMED

NOW_NS = 1_784_620_800_000_000_000


def test_the_packaged_endpoints_are_those_of_the_catalog() -> None:
    config = load_config(environment={})
    written = {name: set(venue.feeds) for name, venue in config.venues.venues.items()}
    assert written == {name: {feed.name for feed in spec.feeds} for name, spec in VENUES.items()}
    assert set(config.rate_limits.venues) == set(VENUES) | {"coingecko", "coinpaprika"}


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_each_channel_comes_from_exactly_one_feed(venue: str) -> None:
    channels = [channel for feed in VENUES[venue].feeds for channel in feed.channels]
    unserved = {Channel.TICKER} if venue == "binance-usdm" else set()
    assert sorted(channels) == sorted(STREAMED - unserved)


def test_coinbase_books_come_from_the_feed_that_can_be_proven() -> None:
    by_name = {feed.name: feed.channels for feed in VENUES["coinbase"].feeds}
    assert by_name["advanced"] == {Channel.BOOK_L2}
    assert by_name["exchange"] == {Channel.TRADES, Channel.TOP_OF_BOOK, Channel.TICKER}


@pytest.mark.parametrize(
    ("venue", "body", "wait"),
    [
        ("kraken", b'{"error":["EAPI:Rate limit exceeded"]}', 5.0),
        ("kraken", b'{"error":["EService: Throttled: 1784620830"]}', 30.0),
        ("kraken", b'{"error":["EService: Throttled: 1784620700"]}', 1.0),
        ("kraken", b'{"error":[],"result":{}}', None),
        ("okx", b'{"code":"50011","msg":"Too Many Requests","data":[]}', 2.0),
        ("okx", b'{"code":"0","msg":"","data":[]}', None),
        ("binance", b'{"code":-1003,"msg":"Too much request weight used"}', None),  # its status says it
    ],
)
def test_limits_that_hide_in_a_body_are_found(venue: str, body: bytes, wait: float | None) -> None:
    assert VENUES[venue].tell_limit(body, NOW_NS) == wait


@pytest.mark.proves("ROW-A08")
@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Tue, 21 Jul 2026 08:00:30 GMT", 30.0),
        ("Tue, 21 Jul 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("99999999999999999999", 7 * 86_400.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, wait: float | None) -> None:
    assert retry_after_s(header, wall_ns=NOW_NS) == wait
