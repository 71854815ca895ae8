"""What is kept stays what it was, is found by id and by time, and survives its process."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade.errors import InvalidRequest, PitCorrupt, PitExists, PitFull, PitNotFound, PitUnusable
from datafacade.serve.status import refuse
from datafacade.store.pit.content import prepare
from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import DROP, Draft, PitRef
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.unit.store.pit.fakes import ENTITY, HOUR, START, ManualClock, commit, draft, keep

STEM = "20261121_164129_"
ALREADY_EXISTS = 6  # of gRPC


def files_of(root: Path) -> set[str]:
    """Return the files of snapshots, relative to the store."""
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith(".")}


@pytest.mark.proves("REQ-P1")
@pytest.mark.proves("REQ-P2")
@pytest.mark.proves("REQ-P3")
def test_an_answer_lies_in_the_demanded_tree_readable_and_byte_for_byte(vault: Vault, tmp_path: Path) -> None:
    (ref,) = keep(vault, draft(7))
    digest = sha256(b"answer 7").hexdigest()
    assert ref.id == digest
    folder, stem = "btc-usdt@binance@warm.klines@1h", STEM + digest[:32]
    assert files_of(tmp_path / "pit") == {
        f"{folder}/2026-11-21/{stem}.json.gz",
        f"{folder}/2026-11-21/{stem}.pb",
        f"{folder}/metadata/{digest[:32]}.meta.json",
    }
    assert ref.path == f"{folder}/2026-11-21/{stem}.json.gz"
    root = tmp_path / "pit"
    assert json.loads(gzip.decompress((root / ref.path).read_bytes())) == {"answer": 7}
    assert (root / folder / "2026-11-21" / f"{stem}.pb").read_bytes() == b"answer 7"
    meta = json.loads((root / folder / "metadata" / f"{digest[:32]}.meta.json").read_bytes())
    assert meta["id"] == digest
    assert (meta["record_count"], meta["size_bytes"], meta["sources"]) == (7, 8, ["binance"])
    assert meta["timestamp"] == "2026-11-21T16:41:29.000000000Z"
    for told in meta["files"]:
        content = (root / told["path"]).read_bytes()
        assert (len(content), sha256(content).hexdigest()) == (told["size_bytes"], told["sha256"])


def test_one_that_is_refused_leaves_nothing_and_hinders_no_other_of_its_group(
    vault: Vault, tmp_path: Path
) -> None:
    keep(vault, draft(1))
    refused = prepare(draft(3), ts_wall=START, ts_mono=1)
    planted = tmp_path.joinpath("pit", *refused.parts[1].folder, refused.parts[1].name)
    planted.write_bytes(b"not ours")
    first, second, third = commit(vault, [draft(2), draft(3), draft(4)])
    assert isinstance(second, PitExists)
    assert isinstance(first, PitRef)
    assert isinstance(third, PitRef)
    assert third.seq == first.seq + 1
    verdict = verify(vault.root)
    assert (verdict.ok, verdict.damages) == (3, [])
    assert verdict.unlisted == ["/".join((*refused.parts[1].folder, refused.parts[1].name))]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(TEMP)]


def test_a_group_of_which_nothing_is_new_writes_nothing(vault: Vault, tmp_path: Path) -> None:
    keep(vault, draft(1))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert [type(outcome) for outcome in commit(vault, [draft(1), draft(1)])] == [PitExists, PitExists]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_directories_are_0750_and_files_0440(vault: Vault, tmp_path: Path) -> None:
    keep(vault, draft(1))
    for path in (tmp_path / "pit").rglob("*"):
        mode = path.stat().st_mode & 0o777
        if path.is_dir():
            assert mode == 0o750, path
        elif ".audit" in path.parts or path.name == ".lock":
            assert mode == 0o640, path
        else:
            assert mode == 0o440, path


def test_an_answer_is_found_by_its_id_and_by_its_first_digits(vault: Vault) -> None:
    refs = keep(vault, *map(draft, range(20)))
    for number, ref in enumerate(refs):
        assert vault.get(ref.id).message == b"answer %d" % number
        for digits in (16, 31, 32, 33, 63):
            assert vault.find(ref.id[:digits]) == ref
    for unknown in ("0" * 64, refs[0].id[:15], refs[0].id[:-1] + "g", refs[0].id.upper(), "../x", ""):
        with pytest.raises(PitNotFound):
            vault.get(unknown)
    wrong = refs[0].id[:40] + ("0" if refs[0].id[40] != "0" else "1")
    with pytest.raises(PitNotFound):
        vault.find(wrong)


@pytest.mark.proves("ROW-F07")
@pytest.mark.proves("REQ-P1")
def test_a_second_write_of_an_id_is_refused_and_changes_nothing(vault: Vault, tmp_path: Path) -> None:
    root = tmp_path / "pit"
    (ref,) = keep(vault, draft(1))
    before = {name: ((root / name).read_bytes(), (root / name).stat().st_mtime_ns) for name in files_of(root)}
    for other in (draft(1), draft(1, entity="warm.klines/okx/BTC-USDT/1h"), draft(1, ts_wall=START + HOUR)):
        (outcome,) = commit(vault, [other])
        assert isinstance(outcome, PitExists)
        assert outcome.snapshot_id == ref.id
        assert refuse(outcome).code == ALREADY_EXISTS
    first, twin = commit(vault, [draft(2), draft(2)])
    assert not isinstance(first, PitExists)
    assert isinstance(twin, PitExists), "of twins in one group one wins"
    after = {name: ((root / name).read_bytes(), (root / name).stat().st_mtime_ns) for name in before}
    assert before == after
    assert all((root / name).stat().st_mode & 0o777 == 0o440 for name in files_of(root))


@pytest.mark.proves("ROW-F07")
@pytest.mark.skipif(os.geteuid() != 0, reason="another user can be played by root only")
def test_another_user_can_neither_read_nor_write(vault: Vault, tmp_path: Path) -> None:
    (ref,) = keep(vault, draft(1))
    path = tmp_path / "pit" / ref.path
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and str(folder) not in {"/", "/tmp"}:  # noqa: S108  left alone
            folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        failures = 0
        for flags in (os.O_RDONLY, os.O_WRONLY):
            try:
                os.open(path, flags)
            except PermissionError:
                failures += 1
        os._exit(failures)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


@pytest.mark.proves("ROW-F16")
def test_a_clock_that_goes_back_changes_neither_order_nor_ids(vault: Vault, clock: ManualClock) -> None:
    refs, monotonic = [], []
    for number, step in enumerate((0, 60, -3_600, -3_000, 10, 4_000)):
        clock.wall = START + step * 10**9
        clock.monotonic += 10**9
        refs += keep(vault, draft(number))
        monotonic.append(clock.monotonic)
    assert [ref.seq for ref in refs] == [1, 2, 3, 4, 5, 6]
    assert len({ref.id for ref in refs}) == 6
    lines = [line for line in vault.manifest.told() if line["op"] == "put"]
    assert [line["mono"] for line in lines] == monotonic, "the clock that cannot go back is recorded too"
    assert [line["ts"] - START for line in lines] == [s * 10**9 for s in (0, 60, -3_600, -3_000, 10, 4_000)]
    assert vault.at(ENTITY, START - 1_000 * 10**9).id == refs[3].id
    assert vault.at(ENTITY, START + 30 * 10**9).id == refs[4].id
    assert [ref.seq for ref in vault.list(ENTITY, 0, 2**62)] == [3, 4, 1, 5, 2, 6]


@settings(max_examples=12)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10)), min_size=1, max_size=25), st.data())
def test_as_of_is_what_a_naive_reader_of_all_snapshots_finds(
    made: list[tuple[int, int]], data: st.DataObject
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        vault = Vault.open(Path(folder), is_writable=True, clock=ManualClock())
        try:
            known = [
                (entity, ts, keep(vault, draft(n, entity=f"k/v/{entity}", ts_wall=START + ts))[0].id)
                for n, (entity, ts) in enumerate(made)
            ]
            reader = Vault.open(Path(folder), is_writable=False)
            for _ in range(5):
                entity, ts = data.draw(st.integers(0, 3)), data.draw(st.integers(-1, 11))
                before = [one for one in known if one[0] == entity and one[1] <= ts]
                wanted = max(enumerate(before), key=lambda pair: (pair[1][1], pair[0]), default=None)
                for asked in (vault, reader):
                    if wanted is None:
                        with pytest.raises(PitNotFound):
                            asked.at(f"k/v/{entity}", START + ts)
                    else:
                        assert asked.at(f"k/v/{entity}", START + ts).id == wanted[1][2]
            reader.close()
        finally:
            vault.close()


def test_pages_of_snapshots_of_one_time_hold_each_exactly_once_whatever_goes_meanwhile(vault: Vault) -> None:
    times = [START, START + 5, START + 5, START + 5, START + 5, START + 9, START + 5, START]
    refs = [keep(vault, draft(number, ts_wall=ts))[0] for number, ts in enumerate(times)]
    expected = [ref.id for ref in sorted(refs, key=lambda ref: (ref.ts_wall, ref.seq))]
    for size in range(1, len(times) + 1):
        seen: list[PitRef] = []
        while page := vault.list(ENTITY, 0, START * 2, limit=size, after=_place(seen)):
            assert len(page) <= size
            seen += page
        assert [ref.id for ref in seen] == expected
    first = vault.list(ENTITY, 0, START * 2, limit=3)
    vault.writer.record([{"op": DROP, "id": first[-1].id, "ts": START, "why": "test"}])
    rest = vault.list(ENTITY, 0, START * 2, after=_place(first))
    assert [ref.id for ref in (*first, *rest)] == expected
    assert vault.list(ENTITY, START + 6, START * 2, after=(0, 0))[0].ts_wall == START + 9


def _place(page: Sequence[PitRef]) -> tuple[int, int] | None:
    return (page[-1].ts_wall, page[-1].seq) if page else None


def test_everything_is_there_after_the_next_start(vault: Vault, tmp_path: Path, clock: ManualClock) -> None:
    refs = keep(vault, *map(draft, range(5))) + keep(vault, draft(9, labels=("keep",)))
    vault.label(refs[0].id, ["keep:backtest", "mine"])
    vault.close()
    for is_writable in (False, True):
        again = Vault.open(tmp_path / "pit", is_writable=is_writable, clock=clock)
        assert [again.find(ref.id).seq for ref in refs] == [1, 2, 3, 4, 5, 6]
        assert again.find(refs[0].id).labels == ("keep:backtest", "mine")
        assert again.find(refs[5].id).labels == ("keep",)
        assert again.findings.told() == {
            "temps": 0, "finished": 0, "adopted": [], "quarantined": [], "damaged": []
        }  # fmt: skip
        again.close()
    clock.wall += HOUR
    Vault.open(tmp_path / "pit", is_writable=True, clock=clock).close()


def test_a_reader_sees_what_a_writer_adds_without_asking_for_it(vault: Vault, tmp_path: Path) -> None:
    reader = Vault.open(tmp_path / "pit", is_writable=False)
    (first,) = keep(vault, draft(1))
    assert reader.find(first.id) == first
    more = keep(vault, *map(draft, range(2, 40)))
    assert [ref.id for ref in reader.list(ENTITY, 0, 2**62)] == [first.id, *(ref.id for ref in more)]
    with pytest.raises(PitUnusable, match="for reading"):
        reader.label(first.id, ["keep"])
    reader.close()


def test_many_small_segments_are_folded_into_one_and_nothing_is_lost(
    vault: Vault, tmp_path: Path, clock: ManualClock
) -> None:
    reader = Vault.open(tmp_path / "pit", is_writable=False)
    refs = [keep(vault, draft(number))[0] for number in range(30)]
    assert vault.manifest.fold(vault.writer.publish, least=8) == 29
    assert vault.manifest.fold(vault.writer.publish, least=8) == 0
    refs += [keep(vault, draft(number))[0] for number in range(30, 45)]
    assert vault.manifest.fold(vault.writer.publish, least=8) == 15
    names = sorted(path.name for path in (tmp_path / "pit" / ".manifest").iterdir())
    assert names == [f"{1:016d}-{29:016d}.jsonl", f"{30:016d}-{44:016d}.jsonl", f"{45:016d}.jsonl"]
    assert [ref.id for ref in reader.list(ENTITY, 0, 2**62)] == [ref.id for ref in refs]
    again = Vault.open(tmp_path / "pit", is_writable=True, clock=clock)
    assert [ref.id for ref in again.list(ENTITY, 0, 2**62)] == [ref.id for ref in refs]
    assert again.manifest.damages == []
    again.close()
    reader.close()


def test_a_full_store_refuses_and_says_so(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path / "pit", is_writable=True, clock=ManualClock(), bytes_max=100)
    outcomes = commit(vault, [draft(number) for number in range(10)])
    kept = [outcome for outcome in outcomes if not isinstance(outcome, PitFull)]
    assert 0 < len(kept) < 10
    vault.close()


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "gone", "link"])
def test_changed_bytes_are_never_handed_out(vault: Vault, tmp_path: Path, change: str) -> None:
    ref, other = keep(vault, draft(1), draft(2))
    path = tmp_path / "pit" / ref.path.replace(".json.gz", ".pb")
    content = path.read_bytes()
    path.unlink()
    match change:
        case "flip":
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        case "cut":
            path.write_bytes(content[:-1])
        case "empty":
            path.touch()
        case "link":
            (tmp_path / "twin").write_bytes(content)
            path.symlink_to(tmp_path / "twin")
    with pytest.raises(PitCorrupt) as corrupt:
        vault.get(ref.id)
    assert corrupt.value.snapshot_id == ref.id
    assert vault.get(other.id).message == b"answer 2"


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PitUnusable, match="no such file"):
        Vault.open(tmp_path / "nothing", is_writable=False)
    (tmp_path / "file").touch()
    with pytest.raises(PitUnusable, match="file"):
        Vault.open(tmp_path / "file", is_writable=True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"entity": "BTC-USDT"}, "entity"),
        ({"kind": "x" * 129}, "kind"),
        ({"ts_wall": 253_402_300_800 * 10**9}, "ts_wall"),
        ({"ts_wall": -1}, "ts_wall"),
        ({"labels": ("x",) * 17}, "labels"),
        ({"references": ("0" * 64,) * 257}, "references"),
        ({"readable": {"x": object()}}, "readable"),
    ],
)
def test_what_is_beyond_a_bound_is_refused_by_name(change: dict[str, object], field: str) -> None:
    values = {"entity": ENTITY, "kind": "K", "message": b"x", "readable": {}} | change
    with pytest.raises(InvalidRequest) as refused:
        prepare(Draft(**values), ts_wall=int(str(values.get("ts_wall", 0))), ts_mono=0)  # type: ignore[arg-type]
    assert refused.value.field_name == field
