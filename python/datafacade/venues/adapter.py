"""Ask a venue's REST for whole answers: page by page inside its limits, joined, judged by its own time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from datafacade._core import Rows, kline_range, rest_request, rest_rows
from datafacade.clock import Clock
from datafacade.errors import InvalidRequest, NotSupported, VenueFailed
from datafacade.types import InstrumentRow, Priority
from datafacade.venues.rest import RestAnswer, RestGuards
from datafacade.venues.source_times import SourceTimes
from datafacade.venues.spec import RestKind

log = logging.getLogger(__name__)

PAGES_MAX: Final = 64  # of one answer: 5,000 klines of 300 a page are 17
_OK: Final = 200


class Progress(NamedTuple):
    """How far an answer of several pages is."""

    pages: int  # read so far
    rows: int  # held so far
    done_ratio: float | None  # of the range, 0 to 1; None: the venue pages by ids


class Rest(Protocol):
    """One host of a venue, inside its budget (``venues.rest.RestClient``)."""

    @property
    def guards(self) -> RestGuards:
        """Budgets, breaker and figures of this host."""
        ...

    async def fetch(
        self,
        path: str,
        *,
        priority: Priority = Priority.CLIENT,
        weight: int | None = None,
        deadline_ns: int | None = None,
    ) -> RestAnswer:
        """Return the answer to a path with query."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRows:
    """One whole answer. Lends itself over the Arrow C stream interface (``polars.DataFrame(rows)``)."""

    kind: RestKind
    rows: Rows
    ts_from: int  # of klines: the first opening time wanted
    ts_until: int  # of klines: the first one no longer wanted
    now: int  # wall ns when the question began

    def __len__(self) -> int:
        """Return the number of rows; of a book, of its levels."""
        return len(self.rows)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:  # noqa: ANN401  a PyCapsule
        """Lend the table."""
        return self.rows.__arrow_c_stream__(requested_schema)

    def ts_newest(self) -> int:
        """Return the newest instant that the rows know of, ns UTC; 0: the venue tells no time."""
        return self.rows.ts_newest

    def holes(self) -> list[tuple[int, int, str]]:
        """Return the spans without a kline: start, end (ns UTC) and reason.

        NO_TRADES: the venue leaves out intervals in which nothing was traded. NOT_KEPT: older than what it
        keeps, or than the instrument. MISSING: it shows such intervals, and this one is not there.
        """
        return self.rows.holes(ts_from=self.ts_from, ts_until=self.ts_until, now=self.now)

    def encode(self, venue: str, symbol: str, interval: str) -> bytes:
        """Return the contract's response without lineage; of a book, also without state and integrity.

        Raises:
            VenueFailed: A number is so large or so fine that the others cannot stand beside it.
        """
        try:
            return self._encode(venue, symbol, interval)
        except ValueError as error:
            problem = f"{self.kind} cannot be told: {error}"
            raise VenueFailed(
                problem, is_final=True, venue=venue, symbol=symbol, operation=self.kind
            ) from None

    def _encode(self, venue: str, symbol: str, interval: str) -> bytes:
        match self.kind:
            case "klines":
                return self.rows.encode_klines(venue, symbol, interval, self.holes())
            case "trades":
                return self.rows.encode_trades(venue, symbol)
            case "ticker":
                return self.rows.encode_ticker(venue, symbol)
            case "funding":
                return self.rows.encode_funding(venue, symbol)
            case "book":
                return self.rows.encode_book(venue, symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What does not change from page to page."""

    kind: RestKind
    product: str
    row: InstrumentRow
    interval: str
    limit: int
    ts_from: int
    ts_until: int
    now: int

    @property
    def thing(self) -> str:
        """What the venue's time is the time of."""
        return " ".join((self.kind, self.row["symbol"], self.interval))


class VenueRest:
    """All that one venue's REST can be asked for.

    Args:
        venue: As clients name it.
        products: The core's name of the product that answers each kind; other kinds are not served.
        rests: Hosts by product.
        clock: Time.
        times: What the sources' times were, shared by all of them.
    """

    def __init__(
        self,
        venue: str,
        *,
        products: Mapping[RestKind, str],
        rests: Mapping[str, Rest],
        clock: Clock,
        times: SourceTimes,
    ) -> None:
        self._venue = venue
        self._products = products
        self._rests = rests
        self._clock = clock
        self._times = times

    async def ask(
        self,
        kind: RestKind,
        row: InstrumentRow,
        *,
        interval: str = "",
        limit: int = 0,
        ts_from: int = 0,
        ts_until: int = 0,
        priority: Priority = Priority.CLIENT,
        deadline_ns: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> VenueRows:
        """Return all pages of an answer, joined: sorted, each row once, at most ``limit``, the newest ones.

        Args:
            kind: What.
            row: Of what.
            interval: Of klines.
            limit: Rows at most; of a book, levels a side; 0: as the contract's default.
            ts_from: First instant wanted, ns UTC; 0: as early as ``limit`` allows.
            ts_until: First instant no longer wanted, ns UTC; 0: until now.
            priority: Who goes first when the budget is short.
            deadline_ns: When nobody waits any more, monotonic ns; None: it waits for its turn.
            progress: Called after each page.

        Raises:
            NotSupported: The venue has no such data.
            InvalidRequest: A range in which no interval begins, or that the venue's pages do not reach.
            VenueFailed, VenueRateLimited, CircuitOpen: It did not answer, or with nonsense.
        """
        question = self._question(kind, row, interval, limit, ts_from, ts_until)
        rows: Rows | None = None
        cursor = ""
        for page in range(1, PAGES_MAX + 1):
            told = await self._page(question, cursor, priority=priority, deadline_ns=deadline_ns)
            rows = told if rows is None else rows.extend(told)
            cursor = rows.next_cursor(limit)
            if progress is not None:
                progress(Progress(page, len(rows), _done_ratio(question, cursor)))
            if not cursor:
                break
        else:
            problem = (
                f"{self._venue} needs more than {PAGES_MAX} pages to reach it: ask for later or fewer rows"
            )
            raise InvalidRequest("ts_start", problem, venue=self._venue, symbol=row["symbol"])
        self._judge_time(question, rows)
        if limit:
            rows = rows.tail(limit)
        return VenueRows(
            kind=kind, rows=rows, ts_from=question.ts_from, ts_until=question.ts_until, now=question.now
        )

    def _question(
        self, kind: RestKind, row: InstrumentRow, interval: str, limit: int, ts_from: int, ts_until: int
    ) -> _Question:
        if self._products.get(kind) not in self._rests:
            raise NotSupported(kind, venue=self._venue, symbol=row["symbol"], operation=kind)
        now = self._clock.wall_ns()
        if kind == "klines":
            try:
                ts_from, ts_until = kline_range(
                    interval, now=now, limit=limit, ts_from=ts_from, ts_until=ts_until
                )
            except ValueError as error:
                raise InvalidRequest("interval", str(error), venue=self._venue) from None
            if ts_from >= ts_until:
                raise InvalidRequest("ts_end", "expected a range in which an interval begins")
        return _Question(
            kind=kind,
            product=self._products[kind],
            row=row,
            interval=interval,
            limit=limit,
            ts_from=ts_from,
            ts_until=ts_until,
            now=now,
        )

    async def _page(
        self, question: _Question, cursor: str, *, priority: Priority, deadline_ns: int | None
    ) -> Rows:
        asked = (self._venue, question.product, question.kind)
        times = (question.interval, question.limit, question.ts_from, question.ts_until)
        interval, limit, ts_from, ts_until = times
        request = rest_request(
            *asked,
            question.row["venue_symbol"],
            now=question.now,
            interval=interval,
            limit=limit,
            ts_from=ts_from,
            ts_until=ts_until,
            cursor=cursor,
        )
        if request is None:
            what = f"{question.kind} {interval}".rstrip()
            raise NotSupported(
                what, venue=self._venue, symbol=question.row["symbol"], operation=question.kind
            )
        path, weight = request
        rest = self._rests[question.product]
        answer = await rest.fetch(path, priority=priority, weight=weight, deadline_ns=deadline_ns)
        if answer.status != _OK:
            raise self._failed(question, f"was answered with HTTP status {answer.status}")
        # Trades that came while the question waited for its turn are the newest ones; without them a page
        # lacks as many rows, and another is asked for. Which klines are wanted was settled before.
        now = answer.ts_recv if question.kind == "trades" else question.now
        try:
            return rest_rows(
                *asked,
                answer.body,
                now=now,
                ts_recv=answer.ts_recv,
                price_exponent=_exponent(question.row["tick_size"]),
                quantity_exponent=_exponent(question.row["lot_size"]),
                interval=interval,
                limit=limit,
                ts_from=ts_from,
                ts_until=ts_until,
                cursor=cursor,
            )
        except ValueError as error:
            self._flag(question, str(error))
            raise self._failed(question, f"could not be read: {error}") from None

    def _judge_time(self, question: _Question, rows: Rows) -> None:
        """Refuse an answer about now that is older than one before it."""
        if question.ts_until and question.ts_until <= question.now:
            return
        ts = rows.ts_told
        if not self._times.accept(self._venue, question.thing, ts=ts, ts_recv=rows.ts_recv):
            self._flag(question, "time runs backward")
            raise self._failed(question, "is older than the answer before it")

    def _flag(self, question: _Question, problem: str) -> None:
        """Count an answer that came whole and is none against its source."""
        rest = self._rests[question.product]
        rest.guards.failures.record(self._clock.monotonic_ns(), is_failure=True)
        log.warning("rest.refused", extra={"venue": self._venue, "kind": question.kind, "problem": problem})

    def _failed(self, question: _Question, problem: str) -> VenueFailed:
        return VenueFailed(
            f"{question.kind} {problem}",
            is_final=True,
            venue=self._venue,
            symbol=question.row["symbol"],
            operation=question.kind,
        )


def _exponent(step: str) -> int:
    """Return the usual decimal exponent of an instrument's step: -2 for 0.01."""
    _, _, digits = step.partition(".")
    return -len(digits.rstrip("0"))


def _done_ratio(question: _Question, cursor: str) -> float | None:
    if not cursor:
        return 1.0
    if question.kind != "klines":
        return None
    return (int(cursor) - question.ts_from) / (question.ts_until - question.ts_from)
