"""The reference server tells who watches its health that it drains, whenever that begins (ROW-E14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from datafacade.config import load_config
from datafacade.serve.grpcio_edge import GrpcioServer

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class NoHandlers:
    """Health is answered without them."""

    methods = parted_methods = frozenset[str]()


class Watch(grpc.HandlerCallDetails):
    """How grpc asks for a handler."""

    method = "/grpc.health.v1.Health/Watch"
    invocation_metadata = ()


def watched(*, is_serving: bool) -> tuple[GrpcioServer, AsyncIterator[bytes]]:
    """Return a server, and what it tells somebody who watches it."""
    unused: Any = None
    server = GrpcioServer(
        NoHandlers(),  # type: ignore[arg-type]
        address=("127.0.0.1", 0),
        settings=load_config().service.server,
        hub=unused,
        reader=unused,
        clock=unused,
        epoch=1,
    )
    server.set_health("", is_serving)
    method: Any = server.service(Watch())
    return server, method.unary_stream(b"", None)


async def seen(watching: AsyncIterator[bytes]) -> list[bytes]:
    async with asyncio.timeout(5):
        return [status async for status in watching]


@pytest.mark.proves("ROW-E14")
@pytest.mark.parametrize("is_resumed", [False, True], ids=["while-a-status-leaves", "while-it-waits"])
async def test_a_watch_tells_the_drain_before_it_ends(is_resumed: bool) -> None:
    server, watching = watched(is_serving=True)
    assert await anext(watching) == SERVING
    if is_resumed:
        rest = asyncio.create_task(seen(watching))
        await asyncio.sleep(0)
        await server.drain(0.0, lambda: None)
        assert await rest == [NOT_SERVING]
    else:
        await server.drain(0.0, lambda: None)
        assert await seen(watching) == [NOT_SERVING]


async def test_a_watch_of_a_part_that_was_down_ends_with_the_drain_too() -> None:
    server, watching = watched(is_serving=False)
    assert await anext(watching) == NOT_SERVING
    rest = asyncio.create_task(seen(watching))
    await asyncio.sleep(0)
    await server.drain(0.0, lambda: None)
    assert await rest == [NOT_SERVING]
