"""A seeded market: one instrument's true book, changed step by step. Pure: times are arguments.

The sequence of steps depends on the seed and the instrument alone, never on clients, faults or the wall
clock. All venues walk along the same fair value of an asset, so that their prices agree as those of real
venues do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, Literal

from datafacade.sim.books import Book, Change, Side
from datafacade.sim.history import History, RowCache
from datafacade.sim.intervals import DAY_NS, MINUTE_NS
from datafacade.sim.listings import CALM, TETHER, Instrument
from datafacade.sim.past import Past
from datafacade.sim.tape import Candle, Tape, Trade

TRADES_KEPT: Final = 20_000
FAIR_SPAN: Final = 0.04  # ratio: the fair value stays this near to where it started
FAIR_PULL_STEPS: Final = 40  # ticks a quote may be pulled per step while it follows the fair value
LEVELS_MIN: Final = 12  # a trade never eats a side below this


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a market did."""

    changes: list[Change]
    trades: list[Trade]


@dataclass(slots=True)
class DayStats:
    """What tickers tell about the session."""

    open: int
    high: int
    low: int
    last: int
    last_quantity: int = 0
    volume: int = 0
    notional: int = 0  # price units times quantity units
    count: int = 0


@dataclass(slots=True)
class Market:
    """The true state of one instrument."""

    instrument: Instrument
    seed: int
    depth: int  # levels a side that the market keeps near
    trade_ratio: float = 0.2  # share of the steps that are trades
    id_stride: int = 1  # largest step of the update counter (futures count all symbols together)
    past: Past | None = None  # what the asset did before
    rows: RowCache = field(default_factory=RowCache)
    book: Book = field(init=False)
    update_id: int = field(init=False)
    trade_id: int = field(init=False)
    session: DayStats = field(init=False)  # since the first trade
    tape: Tape = field(init=False)
    history: History = field(init=False)
    steps: int = field(default=0, init=False)
    shifted: float = field(default=1.0, init=False)  # faults moved all prices by this factor
    orders: int = field(default=0, init=False)
    groups: int = field(default=0, init=False)
    fair: int = field(init=False)
    _start: int = field(init=False)
    _fair_random: Random = field(init=False)
    _random: Random = field(init=False)
    _before: tuple[int, Candle | None] = field(default=(-1, None), init=False)

    def __post_init__(self) -> None:
        """Derive what the fields imply."""
        listed = self.instrument
        self._fair_random = Random(f"{self.seed}:fair:{listed.base}")
        self._random = Random(f"{self.seed}:{listed.product}:{listed.venue_symbol}")
        self.book = Book(listed.price_scale, listed.quantity_scale)
        self.update_id = self._random.randrange(10**9, 5 * 10**10)
        self.trade_id = self._random.randrange(10**8, 6 * 10**9)
        self.fair = self._start = listed.start_price
        self.session = DayStats(
            listed.start_price, listed.start_price, listed.start_price, listed.start_price
        )
        self.tape = Tape(TRADES_KEPT)
        self.history = History(listed, self.tape, self.past, self.rows)
        self._fill()

    @property
    def trades(self) -> list[Trade]:
        """Return the newest matches, oldest first."""
        return self.tape.trades

    @property
    def day(self) -> DayStats:
        """Return the statistics of the 24 hours up to the newest trade (who runs longer counts more)."""
        session = self.session
        if not self.tape.trades:
            return session
        first = self.tape.trades[-1].ts_event - DAY_NS
        first -= first % MINUTE_NS
        if first != self._before[0]:
            self._before = (first, self.history.before_start(first))
        before = self._before[1]
        if before is None:
            return session
        return DayStats(
            before.open,
            max(before.high, session.high),
            min(before.low, session.low),
            session.last,
            session.last_quantity,
            session.volume + before.volume,
            session.notional + before.notional,
            session.count + before.count,
        )

    def shift(self, factor: float) -> list[Change]:
        """Let the market stand at ``factor`` times where the seed has it; return all changes of the book."""
        moved = factor / self.shifted
        self.shifted = factor
        start = max(1, round(self._start * factor))
        self.instrument = replace(self.instrument, start_price=start)
        self.fair = max(1, round(self.fair * moved))
        gone: list[Change] = [(side, price, 0) for side, price in self._levels()]
        self._fill()
        laid: list[Change] = [
            (side, price, self.book.side(side).quantities[price]) for side, price in self._levels()
        ]
        kept = {(side, price) for side, price, _ in laid}
        changes = [change for change in gone if change[:2] not in kept] + laid
        self.update_id += len(changes)
        return changes

    def _levels(self) -> list[tuple[Side, int]]:
        sides: tuple[Side, Side] = ("b", "a")
        return [(side, price) for side in sides for price in self.book.side(side).quantities]

    def _fill(self) -> None:
        """Lay the first book: dense near the best, thinner behind it."""
        widest = max(1, self.fair * 3 // (100 * self.depth))
        for side, sign in (("b", -1), ("a", 1)):
            price = self.fair + sign
            ladder = self.book.side("b" if side == "b" else "a")
            levels: list[tuple[int, int]] = []
            for rank in range(self.depth):
                if price <= 0:
                    break
                levels.append((price, self._quantity(rank)))
                price += sign * self._random.randint(1, 1 + widest * rank // self.depth * 2)
            ladder.load(levels)

    def _quantity(self, rank: int) -> int:
        typical = self.instrument.typical_quantity * (4 + rank * 8 // self.depth) // 4
        value = 1 + int(typical * self._random.random() * 2)
        if self._random.random() < 0.3:  # a round quantity, so that trailing zeros occur
            unit = 10 ** max(0, len(str(value)) - 2)
            value = max(unit, value // unit * unit)
        elif self._random.random() < 0.03:
            value = 1 + self._random.randrange(100)  # dust, so that exponents occur
        return value

    def set(self, side: Side, price: int, quantity: int) -> list[Change]:
        """Change one level, count it, and return the change (none if nothing changed)."""
        if price <= 0 or not self.book.side(side).set(price, quantity):
            return []
        self.update_id += 1 if self.id_stride == 1 else self._random.randint(1, self.id_stride)
        return [(side, price, quantity)]

    def step(self, ts_event: int) -> Step:
        """Take the next step of the seeded sequence: a trade or changes of quotes.

        Args:
            ts_event: Time of the step, ns since 1970.
        """
        self.steps += 1
        self._walk()
        if self._random.random() < self.trade_ratio:
            return self._trade(ts_event)
        return Step(self._quote(), [])

    def _quote(self) -> list[Change]:
        """Let quotes follow the fair value and change a few levels; return all changes in order."""
        changes = self._follow("b", -1) + self._follow("a", 1)
        for _ in range(self._random.randint(1, 3)):
            changes += self._touch("b" if self._random.random() < 0.5 else "a")
        for side in ("b", "a"):
            changes += self._balance("b" if side == "b" else "a")
        return changes

    def _walk(self) -> None:
        start = self.instrument.start_price
        width = max(1, start // 25_000)
        drift = self._fair_random.randint(-width, width)
        bound = int(start * FAIR_SPAN * (CALM if self.instrument.base == TETHER else 1))
        if abs(self.fair + drift - start) > bound:
            drift = -drift
        self.fair += drift

    def _follow(self, side: Side, sign: int) -> list[Change]:
        """Cancel quotes on the wrong side of the fair value and sometimes improve the best one towards it."""
        ladder, changes = self.book.side(side), []
        wanted = self.fair + sign
        for _ in range(FAIR_PULL_STEPS):
            best = ladder.best()
            if best is None or len(ladder) <= LEVELS_MIN or (best - wanted) * sign >= 0:
                break
            changes += self.set(side, best, 0)
        best, other = ladder.best(), self.book.side("a" if side == "b" else "b").best()
        if best is not None and (best - wanted) * sign > 0 and self._random.random() < 0.6:
            price = wanted + sign * self._random.randint(0, abs(best - wanted) // 4)
            if other is None or (price - other) * sign > 0:
                changes += self.set(side, price, self._quantity(0))
        return changes

    def _touch(self, side: Side) -> list[Change]:
        """Add, change or cancel one level, more often near the best."""
        ladder = self.book.side(side)
        if not ladder.prices:
            return self.set(side, self.fair + (-1 if side == "b" else 1), self._quantity(0))
        rank = int(len(ladder) * self._random.random() ** 3)
        price = ladder.price_at(rank)
        choice = self._random.random()
        if choice < 0.35 and len(ladder) > LEVELS_MIN:
            return self.set(side, price, 0)
        if choice < 0.7:
            away = -1 if side == "b" else 1
            price += away * self._random.randint(1, 1 + max(1, self.fair // 50_000))
        return self.set(side, price, self._quantity(rank))

    def _balance(self, side: Side) -> list[Change]:
        """Keep the number of levels near the configured depth by changes at the far end."""
        ladder = self.book.side(side)
        away = -1 if side == "b" else 1
        changes: list[Change] = []
        for _ in range(4):
            if len(ladder) < self.depth and ladder.prices:
                far = ladder.price_at(len(ladder) - 1)
                step = self._random.randint(1, 1 + max(1, self.fair * 3 // (100 * self.depth)))
                changes += self.set(side, far + away * step, self._quantity(self.depth - 1))
            elif len(ladder) > self.depth + self.depth // 20 + 1:
                changes += self.set(side, ladder.price_at(len(ladder) - 1), 0)
        return changes

    def _trade(self, ts_event: int) -> Step:
        """Let one taker order trade; return its matches and the book changes, in order."""
        taker: Literal["buy", "sell"] = "buy" if self._random.random() < 0.5 else "sell"
        side: Side = "a" if taker == "buy" else "b"
        ladder = self.book.side(side)
        wanted = 1 + int(self.instrument.typical_quantity * self._random.random() ** 3 * 2)
        self.orders += 1
        trades: list[Trade] = []
        changes: list[Change] = []
        while wanted > 0 and len(ladder) > LEVELS_MIN and len(trades) < 6:
            price = ladder.price_at(0)
            resting = ladder.quantities[price]
            filled = min(resting, wanted)
            trades += self._match(price, filled, taker, ts_event)
            changes += self.set(side, price, resting - filled)
            wanted -= filled
        return Step(changes, trades)

    def _match(self, price: int, quantity: int, taker: Literal["buy", "sell"], ts_event: int) -> list[Trade]:
        """Split what was filled at one price over one or two makers."""
        parts = [quantity]
        if quantity > 2 and self._random.random() < 0.25:
            first = self._random.randint(1, quantity - 1)
            parts = [first, quantity - first]
        self.groups += 1
        made: list[Trade] = []
        for part in parts:
            self.trade_id += 1
            trade = Trade(self.trade_id, price, part, taker, ts_event, self.orders, self.groups)
            made.append(trade)
            self.tape.add(trade)
            self._count(price, part)
        return made

    def _count(self, price: int, quantity: int) -> None:
        day = self.session
        day.high, day.low, day.last = max(day.high, price), min(day.low, price), price
        day.last_quantity = quantity
        day.volume += quantity
        day.notional += price * quantity
        day.count += 1
