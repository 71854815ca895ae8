"""A commit in a process under strace, which may let one of its calls fail or be its last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from datafacade.errors import FacadeError
from datafacade.store.pit.record import PitRef
from tests.chaos.harness import killing
from tests.chaos.harness.vaults import WATCHED, opened
from tests.unit.store.pit.fakes import commit


def tell(outcomes: Sequence[PitRef | FacadeError], ledger: int) -> None:
    """Write down what became of each: its id, or why it was refused."""
    for outcome in outcomes:
        told = outcome.id if isinstance(outcome, PitRef) else type(outcome).__name__
        os.write(ledger, f"{told}\n".encode())


def told_in(ledger: Path) -> list[str]:
    """Return what was told in whole lines."""
    return [line for line in ledger.read_text().split("\n")[:-1] if line]


def traced(origin: Path, tmp_path: Path, *rules: str) -> tuple[int, Path]:
    """Commit what is watched into ``tmp_path / "store"``; ``tmp_path / "told"`` is the ledger.

    Args:
        origin: The store that is copied there before.
        tmp_path: Where all of it goes.
        rules: Of strace, as ``inject=fsync:error=EIO:when=3``.

    Returns:
        How the process ended, and the trace of its calls from the commit on.
    """
    path, ledger, trace = tmp_path / "store", tmp_path / "told", tmp_path / "trace"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(origin, path)
    ledger.write_text("")
    reading, writing = os.pipe()
    ready, is_ready = os.pipe()

    def act() -> None:
        os.close(writing)
        vault = opened(path)
        told = os.open(ledger, os.O_WRONLY)
        os.write(is_ready, b"!")
        killing.wait_for(reading)
        tell(commit(vault, WATCHED), told)
        os._exit(0)

    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    os.close(reading)
    os.read(ready, 1)
    options = [word for rule in rules for word in ("-e", rule)]
    ended = killing.straced(child, lambda: os.close(writing), trace, "-y", *options)
    for descriptor in (ready, is_ready):
        os.close(descriptor)
    return ended, trace
