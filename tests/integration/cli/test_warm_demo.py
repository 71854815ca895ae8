"""``datafacade demo --warm`` as a user meets it: a short load, its last line, and nothing left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.cli.test_demo import finished, nothing_listens, started


@pytest.mark.timeout(180)
async def test_a_short_warm_load_stays_within_the_limits_and_answers_the_truth(tmp_path: Path) -> None:
    process = await started(tmp_path, "--warm", "6", "--seed", "1", "--json")
    results, remarks = await finished(process, within_s=150)
    assert process.returncode == 0, remarks.decode()
    report = json.loads(results.decode().splitlines()[-1])
    assert list(report) == ["cold", "zipf", "http_429", "http_418", "budget_error_ratio", "wrong_answers"]
    assert report["cold"] == {"distinct_keys": 200, "upstream_calls": 200}
    assert list(report["zipf"]) == ["requests", "refused", "hit_rate", "p50_us", "p99_us"]
    assert report["zipf"]["requests"] > 1_000
    assert report["zipf"]["hit_rate"] > 0.95
    assert (report["http_429"], report["http_418"], report["wrong_answers"]) == (0, 0, 0)
    assert report["budget_error_ratio"] <= 0.01
    assert nothing_listens(remarks.decode())
    assert os.listdir(tmp_path) == []


async def test_two_demos_at_once_are_a_mistake(tmp_path: Path) -> None:
    process = await started(tmp_path, "--warm", "6", "--chaos", "20")
    _, remarks = await finished(process)
    assert process.returncode == 2
    assert b"expected one of them" in remarks
