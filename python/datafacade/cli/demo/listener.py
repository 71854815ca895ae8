"""Listen to the service as any gRPC client can, without our SDK: count, take times, feed the truth."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from datafacade.cli.demo.truth import LIVE, Delay, Truth, pair_of
from datafacade.cli.failure import ProgramFailed
from datafacade.cli.text import clean, quantile
from datafacade.v1 import health_pb2, hot_pb2, types_pb2
from datafacade.v1.service_pb2_grpc import DataFacadeServiceStub

RESPONSE_BYTES_MAX: Final = 64 << 20
DELAYS_MAX: Final = 100_000  # newest ones that quantiles are taken of
SILENCE_S: Final = 10.0  # the service says something every second
CHANNELS: Final = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK_L2)


@dataclass(slots=True)
class Counts:
    """What came from one venue."""

    trades: int = 0
    book_updates: int = 0
    gaps: set[tuple[str, int, int, int]] = field(default_factory=set)  # symbol, channel, scope, id
    delays_ns: deque[int] = field(default_factory=lambda: deque(maxlen=DELAYS_MAX))


class Listener:
    """One stream of all books and trades, and what it says.

    Args:
        pairs: Canonical symbols by venue.
        on_delay: Hears how long each event took.
    """

    def __init__(
        self, pairs: Mapping[str, Sequence[str]], *, on_delay: Callable[[Delay], None] | None = None
    ) -> None:
        self.truth = Truth((venue, symbol) for venue, symbols in pairs.items() for symbol in symbols)
        self.counts = {venue: Counts() for venue in pairs}
        self._pairs = pairs
        self._on_delay = on_delay
        self.is_first_live = asyncio.Event()
        self._has_settled = asyncio.Event()

    async def listen(self, target: str) -> None:
        """Read the stream until cancelled.

        Raises:
            ProgramFailed: The service refuses something, or the stream ends.
        """
        options = [("grpc.max_receive_message_length", RESPONSE_BYTES_MAX), ("grpc.enable_http_proxy", 0)]
        async with grpc.aio.insecure_channel(target, options=options) as channel:
            call = DataFacadeServiceStub(channel).HotSubscribe()
            try:
                await call.write(hot_pb2.HotSubscribeRequest(request_id=1, subscribe=self._wanted()))
                while True:
                    async with asyncio.timeout(SILENCE_S):
                        response = await call.read()
                    received = time.monotonic_ns()
                    if not isinstance(response, hot_pb2.HotSubscribeResponse):
                        raise ProgramFailed("the service ended the stream")
                    for update in response.updates:
                        self.on_update(update, received)
            except grpc.aio.AioRpcError as error:
                raise ProgramFailed(f"the service ended the stream: {clean(error.details() or '')}") from None
            except TimeoutError:
                raise ProgramFailed(f"the service was silent for {SILENCE_S:g} s") from None

    async def read_log(self, log: asyncio.StreamReader) -> None:
        """Read the truth log and judge, until cancelled."""
        while line := await log.readline():
            self.truth.on_record(json.loads(line))
            self._settle()

    async def settled(self) -> None:
        """Wait until the log has reached all that came."""
        self._has_settled.clear()
        if self.truth.waiting:
            await self._has_settled.wait()

    def on_update(self, update: hot_pb2.Update, received_mono_ns: int) -> None:
        """Count one update and leave it to the truth.

        Raises:
            ProgramFailed: It tells that a subscription is refused.
        """
        counts = self.counts.get(update.venue)
        if counts is None:
            return
        match update.WhichOneof("payload"):
            case "trade":
                counts.trades += 1
            case "book_delta" | "book_snapshot":
                counts.book_updates += 1
            case "gap":
                counts.gaps.add((update.symbol, update.channel, update.gap.scope, update.gap.gap_id))
            case "subscription_status" if update.subscription_status.code:
                why = clean(update.subscription_status.message)
                raise ProgramFailed(f"the service refuses {update.venue} {update.symbol}: {why}")
        self.truth.on_update(update, received_mono_ns)

    def report(self, health: health_pb2.HealthResponse) -> dict[str, Any]:
        """Return all figures, for programs."""
        proofs = {row.venue: row.counts for row in health.venues}
        return {
            "venues": {venue: self._venue(venue, proofs.get(venue)) for venue in self._pairs},
            "books_equal_truth": self.truth.is_equal,
        }

    def live(self) -> int:
        """Return how many books are live."""
        return sum(book.state == LIVE for book in self.truth.books.values())

    def _venue(self, venue: str, proofs: health_pb2.StreamCounts | None) -> dict[str, Any]:
        counts = self.counts[venue]
        ordered = sorted(counts.delays_ns)
        return {
            "state": self._state(venue),
            "trades": counts.trades,
            "book_updates": counts.book_updates,
            "gaps": len(counts.gaps),
            "proofs": {
                "checked": proofs.proofs_checked if proofs else 0,
                "failed": proofs.proofs_failed if proofs else 0,
            },
            "latency_us": {
                name: quantile(ordered, ratio) // 1_000 for name, ratio in (("p50", 0.5), ("p99", 0.99))
            },
        }

    def _state(self, venue: str) -> str:
        """Return LIVE if all books of a venue are, else the state of the first that is not."""
        states = [self.truth.books[pair_of(venue, symbol)].state for symbol in self._pairs[venue]]
        number = next((state for state in states if state != LIVE), int(LIVE))
        value = types_pb2.State.DESCRIPTOR.values_by_number.get(number)
        return value.name.removeprefix("STATE_") if value else str(number)

    def _settle(self) -> None:
        for delay in self.truth.settle():
            self.counts[delay.venue].delays_ns.append(delay.ns)
            if self._on_delay is not None:
                self._on_delay(delay)
        if not self.truth.waiting:
            self._has_settled.set()
        if not self.is_first_live.is_set() and self.live():
            self.is_first_live.set()

    def _wanted(self) -> list[hot_pb2.Subscription]:
        return [
            hot_pb2.Subscription(
                subscription_id=number,
                venues=[venue],
                symbols=symbols,
                channels=CHANNELS,
                delivery=types_pb2.DELIVERY_MODE_EVERY,
            )
            for number, (venue, symbols) in enumerate(self._pairs.items(), start=1)
        ]
