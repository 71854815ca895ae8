"""Read prices and volumes of an aggregator: a table of all pinned assets, fetched at most once a while.

Nothing here could return a trade or a book. What an aggregator says is untrusted: typed, bounded, finite.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from datafacade.clock import NS_PER_S, Clock
from datafacade.config import Aggregator
from datafacade.errors import NotSupported, UnknownSymbol, VenueFailed
from datafacade.guard.single_flight import SingleFlight
from datafacade.venues.adapter import Rest
from datafacade.venues.rest import RestAnswer
from datafacade.venues.source_times import SourceTimes

log = logging.getLogger(__name__)

NUMBER_LENGTH_MAX: Final = 40  # signs of one number (FAULTS S19)
TEXT_LENGTH_MAX: Final = 1 << 20  # signs of one text
OFF_LOOP_BYTES_MIN: Final = 65_536  # beyond it a thread parses: the loop is never held for a millisecond
VOLUME_PLACES: Final = Decimal("1e-8")  # of a volume that we divide out of one in the currency
_OK: Final = 200


class AggregatorPrice(NamedTuple):
    """What an aggregator says of one asset."""

    price: str  # exact decimal, currency units for one unit of the asset; "": it gave none
    volume_24h: str  # base units, decimal; "": not given
    ts_source: int  # ns UTC; 0: it gave none


Table = Mapping[str, AggregatorPrice]  # by asset, BTC


class Dialect(Protocol):
    """What one aggregator's module knows of it."""

    name: str

    def path(self, config: Aggregator, currency: str) -> str:
        """Return path and query of all pinned assets."""
        ...

    def problem(self, answer: RestAnswer, told: object) -> str:
        """Return the error that an answer tells; "": it tells none."""
        ...

    def table(self, config: Aggregator, currency: str, told: object) -> Table:
        """Read the answer.

        Raises:
            ValueError: It is none.
        """
        ...


class AggregatorSource:
    """One aggregator's prices. ``close`` it."""

    def __init__(
        self, dialect: Dialect, rest: Rest, *, config: Aggregator, clock: Clock, times: SourceTimes
    ) -> None:
        self._dialect = dialect
        self._rest = rest
        self._config = config
        self._clock = clock
        self._times = times
        self._held: dict[str, tuple[int, Table]] = {}  # by currency: until when (monotonic ns), and what
        self._flights = SingleFlight[Table]()

    @property
    def attribution(self) -> str:
        """The text that the aggregator's licence demands beside its figures."""
        return self._config.attribution

    async def price(self, base: str, currency: str) -> AggregatorPrice:
        """Return the price of one unit of ``base``, at most ``refresh_sec`` after it was fetched.

        Raises:
            UnknownSymbol: The asset is not pinned in aggregators.yaml; nothing was asked.
            NotSupported: It does not quote in this currency.
            VenueFailed, VenueRateLimited, CircuitOpen: It did not answer, or with nonsense.
        """
        name = self._dialect.name
        if base not in self._config.ids:
            raise UnknownSymbol(f"{base}-{currency}", venue=name, operation="price")
        if currency not in self._config.currencies:
            raise NotSupported(f"prices in {currency}", venue=name, operation="price")
        until, table = self._held.get(currency, (0, {}))
        if until <= self._clock.monotonic_ns():
            table = await self._flights.do(currency, lambda: self._fetch(currency))
        told = table.get(base, AggregatorPrice("", "", 0))
        now = self._clock.wall_ns()
        if not self._times.accept(name, f"{base}-{currency}", ts=told.ts_source, ts_recv=now):
            self._flag("time runs backward")
            raise self._failed("price is older than the one before it")
        return told

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _fetch(self, currency: str) -> Table:
        answer = await self._rest.fetch(self._dialect.path(self._config, currency))
        try:
            if len(answer.body) < OFF_LOOP_BYTES_MIN:
                table = self._read(answer, currency)
            else:
                table = await asyncio.to_thread(self._read, answer, currency)
        except ValueError as error:
            self._flag(str(error))
            raise self._failed(f"prices could not be read: {error}") from None
        refresh_ns = int(self._config.refresh_sec * NS_PER_S)
        self._held[currency] = (self._clock.monotonic_ns() + refresh_ns, table)
        return table

    def _read(self, answer: RestAnswer, currency: str) -> Table:
        told = parse(answer.body)
        problem = self._dialect.problem(answer, told)
        if problem:
            raise self._failed(problem)
        if answer.status != _OK:
            raise self._failed(f"HTTP status {answer.status}")
        return self._dialect.table(self._config, currency, told)

    def _flag(self, problem: str) -> None:
        """Count an answer that came whole and is none against its source."""
        self._rest.guards.failures.record(self._clock.monotonic_ns(), is_failure=True)
        log.warning("rest.refused", extra={"venue": self._dialect.name, "problem": problem})

    def _failed(self, problem: str) -> VenueFailed:
        return VenueFailed(problem, is_final=True, venue=self._dialect.name, operation="price")


def parse(body: bytes) -> object:
    """Read JSON: numbers exact, none that is not finite, no key twice.

    Raises:
        ValueError: It is none, or breaks a bound.
    """
    try:
        return json.loads(
            body, parse_float=_decimal, parse_int=_decimal, parse_constant=_refuse, object_pairs_hook=_object
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


def number(value: object) -> Decimal | None:
    """Return a positive number; None: absent, which is told by null, an empty text, or 0.

    Raises:
        ValueError: Anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = _decimal(value)
    if not isinstance(value, Decimal) or value < 0:
        raise ValueError("expected a number of 0 or more")
    return value if value else None


def entry(price: Decimal | None, volume: Decimal | None, ts_source: int) -> AggregatorPrice:
    """Return what is told of one asset; its volume comes in the currency."""
    if price is None:
        return AggregatorPrice("", "", ts_source)
    with localcontext(prec=60):
        base_volume = "" if volume is None else f"{(volume / price).quantize(VOLUME_PLACES).normalize():f}"
    return AggregatorPrice(f"{price:f}", base_volume, ts_source)


def _decimal(text: str) -> Decimal:
    if len(text) > NUMBER_LENGTH_MAX:
        raise ValueError("number is too long")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not value.is_finite() or abs(value.adjusted()) > NUMBER_LENGTH_MAX:
        raise ValueError("number out of range")
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    if any(isinstance(value, str) and len(value) > TEXT_LENGTH_MAX for value in members.values()):
        raise ValueError("text is too long")
    return members
