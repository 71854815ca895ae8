"""Continue a topic behind a position: exactly the missed updates once, or a Gap that says what is lost.

Where the missed updates are decides the way:

=====================================  =============================================================
memory ring of the hub                 RESUMED, the updates, CAUGHT_UP, live
journal of this epoch                  RESUMED, the journal's updates, then as above
journal of an earlier epoch            RESUMED, the rest of that epoch, Gap SERVER"server_restart", snapshot
nowhere any more                       RESUME_LOST, Gap RESUME"resume_too_old", snapshot; exact: nothing
above the head of this epoch           REJECTED, INVALID_ARGUMENT
=====================================  =============================================================

Channels without a snapshot (trades, klines) go on with the first update of the new epoch instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, NamedTuple

from datafacade._core import PositionAhead, PositionLost
from datafacade.errors import InvalidRequest, ResumeTooOld
from datafacade.hot.journal import Journal
from datafacade.hot.ports import Hub
from datafacade.hot.tier import STARTS
from datafacade.serve.joining import Joiner
from datafacade.types import Channel, Topic
from datafacade.v1 import hot_pb2

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 256 * 1024
STALLS_MAX: Final = 200  # waits for a journal that is behind the ring
STALL_S: Final = 0.01
_WITHOUT_SNAPSHOT: Final = frozenset({Channel.TRADES, Channel.KLINES})


class Held(NamedTuple):
    """What the journal holds of a topic in one epoch."""

    epoch: int
    seq_oldest: int
    seq_last: int


class Position(NamedTuple):
    """The last update of a topic that a client has processed."""

    epoch: int
    seq: int


class Resume:
    """Brings joiners from their positions to the live records."""

    def __init__(
        self, hub: Hub, *, epoch: int, journal: Journal | None, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._hub = hub
        self.epoch = epoch
        self._journal = journal
        self._chunk_bytes = chunk_bytes

    async def run(self, joiner: Joiner, position: Position, *, is_exact: bool) -> bool:
        """Continue behind a position; return whether the topic is followed from here on.

        Raises:
            InvalidRequest: The position is above the head of this epoch.
        """
        held = await self._held(joiner.topic)
        if position.epoch == self.epoch:
            return await self._same_epoch(joiner, position.seq, held, is_exact=is_exact)
        earlier = [one for one in held if one.epoch < self.epoch]
        at = next((at for at, one in enumerate(earlier) if one.epoch == position.epoch), None)
        if at is None or position.seq + 1 < earlier[at].seq_oldest:
            return self._lost(joiner, position, held, is_exact=is_exact)
        return await self._earlier_epoch(joiner, position.seq, earlier[at:], held)

    # The position is of this epoch

    async def _same_epoch(self, joiner: Joiner, seq: int, held: list[Held], *, is_exact: bool) -> bool:
        try:
            joiner.attach("after", seq_after=seq, phase="resumed")
        except PositionAhead:
            head = self._hub.head(*joiner.topic)
            raise InvalidRequest("resume", f"expected a seq up to {head}, received {seq}") from None
        except PositionLost:
            now = _of(held, self.epoch)
            if now is None or seq + 1 < now.seq_oldest:
                return self._lost(joiner, Position(self.epoch, seq), held, is_exact=is_exact)
            joiner.tell("resumed", seq_next=seq + 1, seq_oldest=now.seq_oldest)
            return await self.to_live(joiner, seq)
        return True

    async def to_live(self, joiner: Joiner, seq: int) -> bool:
        """Replay this epoch's journal until the ring holds what follows, then go on from there."""
        stalls = 0
        while stalls < STALLS_MAX:
            try:
                joiner.attach("after", seq_after=seq, phase="")
            except PositionLost:
                entries, last = await self._read(joiner.topic, self.epoch, seq)
                if entries:
                    if not await joiner.push(entries):
                        return False
                    seq, stalls = last, 0
                else:
                    stalls += 1
                    await asyncio.sleep(STALL_S)
            else:
                return True
        return self._skip(joiner, seq)

    def _skip(self, joiner: Joiner, seq: int) -> bool:
        """Give up what neither journal nor ring holds: say so, and start afresh."""
        head = self._hub.head(*joiner.topic)
        joiner.gap("resume_too_old", epoch=self.epoch, seq_first=seq + 1, seq_last=head)
        return self._afresh(joiner, head)

    # The position is of an earlier epoch

    async def _earlier_epoch(self, joiner: Joiner, seq: int, earlier: list[Held], held: list[Held]) -> bool:
        first = earlier[0]
        joiner.tell("resumed", seq_next=seq + 1, seq_oldest=first.seq_oldest)
        if not await self._replay(joiner, first.epoch, min(seq, first.seq_last)):
            return False
        is_tail_lost = seq > first.seq_last
        joiner.gap(
            "server_restart",
            epoch=first.epoch,
            seq_first=first.seq_last + 1 if is_tail_lost else 0,
            seq_last=seq if is_tail_lost else 0,
            ts_first=await self._time_of_last(joiner.topic, first),
        )
        if joiner.topic.channel not in _WITHOUT_SNAPSHOT:
            return self._afresh(joiner, self._hub.head(*joiner.topic))
        for between in earlier[1:]:
            self._tell_missing(joiner, between)
            if not await self._replay(joiner, between.epoch, between.seq_oldest - 1):
                return False
            ts_first = await self._time_of_last(joiner.topic, between)
            joiner.gap("server_restart", epoch=between.epoch, ts_first=ts_first)
        return await self._from_first(joiner, _of(held, self.epoch))

    async def _from_first(self, joiner: Joiner, now: Held | None) -> bool:
        """Go on with the first update of this epoch that is held anywhere."""
        try:
            joiner.attach("after", seq_after=0, phase="")
        except PositionLost as lost:
            if now is None:
                oldest = int(lost.args[0])
                now = Held(self.epoch, oldest, oldest)
            self._tell_missing(joiner, now)
            return await self.to_live(joiner, now.seq_oldest - 1)
        return True

    @staticmethod
    def _tell_missing(joiner: Joiner, held: Held) -> None:
        if held.seq_oldest > 1:
            joiner.gap("resume_too_old", epoch=held.epoch, seq_first=1, seq_last=held.seq_oldest - 1)

    async def _replay(self, joiner: Joiner, epoch: int, seq: int) -> bool:
        """Push all that the journal holds of an earlier epoch; return whether the stream still goes on."""
        while True:
            entries, last = await self._read(joiner.topic, epoch, seq)
            if not entries:
                return True
            if not await joiner.push(entries):
                return False
            seq = last

    async def _time_of_last(self, topic: Topic, held: Held) -> int:
        """Return when the last held record of an epoch was published, wall ns; 0: it cannot be read."""
        entries, _ = await self._read(topic, held.epoch, held.seq_last - 1)
        updates = hot_pb2.HotSubscribeResponse.FromString(entries).updates
        return updates[-1].ts_publish if updates else 0

    # The position is no longer held

    def _lost(self, joiner: Joiner, position: Position, held: list[Held], *, is_exact: bool) -> bool:
        head = self._hub.head(*joiner.topic)
        now = _of(held, self.epoch)
        in_ring = joiner.seq_oldest()
        oldest = in_ring if now is None else min(in_ring, now.seq_oldest)
        joiner.tell("resume_lost", seq_oldest=oldest, error=ResumeTooOld(oldest) if is_exact else None)
        if is_exact:
            return False
        is_named = position.epoch == self.epoch
        joiner.gap(
            "resume_too_old",
            epoch=position.epoch or self.epoch,
            seq_first=position.seq + 1 if is_named else 0,
            seq_last=head if is_named else 0,
        )
        return self._afresh(joiner, head)

    @staticmethod
    def _afresh(joiner: Joiner, head: int) -> bool:
        """Start as a newcomer does, behind what was just told: a snapshot, or the next record."""
        start = STARTS[joiner.topic.channel]
        if start == "next":
            joiner.attach("after", seq_after=head, phase="")
        else:
            seq_next, seq_oldest = joiner.attach(start, phase="")
            joiner.tell("caught_up", seq_next=seq_next, seq_oldest=seq_oldest)
        return True

    # The journal, whose failures lose updates and nothing else

    async def _held(self, topic: Topic) -> list[Held]:
        if self._journal is None:
            return []
        try:
            ranges = await asyncio.to_thread(self._journal.ranges, *topic)
        except (OSError, ValueError):
            log.exception("journal.unreadable", extra={"venue": topic.venue})
            return []
        return sorted(Held(*one) for one in ranges)

    async def _read(self, topic: Topic, epoch: int, seq: int) -> tuple[bytes, int]:
        if self._journal is None:
            return b"", seq
        try:
            return await asyncio.to_thread(
                self._journal.read, *topic, epoch=epoch, seq_after=seq, bytes_max=self._chunk_bytes
            )
        except (OSError, ValueError):
            log.exception("journal.unreadable", extra={"venue": topic.venue})
            return b"", seq


def _of(held: list[Held], epoch: int) -> Held | None:
    return next((one for one in held if one.epoch == epoch), None)
