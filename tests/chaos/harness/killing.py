"""Kill a process at each of its calls: counted in Python, or by strace where that is installed."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

STRACE: Final = shutil.which("strace")
CALLS: Final = (
    *("open", "close", "read", "pread", "write", "fsync", "mkdir", "rmdir", "link", "unlink", "rename"),
    *("stat", "fstat"),
)
# What the interpreter does by itself, now and then: it may or may not come again in the next run.
MEMORY: Final = {
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "madvise",
    "futex",
    "rt_sigaction",
    "rt_sigprocmask",
    "getpid",
}
_LINE: Final = re.compile(r"(?:\d+\s+)?([a-z0-9_]+)\(")


class Point(NamedTuple):
    """One call of a trace: its name, and how often that was called before and with it."""

    call: str
    turn: int


def counted(act: Callable[[], None], *, dies_before: int = 0, dies_after: int = 0) -> list[str]:
    """Run something in this process and return its calls; die by SIGKILL at one of them.

    Args:
        act: What to run.
        dies_before: Number of the call that is not made any more, from 1; 0: none.
        dies_after: Number of the call that is the last one made.
    """
    made: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*values: Any, **named: Any) -> Any:  # noqa: ANN401  any call of the module
            made.append(name)
            if len(made) == dies_before:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*values, **named)
            finally:
                if len(made) == dies_after:
                    os.kill(os.getpid(), signal.SIGKILL)

        return stand_in

    for name in CALLS:
        setattr(os, name, watched(name, getattr(os, name)))
    setattr(fcntl, "flock", watched("flock", fcntl.flock))  # noqa: B010  this process ends with it
    act()
    return made


def in_child(act: Callable[[], None]) -> int:
    """Run something in a forked process; return how that ended: minus the signal, or its code."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_for(descriptor: int) -> None:
    """Wait until the other end is closed, by a call that nothing else here makes."""
    poller = select.poll()
    poller.register(descriptor, select.POLLHUP | select.POLLIN)
    poller.poll()


def straced(child: int, go: Callable[[], None], output: Path, *options: str) -> int:
    """Let a waiting process go under strace; return how it ended."""
    assert STRACE is not None
    command = [STRACE, "-p", str(child), "-o", str(output), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:  # noqa: S603  ours
        assert tracer.stderr is not None
        told = tracer.stderr.readline()
        assert "attached" in told, told
        go()
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return ended


def points_of(output: Path) -> list[Point]:
    """Return the calls of a trace, in order, but for the wait at its beginning and the end of the process."""
    counts: Counter[str] = Counter()
    points = []
    for line in output.read_text().splitlines():
        match = _LINE.match(line)
        if match and match[1] not in {"poll", "restart_syscall", "exit_group"}:
            counts[match[1]] += 1
            points.append(Point(match[1], counts[match[1]]))
    return points
