"""``datafacade pit`` on a directory: what it prints and with which code it ends."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from datafacade.cli.failure import UsageError
from datafacade.cli.main import main
from datafacade.cli.pit import instant
from datafacade.store.pit.vault import Vault
from tests.unit.store.pit.fakes import ENTITY, HOUR, START, ManualClock, draft, keep

OLD = START - 100 * HOUR


@pytest.fixture
def kept(tmp_path: Path) -> list[str]:
    """Return the ids of three snapshots, an hour apart, in ``tmp_path``."""
    vault = Vault.open(tmp_path, is_writable=True, clock=ManualClock())
    refs = [keep(vault, draft(number, ts_wall=OLD + number * HOUR))[0] for number in range(3)]
    vault.close()
    return [ref.id for ref in refs]


def said(capsys: pytest.CaptureFixture[str], *words: str | int | Path) -> tuple[int, str]:
    """Run a verb; return its code and what it wrote to stdout."""
    code = main(["pit", *map(str, words)])
    return code, capsys.readouterr().out


def test_a_whole_store_is_verified(
    kept: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(capsys, "verify", "--dir", tmp_path, "--json")
    told = json.loads(text)
    assert (code, told["snapshots"], told["ok"], told["damaged"]) == (0, 3, 3, [])
    assert text.count("\n") == 1
    assert said(capsys, "verify", "--dir", tmp_path) == (0, "3 of 3 snapshots are what was written\n")
    assert len(kept) == 3


@pytest.mark.proves("REQ-P9")
def test_damage_is_named_and_ends_with_one(
    kept: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = next(tmp_path.glob(f"*/*/*{kept[1][:32]}.json.gz"))
    victim.chmod(0o640)
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    code, text = said(capsys, "verify", "--dir", tmp_path, "--json")
    told = json.loads(text)
    assert (code, told["snapshots"], told["ok"], told["damaged"]) == (1, 3, 2, [kept[1]])
    assert said(capsys, "verify", "--dir", tmp_path)[0] == 1
    assert said(capsys, "get", kept[1], "--dir", tmp_path)[0] == 1
    assert said(capsys, "get", kept[0], "--dir", tmp_path)[0] == 0


def test_an_answer_is_printed_for_people_programs_and_byte_for_byte(
    kept: list[str], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["pit", "get", kept[1][:16], "--dir", str(tmp_path)]) == 0
    assert json.loads(capfdbinary.readouterr().out) == {"answer": 1}
    assert main(["pit", "get", kept[1], "--dir", str(tmp_path), "--json"]) == 0
    told = json.loads(capfdbinary.readouterr().out)
    assert (told["id"], told["entity"], told["readable"]) == (kept[1], ENTITY, {"answer": 1})
    assert base64.b64decode(told["message_base64"]) == b"answer 1"


def test_the_time_decides_what_was_known(
    kept: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("at", ENTITY, "2026-11-17T13:41:29Z", "--dir", tmp_path, "--json")
    assert json.loads(said(capsys, *asked)[1])["id"] == kept[1]
    assert said(capsys, "at", ENTITY, str(OLD - 1), "--dir", tmp_path)[0] == 1
    listed = json.loads(said(capsys, "ls", ENTITY, "--from", OLD + 1, "--dir", tmp_path, "--json")[1])
    assert [row["id"] for row in listed] == kept[1:]
    code, text = said(capsys, "ls", "--dir", tmp_path)
    assert code == 0
    assert ENTITY in text


@pytest.mark.proves("REQ-P3")
def test_a_label_holds_against_gc_and_all_is_told(
    kept: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "keep", kept[0], "--dir", tmp_path)[0] == 0
    dry = json.loads(
        said(capsys, "gc", "--dry-run", "--confirm", "--hours", 1, "--dir", tmp_path, "--json")[1]
    )
    gone = json.loads(said(capsys, "gc", "--confirm", "--hours", 1, "--dir", tmp_path, "--json")[1])
    assert dry == gone
    assert gone["ids"] == kept[1:]
    assert said(capsys, "get", kept[0], "--dir", tmp_path)[0] == 0
    code, text = said(capsys, "audit", "--dir", tmp_path, "--json")
    told = json.loads(text)
    operations = [line["op"] for line in told["lines"]]
    assert (code, told["damaged"]) == (0, [])
    assert operations[:4] == ["open", "commit", "commit", "commit"]
    assert operations[-1] == "gc"
    assert "label" in operations
    assert said(capsys, "audit", "--dir", tmp_path)[0] == 0


@pytest.mark.parametrize("verb", [["ls"], ["get", "0" * 16], ["verify"], ["audit"]])
def test_where_no_store_is_the_user_is_told(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pit", *verb, "--dir", str(tmp_path / "nothing")]) == 1
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01T01:00:01.5+01:00", 1_500_000_000),
        ("1970-01-01", 0),
        ("123", 123),
    ],
)
def test_times_are_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert instant(text) == ns


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "-5", "1e9", "0x10"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a time"):
        instant(text)
