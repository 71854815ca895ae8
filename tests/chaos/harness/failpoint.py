"""Serve as ``datafacade`` does, with a failpoint: SIGUSR2 lets the next frame of one feed panic (row H01).

``DATAFACADE_FAILPOINT`` names the feed as ``kraken/spot``. The product knows nothing of it: the factory's
Feed is wrapped from outside.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final

from datafacade.app import build
from datafacade.cli import main

VARIABLE: Final = "DATAFACADE_FAILPOINT"


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


if __name__ == "__main__":
    watch(os.environ[VARIABLE])
    sys.exit(main.main())
