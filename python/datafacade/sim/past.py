"""What an asset did before the simulator started: candles made from the seed alone. Pure.

The candle of a day is split into hours, these into quarters, five minutes and minutes, so that candles of all
lengths agree: the highest minute of a day is its high, volumes add up. Whatever is asked twice is the same,
and nothing is made that nobody asks for. Prices are billionths of the asset's price at the anchor, where the
past ends; volumes are units that each venue makes its own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

UNIT: Final = 10**9  # of a price: what it is at the anchor
DAY: Final = 1_440  # minutes
FIRST_DAY: Final = 18_262  # 2020-01-01: every asset is listed since
PARTS: Final = (24, 4, 3, 5)  # hours of a day, quarters of an hour, five minutes, minutes
LENGTHS: Final = (DAY, 60, 15, 5, 1)  # minutes of the units before and after each split
WAVES: Final = ((0.12, 400.0), (0.06, 73.0), (0.03, 17.0), (0.012, 5.3))  # share of the price, days
DAY_NOISE: Final = 0.008
DAY_WICK: Final = 0.012
DAY_VOLUME: Final = 2_000_000  # units
DAY_COUNT: Final = 100_000  # trades
KEPT: Final = 256  # splits
DRAW_END: Final = 1 << 16  # a draw is a whole number below this


class Bar(NamedTuple):
    """One candle of the past."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    taken: int  # bought by takers
    trades: int


class Past:
    """The past of one base asset, the same at every venue."""

    def __init__(self, seed: int, base: str, anchor: int, calm: float = 1.0) -> None:
        """Remember the names of the draws.

        Args:
            seed: The simulator's.
            base: Base asset.
            anchor: Minute (since 1970) at whose begin the price is ``UNIT``.
            calm: Share of the common moves that this asset makes.
        """
        self._key = f"{seed}:past:{base}"
        self._calm = calm
        phases = self._draws("waves", len(WAVES))
        self._waves = [
            (share, math.tau / days, math.tau * draw / DRAW_END)
            for (share, days), draw in zip(WAVES, phases, strict=True)
        ]
        self._splits: dict[tuple[int, int], list[Bar]] = {}
        self._days: dict[int, Bar] = {}
        self._offset = 0
        self._offset = UNIT - self.units(len(PARTS), anchor - 1, anchor)[0].close
        self._splits.clear()
        self._days.clear()

    def span(self, first: int, end: int) -> Bar | None:
        """Return one bar over the minutes ``first .. end - 1``, or None if there are none."""
        first = max(first, FIRST_DAY * DAY)
        parts: list[Bar] = []
        while first < end:
            level = next(at for at, size in enumerate(LENGTHS) if first % size == 0 and first + size <= end)
            size = LENGTHS[level]
            stop = end // size
            if level:  # up to the next longer unit
                longer = LENGTHS[level - 1]
                stop = min(stop, (first // longer + 1) * longer // size)
            parts += self.units(level, first // size, stop)
            first = stop * size
        return joined(parts) if parts else None

    def runs(self, begins: list[int], length: int) -> list[Bar]:
        """Return bars of ``length`` minutes that begin at ``begins`` (minutes, ascending, evenly spaced)."""
        if not begins:
            return []
        first = begins[0]
        level = next(
            at for at, size in enumerate(LENGTHS) if (length % size == 0 and first % size == 0) or size == 1
        )
        size = LENGTHS[level]
        units = self.units(level, first // size, (begins[-1] + length) // size)
        each = length // size
        if each == 1:
            return units
        return [joined(units[at : at + each]) for at in range(0, len(units), each)]

    def units(self, level: int, first: int, end: int) -> list[Bar]:
        """Return the units ``first .. end - 1`` of a level: days, hours, quarters, five minutes, minutes."""
        if first >= end:
            return []
        if level == 0:
            return [self._day(day) for day in range(first, end)]
        parts = PARTS[level - 1]
        above = first // parts
        found: list[Bar] = []
        for index, parent in enumerate(self.units(level - 1, above, (end - 1) // parts + 1), above):
            found += self._split(level, index, parent)
        return found[first - above * parts : end - above * parts]

    def _split(self, level: int, index: int, parent: Bar) -> list[Bar]:
        """Return the parts of one unit."""
        kept = self._splits.get((level, index))
        if kept is None:
            if len(self._splits) >= KEPT:
                self._splits.clear()
            parts = PARTS[level - 1]
            kept = self._splits[level, index] = split(
                parent, parts, self._draws(f"{level}:{index}", 4 * parts)
            )
        return kept

    def _draws(self, name: str, count: int) -> Sequence[int]:
        """Return ``count`` whole numbers below ``DRAW_END`` that belong to ``name``."""
        octets = hashlib.shake_128(f"{self._key}:{name}".encode()).digest(2 * count)
        return memoryview(octets).cast("H")

    def _day(self, day: int) -> Bar:
        kept = self._days.get(day)
        if kept is None:
            first, last = self._value(day), self._value(day + 1)
            up, down, much, taken = self._draws(f"day {day}", 4)
            high = max(first, last) + int(up * DAY_WICK * self._calm * UNIT / DRAW_END)
            low = min(first, last) - int(down * DAY_WICK * self._calm * UNIT / DRAW_END)
            volume = int(DAY_VOLUME * (0.5 + 1.5 * (much / DRAW_END) ** 2))
            bought = int(volume * (0.4 + 0.2 * taken / DRAW_END))
            kept = self._days[day] = Bar(first, high, low, last, volume, bought, DAY_COUNT)
        return kept

    def _value(self, day: int) -> int:
        """Return the price at the begin of ``day``."""
        noise = DAY_NOISE * (2 * self._draws(f"value {day}", 1)[0] / DRAW_END - 1)
        for share, speed, phase in self._waves:
            noise += share * math.sin(day * speed + phase)
        return UNIT + int(noise * self._calm * UNIT) + self._offset


def joined(bars: Iterable[Bar]) -> Bar:
    """Return the bar of all ``bars``, which follow each other."""
    opens, highs, lows, closes, volumes, taken, trades = zip(*bars, strict=True)
    return Bar(opens[0], max(highs), min(lows), closes[-1], sum(volumes), sum(taken), sum(trades))


def split(parent: Bar, parts: int, draws: Sequence[int]) -> list[Bar]:
    """Return ``parts`` bars that make ``parent``: a walk from open to close that touches high and low.

    Args:
        parent: What is split.
        parts: Into so many.
        draws: Four draws for each part.
    """
    open_, high, low, close, volume, taken, trades = parent
    width = 1.6 * (high - low) / math.sqrt(parts)
    steps = [draw / DRAW_END - 0.5 for draw in draws[:parts]]
    slope = (close - open_) / parts - sum(steps) * width / parts
    at, reached = float(open_), [open_]
    for step in steps[:-1]:
        at += slope + step * width
        reached.append(min(max(int(at), low), high))
    reached.append(close)
    wick = 0.6 * width / DRAW_END
    ups, downs = draws[parts : 2 * parts], draws[2 * parts : 3 * parts]
    highs = [min(high, max(reached[i], reached[i + 1]) + int(ups[i] * wick)) for i in range(parts)]
    lows = [max(low, min(reached[i], reached[i + 1]) - int(downs[i] * wick)) for i in range(parts)]
    highs[highs.index(max(highs))] = high
    lows[lows.index(min(lows))] = low
    weights = [8 + draw % 9 for draw in draws[3 * parts :]]
    total, sums = sum(weights), [0]
    for weight in weights:
        sums.append(sums[-1] + weight)
    return [
        Bar(
            reached[i],
            highs[i],
            lows[i],
            reached[i + 1],
            volume * sums[i + 1] // total - volume * sums[i] // total,
            taken * sums[i + 1] // total - taken * sums[i] // total,
            trades * sums[i + 1] // total - trades * sums[i] // total,
        )
        for i in range(parts)
    ]
