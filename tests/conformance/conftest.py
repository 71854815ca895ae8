"""Conformance tests read the recordings; without them they are skipped, and say so."""

import os

import pytest

from tests.conformance.recordings import recordings_folder
from tests.conformance.seeds import SEED_VARIABLE, SEEDS


@pytest.fixture(autouse=True)
def recordings_are_here(request: pytest.FixtureRequest) -> None:
    """Skip a test that needs the recordings where they are absent."""
    folder = recordings_folder()
    if request.node.get_closest_marker("recordings") and not (folder / "MANIFEST.md").is_file():
        pytest.skip(f"no recordings in {folder}: set DATAFACADE_RECORDINGS")


def pytest_report_header() -> str:
    """Print the seeds, so that a failure can be had again."""
    source = SEED_VARIABLE if SEED_VARIABLE in os.environ else "default"
    return f"conformance: damage seeds {SEEDS} ({source}; {SEED_VARIABLE}=N sets the first)"
