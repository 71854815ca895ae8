"""Questions about the past that are refused, and methods that have none."""

from __future__ import annotations

import time
from random import Random
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message

from datafacade.v1 import cache_pb2, coverage_pb2, health_pb2, pit_pb2
from tests.integration.service.bench import Bench
from tests.integration.service.kept import REQUESTS, Code, refused, stub_of


@pytest.mark.parametrize("method", REQUESTS)
async def test_the_past_is_refused_in_clear_words(bench: Bench, method: str) -> None:
    call, request = getattr(bench.stub, method), REQUESTS[method]
    other = "WarmTicker" if method != "WarmTicker" else "WarmKlines"
    foreign = (await getattr(bench.stub, other)(REQUESTS[other])).served.snapshot_id
    cases: list[tuple[dict[str, Any], grpc.StatusCode, str]] = [
        ({"ts_as_of": time.time_ns() + 10**12}, Code.INVALID_ARGUMENT, "ts_as_of"),
        ({"ts_as_of": -1}, Code.INVALID_ARGUMENT, "ts_as_of"),
        ({"ts_as_of": 1}, Code.NOT_FOUND, "no snapshot"),
        ({"snapshot_id": "ab" * 32}, Code.NOT_FOUND, "no snapshot"),
        ({"snapshot_id": "../../etc/passwd"}, Code.NOT_FOUND, "no snapshot"),
        ({"snapshot_id": foreign}, Code.INVALID_ARGUMENT, "snapshot_id"),
        ({"snapshot_id": foreign, "ts_as_of": 1}, Code.INVALID_ARGUMENT, "ts_as_of"),
    ]
    for past, code, words in cases:
        asked = type(request).FromString(request.SerializeToString())
        for name, value in past.items():
            setattr(asked, name, value)
        error = await refused(call(asked))
        assert (error.code(), words in (error.details() or "")) == (code, True), error.details()


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("PitAt", pit_pb2.PitAtRequest(), "entity"),
        ("PitAt", pit_pb2.PitAtRequest(entity="a/b/c", snapshot_id="ab"), "snapshot_id"),
        ("PitAt", pit_pb2.PitAtRequest(entity="a/b/c", ts_as_of=2**62), "ts_as_of"),
        ("PitList", pit_pb2.PitListRequest(limit=10_001), "limit"),
        ("PitList", pit_pb2.PitListRequest(snapshot_id="ab"), "snapshot_id"),
        ("VerifyPit", pit_pb2.VerifyPitRequest(ts_as_of=1), "ts_as_of"),
        ("PitStats", pit_pb2.PitStatsRequest(ts_as_of=1), "ts_as_of"),
        ("PitStats", pit_pb2.PitStatsRequest(snapshot_id="ab"), "snapshot_id"),
    ],
)
async def test_a_bad_request_is_refused_by_its_field(
    bench: Bench, method: str, request_: Message, field: str
) -> None:
    error = await refused(getattr(stub_of(bench), method)(request_))
    assert error.code() is Code.INVALID_ARGUMENT
    assert (error.details() or "").startswith(field)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pit_pb2.PitGetRequest(), "snapshot_id"),
        (pit_pb2.PitGetRequest(snapshot_id="ab" * 32, ts_as_of=1), "ts_as_of"),
        (pit_pb2.PitGetRequest(snapshot_id="ab" * 32, encoding=cast("Any", 9)), "encoding"),
    ],
)
async def test_a_bad_request_for_a_snapshot_is_refused_by_its_field(
    bench: Bench, request_: pit_pb2.PitGetRequest, field: str
) -> None:
    error = await refused(anext(aiter(stub_of(bench).PitGet(request_))))
    assert error.code() is Code.INVALID_ARGUMENT
    assert (error.details() or "").startswith(field)


async def test_no_bytes_of_a_request_make_a_fault_of_the_service(bench: Bench) -> None:
    random = Random(7)
    seeds = [
        pit_pb2.PitGetRequest(snapshot_id="ab" * 32, encoding=pit_pb2.PIT_ENCODING_ARROW),
        pit_pb2.PitAtRequest(entity="warm.klines/kraken/BTC-USD/1h", ts_as_of=1),
        pit_pb2.PitListRequest(entity="warm.klines/kraken/BTC-USD/1h", limit=3, page_token="1:1"),  # noqa: S106  no secret
    ]
    seen = set()
    for number in range(400):
        content = bytearray(seeds[number % 3].SerializeToString())
        for _ in range(random.randrange(4)):
            content[random.randrange(len(content))] = random.randrange(256)
        method = ("PitGet", "PitAt", "PitList", "VerifyPit", "PitStats")[random.randrange(5)]
        call = cast("Any", bench.channel.unary_stream(f"/datafacade.v1.SnapshotService/{method}"))
        try:
            async for _ in call(bytes(content)):
                pass
        except grpc.aio.AioRpcError as error:
            seen.add(error.code())
    assert seen == {Code.INVALID_ARGUMENT, Code.NOT_FOUND}


@pytest.mark.parametrize(
    "path", ["DataFacadeService/PitStats", "SnapshotService/Health", "SnapshotService/Nope", "Nope/Health"]
)
async def test_a_method_that_a_service_does_not_have_is_unimplemented(bench: Bench, path: str) -> None:
    call = cast("Any", bench.channel.unary_unary(f"/datafacade.v1.{path}"))
    assert (await refused(call(b""))).code() is Code.UNIMPLEMENTED


async def test_health_knows_the_service_of_snapshots(bench: Bench) -> None:
    assert await bench.health("datafacade.v1.SnapshotService") == 1


async def test_methods_without_a_past_say_so(bench: Bench) -> None:
    for call, request in (
        (bench.stub.Health, health_pb2.HealthRequest(ts_as_of=1)),
        (bench.stub.CacheStats, cache_pb2.CacheStatsRequest(snapshot_id="ab")),
        (bench.stub.Coverage, coverage_pb2.CoverageRequest(ts_as_of=1)),
    ):
        assert (await refused(call(request))).code() is Code.UNIMPLEMENTED
