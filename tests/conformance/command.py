"""Run ``datafacade replay`` as a user does: a process, a file, one JSON object."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.conformance.recordings import PROJECT

TIMEOUT_S: Final = 110  # below the timeout of a test
PROGRAM: Final = "from datafacade.cli.main import run; run()"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a replay ended."""

    code: int
    stderr: str
    report: dict[str, Any]  # empty unless the code is 0

    def book(self, key: str) -> dict[str, Any]:
        """Return one book of the report."""
        book: dict[str, Any] = self.report["books"][key]
        return book


def replay(path: Path, *options: str) -> Outcome:
    """Replay a capture."""
    command = [sys.executable, "-c", PROGRAM, "replay", str(path), "--json", *options]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "python")}
    done = subprocess.run(  # noqa: S603  our own program, arguments made here
        command, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
    )
    report = json.loads(done.stdout) if done.returncode == 0 else {}
    return Outcome(done.returncode, done.stderr.decode(), report)
