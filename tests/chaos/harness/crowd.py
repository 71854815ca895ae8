"""Many HotSubscribe calls at once, or one after the other, from one process.

``python -m tests.chaos.harness.crowd KIND --address HOST:PORT --calls N --request BASE64``: ``join`` opens
all calls at once and writes each one's probe file to the folder ``--out`` until it had ``--updates`` updates.
``churn`` opens them evenly over ``--seconds``, each for one of the requests, and cancels every second one at
once, the others at their first response. ``flood`` opens all at once and keeps them until each was answered.
Each prints one line of JSON: what became of the calls.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import grpc

from datafacade.check.probe import HEAD, MAGIC, METHOD, identity
from datafacade.v1 import hot_pb2

CALLS_PER_CONNECTION: Final = 50  # a client of its own each; the service allows 128
OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
Call = grpc.aio.StreamStreamCall[bytes, bytes]


class Crowd:
    """Connections that share calls among them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channels: list[grpc.aio.Channel] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Crowd:
        """Begin without a connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._stack.aclose()

    async def connect(self, connections: int) -> None:
        """Open so many connections."""
        for _ in range(connections):
            channel = grpc.aio.insecure_channel(self._address, options=OPTIONS)
            self._channels.append(await self._stack.enter_async_context(channel))
            await channel.channel_ready()

    def open(self, number: int) -> Call:
        """Open a call."""
        channel = self._channels[number % len(self._channels)]
        return channel.stream_stream(METHOD, request_serializer=identity, response_deserializer=identity)()


def write(path: Path, records: list[tuple[int, bytes, bytes]]) -> None:
    """Write a probe file."""
    head = {"mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns(), "pid": os.getpid()}
    with path.open("wb") as file:
        file.write(MAGIC + json.dumps(head).encode() + b"\n")
        for at_ns, kind, payload in records:
            file.write(HEAD.pack(at_ns, kind, len(payload)) + payload)


async def joiner(call: Call, request: bytes, updates: int) -> list[tuple[int, bytes, bytes]]:
    """Return what one call was told until it had so many updates."""
    records = [(time.monotonic_ns(), b"s", request)]
    await call.write(request)
    count = 0
    while count < updates:
        response = await call.read()
        if not isinstance(response, bytes):
            break
        records.append((time.monotonic_ns(), b"r", response))
        count += len(hot_pb2.HotSubscribeResponse.FromString(response).updates)
    call.cancel()
    return records


async def join(arguments: argparse.Namespace) -> Counter[str]:
    """Open all calls at once."""
    request = base64.b64decode(arguments.request[0])
    async with Crowd(arguments.address) as crowd:
        await crowd.connect(-(-arguments.calls // CALLS_PER_CONNECTION))
        calls = [crowd.open(number) for number in range(arguments.calls)]
        found = await asyncio.gather(*(joiner(call, request, arguments.updates) for call in calls))
    for number, records in enumerate(found):
        write(arguments.out / f"joiner-{number}.bin", records)
    return Counter(joined=len(found))


async def visitor(call: Call, request: bytes, *, is_hasty: bool) -> str:
    """Subscribe and cancel; return what was seen of it."""
    await call.write(request)
    try:
        seen = "cancelled at once" if is_hasty else type(await call.read()).__name__
    except grpc.aio.AioRpcError as error:
        seen = f"{error.code().name} {error.details()}"
    call.cancel()
    return seen


async def churn(arguments: argparse.Namespace) -> Counter[str]:
    """Open calls evenly over a time."""
    requests = [base64.b64decode(text) for text in arguments.request]
    start = asyncio.get_running_loop().time()
    async with Crowd(arguments.address) as crowd, asyncio.TaskGroup() as group:
        await crowd.connect(4)
        tasks = []
        for number in range(arguments.calls):
            due = start + number * arguments.seconds / arguments.calls
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            visit = visitor(crowd.open(number), requests[number % len(requests)], is_hasty=number % 2 == 0)
            tasks.append(group.create_task(visit))
        await asyncio.gather(*tasks)
    return Counter(task.result() for task in tasks)


async def flood(arguments: argparse.Namespace) -> Counter[str]:
    """Open calls and keep them; return which were let in, and what the others were told."""
    request = base64.b64decode(arguments.request[0])
    async with Crowd(arguments.address) as crowd:
        await crowd.connect(-(-arguments.calls // CALLS_PER_CONNECTION))
        calls = [crowd.open(number) for number in range(arguments.calls)]

        async def ask(call: Call) -> str:
            try:
                await call.write(request)
                return type(await call.read()).__name__
            except grpc.aio.AioRpcError as error:
                return f"{error.code().name} {error.details()}"

        return Counter(await asyncio.gather(*(ask(call) for call in calls)))


def main() -> None:
    """Run one kind of crowd."""
    parser = argparse.ArgumentParser(description="many calls from one process")
    parser.add_argument("kind", choices=("join", "churn", "flood"))
    parser.add_argument("--address", required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--request", action="append", required=True)
    arguments = parser.parse_args()
    kinds = {"join": join, "churn": churn, "flood": flood}
    began = time.monotonic()
    became = asyncio.run(kinds[arguments.kind](arguments))
    sys.stdout.write(json.dumps({"became": became, "seconds": time.monotonic() - began}) + "\n")


if __name__ == "__main__":
    main()
