"""The cached REST tier: whose data may answer, under which key it is held, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from datafacade.clock import NS_PER_S, Clock
from datafacade.config.sources import Ttls
from datafacade.errors import InvalidRequest
from datafacade.warm.answers import Answers, Question, Served
from datafacade.warm.attribution import Attribution
from datafacade.warm.authority import Authority
from datafacade.warm.native import SHAPES, Ask, Kind, VenueSource, make_native

MS_PER_S: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KlinesTtls:
    """How long klines are fresh, seconds."""

    by_interval: Mapping[str, float]
    default: float

    def of(self, interval: str) -> float:
        """Return the time of one interval.

        Example:
            >>> KlinesTtls(by_interval={"1m": 15.0}, default=30.0).of("15m")
            30.0
        """
        return self.by_interval.get(interval, self.default)


class WarmTier:
    """Answers of the venues' own REST. ``close`` it."""

    def __init__(
        self,
        sources: Mapping[str, VenueSource],
        *,
        answers: Answers,
        authority: Authority,
        attribution: Attribution,
        ttls: Ttls,
        klines_ttls: KlinesTtls,
        timeout_s: float,
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._answers = answers
        self._authority = authority
        self._ttls = ttls
        self._klines_ttls = klines_ttls
        self._timeout_ns = int(timeout_s * NS_PER_S)  # after so long nobody waits for an answer any more
        self._clock = clock
        self.attribution = attribution

    def check_authority(self, kind: Kind, venue: str) -> None:
        """Refuse who may not give such data.

        Raises:
            AggregatorBanned: An aggregator, or a venue that has no say in this kind of data.
        """
        self._authority.require(SHAPES[kind].data, venue)

    def source(self, venue: str) -> VenueSource:
        """Return a venue's REST.

        Raises:
            InvalidRequest: There is no such venue.
        """
        if venue not in self._sources:
            known = ", ".join(sorted(self._sources))
            raise InvalidRequest("venue", f"expected one of {known}, received {venue[:64]!r}")
        return self._sources[venue]

    async def ask(self, ask: Ask, *, is_refresh: bool = False) -> Served:
        """Return one venue's own data, as young as its cache class allows.

        Raises:
            AggregatorBanned, InvalidRequest: Who was asked may not or cannot answer.
            NotSupported: The venue has no such data.
            VenueFailed, VenueRateLimited, CircuitOpen: It did not answer, and nothing is held.
        """
        self.check_authority(ask.kind, ask.venue)
        source = self.source(ask.venue)
        return await self._answers.ask(
            self.question(ask),
            lambda priority: make_native(
                ask,
                source,
                priority=priority,
                clock=self._clock,
                attribution=self.attribution,
                deadline_ns=self._clock.monotonic_ns() + self._timeout_ns,
            ),
            is_refresh=is_refresh,
        )

    def question(self, ask: Ask) -> Question:
        """Return under which names an answer is held and kept, and how long it is fresh."""
        return Question(
            key=ask.key,
            cache_class=ask.shape.cache_class,
            ttl_ms=self._ttl_ms(ask),
            source=ask.venue,
            entity=ask.entity,
            carrier=ask.shape.carrier,
        )

    def _ttl_ms(self, ask: Ask) -> int:
        """Return how long an answer is fresh: bars that are closed stay what they are for longer."""
        usual_ms = self.ttl_ms(ask.shape.cache_class)
        if ask.kind != "klines":
            return usual_ms
        own_ms = int(self._klines_ttls.of(ask.interval) * MS_PER_S)
        return own_ms if ask.is_past(self._clock.wall_ns()) else min(own_ms, usual_ms)

    def ttl_ms(self, cache_class: str) -> int:
        """Return how long answers of a class are fresh."""
        return int(getattr(self._ttls, cache_class) * MS_PER_S)
