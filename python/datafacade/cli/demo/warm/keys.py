"""What the clients ask for: keys by popularity, and a Zipf distribution over them. Pure.

Most keys are at venues whose limits leave room: Kraken counts candles by pair, Binance has weight for 2,000
calls a minute; OKX and Coinbase have few.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from google.protobuf.message import Message

from datafacade.v1 import warm_pb2

Kind = Literal["klines", "trades"]

KEYS: Final = 5_000  # from a minute of load on, fewer in proportion before
COLD: Final = 200  # the sum of `COLD_SHARES`; of the cold start; the most popular ones later
ZIPF: Final = 1.1
MINUTE_S: Final = 60.0
BASES: Final = ("BTC", "ETH", "SOL")  # that trade
GENERATED: Final = 300  # further symbols
FEW: Final = 100  # of them where it is not the pair that has a budget
MINUTES: Final = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "1d": 1_440}  # at every venue
LIMITS: Final = (10, 20, 30, 50, 99)  # one page everywhere
TRADES_LIMIT: Final = 10


@dataclass(frozen=True, slots=True)
class Market:
    """Where a venue's symbols are quoted, and how the simulator names the place."""

    quote: str
    product: str  # of candles
    spelling: str
    trades_product: str = ""  # empty: none are asked for

    def symbol(self, base: str) -> str:
        """Return the simulator's spelling."""
        return self.spelling.format(base, self.quote)


MARKETS: Final = {
    "kraken": Market("USD", "kraken/spot", "{}/{}"),
    "binance": Market("USDT", "binance/spot", "{}{}"),
    "binance-usdm": Market("USDT", "binance/usdm", "{}{}"),
    "okx": Market("USDT", "okx/public", "{}-{}", "okx/public"),
    "coinbase": Market("USD", "coinbase/advanced", "{}-{}", "coinbase/exchange"),
}
COLD_SHARES: Final = {
    "kraken": 66,
    "binance": 51,
    "binance-usdm": 41,
    "okx": 25,
    "coinbase": 17,
}
TAIL_SHARES: Final = {"kraken": 2_850, "binance": 900, "binance-usdm": 850, "okx": 150, "coinbase": 50}


@dataclass(frozen=True, slots=True)
class Key:
    """One question."""

    venue: str
    base: str
    kind: Kind
    interval: str  # of klines
    limit: int

    @property
    def symbol(self) -> str:
        """Return the canonical symbol."""
        return f"{self.base}-{MARKETS[self.venue].quote}"

    @property
    def method(self) -> str:
        """Return the name of the method that answers it."""
        return "WarmKlines" if self.kind == "klines" else "WarmTrades"

    def request(self) -> Message:
        """Return the request."""
        if self.kind == "trades":
            return warm_pb2.WarmTradesRequest(venue=self.venue, symbol=self.symbol, limit=self.limit)
        return warm_pb2.WarmKlinesRequest(
            venue=self.venue, symbol=self.symbol, interval=self.interval, limit=self.limit
        )


def popular_first(seed: int, seconds: float) -> list[Key]:
    """Return the keys of a load of so many seconds; the first `COLD` are those of the cold start."""
    random = Random(f"{seed}:keys")  # noqa: S311  a load, no secret
    bases = [f"G{number:03d}" for number in range(1, GENERATED + 1)]
    cold: list[Key] = []
    tail: list[Key] = []
    wanted = max(COLD, round(KEYS * min(1.0, seconds / MINUTE_S)))
    for venue, share in COLD_SHARES.items():
        asked: list[Key] = []
        if MARKETS[venue].trades_product:
            asked += [Key(venue, base, "trades", "", TRADES_LIMIT) for base in BASES]
        # One of each symbol first: Kraken's pairs have a budget each.
        klines = [Key(venue, base, "klines", "1h", LIMITS[-1]) for base in (*BASES, *bases)]
        cold += (asked + klines)[:share]
        known = bases if venue == "kraken" else bases[:FEW]
        others = [
            Key(venue, base, "klines", interval, limit)
            for base, interval, limit in itertools.product(known, MINUTES, LIMITS)
        ]
        asked_cold = set(cold)
        others = [key for key in others if key not in asked_cold]
        tail += random.sample(others, TAIL_SHARES[venue])
    random.shuffle(cold)
    random.shuffle(tail)
    return (cold + tail)[:wanted]


class Zipf:
    """Draws places of keys: the first most often."""

    def __init__(self, count: int, exponent: float = ZIPF) -> None:
        self._places = range(count)
        self._sums: Sequence[float] = list(
            itertools.accumulate(place**-exponent for place in range(1, count + 1))
        )

    def draw(self, random: Random, count: int) -> list[int]:
        """Return places, from 0."""
        return random.choices(self._places, cum_weights=self._sums, k=count)
