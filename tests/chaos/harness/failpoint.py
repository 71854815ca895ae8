"""Serve as ``datafacade`` does, with failpoints of which the product knows nothing.

SIGUSR2 lets the next frame of one feed panic (row H01): ``DATAFACADE_FAILPOINT`` names it as ``kraken/spot``,
and the factory's Feed is wrapped from outside. SIGUSR1 blocks the event loop for
``DATAFACADE_FAILPOINT_BLOCK_S`` seconds (2), as a plugin that forgot to await would (row E19).
``DATAFACADE_FAILPOINT_TOLD_S`` says how long Health warns of an answer that was not kept, so that the end of
the warning can be waited for (rows F03, F10 to F12).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Final

from datafacade.app import build
from datafacade.cli import main
from datafacade.warm import snapshots

VARIABLE: Final = "DATAFACADE_FAILPOINT"
BLOCK_VARIABLE: Final = "DATAFACADE_FAILPOINT_BLOCK_S"
TOLD_VARIABLE: Final = "DATAFACADE_FAILPOINT_TOLD_S"


def watch(name: str) -> None:
    """Arm the failpoint of the feed ``name`` on SIGUSR2."""
    feeds: dict[str, Any] = {}
    original = vars(build)["Feed"]

    def make(**arguments: Any) -> Any:  # noqa: ANN401  passed through
        feed = original(**arguments)
        feeds[f"{arguments['venue']}/{arguments['product']}"] = feed
        return feed

    vars(build)["Feed"] = make
    signal.signal(signal.SIGUSR2, lambda *_: feeds[name].arm_failpoint())


def block_on_signal(seconds: float) -> None:
    """Hold the event loop up for so long on SIGUSR1: signals are handled on its thread."""
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(seconds))


if __name__ == "__main__":
    if VARIABLE in os.environ:
        watch(os.environ[VARIABLE])
    if TOLD_VARIABLE in os.environ:
        vars(snapshots)["TOLD_NS"] = int(float(os.environ[TOLD_VARIABLE]) * 1e9)
    block_on_signal(float(os.environ.get(BLOCK_VARIABLE, "2")))
    sys.exit(main.main())
