"""What children of the harness are started with."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this environment, and where our packages lie."""
    paths = os.pathsep.join(dict.fromkeys(path for path in sys.path if path))
    return {**os.environ, "PYTHONPATH": paths, **(more or {})}
