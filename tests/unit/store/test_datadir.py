"""The data directory: one owner, epochs that only rise, no link followed, errors that say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.errors import DataDirInUse, DataDirUnusable
from datafacade.store.datadir import DataDir, place

HOLD = """
import sys
from pathlib import Path
from datafacade.store.datadir import DataDir
held = DataDir.open(Path(sys.argv[1]), now_s=1)
print(held.epoch, flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that uses the directory."""
    command = [sys.executable, "-c", HOLD, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603  ours
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def epoch_of(path: Path, now_s: int) -> int:
    """Start once."""
    with closing(DataDir.open(path, now_s=now_s)) as data:
        return data.epoch


def test_a_place_is_chosen_by_argument_then_environment_then_home() -> None:
    everything = {"DATAFACADE_DATA_DIR": "/env", "XDG_STATE_HOME": "/state", "HOME": "/home/me"}
    assert place("/given", everything) == Path("/given")
    assert place(None, everything) == Path("/env")
    assert place("", {"XDG_STATE_HOME": "/state", "HOME": "/home/me"}) == Path("/state/datafacade")
    assert place(None, {"HOME": "/home/me"}) == Path("/home/me/.local/state/datafacade")
    assert place(None, {}) == Path("/var/lib/datafacade")


def test_the_word_none_means_memory_only_wherever_it_stands() -> None:
    assert place("none", {"DATAFACADE_DATA_DIR": "/env"}) is None
    assert place(None, {"DATAFACADE_DATA_DIR": "none", "HOME": "/home/me"}) is None


def test_it_is_made_for_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    with closing(DataDir.open(path, now_s=5)) as data:
        for folder in (path, data.journal):
            assert folder.stat().st_mode & 0o027 == 0
        for file in (path / "lock", path / "epoch"):
            assert file.stat().st_mode & 0o137 == 0


@given(st.lists(st.integers(min_value=1, max_value=2**31), min_size=1, max_size=8))
def test_each_start_is_above_all_earlier_ones_whatever_the_clock_says(clocks: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        epochs = [epoch_of(Path(folder), now_s) for now_s in clocks]
    assert epochs == sorted(set(epochs))
    assert all(epoch >= now_s for epoch, now_s in zip(epochs, clocks, strict=True))


def test_an_epoch_is_above_the_journal_even_if_its_file_was_lost(tmp_path: Path) -> None:
    assert epoch_of(tmp_path, 5) == 5
    (tmp_path / "epoch").unlink()
    (tmp_path / "journal" / "0000000900-000001.dfj").touch()
    (tmp_path / "journal" / "notes.txt").touch()
    assert epoch_of(tmp_path, 5) == 901


def test_a_second_owner_is_told_who_has_it(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(DataDirInUse) as refused:
            DataDir.open(tmp_path, now_s=7)
        assert refused.value.pid == process.pid
        assert str(refused.value) == f"data directory {tmp_path} is in use by pid {process.pid}"
    assert epoch_of(tmp_path, 7) == 7, "a killed owner holds nothing"


def test_closing_lets_the_next_one_in(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path, now_s=7)
    data.close()
    data.close()
    assert epoch_of(tmp_path, 7) == 8


@pytest.mark.parametrize("name", ["lock", "epoch", "epoch.new"])
def test_a_planted_link_is_refused_and_its_target_untouched(tmp_path: Path, name: str) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me\n", encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir()
    (data / name).symlink_to(target)
    with pytest.raises(DataDirUnusable, match=str(data)):
        DataDir.open(data, now_s=7)
    assert target.read_text(encoding="utf-8") == "keep me\n"


def test_what_is_no_directory_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataDirUnusable, match="file"):
        DataDir.open(file, now_s=7)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataDirUnusable, match="permission denied"):
        DataDir.open(tmp_path, now_s=7)


@pytest.mark.parametrize("text", ["", "soon", "-5", "12 34"])
def test_an_epoch_that_is_no_number_is_told_and_not_guessed(tmp_path: Path, text: str) -> None:
    assert epoch_of(tmp_path, 5) == 5
    (tmp_path / "epoch").write_text(text, encoding="utf-8")
    with pytest.raises(DataDirUnusable, match="expected a number"):
        DataDir.open(tmp_path, now_s=7)


def test_an_epoch_that_no_update_can_carry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataDirUnusable, match="expected an epoch up to 4294967295"):
        DataDir.open(tmp_path, now_s=2**32)
