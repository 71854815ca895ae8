"""Connect the Rust edge to the handlers: calls come over its queue, answers go back as bytes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from datafacade.serve.handlers import Handlers
from datafacade.serve.status import Refusal
from datafacade.v1 import health_pb2, types_pb2

log = logging.getLogger(__name__)

IDLE_CHECK_S: Final = 0.02
_STAGES: Final = (
    ("latency", health_pb2.LATENCY_STAGE_PUBLISH_TO_SEND),
    ("unary", health_pb2.LATENCY_STAGE_UNARY),
)
_QUANTILES: Final = ("p50_ns", "p90_ns", "p99_ns", "p999_ns")


class Call(Protocol):
    """One message that waits for an answer (``datafacade._core.Call``)."""

    @property
    def id(self) -> int:
        """Number of the call, unique in this process."""
        ...

    @property
    def method(self) -> str:
        """Path of the method."""
        ...

    @property
    def request(self) -> bytes:
        """The request message."""
        ...

    @property
    def subscriber(self) -> int | None:
        """Handle of the stream's subscriber in the Hub; None: a unary call."""
        ...

    @property
    def is_refresh(self) -> bool:
        """Whether the edge asks, to have an answer in the cache made anew: nobody waits."""
        ...

    def reply(
        self,
        message: bytes = b"",
        *,
        cache_tier: int = 1,
        key: str = "",
        is_stale: bool = False,
        ts_cached: int = 0,
        ts_expires: int = 0,
        age_ns: int = 0,
        snapshot_id: str = "",
    ) -> bool:
        """Answer, or accept a request of a stream."""
        ...

    def part(self, message: bytes) -> bool:
        """Hand over one of several messages; the next may come when the edge credits the call."""
        ...

    def fail(self, code: int, message: str, details: bytes = b"") -> bool:
        """Refuse; a stream ends."""
        ...


class Edge(Protocol):
    """The gRPC server in Rust (``datafacade._core.Edge``)."""

    def start(self) -> int:
        """Listen and start the thread; return the port.

        Raises:
            AddressTaken: Another program listens there.
        """
        ...

    def addresses(self) -> list[str]:
        """Return the addresses that clients can connect to."""
        ...

    def fd(self) -> int:
        """Return the descriptor that is readable while there is something to fetch."""
        ...

    def calls(self) -> Sequence[Call]:
        """Return the calls that came, oldest first."""
        ...

    def cancelled(self) -> list[int]:
        """Return the calls that nobody waits for any more."""
        ...

    def credited(self) -> list[int]:
        """Return the calls that may hand over their next message."""
        ...

    def closed(self) -> list[int]:
        """Return the subscribers whose stream has ended."""
        ...

    def set_health(self, service: str, is_serving: bool) -> None:
        """Tell ``grpc.health.v1``."""
        ...

    def drain(self, grace_ms: int) -> None:
        """Refuse new calls, and end the streams that are left after the grace; return at once."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether no call and no stream is open."""
        ...

    def stop(self) -> None:
        """End what still runs and wait for the thread, less than a second."""
        ...

    def stats(self) -> dict[str, int]:
        """Return the figures of the edge."""
        ...


class EdgeServer:
    """The edge with its handlers. ``run`` it as a task."""

    def __init__(self, edge: Edge, handlers: Handlers) -> None:
        self._edge = edge
        self._handlers = handlers
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, asyncio.Future[None]] = {}  # what handlers of several messages wait for

    async def start(self) -> list[str]:
        """Listen; return the addresses.

        Raises:
            AddressTaken: Another program listens there.
        """
        self._edge.start()
        return self._edge.addresses()

    async def run(self) -> None:
        """Hand calls to the handlers until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                loop.add_reader(self._edge.fd(), self._fetch, tasks)
                await self._handlers.run()  # for ever
        finally:
            loop.remove_reader(self._edge.fd())

    def set_health(self, service: str, is_serving: bool) -> None:
        """Tell ``grpc.health.v1`` how a part is."""
        self._edge.set_health(service, is_serving)

    async def drain(self, grace_s: float, end_streams: Callable[[], None]) -> None:
        """Refuse what is new, end the streams in order, wait for what runs."""
        self._edge.drain(int(grace_s * 1000))
        end_streams()
        try:
            async with asyncio.timeout(grace_s):
                while not self._edge.is_idle:  # noqa: ASYNC110  the edge rings for calls, not for their end
                    await asyncio.sleep(IDLE_CHECK_S)
        except TimeoutError:
            log.warning("edge.cut", extra={"grace_s": grace_s})

    async def stop(self) -> None:
        """End what still runs."""
        await asyncio.to_thread(self._edge.stop)

    def figures(self) -> health_pb2.EdgeHealth:
        """Return the edge's part of Health."""
        stats = self._edge.stats()
        figures = health_pb2.EdgeHealth(
            subscribers=stats["streams_open"],
            connections=stats["connections_open"],
            updates_sent=stats["records_sent"],
            bytes_sent=stats["bytes_sent"],
            responses_sent=stats["responses_sent"],
            slow_readers=stats["streams_cut_slow"] + stats["streams_cut_blocked"],
            unary_calls=stats["unary_total"],
            unary_cached=stats["unary_repeated"],
            unary_failed=stats["unary_failed"],
            calls_queued=stats["calls_open"],
        )
        for name, stage in _STAGES:
            if stats[f"{name}_count"]:
                quantiles = {field: stats[f"{name}_{field}"] for field in _QUANTILES}
                told = types_pb2.LatencyQuantiles(count=stats[f"{name}_count"], **quantiles)
                figures.latencies.add(stage=stage, quantiles=told)
        return figures

    def _fetch(self, tasks: asyncio.TaskGroup) -> None:
        for call in self._edge.calls():
            task = tasks.create_task(self._answer(call), name=call.method)
            self._calls[call.id] = task
            task.add_done_callback(partial(self._done, call.id))
        # A stream's end is told behind the end of its call, and both may come between two of these questions:
        # asked in this order, a stream that is closed here has no call left that would open it again.
        for subscriber in self._edge.closed():
            self._handlers.stream_closed(subscriber)
        for call_id in self._edge.cancelled():
            waiting = self._calls.get(call_id)
            if waiting is not None:
                waiting.cancel()
        for call_id in self._edge.credited():
            credit = self._credits.get(call_id)
            if credit is not None and not credit.done():
                credit.set_result(None)

    def _done(self, call_id: int, _: asyncio.Task[None]) -> None:
        self._calls.pop(call_id, None)

    async def _answer(self, call: Call) -> None:
        if call.subscriber is not None:
            refusal = await self._handlers.stream_request(call.subscriber, call.request)
            if refusal is None:
                call.reply()
                return
        else:
            answer = await self._handlers.call(
                call.method, call.request, send=partial(self._send, call), is_refresh=call.is_refresh
            )
            if not isinstance(answer, Refusal):
                call.reply(
                    answer.message,
                    cache_tier=answer.cache_tier,
                    key=answer.key,
                    is_stale=answer.is_stale,
                    ts_cached=answer.ts_cached,
                    ts_expires=answer.ts_expires,
                    age_ns=answer.age_ns,
                    snapshot_id=answer.snapshot_id,
                )
                return
            refusal = answer
        call.fail(refusal.code, refusal.message, refusal.details)

    async def _send(self, call: Call, message: bytes) -> None:
        """Hand over one of several messages, and wait until the edge has taken it."""
        credit = self._credits[call.id] = asyncio.get_running_loop().create_future()
        try:
            call.part(message)
            await credit  # if nobody waits for the call any more, a cancellation comes instead
        finally:
            del self._credits[call.id]
