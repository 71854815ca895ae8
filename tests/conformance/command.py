"""Run ``datafacade replay`` as a user does: a process, a file, one JSON object."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.conformance.recordings import PROJECT

TIMEOUT_S: Final = 60
PROGRAM: Final = "from datafacade.cli.main import run; run()"
STOPGAP: Final = """
import json, pathlib, sys
from datafacade.hot.capture import NotACapture
from datafacade.hot.replay import ReplayError, replay_file
every = int(sys.argv[sys.argv.index("--checkpoint-every") + 1]) if "--checkpoint-every" in sys.argv else 0
try:
    report, is_cut = replay_file(pathlib.Path(sys.argv[2]), checkpoint_every=every)
except (NotACapture, ReplayError) as error:
    sys.exit(print(error, file=sys.stderr) or 2)
if is_cut:
    print("warning: the capture is cut", file=sys.stderr)
print(json.dumps(report))
"""


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
    program = PROGRAM if importlib.util.find_spec("datafacade.cli") else STOPGAP
    command = [sys.executable, "-c", program, "replay", str(path), "--json", *options]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "python")}
    done = subprocess.run(  # noqa: S603  our own program, arguments made here
        command, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
    )
    report = json.loads(done.stdout) if done.returncode == 0 else {}
    return Outcome(done.returncode, done.stderr.decode(), report)
