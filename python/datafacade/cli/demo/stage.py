"""Set the stage: simulated venues, the service beside them, and the truth log on its way to us."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from datafacade.cli.demo.children import Child
from datafacade.cli.demo.pair import start_pair
from datafacade.cli.demo.places import venues_yaml

PIPE_BYTES: Final = 1 << 20
LINE_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What runs."""

    target: str  # the service, host:port
    children: tuple[Child, ...]
    log: asyncio.StreamReader  # the truth log as it is written


@contextlib.asynccontextmanager
async def staged(seed: int) -> AsyncIterator[Stage]:
    """Run simulator and service on free ports while the context lasts; nothing stays behind.

    Raises:
        ProgramFailed: One of them does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="datafacade-demo-")))
        truth = folder / "truth.jsonl"
        log = await stack.enter_async_context(pipe(truth))
        pair = await start_pair(
            stack,
            folder,
            *("--truth", str(truth)),
            seed=seed,
            files=lambda ports: {"venues.yaml": venues_yaml(ports)},
        )
        yield Stage(target=pair.target, children=pair.children, log=log)


@contextlib.asynccontextmanager
async def pipe(path: Path) -> AsyncIterator[asyncio.StreamReader]:
    """Make a named pipe and read it: the log of a long demo fills no disk."""
    os.mkfifo(path, 0o600)
    # Open for both, so that it never ends while we read; Linux and macOS allow that.
    end = os.fdopen(os.open(path, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # a wish: there are limits per user
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), end
    )
    try:
        yield reader
    finally:
        transport.close()
