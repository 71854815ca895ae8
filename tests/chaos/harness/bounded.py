"""Run something in a process of its own, and tell how it ended and what memory and time it took."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from datafacade.check.held import resident_bytes

NOBODY: Final = 65_534
AFRESH_S: Final = 120
NOTHING: Final = (None, 0, 0.0)  # of a child that told nothing


class Ended(NamedTuple):
    """What became of a child."""

    status: int  # exit code, or minus the signal
    result: Any  # what it returned
    grown_bytes: int  # peak of its resident memory above where it began
    cpu_s: float  # processor time, which no other process of the machine makes longer


def in_child(act: Callable[[], Any]) -> Ended:
    """Run something in a forked process; not what uses threads, as Polars does.

    Args:
        act: What is measured; what it returns must be picklable.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            told = pickle.dumps(_measured(act))
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(told)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(ended, *(pickle.loads(told) if told else NOTHING))  # noqa: S301  from our own child


def afresh(act: Callable[..., Any], *values: object, warm: Callable[[], Any]) -> Ended:
    """Run something in a new interpreter.

    Args:
        act: A function of a module; what it takes and returns must be picklable.
        values: What it is called with.
        warm: Is run before the measurement begins: what loads libraries. A function of a module, too.
    """
    program = "from tests.chaos.harness import bounded; bounded.run_given()"
    done = subprocess.run(  # noqa: S603  ours
        [sys.executable, "-c", program],
        input=pickle.dumps((act, values, warm)),
        stdout=subprocess.PIPE,
        timeout=AFRESH_S,
        check=False,
    )
    result = pickle.loads(done.stdout) if done.returncode == 0 else NOTHING  # noqa: S301  from our own child
    return Ended(done.returncode, *result)


def run_given() -> None:
    """Run what ``afresh`` sent, and send back what it returned."""
    act, values, warm = pickle.load(sys.stdin.buffer)  # noqa: S301  from our own parent
    warm()
    sys.stdout.buffer.write(pickle.dumps(_measured(lambda: act(*values))))


def _measured(act: Callable[[], Any]) -> tuple[Any, int, float]:
    gc.collect()
    forget_peak()
    start, used = resident_bytes(), time.process_time()
    return act(), peak_bytes() - start, time.process_time() - used


def forget_peak() -> None:
    """Let the peak begin anew from what is resident now."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak_bytes() -> int:
    """Return the largest resident memory of this process since ``forget_peak``."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def become_nobody() -> None:
    """Let go of all rights, for ever."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


@contextlib.contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """Leave this process only so many further descriptors while this is entered."""
    old, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + left, hard))
    held: list[int] = []
    with contextlib.suppress(OSError):  # fills the holes, until there are no more
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    for _ in range(left):
        os.close(held.pop())
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (old, hard))
        for descriptor in held:
            os.close(descriptor)
