"""`grpc.health.v1`, reflection and the listening socket, as standard tools see them."""

from __future__ import annotations

import asyncio
import importlib.resources
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from datafacade._core import Edge, Hub
from datafacade.errors import AddressTaken
from tests.integration.edge.running import EPOCH, PATIENCE_S, Stream, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
GRACE_MS = 600_000  # longer than any test waits: what is told comes before its end
DESCRIPTOR = (importlib.resources.files("datafacade.v1") / "descriptor.bin").read_bytes()


Check = grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
Watch = grpc.aio.UnaryStreamMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


def health(channel: grpc.aio.Channel) -> tuple[Check, Watch]:
    """Return both methods of the health service, with types."""
    write, read = health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString
    check: Check = channel.unary_unary("/grpc.health.v1.Health/Check", write, read)
    watch: Watch = channel.unary_stream("/grpc.health.v1.Health/Watch", write, read)
    return check, watch


@pytest.mark.proves("ROW-E14")
async def test_health_follows_what_it_is_told_and_a_drain_before_its_grace() -> None:
    async with running() as edge:
        check, watch = health(edge.channel)
        kraken = health_pb2.HealthCheckRequest(service="venue/kraken")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(kraken)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        for name in ("", "datafacade.v1.DataFacadeService"):
            response = await check(health_pb2.HealthCheckRequest(service=name))
            assert response.status == NOT_SERVING
        edge.edge.set_health("venue/kraken", True)
        edge.edge.set_health("", True)
        while (await check(health_pb2.HealthCheckRequest())).status != SERVING:
            pass
        watched = watch(kraken)
        first = await watched.read()
        assert isinstance(first, health_pb2.HealthCheckResponse)
        assert first.status == SERVING
        edge.edge.drain(GRACE_MS)
        async with asyncio.timeout(PATIENCE_S):
            second = await watched.read()
        assert isinstance(second, health_pb2.HealthCheckResponse)
        assert second.status == NOT_SERVING
        assert (await check(health_pb2.HealthCheckRequest())).status == NOT_SERVING


@pytest.mark.proves("CTL-S9")
async def test_reflection_is_off() -> None:
    async with running(descriptor=DESCRIPTOR) as edge, grpc.aio.insecure_channel(edge.address) as channel:
        call: Stream = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")()
        assert await call.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.proves("CTL-S9")
async def test_reflection_tells_a_developer_the_whole_contract() -> None:
    def names(address: str) -> tuple[list[str], list[str]]:
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            service = DescriptorPool(database).FindServiceByName("datafacade.v1.DataFacadeService")
            return list(database.get_services()), [method.name for method in service.methods]

    async with running(descriptor=DESCRIPTOR, dev=True) as edge:
        services, methods = await asyncio.to_thread(names, edge.address)
        ours = {"datafacade.v1.DataFacadeService", "datafacade.v1.SnapshotService"}
        assert {*ours, "grpc.health.v1.Health"} <= set(services)
        assert {"HotSubscribe", "L2Book", "Health", "ListInstruments"} <= set(methods)


def listening(port: int) -> list[str]:
    """Return the addresses on which this machine listens on ``port``, as the kernel writes them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port]


@pytest.mark.proves("CTL-S1")
async def test_it_listens_on_loopback_only() -> None:
    async with running(hosts=["127.0.0.1"]) as edge:
        port = int(edge.address.rpartition(":")[2])
        assert listening(port) == [f"0100007F:{port:04X}"]


@pytest.mark.proves("CTL-S2")
def test_an_address_that_others_can_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="TLS and authentication"):
        Edge(Hub(epoch=EPOCH), epoch=EPOCH, hosts=["0.0.0.0"])  # noqa: S104  refused, that is the point


@pytest.mark.proves("ROW-E17")
@pytest.mark.proves("CTL-S3")
async def test_a_taken_port_is_told_with_its_address() -> None:
    async with running() as edge:
        second = Edge(Hub(epoch=EPOCH), epoch=EPOCH, port=int(edge.address.rpartition(":")[2]))
        with pytest.raises(AddressTaken) as caught:
            second.start()
        assert caught.value.address == edge.address


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hosts": ["localhost"]}, "expected an IP address, received"),
        ({"hosts": []}, "expected an address"),
        ({"limits": {"calls": 1}}, "calls"),
        ({"limits": {"calls_max": 0}}, "calls_max"),
        ({"dev": True, "descriptor": b"\xff"}, "descriptor"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Edge(Hub(epoch=EPOCH), epoch=EPOCH, **options)  # type: ignore[arg-type]  # wrong on purpose
