"""``datafacade demo`` as a user meets it: simulator, service and judge in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from datafacade.cli.demo import children, command, stage
from datafacade.cli.demo.listener import Listener
from datafacade.cli.failure import ProgramFailed
from datafacade.v1 import hot_pb2

VENUES = {"binance", "okx", "coinbase", "kraken"}
PATIENCE_S = 60
READY = re.compile(r"control (http://\S+)[\s\S]*ready at (\S+)")


async def started(folder: Path, *options: str) -> Process:
    """Start the demo in a folder of its own; its temporary files go there too."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "datafacade.cli.main", "demo", *options,
        cwd=folder, stdout=PIPE, stderr=PIPE, env={"TMPDIR": str(folder), "PATH": "", "TERM": "dumb"},
    )  # fmt: skip


async def finished(process: Process, *, within_s: float = PATIENCE_S) -> tuple[bytes, bytes]:
    """Return what a demo says until its end; one that does not end is killed, and its programs with it."""
    try:
        async with asyncio.timeout(within_s):
            return await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S / 3):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


def nothing_listens(remarks: str) -> bool:
    """Tell whether both programs that the remarks name are gone."""
    found = READY.search(remarks)
    assert found is not None, remarks
    for place in (found[1], f"http://{found[2]}"):
        with socket.socket() as tried:
            if tried.connect_ex((urlsplit(place).hostname, urlsplit(place).port)) == 0:
                return False
    return True


async def test_it_ends_by_itself_and_its_last_line_is_one_object(tmp_path: Path) -> None:
    process = await started(tmp_path, "--seconds", "15", "--json")
    results, remarks = await finished(process)
    report = json.loads(results.decode().splitlines()[-1])
    assert (process.returncode, report["books_equal_truth"]) == (0, True), remarks.decode()
    assert set(report["venues"]) == VENUES
    for figures in report["venues"].values():
        assert figures["state"] == "LIVE"
        assert figures["gaps"] == figures["proofs"]["failed"] == 0
        assert min(figures["trades"], figures["book_updates"], figures["proofs"]["checked"]) > 0
        assert 0 < figures["latency_us"]["p50"] <= figures["latency_us"]["p99"]
    assert nothing_listens(remarks.decode())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_ends_the_table_in_peace(tmp_path: Path, number: signal.Signals) -> None:
    process = await started(tmp_path)
    assert process.stderr is not None
    remarks = [await process.stderr.readline() for _ in range(2)]
    process.send_signal(number)
    results, rest = await finished(process)
    told = b"".join([*remarks, rest]).decode()
    assert (process.returncode, "Traceback" in told) == (0, False), told
    assert results.count(b"datafacade demo") <= 1  # drawn once at most: this is no terminal
    assert nothing_listens(told)
    assert os.listdir(tmp_path) == []


async def test_one_forged_quantity_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    hear = Listener.on_update
    forged: list[str] = []

    def forge(self: Listener, update: hot_pb2.Update, received_mono_ns: int) -> None:
        levels = update.book_snapshot
        if not forged and update.venue == "kraken" and levels.bid_quantities:
            levels.bid_quantities[0] += 1
            forged.append(update.symbol)
        hear(self, update, received_mono_ns)

    monkeypatch.setattr(Listener, "on_update", forge)
    outcome = await command.perform(seconds=12, is_quiet=True, seed=11)
    assert forged
    assert outcome is not None
    assert (outcome.has_differed, outcome.report["books_equal_truth"]) == (True, False)


async def test_a_service_that_does_not_start_is_named_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "venues_yaml", lambda _: "nonsense: 1\n")
    with pytest.raises(ProgramFailed, match=r"the service ended early with exit code 2[\s\S]*venues\.yaml"):
        await command.perform(seconds=4, is_quiet=True, seed=7)


async def test_a_service_that_dies_in_the_middle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    run = asyncio.create_subprocess_exec
    started_ones: list[Process] = []

    async def keep(*words: str, **options: Any) -> Process:  # noqa: ANN401  passed on
        started_ones.append(await run(*words, **options))
        return started_ones[-1]

    def kill(_: Listener, update: hot_pb2.Update, __: int) -> None:
        if not ended and update.HasField("book_delta"):
            ended.append(started_ones[1].pid)
            started_ones[1].kill()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", keep)
    monkeypatch.setattr(Listener, "on_update", kill)
    with pytest.raises(ProgramFailed, match="the service ended early with exit code -9"):
        await command.perform(seconds=90, is_quiet=True, seed=7)


async def test_a_program_that_dies_later_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "robot.py").write_text("import sys; print('ready', flush=True); sys.exit('no disk')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with children.running("robot", "robot") as robot:
        assert await robot.first_line() == "ready"
        with pytest.raises(ProgramFailed, match=r"the robot ended early with exit code 1[\s\S]*no disk"):
            await robot.ended()


async def test_a_program_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    (tmp_path / "deaf.py").write_text(deaf)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(children, "STOP_S", 0.2)
    async with children.running("deaf one", "deaf") as child:
        assert await child.first_line() == "ready"
    with pytest.raises(ProgramFailed, match="exit code -9"):
        await child.ended()
