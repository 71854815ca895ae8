"""The harness writes down what it did and what it saw of the process: JSON lines, one writer.

Each line has ``t_mono_ns`` and ``action``. ``resources`` carries ``phase`` (``control``, ``during`` or a
name) and what `held` found: ``pid``, ``threads``, ``fds``, ``rest`` and ``bytes``; ``kill`` and ``restart``
mean that another pid is due;
``health`` carries ``since_mono_ns`` (when it was asked) and ``states``, the number of the state by topic;
``pause`` is the machine's own (`metronome`); the rest is for people.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

Entry = dict[str, Any]


class ControlLog:
    """Appends entries."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)

    def note(self, action: str, **fields: object) -> int:
        """Write one entry; return its monotonic time."""
        now = time.monotonic_ns()
        self._file.write(json.dumps({"t_mono_ns": now, "action": action, **fields}) + "\n")
        return now

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_control(lines: Iterable[str]) -> list[Entry]:
    """Read JSON lines."""
    return [json.loads(line) for line in lines if line.endswith("\n")]
