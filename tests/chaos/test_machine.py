"""A red row tells what the machine did to its processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.harness import machine
from tests.chaos.harness.wait import until

BUSY = "while True: pass"


def compete(rival: int) -> None:
    """Wait until a process waited; then find the row red."""
    until(lambda: machine.waited_ns(rival) > 100 * machine.MS, within_s=20, what="it waits")
    raise AssertionError("red")


@pytest.mark.skipif(
    not (machine.PROC / "self" / "schedstat").exists(), reason="NOT TESTED: this kernel counts no waits"
)
def test_an_error_names_the_processes_of_a_row_and_how_long_each_waited() -> None:
    core = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(core), sys.executable, "-c", BUSY]
    rivals = [subprocess.Popen(command) for _ in range(2)]  # noqa: S603  our own code
    try:
        with pytest.raises(AssertionError) as raised, machine.told():
            compete(rivals[0].pid)
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait(10)
    (note,) = raised.value.__notes__
    assert "this test " in note
    assert note.count("python") == len(rivals)
