"""Find or make one encoded answer: cache, one fetch for all who ask, the second tier, then whoever makes it.

The order is that of DESIGN 5. What is stale is given at once and made anew behind the caller's back; while
the venue refuses, what is stale is better than nothing, and says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import Message

from datafacade.clock import NS_PER_MS, Clock
from datafacade.errors import CircuitOpen, FacadeError, VenueFailed, VenueRateLimited
from datafacade.guard.single_flight import SingleFlight
from datafacade.store.pit.names import Entity
from datafacade.store.shared_entry import SharedAnswer
from datafacade.types import Priority
from datafacade.v1 import lineage_pb2

log = logging.getLogger(__name__)

STALE_FACTOR: Final = 2  # an answer is kept for so many times its TTL, stale from the first on
WEAKENED: Final = (CircuitOpen, VenueFailed, VenueRateLimited)  # then what is stale is better than nothing
MISS: Final = lineage_pb2.CACHE_TIER_MISS
L1: Final = lineage_pb2.CACHE_TIER_L1
L2: Final = lineage_pb2.CACHE_TIER_L2


class Held(Protocol):
    """An answer of the first tier (``datafacade._core.Held``)."""

    @property
    def message(self) -> bytes:
        """The encoded response, without ``served``."""
        ...

    @property
    def snapshot_id(self) -> str:
        """SHA-256 of the message, hex."""
        ...

    @property
    def ts_cached(self) -> int:
        """When it was made, ns UTC."""
        ...

    @property
    def ts_expires(self) -> int:
        """From when on it is stale, ns UTC."""
        ...

    @property
    def age_ns(self) -> int:
        """Age of its data, ns: since it was put in, and what they were old then."""
        ...

    @property
    def is_stale(self) -> bool:
        """Whether it is."""
        ...


class FirstTier(Protocol):
    """The cache in this process, shared with the edge (``datafacade._core.AnswerCache``)."""

    def get(self, key: str, *, cache_class: str) -> Held | None:
        """Return an answer that is not gone yet; a stale one says so. A miss is one of this class."""
        ...

    def put(
        self,
        key: str,
        message: bytes,
        *,
        cache_class: str,
        ts_cached: int,
        ttl_ms: int,
        stale_ms: int,
        age_ns: int = 0,
        owner: str = "",
    ) -> str:
        """Keep an answer; return its snapshot id."""
        ...


class SecondTier(Protocol):
    """A cache that several processes share. It fails open: whatever goes wrong with it is a miss."""

    async def get(self, key: str) -> SharedAnswer | None:
        """Return an answer, fresh or stale."""
        ...

    def put(self, key: str, answer: SharedAnswer) -> None:
        """Keep an answer some time soon; never waits."""
        ...


class Keep(Protocol):
    """Where answers are kept beyond their lifetime in the cache (the PIT store)."""

    async def __call__(self, question: Question, message: bytes) -> None:
        """Return once it is durable, or once it is announced that it could not be kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, in the one spelling that all who ask the same share."""

    key: str  # klines:kraken:BTC-USD:1h:24
    cache_class: str  # of REQUIREMENTS 6: prices_hot, funding, ...
    ttl_ms: int
    source: str  # whose data it is
    entity: Entity  # under which its answers are kept
    carrier: type[Message] | None = None  # type of the answer; None: it is not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An answer fresh from its source."""

    message: bytes
    ttl_ms: int | None = None  # shorter than its class's where the data says so: a bar that closes
    age_ns: int = 0  # of the oldest of several sources that it is made of; 0: it has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An answer and where it was found."""

    message: bytes
    cache_tier: lineage_pb2.CacheTier.ValueType
    key: str
    snapshot_id: str
    ts_cached: int  # ns UTC
    ts_expires: int  # ns UTC
    age_ns: int = 0  # of its data: since it was made, and of its oldest source then
    is_stale: bool = False


Make = Callable[[Priority], Awaitable[Made]]


class Answers:
    """The way of every warm answer. Owned by the event loop; ``close`` it."""

    def __init__(
        self, first: FirstTier, *, clock: Clock, second: SecondTier | None = None, keep: Keep | None = None
    ) -> None:
        self._first = first
        self._second = second
        self._keep = keep
        self._clock = clock
        self._flights: SingleFlight[Served] = SingleFlight()
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def ask(self, question: Question, make: Make, *, is_refresh: bool = False) -> Served:
        """Return an answer.

        Args:
            question: What is asked.
            make: Fetches and encodes the answer, as urgently as it is told; called once for all who ask at
                the same time.
            is_refresh: Nobody waits: make it anew even if it is held.

        Raises:
            FacadeError: It could not be made, and nothing stale is held either.
        """
        held = None if is_refresh else self._first.get(question.key, cache_class=question.cache_class)
        if held is not None:
            if held.is_stale:
                self._refresh(question, make)
            return self._from(question, held)
        return await self._flights.do(question.key, lambda: self._find(question, make, anew=is_refresh))

    async def close(self) -> None:
        """End what is made anew for nobody."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._flights.close()

    async def _find(self, question: Question, make: Make, *, anew: bool) -> Served:
        if self._second is not None and not anew:
            shared = await self._second.get(question.key)
            now = self._clock.wall_ns()
            if shared is not None and shared.ts_expires - now >= NS_PER_MS:
                left_ms = min((shared.ts_expires - now) // NS_PER_MS, question.ttl_ms)
                age_ns = shared.age_ns + max(0, now - shared.ts_cached)
                return self._put(question, shared.message, L2, ttl_ms=left_ms, age_ns=age_ns)
        made = await make(Priority.WARMING if anew else Priority.CLIENT)
        if self._keep is not None:
            await self._keep(question, made.message)
        ttl_ms = min(question.ttl_ms, made.ttl_ms if made.ttl_ms is not None else question.ttl_ms)
        served = self._put(question, made.message, MISS, ttl_ms=ttl_ms, age_ns=made.age_ns)
        if self._second is not None:
            shared = SharedAnswer(
                message=made.message,
                snapshot_id=served.snapshot_id,
                source=question.source,
                cache_class=question.cache_class,
                ts_cached=served.ts_cached,
                ts_expires=served.ts_expires,
                age_ns=made.age_ns,
            )
            self._second.put(question.key, shared)
        return served

    def _put(
        self,
        question: Question,
        message: bytes,
        tier: lineage_pb2.CacheTier.ValueType,
        *,
        ttl_ms: int,
        age_ns: int = 0,
    ) -> Served:
        ts_cached = self._clock.wall_ns()
        snapshot_id = self._first.put(
            question.key,
            message,
            cache_class=question.cache_class,
            ts_cached=ts_cached,
            ttl_ms=ttl_ms,
            stale_ms=ttl_ms * (STALE_FACTOR - 1),
            age_ns=age_ns,
            owner=question.source,
        )
        return Served(
            message=message,
            cache_tier=tier,
            key=question.key,
            snapshot_id=snapshot_id,
            ts_cached=ts_cached,
            ts_expires=ts_cached + ttl_ms * NS_PER_MS,
            age_ns=age_ns,
        )

    @staticmethod
    def _from(question: Question, held: Held) -> Served:
        return Served(
            message=held.message,
            cache_tier=L1,
            key=question.key,
            snapshot_id=held.snapshot_id,
            ts_cached=held.ts_cached,
            ts_expires=held.ts_expires,
            age_ns=held.age_ns,
            is_stale=held.is_stale,
        )

    def _refresh(self, question: Question, make: Make) -> None:
        if question.key in self._refreshing:
            return
        task = asyncio.create_task(self._make_anew(question, make), name=f"refresh {question.key}")
        self._refreshing[question.key] = task
        task.add_done_callback(lambda _: self._refreshing.pop(question.key, None))

    async def _make_anew(self, question: Question, make: Make) -> None:
        try:
            await self.ask(question, make, is_refresh=True)
        except WEAKENED as error:
            log.info("warm.refresh_failed", extra={"key": question.key, "reason": type(error).__name__})
        except FacadeError as error:
            log.warning("warm.refresh_refused", extra={"key": question.key, "reason": type(error).__name__})
