"""Speak to one subscriber about one topic: statuses, gaps, entries, and the live records at last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from datafacade.clock import Clock
from datafacade.errors import FacadeError
from datafacade.hot.ports import Hub, LossCause, Phase, Start
from datafacade.serve.delivery import Delivery, conflation
from datafacade.serve.status import refuse
from datafacade.types import Topic

CREDIT_WAIT_S: Final = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Joiner:
    """One item of a subscription on its way to the live records of its topic."""

    hub: Hub
    clock: Clock
    subscriber: int
    topic: Topic
    delivery: Delivery
    request_id: int
    subscription_id: int
    requested: str  # the symbol as the client spelled it
    credit_bytes: int  # what is told of the past pauses while the client is owed so much
    gap_ids: Iterator[int]  # of the whole call

    def attach(
        self,
        start: Start,
        *,
        phase: Literal["", "accepted", "resumed"] = "accepted",
        seq_after: int = 0,
        history_trade_id_last: int | None = None,
    ) -> tuple[int, int]:
        """Follow the topic from here on; return (seq_next, seq_oldest).

        Args:
            start: Where the records begin; ``after``: behind ``seq_after``, with CAUGHT_UP at the head.
            phase: What the status before them says; empty: one was told already.
            seq_after: The last seq that the client has.
            history_trade_id_last: The venue's id of the last trade of the history told; None: there is none.

        Raises:
            PositionLost: ``seq_after`` + 1 has left the ring of the hub.
            PositionAhead: ``seq_after`` is above the head.
            ValueError: The stream has ended.
        """
        return self.hub.attach(
            self.subscriber,
            *self.topic,
            start=start,
            seq_after=seq_after,
            delivery=self.delivery.mode,
            interval_ms=self.delivery.interval_ms,
            conflate=conflation(self.topic.channel),
            phase=phase,
            history_trade_id_last=history_trade_id_last,
            wall_ns=self.clock.wall_ns(),
            request_id=self.request_id,
            subscription_id=self.subscription_id,
            requested_symbol=self.requested,
        )

    def tell(
        self,
        phase: Phase,
        *,
        seq_next: int = 0,
        seq_oldest: int = 0,
        error: FacadeError | None = None,
        history_trade_id_last: int | None = None,
    ) -> bool:
        """Queue a status by itself; return whether the stream still goes on."""
        refusal = None if error is None else refuse(error)
        return self.hub.status(
            self.subscriber,
            *self.topic,
            phase=phase,
            wall_ns=self.clock.wall_ns(),
            request_id=self.request_id,
            subscription_id=self.subscription_id,
            requested_symbol=self.requested,
            delivery=self.delivery.mode,
            interval_ms=self.delivery.interval_ms,
            seq_next=seq_next,
            seq_oldest=seq_oldest,
            code=0 if refusal is None else refusal.code,
            reason="" if refusal is None else refusal.reason,
            message="" if refusal is None else refusal.message,
            history_trade_id_last=history_trade_id_last,
        )

    def gap(
        self, cause: LossCause, *, epoch: int, seq_first: int = 0, seq_last: int = 0, ts_first: int = 0
    ) -> bool:
        """Queue a Gap of scope DELIVERY that ends now; return whether the stream still goes on.

        Args:
            cause: Why these updates cannot be given.
            epoch: Of the numbers below.
            seq_first: First missing number; 0: what is missing never had one.
            seq_last: Last missing number.
            ts_first: Time of the last record before the hole, wall ns; 0: unknown.
        """
        now = self.clock.wall_ns()
        return self.hub.gap(
            self.subscriber,
            *self.topic,
            epoch=epoch,
            seq_first=seq_first,
            seq_last=seq_last,
            cause=cause,
            wall_ns=now,
            gap_id=next(self.gap_ids),
            count=seq_last - seq_first + 1 if cause == "resume_too_old" and seq_first else None,
            ts_first=ts_first,
            ts_last=now,
        )

    async def push(self, entries: bytes) -> bool:
        """Queue entries of field 4 once the client has credit; return whether the stream still goes on."""
        while True:
            owed = self.hub.owed(self.subscriber)
            if owed is None:
                return False
            if owed < self.credit_bytes and self.hub.push_entries(self.subscriber, entries):
                return True
            await asyncio.sleep(CREDIT_WAIT_S)  # the hub rings for those who take, not for those who give

    def seq_oldest(self) -> int:
        """Return the oldest seq of the topic that the ring of the hub holds; above the head: none."""
        scout = self.hub.subscriber()
        try:
            _, seq_oldest = self.hub.attach(
                scout,
                *self.topic,
                start="next",
                wall_ns=self.clock.wall_ns(),
                request_id=0,
                subscription_id=0,
                requested_symbol="",
            )
            return seq_oldest
        finally:
            self.hub.close(scout)
