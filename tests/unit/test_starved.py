"""What excuses a slow test, and what does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.starved import Starved

GREED_S = 0.3


@pytest.fixture
def greedy() -> Iterator[None]:
    """Let no thread take the interpreter from another one that computes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(10)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("greedy")
def test_code_that_keeps_the_interpreter_to_itself_is_no_excuse() -> None:
    began, used = time.monotonic(), time.process_time()
    with Starved() as starved:
        time.sleep(0.01)
        while time.process_time() - used < GREED_S:
            pass
    idle = (time.monotonic() - began) - (time.process_time() - used)
    assert starved.seconds <= idle + 0.01


def test_a_process_that_is_stopped_is_excused_for_as_long() -> None:
    stop = f"os.kill({os.getpid()}, {int(signal.SIGSTOP)})"
    go = f"os.kill({os.getpid()}, {int(signal.SIGCONT)})"
    with Starved() as starved:
        code = f"import os, time; {stop}; time.sleep({GREED_S}); {go}"
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  our own code
    assert starved.seconds >= GREED_S - 0.01
