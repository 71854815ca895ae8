"""References to snapshots in Redis, by time: found by any process, without asking the service.

One sorted set an entity, ``cryptorun:pit:ENTITY``: the score is the time in ms since 1970 UTC (its fraction
tells a quarter of a microsecond), the member the snapshot's id. The key ``cryptorun:pit`` says who keeps the
index and whether it is whole; it expires soon after nobody does. References only: whatever Redis loses, the
store still has, and puts it there again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from random import SystemRandom
from typing import Any, Final, NamedTuple, Self

from datafacade.clock import NS_PER_MS, SystemClock
from datafacade.config.fields import Secret
from datafacade.config.sources import Redis as Settings
from datafacade.errors import PitNotFound, PitUnusable
from datafacade.store.pit.record import PitRef
from datafacade.store.redis_line import RedisLine

STATE_MS: Final = 15_000  # that the state outlives its newest renewal
KEPT_MS: Final = 24 * 3_600_000  # that a set outlives whoever kept it
READ_S: Final = 2.0  # that a question of another process waits
LIST_MAX: Final = 1_000
_STATE: Final = "pit"
_GLOB: Final = re.compile(rb"([*?\[\]\\^-])")


class Reference(NamedTuple):
    """A snapshot and its time."""

    id: str  # 64 hex digits
    ts_ms: float  # since 1970 UTC


class Claim(Enum):
    """What became of a keeper's word."""

    NEW = "new"  # nobody kept the index: nothing is known of what is in it
    HELD = "held"  # it was kept by the same one
    TAKEN = "taken"  # another keeps it


class State(NamedTuple):
    """What whoever keeps the index says of it."""

    keeper: str  # a name of its own for each run of a service
    seq: int  # of the store's newest record that is in it
    is_whole: bool  # false: it is being filled


def score_of(ts_ns: int) -> float:
    """Return a time as the score that stands for it; a later time never has a lower one.

    Example:
        >>> score_of(1_800_000_000_123_456_789)
        1800000000123.4568
    """
    return ts_ns / NS_PER_MS


class RedisIndex:
    """The sets of one Redis, read by anybody, written by the one who keeps them (``IndexKeeper``).

    Example:
        >>> index = RedisIndex.open("redis://127.0.0.1:6379/0")
    """

    def __init__(self, line: RedisLine) -> None:
        self._line = line
        self._stood: State | None = None  # as we said it last

    @classmethod
    def open(cls, url: str, *, key_prefix: str = "cryptorun:", timeout_s: float = READ_S) -> Self:
        """Return the index of a Redis to read from; ``close`` it.

        Args:
            url: Where Redis is, as ``redis://host:6379/0``.
            key_prefix: ``redis.key_prefix`` of the service.
            timeout_s: The longest that a question waits.

        Raises:
            ValueError: The URL is no Redis URL. The message does not hold it.
        """
        settings = Settings(url=Secret(url), key_prefix=key_prefix)
        line = RedisLine(settings, clock=SystemClock(), random=SystemRandom(), call_s=timeout_s)
        return cls(line)

    async def close(self) -> None:
        """Hang up."""
        await self._line.close()

    @property
    def is_connected(self) -> bool:
        """Whether Redis answers."""
        return self._line.is_connected

    # For everybody

    async def at(self, entity: str, ts_ns: int) -> str:
        """Return the id of an entity's newest snapshot that was known at a time, ns UTC.

        Of two with one score the one with the greater id counts as the newer.

        Raises:
            PitNotFound: None was. What Redis evicted is in the store nevertheless.
            PitUnusable: Redis does not answer, or nobody keeps the index whole now.
        """
        pipeline = self._line.redis.pipeline(transaction=False)
        pipeline.get(self._line.name(_STATE))
        pipeline.zrevrangebyscore(self.name(entity), score_of(ts_ns), "-inf", start=0, num=1)
        state, found = await self._asked(pipeline.execute)
        _require(state)
        if not found:
            raise PitNotFound(f"{entity} as of {ts_ns}")
        return _id_of(found[0])

    async def list(
        self, entity: str, ts_from: int, ts_until: int, *, limit: int = LIST_MAX
    ) -> list[Reference]:
        """Return an entity's snapshots from a time up to before another, oldest first, ns UTC.

        Args:
            entity: As ``warm.klines/binance/BTC-USDT/1h``.
            ts_from: First instant.
            ts_until: First instant behind.
            limit: The oldest so many.

        Raises:
            PitUnusable: As ``at``.
        """
        pipeline = self._line.redis.pipeline(transaction=False)
        pipeline.get(self._line.name(_STATE))
        until = f"({score_of(ts_until)!r}"
        pipeline.zrangebyscore(
            self.name(entity), score_of(ts_from), until, start=0, num=limit, withscores=True
        )
        state, found = await self._asked(pipeline.execute)
        _require(state)
        return [Reference(_id_of(member), score) for member, score in found]

    async def state(self) -> State | None:
        """Return what is said of the index; None: nobody keeps it, or Redis does not answer."""
        return _state_of(await self._line.call(lambda: self._line.redis.get(self._line.name(_STATE))))

    # For whoever keeps it. None and False: Redis did not do it

    async def claim(self, state: State) -> Claim | None:
        """Say what the index is like, unless another keeps it; None: Redis did not answer."""
        redis, name = self._line.redis, self._line.name(_STATE)
        unknown = state._replace(is_whole=False)  # until all is compared
        pipeline = redis.pipeline(transaction=False)
        pipeline.set(name, _told(unknown), nx=True, px=STATE_MS)
        pipeline.get(name)
        answer: Any = await self._line.call(pipeline.execute)
        if answer is None:
            return None
        stood = _state_of(answer[1])
        if not answer[0] and stood is not None and stood.keeper != state.keeper:
            return Claim.TAKEN
        is_same = not answer[0] and stood == self._stood  # else Redis came back with what it held before
        told = state if is_same else unknown
        if not answer[0]:
            again = await self._line.call(lambda: redis.set(name, _told(told), xx=True, px=STATE_MS))
            if not again:  # it was flushed meanwhile, or is away
                return None
        self._stood = told
        return Claim.HELD if is_same else Claim.NEW

    async def release(self) -> None:
        """Let another keep the index at once."""
        await self._line.call(lambda: self._line.redis.delete(self._line.name(_STATE)))

    async def apply(self, gone: Sequence[PitRef], news: Sequence[PitRef]) -> bool:
        """Take references out, and others in."""
        pipeline = self._line.redis.pipeline(transaction=False)
        for ref in gone:
            pipeline.zrem(self.name(ref.entity), ref.id)
        added: dict[str, dict[str, float]] = {}
        for ref in news:
            added.setdefault(ref.entity, {})[ref.id] = score_of(ref.ts_wall)
        for entity, scores in added.items():
            name = self.name(entity)
            pipeline.zadd(name, scores)
            pipeline.pexpire(name, KEPT_MS)
        return await self._line.call(pipeline.execute) is not None

    async def between(
        self, entity: str, score_min: float, score_max: float, *, limit: int
    ) -> Mapping[bytes, float] | None:
        """Return members of an entity's set between two scores, both included: the first so many."""
        name = self.name(entity)
        pipeline = self._line.redis.pipeline(transaction=False)
        pipeline.zrangebyscore(name, score_min, score_max, start=0, num=limit, withscores=True)
        pipeline.pexpire(name, KEPT_MS)
        answer: Any = await self._line.call(pipeline.execute)
        return None if answer is None else dict(answer[0])

    async def remove(self, entity: str, members: Sequence[bytes]) -> bool:
        """Take members out of a set, whatever they are."""
        return await self._line.call(lambda: self._line.redis.zrem(self.name(entity), *members)) is not None

    async def forget(self, *names: bytes) -> bool:
        """Delete whole keys."""
        return await self._line.call(lambda: self._line.redis.delete(*names)) is not None

    async def names(self, cursor: int, count: int) -> tuple[int, Sequence[bytes]] | None:
        """Return the next names of sets that Redis has, and where to go on; 0: these were the last."""
        pattern = _GLOB.sub(rb"\\\1", self.name("")) + b"*"
        answer: Any = await self._line.call(lambda: self._line.redis.scan(cursor, match=pattern, count=count))
        return None if answer is None else (int(answer[0]), answer[1])

    def name(self, entity: str) -> bytes:
        """Return the key of an entity's set."""
        return self._line.name(f"{_STATE}:{entity}")

    async def _asked(self, execute: Any) -> Any:  # noqa: ANN401  answers of a pipeline
        answer = await self._line.call(execute)
        if answer is None:
            raise PitUnusable("redis", "it does not answer")
        return answer


def _told(state: State) -> bytes:
    return json.dumps(state._asdict()).encode()


def _require(state: Any) -> None:  # noqa: ANN401  whatever stands in Redis
    found = _state_of(state)
    if found is None or not found.is_whole:
        problem = "it is being filled" if found else "nobody keeps it"
        raise PitUnusable("redis index", f"{problem}: ask the service")


def _state_of(value: Any) -> State | None:  # noqa: ANN401  whatever stands in Redis
    try:
        told = json.loads(value)
        return State(str(told["keeper"]), int(told["seq"]), is_whole=told["is_whole"] is True)
    except (TypeError, ValueError, KeyError, RecursionError):
        return None


def _id_of(member: bytes) -> str:
    return member.decode("ascii", "replace")
