"""``datafacade demo --chaos`` as a user meets it: a short storm, its verdict, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.integration.cli.test_demo import finished, nothing_listens, started

INVARIANTS = [f"I{number}" for number in range(1, 11)]
FIGURES = ["verdict", "seed", "invariants", "faults", "events", "lost_silently", "duplicates"]


@pytest.mark.timeout(240)
async def test_a_short_storm_passes_and_its_last_line_is_one_object(tmp_path: Path) -> None:
    process = await started(tmp_path, "--chaos", "20", "--seed", "1", "--json")
    results, remarks = await finished(process, within_s=200)
    report = json.loads(results.decode().splitlines()[-1])
    assert list(report) == FIGURES
    assert (process.returncode, report["verdict"], report["seed"]) == (0, "PASS", 1), remarks.decode()
    assert report["invariants"] == dict.fromkeys(INVARIANTS, True)
    assert report["faults"].pop("kill_service") == 2
    assert report["faults"].pop("crash_client") >= 1
    assert len(report["faults"]) >= 2
    assert report["events"] > 5_000
    assert report["lost_silently"] == report["duplicates"] == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_storm_has_no_verdict_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = await started(tmp_path, "--chaos", "60", "--json")
    assert process.stderr is not None
    first = await process.stderr.readline() + await process.stderr.readline()
    process.send_signal(number)
    results, rest = await finished(process)
    assert (process.returncode, results, b"Traceback" in rest) == (130, b"", False), rest.decode()
    assert nothing_listens((first + rest).decode())
    assert os.listdir(tmp_path) == []


async def test_logs_are_kept_only_in_a_new_folder(tmp_path: Path) -> None:
    process = await started(tmp_path, "--chaos", "60", "--keep", str(tmp_path))
    _, remarks = await finished(process)
    assert process.returncode == 2
    assert b"exists" in remarks
