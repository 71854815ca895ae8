"""Make one series of klines of all venues that trade an instrument in its own currency, with evidence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from datafacade.clock import NS_PER_MS, Clock
from datafacade.errors import FacadeError, InsufficientSources, UnknownSymbol
from datafacade.types import InstrumentRow
from datafacade.v1 import lineage_pb2, warm_pb2
from datafacade.warm.answers import MISS, WEAKENED, Made, Served
from datafacade.warm.attribution import RECONCILED, Attribution
from datafacade.warm.native import Ask
from datafacade.warm.prices import FAILED, STABLE, Markets
from datafacade.warm.reconcile import NOT_CONVERTIBLE, Rules
from datafacade.warm.tier import WarmTier

if TYPE_CHECKING:
    from datafacade.warm.joint_bars import JointBars

PATIENCE_S: Final = 5.0  # that a venue may take; the others do not wait for it
SPOT: Final = "spot"
NOT_GIVEN: Final = "NOT_GIVEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one venue told."""

    venue: str
    told: warm_pb2.WarmKlinesResponse
    served: Served
    latency_ns: int

    @property
    def ts_source(self) -> int:
        """The newest time that the venue told, ns UTC; 0: none."""
        return max((one.ts_source for one in self.told.lineage.sources), default=0)


class JointKlines:
    """The use case WarmKlines without a venue."""

    def __init__(
        self,
        tier: WarmTier,
        *,
        markets: Markets,
        venues: Sequence[str],
        rules: Rules,
        clock: Clock,
        attribution: Attribution,
    ) -> None:
        self._tier = tier
        self._markets = markets
        self._venues = venues  # that have a say in klines
        self._rules = rules
        self._clock = clock
        self._attribution = attribution

    def row(self, symbol: str) -> InstrumentRow:
        """Return the instrument of the first venue that trades it.

        Raises:
            UnknownSymbol: No venue does.
        """
        rows = self._rows(symbol)
        if not rows:
            raise UnknownSymbol(symbol, operation="klines")
        return next(iter(rows.values()))

    async def make(self, ask: Ask) -> Made:
        """Ask every venue at once, reconcile and encode.

        Raises:
            InsufficientSources: Too few venues have klines of it. Carries the evidence.
        """
        started = self._clock.monotonic_ns()
        symbol = ask.row["symbol"]
        rows = self._rows(symbol)
        found = await asyncio.gather(*(self._part(venue, row, ask) for venue, row in rows.items()))
        failed = [venue for venue, part in zip(rows, found, strict=True) if part is None]
        parts = [part for part in found if part is not None]
        fates = dict.fromkeys(self._elsewhere(symbol, rows), NOT_CONVERTIBLE) | dict.fromkeys(failed, FAILED)
        fates |= {part.venue: NOT_GIVEN for part in parts if not part.told.klines}
        whole = [part for part in parts if part.told.klines]
        if len(whole) < self._rules.sources_min:
            fates |= {part.venue: "" for part in whole}
            evidence = lineage_pb2.Lineage(sources=self._quotes(fates, parts)).SerializeToString()
            raise InsufficientSources(len(whole), self._rules.sources_min, evidence=evidence)
        joint = await asyncio.to_thread(join, {part.venue: part.told for part in whole}, self._rules, ask)
        fates |= joint.fates
        self._attribute(fates, whole, ask)
        message = joint.message
        message.symbol, message.interval = symbol, ask.interval
        message.lineage.CopyFrom(
            lineage_pb2.Lineage(
                sources=self._quotes(fates, parts),
                confidence_ratio=joint.confidence_ratio,
                cache_hits=sum(part.served.cache_tier != MISS for part in parts),
                cache_misses=sum(part.served.cache_tier == MISS for part in parts) + len(failed),
                latency_ns=self._clock.monotonic_ns() - started,
                ts_made=self._clock.wall_ns(),
            )
        )
        age_ns = max((part.served.age_ns for part in whole if not fates[part.venue]), default=0)
        return Made(message=message.SerializeToString(), ttl_ms=self._ttl_ms(parts), age_ns=age_ns)

    def _rows(self, symbol: str) -> Mapping[str, InstrumentRow]:
        """Return the spot market of each venue in exactly this currency."""
        rows = {venue: self._markets(venue).get(symbol) for venue in sorted(self._venues)}
        return {venue: row for venue, row in rows.items() if row is not None and row["kind"] == SPOT}

    def _elsewhere(self, symbol: str, rows: Mapping[str, InstrumentRow]) -> Iterable[str]:
        """Return the venues that trade it in a stand-in of its currency: no rate of now converts the past."""
        base, _, currency = symbol.partition("-")
        if currency == "USD":
            for venue in self._venues:
                if venue not in rows and any(f"{base}-{stable}" in self._markets(venue) for stable in STABLE):
                    yield venue

    async def _part(self, venue: str, row: InstrumentRow, ask: Ask) -> Part | None:
        """Return what one venue has; that it has nothing is evidence too."""
        started = self._clock.monotonic_ns()
        try:
            async with asyncio.timeout(PATIENCE_S):
                served = await self._fresh(replace(ask, venue=venue, row=row))
        except (FacadeError, TimeoutError):
            return None
        return Part(
            venue=venue,
            told=warm_pb2.WarmKlinesResponse.FromString(served.message),
            served=served,
            latency_ns=self._clock.monotonic_ns() - started,
        )

    async def _fresh(self, question: Ask) -> Served:
        """Return a part that is fresh; a stale one only while its venue gives no other."""
        served = await self._tier.ask(question)
        if served.is_stale:
            with contextlib.suppress(*WEAKENED):
                return await self._tier.ask(question, is_refresh=True)
        return served

    def _quotes(self, fates: Mapping[str, str], parts: Iterable[Part]) -> list[lineage_pb2.SourceQuote]:
        known = {part.venue: part for part in parts}
        now = self._clock.wall_ns()
        quotes = []
        for venue, reason in sorted(fates.items()):
            quote = lineage_pb2.SourceQuote(source=venue, used=not reason, reason=reason)
            if venue in known:
                quote.latency_ns = known[venue].latency_ns
                ts_source = known[venue].ts_source
                if ts_source:
                    quote.ts_source, quote.age_ns = ts_source, max(0, now - ts_source)
            quotes.append(quote)
        return quotes

    def _attribute(self, fates: Mapping[str, str], parts: Iterable[Part], ask: Ask) -> None:
        known = {part.venue: part for part in parts}
        is_past = ask.is_past(self._clock.wall_ns())
        for venue, reason in fates.items():
            if reason:
                self._attribution.dropped(RECONCILED, venue)
                continue
            self._attribution.used(
                RECONCILED,
                venue,
                latency_ns=known[venue].latency_ns,
                data_class="" if is_past else ask.shape.cache_class,
                ts_newest=known[venue].ts_source,
            )

    def _ttl_ms(self, parts: Iterable[Part]) -> int:
        """Return how long the parts are fresh: the joint answer is as old as the oldest of them."""
        now = self._clock.wall_ns()
        return max(1, min((part.served.ts_expires - now) // NS_PER_MS for part in parts))


def join(told: Mapping[str, warm_pb2.WarmKlinesResponse], rules: Rules, ask: Ask) -> JointBars:
    """Reconcile; tables are loaded by the first who asks: a service starts without them."""
    from datafacade.warm.joint_bars import join_bars

    return join_bars(told, rules=rules, interval_ns=ask.interval_ns)
