"""Ten bots share one subscription; the venue is left after the linger; the symbols are bounded."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.errors import QuotaExceeded, UnknownSymbol
from datafacade.hot.interest import Interest
from datafacade.types import Channel, Topic


class Venue:
    """What was asked of the venue."""

    def __init__(self, *, linger_s: float = 0.0, symbols_max: int = 30) -> None:
        self.calls: list[str] = []
        self.interest = Interest(
            start=lambda topic: self.calls.append(f"+{topic.symbol}"),
            stop=lambda topic: self.calls.append(f"-{topic.symbol}"),
            linger_s=linger_s,
            symbols_max=symbols_max,
        )


def topic(symbol: str, channel: Channel = Channel.TRADES) -> Topic:
    return Topic("kraken", symbol, channel)


@pytest.mark.proves("REQ-A15")
async def test_the_first_subscriber_starts_and_the_last_one_stops_after_the_linger() -> None:
    venue = Venue()
    for _ in range(10):
        venue.interest.acquire(topic("A"))
    for _ in range(9):
        venue.interest.release(topic("A"))
    await asyncio.sleep(0.01)
    assert venue.calls == ["+A"]
    venue.interest.release(topic("A"))
    assert venue.calls == ["+A"]
    await asyncio.sleep(0.01)
    assert venue.calls == ["+A", "-A"]


async def test_who_comes_back_in_time_finds_the_subscription() -> None:
    venue = Venue(linger_s=0.05)
    venue.interest.acquire(topic("A"))
    venue.interest.release(topic("A"))
    venue.interest.acquire(topic("A"))
    await asyncio.sleep(0.1)
    assert venue.calls == ["+A"]


@pytest.mark.proves("REQ-B1")
async def test_one_symbol_too_many_is_refused_and_further_channels_are_not() -> None:
    venue = Venue(symbols_max=2)
    venue.interest.acquire(topic("A"))
    venue.interest.acquire(topic("B"))
    venue.interest.acquire(topic("A", Channel.BOOK_L2))
    with pytest.raises(QuotaExceeded, match=r"hot\.max_pairs allows 2, 3 were asked for"):
        venue.interest.acquire(topic("C"))
    assert venue.interest.symbols() == {"A", "B"}


async def test_a_lingering_symbol_makes_room_for_a_new_one() -> None:
    venue = Venue(linger_s=60, symbols_max=2)
    for symbol in "AB":
        venue.interest.acquire(topic(symbol))
    for symbol in "AB":
        venue.interest.release(topic(symbol))
    venue.interest.acquire(topic("C"))
    assert venue.calls == ["+A", "+B", "-A", "+C"]
    venue.interest.close()


async def test_a_refused_start_leaves_no_trace() -> None:
    def refuse(_: Topic) -> None:
        raise UnknownSymbol("A")

    interest = Interest(start=refuse, stop=lambda _: None, linger_s=0, symbols_max=1)
    with pytest.raises(UnknownSymbol):
        interest.acquire(topic("A"))
    assert interest.topics() == []


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ABCDE")), max_size=60))
def test_the_venue_always_has_what_is_wanted_and_never_too_much(steps: list[tuple[bool, str]]) -> None:
    async def run() -> None:
        venue = Venue(linger_s=60, symbols_max=3)
        wanted: dict[str, int] = {}
        for is_add, symbol in steps:
            if is_add:
                try:
                    venue.interest.acquire(topic(symbol))
                    wanted[symbol] = wanted.get(symbol, 0) + 1
                except QuotaExceeded:
                    assert len({s for s, n in wanted.items() if n} | {symbol}) > 3
            elif wanted.get(symbol):
                wanted[symbol] -= 1
                venue.interest.release(topic(symbol))
            followed: list[str] = []
            for call in venue.calls:
                if call[0] == "+":
                    assert call[1:] not in followed
                    followed.append(call[1:])
                else:
                    followed.remove(call[1:])
            assert {s for s, n in wanted.items() if n} <= set(followed)
            assert len(followed) <= 3
        venue.interest.close()

    asyncio.run(run())
