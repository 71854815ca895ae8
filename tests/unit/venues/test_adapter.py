"""Answers of the venues' REST: whole, in order, judged; what is none is refused and told."""

import json
from decimal import Decimal

import polars as pl
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade import _core
from datafacade.clock import NS_PER_S
from datafacade.errors import InvalidRequest, NotSupported, VenueFailed
from datafacade.types import InstrumentRow
from datafacade.v1 import book_pb2, market_pb2, warm_pb2
from datafacade.venues.adapter import Progress, VenueRest
from datafacade.venues.catalog import VENUES
from datafacade.venues.source_times import SourceTimes
from datafacade.venues.spec import RestKind
from tests.unit.fakes import ManualClock
from tests.unit.venues.rest_fakes import FakeRest, Script, in_turn, instrument

MINUTE = 60
NOW_S = 1_700_000_010  # ten seconds into a bar
HOUR_NS = 3_600 * NS_PER_S

GOOD: dict[tuple[str, RestKind], list[bytes]] = {
    ("binance", "klines"): [
        b'[[1699999980000,"9","9","9","9","1",1700000039999,"9",1,"1","9","0"]]',
    ],
    ("okx", "klines"): [b'{"code":"0","msg":"","data":[["1699999980000","9","9","9","9","1","9","9","0"]]}'],
    ("coinbase", "klines"): [
        b'{"candles":[{"start":"1699999980","low":"9","high":"9","open":"9","close":"9","volume":"1"}]}'
    ],
    ("kraken", "klines"): [
        b'{"error":[],"result":{"XXBTZUSD":[[1699999980,"9","9","9","9","9","1",1]],"last":1}}'
    ],
    ("binance", "trades"): [
        b'[{"id":0,"price":"9","qty":"1","quoteQty":"9","time":1700000000000,"isBuyerMaker":true}]'
    ],
    ("okx", "trades"): [
        b'{"code":"0","msg":"","data":[{"instId":"BTC-USD","side":"sell","sz":"1","px":"9","tradeId":"0","ts":"1700000000000"}]}'
    ],
    ("coinbase", "trades"): [
        b'[{"time":"2023-11-14T22:13:20Z","trade_id":0,"price":"9","size":"1","side":"buy"}]'
    ],
    ("kraken", "trades"): [
        b'{"error":[],"result":{"XXBTZUSD":[["9","1",1700000000.1,"b","l","",7]],"last":"1"}}'
    ],
    ("binance", "ticker"): [
        b'{"symbol":"BTC-USD","lastPrice":"9","bidPrice":"8","bidQty":"1","askPrice":"10","askQty":"1","volume":"5","closeTime":1700000000000}'
    ],
    ("okx", "ticker"): [
        b'{"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USD","last":"9","vol24h":"5","ts":"1700000000000"}]}'
    ],
    ("coinbase", "ticker"): [
        b'{"ask":"10","bid":"8","volume":"5","trade_id":1,"price":"9","size":"1","time":"2023-11-14T22:13:20Z"}',
        b'{"open":"9","high":"9","low":"9","last":"9","volume":"5","volume_30day":"9"}',
    ],
    ("kraken", "ticker"): [
        b'{"error":[],"result":{"XXBTZUSD":{"a":["10","1","1"],"b":["8","1","1"],"c":["9","1"],"v":["1","5"],"p":["9","9"],"t":[1,2],"l":["9","9"],"h":["9","9"],"o":"9"}}}'
    ],
    ("binance", "book"): [b'{"lastUpdateId":7,"bids":[["8","1"]],"asks":[["10","1"]]}'],
    ("okx", "book"): [
        b'{"code":"0","msg":"","data":[{"asks":[["10","1","0","1"]],"bids":[["8","1","0","1"]],"ts":"1700000000000","seqId":7}]}'
    ],
    ("coinbase", "book"): [
        b'{"pricebook":{"product_id":"BTC-USD","bids":[{"price":"8","size":"1"}],"asks":[{"price":"10","size":"1"}],"time":"2023-11-14T22:13:20Z"}}'
    ],
    ("kraken", "book"): [b'{"error":[],"result":{"XXBTZUSD":{"asks":[["10","1",1]],"bids":[["8","1",1]]}}}'],
    ("binance-usdm", "funding"): [
        b'{"symbol":"BTC-USD","markPrice":"9","indexPrice":"9","lastFundingRate":"0.0001","nextFundingTime":1700006400000}',
        b'[{"symbol":"BTC-USD","fundingRate":"0.0002","fundingTime":1699977600000,"markPrice":"9"}]',
    ],
    ("okx", "funding"): [
        b'{"code":"0","msg":"","data":[{"fundingRate":"0.0001","fundingTime":"1700006400000","nextFundingTime":"1700035200000"}]}',
        b'{"code":"0","msg":"","data":[{"fundingRate":"9","realizedRate":"0.0002","fundingTime":"1699977600000"}]}',
    ],
    ("kraken", "funding"): [
        b'{"result":"success","rates":[{"timestamp":"2023-11-14T16:00:00Z","fundingRate":1,"relativeFundingRate":2e-4}]}'
    ],
}
TIMED = ("ticker", "klines", "trades")
TIMELESS = ("kraken", "ticker")
RESPONSES: dict[RestKind, type[Message]] = {
    "klines": warm_pb2.WarmKlinesResponse,
    "trades": warm_pb2.WarmTradesResponse,
    "ticker": warm_pb2.WarmTickerResponse,
    "funding": warm_pb2.WarmFundingResponse,
    "book": book_pb2.L2BookResponse,
}
NO_ANSWERS = [
    b"",
    b"<html><body>Service Unavailable</body></html>",
    b"{}",
    b"[{}]",
    b"null",
    b'{"code":-1121,"msg":"Invalid symbol."}',
    b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}',
    b'{"error":["EQuery:Unknown asset pair"]}',
    b'{"message":"NotFound"}',
]


def source(
    venue: str, script: Script, clock: ManualClock | None = None, times: SourceTimes | None = None
) -> tuple[VenueRest, FakeRest]:
    clock = clock or ManualClock(wall_ns=NOW_S * NS_PER_S)
    rest = FakeRest(script, clock)
    products = VENUES[venue].rest
    rests = dict.fromkeys(products.values(), rest)
    return VenueRest(venue, products=products, rests=rests, clock=clock, times=times or SourceTimes()), rest


@pytest.mark.parametrize(("venue", "kind"), GOOD, ids="-".join)
async def test_every_kind_of_every_venue_is_read_and_encoded(venue: str, kind: RestKind) -> None:
    asked, rest = source(venue, in_turn(GOOD[venue, kind]))
    rows = await asked.ask(kind, instrument(), interval="1m" if kind == "klines" else "", limit=2)
    message = rows.encode(venue, "BTC-USD", "1m")
    frame = pl.DataFrame(rows)
    assert len(rest.paths) == len(GOOD[venue, kind])
    assert frame.height == len(rows) >= 1
    carrier = RESPONSES[kind].FromString(message)
    assert carrier.SerializeToString(deterministic=True) == message, "the bytes of the protobuf library"
    match kind:
        case "klines":
            klines = warm_pb2.WarmKlinesResponse.FromString(message)
            assert [row.state for row in klines.klines] == [market_pb2.KLINE_STATE_PROVISIONAL]
            assert not frame["is_final"][0]
            assert (klines.klines[0].open, klines.price_exponent, klines.klines[0].volume) == (900, -2, "1")
        case "trades":
            trades = warm_pb2.WarmTradesResponse.FromString(message)
            assert [row.trade.price for row in trades.trades] == [900]
            assert frame["price"].to_list() == [Decimal(9)]
        case "ticker":
            ticker = warm_pb2.WarmTickerResponse.FromString(message)
            assert (ticker.ticker.last_price, ticker.ticker.volume_24h) == (900, "5")
            assert ticker.ts_recv == rows.rows.ts_recv
        case "book":
            book = book_pb2.L2BookResponse.FromString(message)
            assert (list(book.book.bid_prices), list(book.book.ask_prices)) == ([800], [1_000])
        case "funding":
            funding = warm_pb2.WarmFundingResponse.FromString(message)
            assert [rate.rate for rate in funding.rates] == ["0.0002"]
            assert funding.next.rate == ("" if venue == "kraken" else "0.0001")


@pytest.mark.proves("ROW-C11")
@pytest.mark.parametrize("body", NO_ANSWERS)
@pytest.mark.parametrize(("venue", "kind"), GOOD, ids="-".join)
async def test_a_body_that_is_no_answer_is_refused_and_its_source_flagged(
    venue: str, kind: RestKind, body: bytes
) -> None:
    asked, rest = source(venue, lambda _: body)
    with pytest.raises(VenueFailed) as caught:
        await asked.ask(kind, instrument(), interval="1m" if kind == "klines" else "", limit=2)
    assert (caught.value.venue, caught.value.operation) == (venue, kind)
    assert rest.is_flagged
    assert len(rest.paths) == 1, "what is none is not asked for again at once"


@pytest.mark.proves("ROW-C11")
@pytest.mark.parametrize(("venue", "kind"), [key for key, pages in GOOD.items() if len(pages) > 1])
async def test_a_later_page_that_is_no_answer_refuses_the_whole(venue: str, kind: RestKind) -> None:
    asked, rest = source(venue, in_turn([GOOD[venue, kind][0], b"<html>"]))
    with pytest.raises(VenueFailed):
        await asked.ask(kind, instrument(), limit=2)
    assert rest.is_flagged


async def test_an_answer_with_an_error_status_is_refused_without_a_second_try() -> None:
    asked, rest = source("binance", lambda _: (400, b'{"code":-1121,"msg":"Invalid symbol."}'))
    with pytest.raises(VenueFailed, match="HTTP status 400") as caught:
        await asked.ask("ticker", instrument())
    assert caught.value.is_final
    assert not rest.is_flagged, "our question may be wrong"


@pytest.mark.proves("ROW-C12")
@pytest.mark.parametrize(("venue", "kind"), [key for key in GOOD if key[1] in TIMED and key != TIMELESS])
async def test_an_answer_ten_hours_older_than_the_one_before_is_refused(venue: str, kind: RestKind) -> None:
    clock, times = ManualClock(wall_ns=NOW_S * NS_PER_S), SourceTimes()
    interval = "1m" if kind == "klines" else ""
    asked, _ = source(venue, in_turn(GOOD[venue, kind] * 2), clock, times)
    await asked.ask(kind, instrument(), interval=interval, limit=2)
    old = [back(body) for body in GOOD[venue, kind]]
    stale, rest = source(venue, in_turn(old), clock, times)
    with pytest.raises(VenueFailed, match="older than the answer before it"):
        await stale.ask(kind, instrument(), interval=interval, limit=2)
    assert rest.is_flagged
    rows = await asked.ask(kind, instrument(), interval=interval, limit=2)
    assert len(rows) == 1, "the next right answer counts"


def back(body: bytes) -> bytes:
    """Return an answer as of ten hours earlier."""
    text = body.decode()
    for old, new in (
        ("1699999980", "1699963980"),
        ("1700000000", "1699964000"),
        ("2023-11-14T22:13:20Z", "2023-11-14T12:13:20Z"),
    ):
        text = text.replace(old, new)
    return text.encode()


@pytest.mark.proves("ROW-C12")
async def test_a_question_about_the_past_is_not_judged_by_the_newest_time() -> None:
    times = SourceTimes()
    asked, _ = source("binance", in_turn(GOOD["binance", "klines"]), times=times)
    await asked.ask("klines", instrument(), interval="1m", limit=2)
    old, _ = source("binance", lambda _: back(GOOD["binance", "klines"][0]), times=times)
    until = (NOW_S - 35_000) * NS_PER_S
    rows = await old.ask("klines", instrument(), interval="1m", limit=100, ts_until=until)
    assert len(rows) == 1


@pytest.mark.proves("ROW-C12")
@given(st.lists(st.tuples(st.integers(-20, 20), st.booleans()), max_size=60))
def test_time_of_a_source_never_runs_backward_and_no_wild_time_locks_it_out(
    steps: list[tuple[int, bool]],
) -> None:
    times, now, accepted = SourceTimes(), 1_700_000_000, 0
    for step, is_wild in steps:
        now += 1
        ts = now + step * (3_600 if is_wild else 1)
        bound = min(accepted, now + 60)  # what lies further ahead of our clock does not count
        is_right = ts >= bound - 5
        told = times.accept("kraken", "x", ts=ts * NS_PER_S, ts_recv=now * NS_PER_S)
        if abs(step) * (3_600 if is_wild else 1) <= 30:
            assert told == (ts >= accepted - 5)
        assert told or not is_right or accepted > now
        if told:
            accepted = max(accepted, min(ts, now + 60))
    assert times.accept("kraken", "x", ts=(now + 61) * NS_PER_S, ts_recv=(now + 61) * NS_PER_S)


async def test_a_long_range_is_paged_with_progress_and_sorted() -> None:
    def candles(path: str) -> bytes:
        query = dict(part.split("=") for part in path.partition("?")[2].split("&"))
        opens = range(int(query["start"]), int(query["end"]) + 1, MINUTE)
        return json.dumps([[ts, 1, 3, 2, 2, 0.5] for ts in reversed(opens)]).encode()

    clock = ManualClock(wall_ns=NOW_S * NS_PER_S)
    rest = FakeRest(candles, clock)
    asked = VenueRest(
        "coinbase",
        products={"klines": "exchange"},
        rests={"exchange": rest},
        clock=clock,
        times=SourceTimes(),
    )
    seen: list[Progress] = []
    rows = await asked.ask("klines", instrument(), interval="1m", limit=1_000, progress=seen.append)
    opens = pl.DataFrame(rows)["ts_open"].dt.epoch("s").to_list()
    last = NOW_S // MINUTE * MINUTE
    assert opens == list(range(last - 999 * MINUTE, last + 1, MINUTE))
    assert [step.pages for step in seen] == [1, 2, 3, 4]
    assert [step.done_ratio for step in seen] == [0.3, 0.6, 0.9, 1.0]
    assert rows.holes() == []
    assert rest.weights == [1, 1, 1, 1]


async def test_what_a_venue_has_not_is_not_asked_for() -> None:
    asked, rest = source("coinbase", lambda _: b"")
    for kind, interval in (("funding", ""), ("klines", "1M"), ("klines", "7m")):
        with pytest.raises(NotSupported):
            await asked.ask(kind, instrument(), interval=interval, limit=2)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        await asked.ask("klines", instrument(), interval="100t", limit=2)
    start = (NOW_S // MINUTE * MINUTE - 50) * NS_PER_S
    with pytest.raises(InvalidRequest):
        await asked.ask("klines", instrument(), interval="1m", ts_from=start, ts_until=start + NS_PER_S)
    assert rest.paths == []


async def test_pages_without_an_end_are_refused() -> None:
    def trades(path: str) -> bytes:
        last = int(path.partition("after=")[2] or 10**9) - 1
        row = {"time": "2023-11-14T22:13:20Z", "trade_id": last, "price": "9", "size": "1", "side": "buy"}
        return json.dumps([row]).encode()

    asked, rest = source("coinbase", trades)
    with pytest.raises(InvalidRequest, match="pages"):
        await asked.ask("trades", instrument(), ts_from=1, limit=1_000)
    assert len(rest.paths) == 64


def row_of(minute: int, value: int) -> list[object]:
    """Return a candle of Exchange; its value is its volume and its prices."""
    return [minute * MINUTE, value, value, value, value, value]


PAGES = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=15, unique_by=lambda row: row[0]),
    min_size=1,
    max_size=4,
)


@pytest.mark.proves("ROW-C17")
@given(pages=PAGES, order=st.randoms(use_true_random=False), limit=st.integers(1, 31))
@settings(max_examples=150)
def test_pages_that_overlap_lie_unsorted_and_hold_the_open_bar_become_one_answer(
    pages: list[list[tuple[int, int]]], order: object, limit: int
) -> None:
    now, span = 30 * MINUTE + 10, (0, 31 * MINUTE)  # bar 30 is open
    model: dict[int, int] = {}
    told: _core.Rows | None = None
    for number, page in enumerate(pages):
        rows = list(page)
        order.shuffle(rows)  # type: ignore[attr-defined]
        body = json.dumps([row_of(*row) for row in rows]).encode()
        read = _core.rest_rows(
            "coinbase",
            "exchange",
            "klines",
            body,
            now=now * NS_PER_S,
            ts_recv=number,
            interval="1m",
            ts_from=span[0],
            ts_until=span[1] * NS_PER_S,
        )
        told = read if told is None else told.extend(read)
        model.update(page)
    assert told is not None
    holes = told.holes(ts_from=span[0], ts_until=span[1] * NS_PER_S, now=now * NS_PER_S)
    answer = warm_pb2.WarmKlinesResponse.FromString(told.encode_klines("coinbase", "X-Y", "1m", holes))
    got = [(row.ts_open // NS_PER_S // MINUTE, int(row.volume)) for row in answer.klines]
    assert got == sorted(model.items())
    open_bars = [
        row.ts_open // NS_PER_S for row in answer.klines if row.state == market_pb2.KLINE_STATE_PROVISIONAL
    ]
    assert open_bars == ([30 * MINUTE] if 30 in model else [])
    listed = [
        minute
        for hole in answer.holes
        for minute in range(hole.ts_start // NS_PER_S // MINUTE, hole.ts_end // NS_PER_S // MINUTE)
    ]
    assert listed == [minute for minute in range(30) if minute not in model]
    assert {hole.reason for hole in answer.holes} <= {"NO_TRADES"}
    assert len(told.tail(limit)) == min(limit, len(model))


@pytest.mark.proves("ROW-C17")
async def test_a_bar_that_a_venue_shows_without_a_trade_has_no_prices_and_is_no_hole() -> None:
    body = (
        b'[[1699999860000,"9","9","9","9","1",1,"9",1,"1","9","0"],'
        b'[1699999980000,"9","9","9","9","0.00000000",1,"0.0",0,"0","0","0"]]'
    )
    asked, _ = source("binance", lambda _: body)
    rows = await asked.ask("klines", instrument(), interval="1m", limit=4)
    answer = warm_pb2.WarmKlinesResponse.FromString(rows.encode("binance", "BTC-USD", "1m"))
    assert [row.HasField("open") for row in answer.klines] == [True, False]
    assert [(hole.ts_start // NS_PER_S, hole.reason) for hole in answer.holes] == [
        (1_699_999_800, "NOT_KEPT"),
        (1_699_999_920, "MISSING"),
    ]
    assert pl.DataFrame(rows)["open"].to_list() == [Decimal(9), None]


def test_the_core_speaks_of_every_venue_and_kind_of_the_catalog() -> None:
    row: InstrumentRow = instrument()
    for spec in VENUES.values():
        assert set(spec.rest) >= {"klines", "trades", "ticker", "book"}
        assert ("funding" in spec.rest) == (spec.name not in ("binance", "coinbase"))
        hosts = {feed.name for feed in spec.feeds} | {"futures"}
        assert set(spec.rest.values()) <= hosts
    assert row["symbol"] == "BTC-USD"
