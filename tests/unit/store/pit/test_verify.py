"""Verify names exactly what is not what was written, and nothing else."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from datafacade.errors import FacadeError, PitCorrupt
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import Verdict, verify
from tests.unit.store.pit.fakes import HOUR, START, ManualClock, draft, keep

FLIPS = 1_000


def built(path: Path) -> list[PitRef]:
    """Make a store with folded and small segments, labels and two entities."""
    vault = Vault.open(path, is_writable=True, clock=ManualClock())
    refs = []
    for number in range(12):
        venue = ("binance", "okx")[number % 2]
        refs += keep(vault, draft(number, entity=f"warm.klines/{venue}/BTC-USDT/1h"))
        if number == 6:
            vault.manifest.fold(vault.writer.publish, least=3)
    refs += keep(vault, *(draft(number, ts_wall=START + HOUR * number) for number in range(12, 16)))
    vault.label(refs[3].id, ["keep"])
    vault.close()
    return refs


def verdict_of(path: Path) -> Verdict:
    """Verify a store as the command does: from its files alone."""
    vault = Vault.open(path, is_writable=False)
    try:
        return verify(vault.root)
    finally:
        vault.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[PitRef]]:
    """Return a store that is whole; tests copy it."""
    path = tmp_path_factory.mktemp("whole") / "pit"
    return path, built(path)


@pytest.fixture
def store(whole: tuple[Path, list[PitRef]], tmp_path: Path) -> tuple[Path, list[PitRef]]:
    """Return a copy that may be damaged."""
    shutil.copytree(whole[0], tmp_path / "pit")
    return tmp_path / "pit", whole[1]


def content_files(path: Path) -> list[Path]:
    """Return all files that hold a byte."""
    return sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)


def rewrite(file: Path, content: bytes) -> None:
    """Change a file that nobody should."""
    file.chmod(0o640)
    file.write_bytes(content)


def test_a_whole_store_has_no_damage(store: tuple[Path, list[PitRef]]) -> None:
    path, refs = store
    verdict = verdict_of(path)
    assert (verdict.snapshots, verdict.ok, verdict.damaged, verdict.unlisted) == (
        len(refs),
        len(refs),
        [],
        [],
    )


@pytest.mark.proves("ROW-F05")
@pytest.mark.timeout(600)  # 20 s of a processor that is ours alone
def test_each_of_a_thousand_flipped_bits_is_found_and_named(store: tuple[Path, list[PitRef]]) -> None:
    path, refs = store
    ids = {ref.id for ref in refs}
    draw, files = random.Random(5), content_files(path)
    kinds: set[str] = set()
    for _ in range(FLIPS):
        file = draw.choice(files)
        content = bytearray(file.read_bytes())
        at = draw.randrange(len(content))
        content[at] ^= 1 << draw.randrange(8)
        intact = file.read_bytes()
        rewrite(file, bytes(content))
        named = verdict_of(path).damaged
        rewrite(file, intact)
        relative = str(file.relative_to(path))
        assert named, f"bit of byte {at} in {relative}"
        if relative.startswith("."):
            assert relative in named, named
        else:
            assert len(named) == 1
            assert named[0] in ids
            assert named[0][:32] in relative
        kinds.add(relative.partition("/")[0] if relative.startswith(".") else "".join(file.suffixes))
    assert kinds == {".manifest", ".audit", ".json.gz", ".pb", ".meta.json"}, (
        "some kind of file was never hit"
    )
    assert verdict_of(path).damaged == []


@pytest.mark.proves("ROW-F05")
@pytest.mark.parametrize("suffix", [".json.gz", ".pb", ".meta.json"])
def test_damage_noticed_at_a_start_goes_into_quarantine_and_the_rest_stays(
    store: tuple[Path, list[PitRef]], suffix: str
) -> None:
    path, refs = store
    victim = next(path.glob(f"*/*/*{refs[5].id[:32]}{suffix}"))
    content = victim.read_bytes()
    rewrite(victim, content[:5] + bytes([content[5] ^ 4]) + content[6:])
    vault = Vault.open(path, is_writable=True, clock=ManualClock())
    assert vault.findings.damaged == [refs[5].id]
    assert vault.findings.quarantined == [str(victim.relative_to(path))]
    assert not victim.exists()
    assert len(list((path / ".quarantine").iterdir())) == 1
    for ref in refs:
        if ref.id != refs[5].id:
            assert vault.get(ref.id).ref == vault.find(ref.id)
    if suffix == ".pb":
        with pytest.raises(PitCorrupt):
            vault.get(refs[5].id)
    vault.close()
    verdict = verdict_of(path)
    assert (verdict.damaged, verdict.quarantined) == ([refs[5].id], 1)


def lines(content: bytes) -> list[bytes]:
    """Return the lines of a segment with their ends."""
    return content.splitlines(keepends=True)


def lost(content: bytes) -> bytes:
    """Lose a line in the middle."""
    return b"".join(lines(content)[:1] + lines(content)[2:])


def doubled(content: bytes) -> bytes:
    """Double a line."""
    return b"".join(lines(content)[:2] + lines(content)[1:])


def swapped(content: bytes) -> bytes:
    """Swap two lines."""
    first, second, *rest = lines(content)
    return b"".join([second, first, *rest])


def truncated(content: bytes) -> bytes:
    """Cut it in the middle of a line."""
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    """Leave nothing."""
    return content[:0]


@pytest.mark.proves("ROW-F06")
@pytest.mark.parametrize("change", [lost, doubled, swapped, truncated, emptied, None])
@pytest.mark.parametrize("name", ["0000000000000001-0000000000000006.jsonl", "0000000000000013.jsonl"])
def test_a_damaged_manifest_is_named_and_the_others_are_readable(
    store: tuple[Path, list[PitRef]], name: str, change: Callable[[bytes], bytes] | None
) -> None:
    path, refs = store
    segment = path / ".manifest" / name
    kept = set(lines(segment.read_bytes()))
    if change is None:
        segment.unlink()
        left = set()
    else:
        rewrite(segment, change(segment.read_bytes()))
        left = kept & set(lines(segment.read_bytes()))
    verdict = verdict_of(path)
    named = f".manifest/{name}" if change or "-" not in name else ".manifest/0000000000000001.jsonl"
    assert verdict.damaged == [named]
    reader = Vault.open(path, is_writable=False)
    gone = {ref.id for ref in refs if any(ref.id.encode() in line for line in kept - left)}
    for ref in refs:
        if ref.id in gone:
            with pytest.raises(FacadeError):
                reader.get(ref.id)
        else:
            assert reader.get(ref.id).ref.seq == ref.seq
    assert verdict.ok == verdict.snapshots == len(refs) - len(gone)
    reader.close()


@pytest.mark.proves("ROW-F06")
@pytest.mark.parametrize("change", [truncated, emptied, None])
@pytest.mark.parametrize("suffix", [".json.gz", ".pb", ".meta.json"])
def test_a_damaged_file_is_named_by_its_id_and_the_others_are_readable(
    store: tuple[Path, list[PitRef]], suffix: str, change: Callable[[bytes], bytes] | None
) -> None:
    path, refs = store
    victim = next(path.glob(f"*/*/*{refs[9].id[:32]}{suffix}"))
    if change is None:
        victim.unlink()
    else:
        rewrite(victim, change(victim.read_bytes()))
    verdict = verdict_of(path)
    assert verdict.damaged == [refs[9].id]
    assert [damage.file for damage in verdict.damages] == [str(victim.relative_to(path))]
    assert verdict.ok == len(refs) - 1


@pytest.mark.proves("ROW-F06")
def test_the_newest_segment_is_missed_too_since_the_audit_log_knows_it(
    store: tuple[Path, list[PitRef]],
) -> None:
    path, _ = store
    (path / ".manifest" / "0000000000000013.jsonl").unlink()
    (path / ".manifest" / "0000000000000017.jsonl").unlink()
    assert ".manifest/0000000000000013.jsonl" in verdict_of(path).damaged


@pytest.mark.proves("ROW-F06")
@pytest.mark.parametrize("change", [lost, doubled, swapped, emptied, None])
@pytest.mark.proves("REQ-P3")
def test_a_damaged_audit_log_is_named(
    store: tuple[Path, list[PitRef]], change: Callable[[bytes], bytes] | None
) -> None:
    path, _ = store
    log = path / ".audit" / "00000001.jsonl"
    if change is None:
        log.unlink()
    else:
        rewrite(log, change(log.read_bytes()))
    assert verdict_of(path).damaged == [".audit/00000001.jsonl"]


def test_a_manifest_that_was_forged_as_a_whole_is_not_the_one_that_was_committed(
    store: tuple[Path, list[PitRef]], tmp_path: Path
) -> None:
    path, _ = store
    other = tmp_path / "other"
    vault = Vault.open(other, is_writable=True, clock=ManualClock(START + 5))
    keep(vault, *map(draft, range(100, 117)))
    vault.close()
    shutil.rmtree(path / ".manifest")
    shutil.copytree(other / ".manifest", path / ".manifest")
    assert any("not the one" in damage.problem for damage in verdict_of(path).damages)


def test_files_that_no_record_knows_are_told_and_are_no_damage(store: tuple[Path, list[PitRef]]) -> None:
    path, refs = store
    (path / "notes.txt").write_text("mine")
    (path / Path(refs[0].path).parent / "stray.bin").write_text("mine")
    verdict = verdict_of(path)
    assert verdict.damaged == []
    assert verdict.unlisted == sorted(["notes.txt", str(Path(refs[0].path).parent / "stray.bin")])
