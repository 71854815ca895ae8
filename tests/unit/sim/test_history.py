"""The past is the same whoever asks, its candles of all lengths agree, and trades go on where it ends."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade.sim.history import History, Page, Revision, RowCache
from datafacade.sim.intervals import DAY_NS, HOUR_NS, MINUTE_NS, WEEK_NS, Interval, minutes
from datafacade.sim.listings import instrument
from datafacade.sim.market import Market
from datafacade.sim.past import DAY, UNIT, Bar, Past
from datafacade.sim.tape import Candle

NOW: Final = 1_784_620_800_000_000_000 // MINUTE_NS * MINUTE_NS + 17 * MINUTE_NS
ANCHOR: Final = NOW // MINUTE_NS
LENGTHS: Final = (1, 3, 5, 15, 30, 60, 120, 240, 360, 480, 720, DAY)


def market(*, steps: int = 400, step_ns: int = 2_000_000_000) -> Market:
    made = Market(instrument("kraken/spot", "ETH"), 5, 30, past=Past(5, "ETH", ANCHOR))
    for number in range(steps):
        made.step(NOW + number * step_ns)
    return made


def naive_sum(bars: Iterable[Bar]) -> Bar:
    kept = list(bars)
    return Bar(
        kept[0].open,
        max(bar.high for bar in kept),
        min(bar.low for bar in kept),
        kept[-1].close,
        sum(bar.volume for bar in kept),
        sum(bar.taken for bar in kept),
        sum(bar.trades for bar in kept),
    )


@settings(max_examples=60)
@given(st.sampled_from(LENGTHS), st.integers(0, 900 * DAY), st.integers(0, 1 << 40))
def test_a_bar_of_any_length_is_the_sum_of_its_minutes(length: int, ago: int, seed: int) -> None:
    past = Past(seed, "BTC", ANCHOR)
    begin = (ANCHOR - ago) // length * length - length
    bars = past.units(4, begin, begin + length)
    assert past.runs([begin], length) == [naive_sum(bars)]
    assert past.span(begin, begin + length) == naive_sum(bars)
    for bar in bars:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume >= bar.taken >= 0 < bar.trades
    assert all(before.close == after.open for before, after in pairwise(bars))


def test_the_past_ends_at_the_price_at_which_the_market_opens() -> None:
    for seed in range(20):
        assert abs(Past(seed, "SOL", ANCHOR).units(4, ANCHOR - 1, ANCHOR)[0].close - UNIT) <= 1


def test_the_same_seed_tells_the_same_past_and_another_one_another() -> None:
    asked = [Past(seed, "BTC", ANCHOR).units(3, 5_600_000, 5_600_010) for seed in (1, 1, 2)]
    assert asked[0] == asked[1] != asked[2]


def begins(candles: Iterable[Candle]) -> list[int]:
    return [candle.open_ns for candle in candles]


def test_a_page_is_the_newest_of_a_range_or_its_oldest() -> None:
    history, hour = market().history, minutes(60)
    now = NOW + 800 * 10**9
    newest = history.candles(Page(interval=hour, last_ns=now, count=5))
    assert begins(newest) == [NOW // HOUR_NS * HOUR_NS - at * HOUR_NS for at in range(4, -1, -1)]
    first = NOW - 100 * HOUR_NS
    oldest = history.candles(Page(interval=hour, first_ns=first, last_ns=now, count=5, is_oldest=True))
    assert begins(oldest) == [first // HOUR_NS * HOUR_NS + at * HOUR_NS for at in range(1, 6)]


def test_a_candle_over_the_start_holds_both_parts_and_every_trade() -> None:
    made = market()
    now = made.tape.trades[-1].ts_event
    hour = made.history.candles(Page(interval=minutes(60), last_ns=now, count=1))[0]
    parts = made.history.candles(Page(interval=minutes(1), first_ns=hour.open_ns, last_ns=now, count=60))
    assert hour.open_ns < NOW <= now
    assert (hour.open, hour.close) == (parts[0].open, parts[-1].close)
    assert hour.close == made.tape.trades[-1].price
    assert hour.high == max(part.high for part in parts)
    assert hour.low == min(part.low for part in parts)
    assert (hour.volume, hour.count) == (sum(p.volume for p in parts), sum(p.count for p in parts))
    assert all(part.low * part.volume <= part.notional <= part.high * part.volume for part in parts)


def test_minutes_without_trades_stand_at_the_close_before_them_unless_the_venue_leaves_them_out() -> None:
    made = market(steps=60)
    last = made.tape.minutes[-1]
    until = last.open_ns + 5 * MINUTE_NS
    page = Page(interval=minutes(1), last_ns=until, count=4)
    assert [(c.open, c.high, c.low, c.close, c.count) for c in made.history.candles(page)] == [
        (last.close, last.close, last.close, last.close, 0)
    ] * 4
    assert made.history.candles(Page(interval=minutes(1), last_ns=until, count=4, with_empty=False)) == []


def test_rows_are_the_same_from_the_cache_and_open_ones_are_made_anew() -> None:
    made = market()
    now = made.tape.trades[-1].ts_event

    def write(listed: object, candle: Candle, is_closed: bool) -> str:
        return f"{listed is made.instrument} {candle.open_ns} {candle.close} {candle.count} {is_closed}"

    page = Page(interval=minutes(5), last_ns=now, count=50)
    first = made.history.rows(page, now, write)
    assert len(first) == 50
    assert [row.endswith("True") for row in first] == [True] * 49 + [False]
    made.step(now + 1)
    while made.tape.trades[-1].ts_event == now:
        made.step(now + 1)
    again = made.history.rows(page, now + 1, write)
    assert again[:-1] == first[:-1]
    assert again[-1] != first[-1]


def test_a_revision_changes_what_begins_in_its_range_and_nothing_else() -> None:
    history, hour = market().history, minutes(60)
    page = Page(interval=hour, last_ns=NOW - 24 * HOUR_NS, count=10)
    before = history.candles(page)
    history.revisions.append(Revision(before[3].open_ns, before[4].open_ns, 0.01, 2.0))
    after = history.candles(page)
    changed = [at for at in range(10) if before[at] != after[at]]
    assert changed == [3, 4]
    assert after[3].volume == 2 * before[3].volume
    assert after[3].low <= min(after[3].open, after[3].close) <= after[3].high


def test_without_a_past_the_first_candle_is_the_first_trades() -> None:
    made = Market(instrument("okx/public", "BTC"), 1, 20)
    while not made.tape.minutes:
        made.step(NOW)
    history = History(made.instrument, made.tape, None, RowCache())
    assert begins(history.candles(Page(interval=minutes(60), last_ns=NOW, count=9))) == [
        NOW // HOUR_NS * HOUR_NS
    ]


def test_the_day_is_the_24_hours_up_to_the_newest_trade() -> None:
    made = market()
    last = made.tape.trades[-1].ts_event
    first = (last - DAY_NS) // MINUTE_NS * MINUTE_NS
    parts = made.history.candles(Page(interval=minutes(1), first_ns=first, last_ns=last, count=2_000))
    day = made.day
    assert (day.open, day.last) == (parts[0].open, parts[-1].close)
    assert (day.high, day.low) == (max(p.high for p in parts), min(p.low for p in parts))
    assert (day.volume, day.count) == (sum(p.volume for p in parts), sum(p.count for p in parts))


@pytest.mark.parametrize(
    ("interval", "weekday_hour_day"),
    [
        (Interval(WEEK_NS), (0, 0, None)),
        (Interval(0, months=1), (None, 0, 1)),
        (Interval(DAY_NS, 0, 8 * HOUR_NS), (None, 16, None)),
    ],
)
def test_long_intervals_begin_where_the_calendar_says(
    interval: Interval, weekday_hour_day: tuple[int | None, int, int | None]
) -> None:
    at = datetime.fromtimestamp(interval.begin(NOW) // 10**9, UTC)
    for told, wanted in zip((at.weekday(), at.hour, at.day), weekday_hour_day, strict=True):
        assert wanted in (None, told)
    begin = interval.begin(NOW)
    assert begin <= NOW < interval.end(begin)
    assert interval.back(interval.end(begin), 1) == begin
    assert interval.begins(begin, NOW) == [begin]
