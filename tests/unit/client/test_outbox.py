"""Acknowledgements leave every 256 updates or 250 ms, and never later requests than asked."""

import asyncio

import pytest

from datafacade.client import outbox as room
from datafacade.client.outbox import Outbox
from datafacade.v1 import hot_pb2

PATIENCE_S = 60.0


async def test_requests_leave_in_order() -> None:
    outbox = Outbox([hot_pb2.HotSubscribeRequest(request_id=1)])
    outbox.put(hot_pb2.HotSubscribeRequest(request_id=2))
    requests = outbox.requests()
    async with asyncio.timeout(PATIENCE_S):
        assert [(await anext(requests)).request_id for _ in range(2)] == [1, 2]


async def test_an_acknowledgement_leaves_after_its_time() -> None:
    outbox = Outbox([])
    requests = outbox.requests()
    started = asyncio.get_running_loop().time()
    outbox.processed(4, 3)
    outbox.processed(5, 1)
    async with asyncio.timeout(PATIENCE_S):
        request = await anext(requests)
    assert request.ack_stream_seq == 5
    assert asyncio.get_running_loop().time() - started >= room.ACK_S * 0.9


async def test_many_updates_are_acknowledged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ACK_S", 3600.0)
    outbox = Outbox([])
    requests = outbox.requests()
    waiting = asyncio.ensure_future(anext(requests))
    await asyncio.sleep(0)
    outbox.processed(1, 200)
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.processed(2, 56)
    async with asyncio.timeout(PATIENCE_S):
        assert (await waiting).ack_stream_seq == 2


async def test_signs_of_life_are_not_acknowledged() -> None:
    outbox = Outbox([])
    outbox.processed(1, 0)
    outbox.put(hot_pb2.HotSubscribeRequest(request_id=9))
    async with asyncio.timeout(PATIENCE_S):
        assert (await anext(outbox.requests())).request_id == 9
    assert outbox._due is None


async def test_what_waits_is_bounded() -> None:
    outbox = Outbox([])
    for _ in range(room.REQUESTS_MAX):
        outbox.put(hot_pb2.HotSubscribeRequest())
    with pytest.raises(BufferError):
        outbox.put(hot_pb2.HotSubscribeRequest())
