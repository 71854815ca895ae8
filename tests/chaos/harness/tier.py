"""How much a run injects: the quick tier by default, the full one with ``DATAFACADE_TIER=2`` (FAULTS 2.2)."""

import os
from typing import Final

TIER: Final = int(os.environ.get("DATAFACADE_TIER", "1"))
IS_FULL: Final = TIER >= 2
INJECTIONS: Final = 20 if IS_FULL else 5
