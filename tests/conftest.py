"""What every test starts from."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Each test has its timeout; how fast examples are made and tried says nothing where the machine is busy.
settings.register_profile("datafacade", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("datafacade")


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Let children hear SIGINT: a shell that starts a run in the background has it ignored for all."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def forks() -> None:
    """Let no forked child collect what the parent made: threads that it does not have own objects of gRPC."""
    os.register_at_fork(after_in_child=gc.freeze)
