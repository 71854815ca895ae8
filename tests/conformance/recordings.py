"""Where the recordings lie, and the facts that were verified about them."""

import json
import os
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parents[2]


def recordings_folder() -> Path:
    """Return the folder of ``DATAFACADE_RECORDINGS``, or ``../shared/recordings`` beside the project."""
    return Path(os.environ.get("DATAFACADE_RECORDINGS", PROJECT / "../shared/recordings"))


def expected(venue: str, recording: str) -> dict[str, Any]:
    """Return the verified facts of one recording."""
    text = (recordings_folder() / venue / "expected.json").read_text()
    facts: dict[str, Any] = json.loads(text)[recording]
    return facts
