"""Notice when the machine itself stood still: a process that wants to wake, and writes when it could not.

``python -m datafacade.check.metronome --out FILE`` appends control entries ``pause`` with ``since_mono_ns``
(when it wanted to wake) and ``t_mono_ns`` (when it did). What was under way meanwhile says nothing about
anybody's delay.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from datafacade.check.control import ControlLog

BEAT_NS: Final = 20_000_000
LATE_NS: Final = 20_000_000


def main() -> int:
    """Beat until the process is ended."""
    parser = argparse.ArgumentParser(description="write down when the machine stood still")
    parser.add_argument("--out", required=True, type=Path)
    log = ControlLog(parser.parse_args().out)
    while True:
        due = time.monotonic_ns() + BEAT_NS
        time.sleep(BEAT_NS / 1e9)
        if time.monotonic_ns() - due > LATE_NS:
            log.note("pause", since_mono_ns=due)


if __name__ == "__main__":
    sys.exit(main())
