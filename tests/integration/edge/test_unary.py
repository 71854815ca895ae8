"""Unary calls from grpcio to handlers in Python and back."""

from __future__ import annotations

import asyncio
import hashlib
import time

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]  # no py.typed

from datafacade._core import Call
from datafacade.v1 import health_pb2, lineage_pb2
from tests.integration.edge.running import SERVICE, Unary, details, running, until
from tests.starved import Starved

HEALTH = SERVICE + "Health"
STOPS_S = 0.05  # FAULTS E13


async def echo(call: Call) -> None:
    call.reply(call.request)


async def test_an_answer_comes_back_with_served_and_the_hash_of_what_the_handler_wrote() -> None:
    answer = health_pb2.HealthResponse(is_draining=True).SerializeToString()

    async def handler(call: Call) -> None:
        call.reply(answer, cache_tier=lineage_pb2.CACHE_TIER_LIVE)

    async with running(handler, served_methods=[HEALTH]) as edge:
        received = await edge.unary("Health")(b"")
        assert received.startswith(answer)
        response = health_pb2.HealthResponse.FromString(received)
        assert response.is_draining
        assert response.served.cache_tier == lineage_pb2.CACHE_TIER_LIVE
        assert response.served.snapshot_id == hashlib.sha256(answer).hexdigest()
        assert 0 < response.served.latency_ns < 10_000_000_000
        assert await edge.unary("CacheStats")(b"") == answer


async def test_a_refusal_carries_status_details() -> None:
    info = error_details_pb2.ErrorInfo(
        reason="UNKNOWN_SYMBOL", domain="datafacade", metadata={"venue": "kraken"}
    )
    packed = any_pb2.Any()
    packed.Pack(info)
    status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="unknown symbol 'BTÇ'", details=[packed])

    async def handler(call: Call) -> None:
        call.fail(status.code, status.message, status.SerializeToString())

    async with running(handler) as edge:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await edge.unary("L2Book")(b"")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "unknown symbol 'BTÇ'"
        assert details(caught.value) == status


async def test_a_code_that_is_no_refusal_is_an_error_of_the_handler() -> None:
    async with running() as edge:
        waiting = edge.unary("Health")(b"")
        await until(lambda: len(edge.calls) == 1, "the call")
        for code in (0, 17, -1):
            with pytest.raises(ValueError, match="code"):
                edge.calls[0].fail(code, "not a refusal")
        assert edge.calls[0].reply(b"")
        assert not edge.calls[0].reply(b"twice")
        assert await waiting == b""


async def test_handlers_see_who_asks_what_and_until_when() -> None:
    async with running() as edge:
        waiting = edge.unary("Health")(b"ask", timeout=5, metadata=(("x-bot", "seven"), ("x-raw-bin", b"\0")))
        await until(lambda: len(edge.calls) == 1, "the call")
        call = edge.calls[0]
        assert (call.method, call.request, call.subscriber) == (HEALTH, b"ask", None)
        assert call.peer.startswith("127.0.0.1:")
        assert call.deadline_ns is not None
        # On the wire grpcio rounds a timeout of seconds up to the next 10 ms.
        assert 0 < call.deadline_ns - time.monotonic_ns() <= 5_010_000_000
        metadata = dict(call.metadata())
        assert metadata["x-bot"] == "seven"
        assert not [name for name in metadata if name.startswith("grpc-") or name.endswith("-bin")]
        call.reply(b"answer")
        assert await waiting == b"answer"


@pytest.mark.proves("ROW-E13")
async def test_a_passed_deadline_stops_the_handler_within_50_ms() -> None:
    async with running() as edge:
        waiting = edge.unary("Health")(b"", timeout=1)
        await until(lambda: len(edge.calls) == 1, "the call")
        deadline_ns = edge.calls[0].deadline_ns
        assert deadline_ns is not None
        with Starved() as starved:
            await until(lambda: edge.cancelled != [], "the cancellation")
            late_s = (time.monotonic_ns() - deadline_ns) / 1e9
        assert late_s - starved.seconds < STOPS_S
        assert edge.cancelled == [edge.calls[0].id]
        assert edge.calls[0].is_cancelled
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await waiting
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.proves("ROW-E13")
async def test_a_cancelled_call_stops_the_handler_within_50_ms() -> None:
    async with running() as edge:
        waiting = edge.unary("Health")(b"")
        await until(lambda: len(edge.calls) == 1, "the call")
        waiting.cancel()
        with Starved() as starved:
            took_s = await until(lambda: edge.calls[0].is_cancelled, "the cancellation")
        assert took_s - starved.seconds < STOPS_S
        await until(lambda: edge.cancelled == [edge.calls[0].id], "the news")


@pytest.mark.proves("CTL-S14")
async def test_the_server_s_own_limit_is_unavailable_and_not_the_client_s_deadline() -> None:
    async with running(limits={"unary_ms_max": 50}) as edge:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await edge.unary("Health")(b"", timeout=5)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.proves("CTL-S10")
@pytest.mark.proves("ROW-E09")
async def test_a_request_beyond_64_kib_is_refused_and_the_connection_survives() -> None:
    async with running(echo) as edge:
        call = edge.unary("Health")
        assert await call(bytes(65_536)) == bytes(65_536)
        for size in (65_537, (4 << 20) + 1):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(bytes(size))
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await call(b"alive") == b"alive"
        assert edge.edge.stats()["connections_total"] == 1


@pytest.mark.proves("CTL-S11")
@pytest.mark.proves("ROW-E09")
async def test_metadata_beyond_8_kib_is_refused_and_the_connection_survives() -> None:
    async with running(echo) as edge:
        call = edge.unary("Health")
        for kib in (9, 17):
            with pytest.raises(grpc.aio.AioRpcError):
                await call(b"", metadata=(("x-large", "m" * kib * 1024),))
        assert await call(b"alive") == b"alive"
        assert edge.edge.stats()["connections_total"] == 1


@pytest.mark.proves("CTL-S17")
async def test_a_compressed_request_is_not_accepted_so_nothing_is_inflated() -> None:
    async with (
        running(echo) as edge,
        grpc.aio.insecure_channel(edge.address, compression=grpc.Compression.Gzip) as channel,
    ):
        call: Unary = channel.unary_unary(HEALTH)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(bytes(1 << 20))
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert edge.calls == []


async def test_calls_beyond_the_bridge_are_refused_and_the_others_answered() -> None:
    async with running(limits={"calls_max": 8}) as edge:
        call = edge.unary("Health")
        waiting = [asyncio.ensure_future(call(bytes([number]))) for number in range(20)]
        await until(lambda: len(edge.calls) == 8 and edge.edge.stats()["calls_open"] == 8, "eight calls")
        await until(lambda: sum(task.done() for task in waiting) == 12, "twelve refusals")
        for held in edge.calls:
            held.reply(held.request)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert {error.code() for error in refused} == {grpc.StatusCode.UNAVAILABLE}
        given = {detail.TypeName() for detail in details(refused[0]).details}
        assert given == {"google.rpc.RetryInfo", "google.rpc.ErrorInfo"}
        assert sum(isinstance(outcome, bytes) for outcome in outcomes) == 8


async def test_a_thousand_calls_at_once_each_get_their_own_answer() -> None:
    async with running(echo) as edge:
        call = edge.unary("Health")
        questions = [number.to_bytes(4) for number in range(1_000)]
        assert await asyncio.gather(*[call(question) for question in questions]) == questions
        assert edge.edge.stats()["unary_total"] == 1_000
        await until(lambda: edge.edge.is_idle, "idle")
