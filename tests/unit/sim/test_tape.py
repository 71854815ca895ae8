"""The tape finds trades by number and time; its candles equal a naive sum over the same trades."""

from collections.abc import Sequence
from random import Random
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from datafacade.sim.intervals import Interval
from datafacade.sim.tape import Candle, Tape, Trade

START = 1_784_620_800_000_000_000


def trades(count: int, seed: int, step_ns: int = 7_000_000_000) -> list[Trade]:
    random = Random(seed)
    now = START
    made = []
    for number in range(1_000, 1_000 + count):
        now += random.randrange(step_ns)
        taker: Literal["buy", "sell"] = "buy" if random.random() < 0.5 else "sell"
        made.append(Trade(number, random.randint(90, 110), random.randint(1, 9), taker, now, number))
    return made


def tape_of(made: Sequence[Trade], kept: int = 100_000) -> Tape:
    tape = Tape(kept)
    for trade in made:
        tape.add(trade)
    return tape


def naive(made: Sequence[Trade], interval_ns: int) -> list[tuple[int, ...]]:
    bars: dict[int, list[Trade]] = {}
    for trade in made:
        bars.setdefault(trade.ts_event // interval_ns * interval_ns, []).append(trade)
    return [
        (
            start,
            rows[0].price,
            max(row.price for row in rows),
            min(row.price for row in rows),
            rows[-1].price,
            sum(row.quantity for row in rows),
            sum(row.quantity * row.price for row in rows),
            len(rows),
            sum(row.quantity for row in rows if row.taker == "buy"),
        )
        for start, rows in sorted(bars.items())
    ]


def told(candles: Sequence[Candle]) -> list[tuple[int, ...]]:
    return [
        (c.open_ns, c.open, c.high, c.low, c.close, c.volume, c.notional, c.count, c.taker_volume)
        for c in candles
    ]


@given(st.integers(1, 200), st.integers(0, 1 << 30), st.sampled_from([1, 60, 300, 3_600]))
def test_candles_are_the_sums_of_their_trades(count: int, seed: int, seconds: int) -> None:
    made = trades(count, seed)
    found = tape_of(made).candles(Interval(seconds * 10**9), 0, 1 << 62)
    assert told(found) == naive(made, seconds * 10**9)


def test_the_price_before_a_time_is_the_last_trades() -> None:
    tape = tape_of([Trade(1, 100, 1, "buy", START, 1), Trade(2, 105, 1, "sell", START + 9, 2)])
    assert [tape.close_before(START + at) for at in (0, 1, 9, 10)] == [None, 100, 100, 105]


def test_trades_are_found_by_number_and_by_time_and_hidden_ones_are_not() -> None:
    made = trades(500, 3)
    tape = tape_of(made)
    assert tape.since_id(1_100, 10) == made[100:110]
    assert tape.since_id(5, 2) == made[:2]
    assert tape.since_id(9_999, 2) == []
    assert tape.before_id(1_100, 10) == made[90:100]
    assert tape.newest(3) == made[-3:]
    assert tape.between(made[10].ts_event, made[20].ts_event) == [
        trade for trade in made if made[10].ts_event <= trade.ts_event <= made[20].ts_event
    ]
    tape.hidden.add(1_101)
    assert [trade.trade_id for trade in tape.since_id(1_100, 3)] == [1_100, 1_102]


def test_only_the_newest_trades_are_kept_and_numbers_still_fit() -> None:
    tape = tape_of(trades(1_000, 1), kept=100)
    assert len(tape.trades) <= 200
    first = tape.trades[0].trade_id
    assert tape.since_id(first + 5, 1)[0].trade_id == first + 5
