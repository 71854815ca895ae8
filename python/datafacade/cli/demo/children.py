"""Start a program, hear its first line, notice when it dies early, and stop it whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final, NoReturn, TypeVar

from datafacade.cli.failure import ProgramFailed

READY_S: Final = 60.0  # a slow machine compiles Python files at the first start
STOP_S: Final = 10.0
LAST_LINES: Final = 8
LINE_BYTES_MAX: Final = 1 << 20
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG

T = TypeVar("T")


class Child:
    """One program that was started; all it says is read, the last lines of its stderr are kept."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process = process
        self._first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._ending = asyncio.create_task(self._end(), name=f"end of the {name}")

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    async def kill(self) -> None:
        """End it as the system would, with SIGKILL, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._ending

    async def first_line(self) -> str:
        """Return the first line of its stdout.

        Raises:
            ProgramFailed: It ended before, or none came in time.
        """
        try:
            async with asyncio.timeout(READY_S):
                return await first_of(self._told(), self.ended())
        except TimeoutError:
            raise ProgramFailed(f"the {self.name} was not ready within {READY_S:g} s") from None

    async def ended(self) -> NoReturn:
        """Wait until it ends, which nobody but us should make it do.

        Raises:
            ProgramFailed: It ended; says which, and its last words.
        """
        code = await asyncio.shield(self._ending)
        last = "\n".join(f"  {line}" for line in self._said) or "  (none)"
        raise ProgramFailed(
            f"the {self.name} ended early with exit code {code}; last lines of its stderr:\n{last}"
        )

    async def stop(self) -> None:
        """End it: ask first, kill it after `STOP_S`."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                self._process.terminate()
            done, _ = await asyncio.wait([self._ending], timeout=STOP_S)
            if not done:
                self._process.kill()
        await self._ending

    async def _told(self) -> str:
        return await asyncio.shield(self._first)

    async def _end(self) -> int:
        await asyncio.gather(self._hear_results(), self._hear_remarks())
        return await self._process.wait()

    async def _hear_results(self) -> None:
        async for line in heard(self._process.stdout):
            if not self._first.done():
                self._first.set_result(line.decode(errors="replace").rstrip())

    async def _hear_remarks(self) -> None:
        async for line in heard(self._process.stderr):
            self._said.append(line.decode(errors="replace").rstrip())


def heard(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
    """Return an output that was asked for."""
    if stream is None:
        raise RuntimeError("the output of this program is not read")
    return stream


@contextlib.asynccontextmanager
async def running(name: str, *arguments: str, is_bound: bool = False) -> AsyncIterator[Child]:
    """Run ``python -m`` while the context lasts.

    Args:
        name: What people call it.
        arguments: Module and its arguments.
        is_bound: Whether the system kills it when this process is killed (Linux).
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=LINE_BYTES_MAX,
        start_new_session=True,  # Ctrl-C is ours to handle
        preexec_fn=_bind(os.getpid()) if is_bound else None,
    )  # fmt: skip
    child = Child(name, process)
    try:
        yield child
    finally:
        await child.stop()


def _bind(parent: int) -> Callable[[], None] | None:
    """Return what makes a new process die with this one; None: the system cannot."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec there may be no lock left to take

    def bind() -> None:
        prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before
            os._exit(1)

    return bind


async def first_of(*works: Coroutine[Any, Any, T]) -> T:
    """Run all until the first is over; return what it returns, raise what it raises; end the others."""
    tasks: Sequence[asyncio.Task[T]] = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
