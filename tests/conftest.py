"""What every test starts from."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Let children hear SIGINT: a shell that starts a run in the background has it ignored for all."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
