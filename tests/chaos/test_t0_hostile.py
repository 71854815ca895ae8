"""Files that somebody else put into a store: tables, packed texts and records that mean harm."""

from __future__ import annotations

import json
import random
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl
import pytest

from datafacade.errors import FacadeError, InvalidRequest, PitCorrupt, QuotaExceeded
from datafacade.store.pit.content import squeeze
from datafacade.store.pit.files import FILE_MODE
from datafacade.store.pit.record import ZERO, PitRef, line_of
from datafacade.store.pit.snapshot import PitSnapshot, unpack, unpack_text
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.chaos.harness import bounded
from tests.chaos.harness.tier import IS_FULL
from tests.unit.store.pit.fakes import ENTITY, START, commit, draft, keep

pytestmark = pytest.mark.chaos

MEMORY_MAX = 64 * 2**20
Compression = Literal["zstd", "uncompressed", "snappy", "gzip", "lz4"]
FLIPS = 20_000 if IS_FULL else 2_000
ID = "ab" * 32


def snapshot(content: bytes) -> PitSnapshot:
    """Return bytes as a stored table."""
    ref = PitRef(id=ID, seq=1, entity=ENTITY, kind="table", ts_wall=1, path="a/b/c.parquet", size_bytes=1)
    return PitSnapshot(ref=ref, message=content)


def table(frame: pl.DataFrame, compression: Compression = "zstd") -> bytes:
    """Return a table as Parquet."""
    packed = BytesIO()
    frame.write_parquet(packed, compression=compression)
    return packed.getvalue()


def warm() -> None:
    """Load what a first table loads."""
    for compression in get_args(Compression):
        snapshot(table(pl.DataFrame({"a": ["x"] * 9}), compression=compression)).frame()


def outcome(content: bytes) -> str:
    """Read a table; return how that ended. Whatever is no error of ours ends the test."""
    try:
        return f"{snapshot(content).frame().height} rows"
    except (PitCorrupt, QuotaExceeded) as error:
        return type(error).__name__


ORDINARY = pl.DataFrame(
    {
        "id": [f"{number:064x}" for number in range(500)],
        "seq": range(500),
        "message": [bytes([number % 7]) * 40 for number in range(500)],
        "venue": ["binance", "okx"] * 250,
        "levels": [[number, 1] for number in range(500)],
        "price": [None, 1.5] * 250,
    }
)


def bombs() -> dict[str, bytes]:
    """Return tables that are small, whole, and take far more than a store may."""
    zeros = pl.DataFrame({"a": pl.Series([b"\0" * (200 * 2**20)], dtype=pl.Binary)})
    repeated = pl.DataFrame({"a": pl.repeat("x" * 100, 20_000_000, eager=True)})
    nothing = pl.DataFrame({"a": pl.repeat(None, 50_000_000, dtype=pl.Int8, eager=True)})
    nested = pl.DataFrame({"a": [[0] * 20_000_000]}, schema={"a": pl.List(pl.Int8)})
    return {
        "zeros": table(zeros),
        "one text again and again": table(repeated),
        "nothing, many times": table(nothing),
        "one long list": table(nested),
    }


@pytest.mark.proves("ROW-F18")
def test_a_bomb_is_refused_before_anything_of_it_is_unpacked() -> None:
    for name, content in bombs().items():
        assert len(content) < 2 * 2**20, f"{name}: no bomb"
        ended = bounded.afresh(outcome, content, warm=warm)
        assert ended.status == 0, name
        assert ended.result == "QuotaExceeded", name
        assert ended.grown_bytes <= MEMORY_MAX, f"{name}: {ended.grown_bytes / 2**20:.0f} MiB"


@pytest.mark.proves("ROW-F18")
def test_the_largest_table_that_is_accepted_takes_no_more_than_64_mib() -> None:
    rows = [random.Random(7).randbytes(1_000) for _ in range(18_000)]
    for frame in (pl.DataFrame({"a": rows}), pl.DataFrame({"a": range(1_900_000)})):
        content = table(frame)
        height = frame.height
        ended = bounded.afresh(outcome, content, warm=warm)
        assert (ended.status, ended.result) == (0, f"{height} rows")
        assert ended.grown_bytes <= MEMORY_MAX, f"{ended.grown_bytes / 2**20:.0f} MiB"


def changed(draw: random.Random, content: bytes) -> bytes:
    """Return a table with an error in its footer, its pages, or its length."""
    made, size = bytearray(content), int.from_bytes(content[-8:-4], "little")
    kind = draw.randrange(6)
    if kind == 0:
        return bytes(made[: draw.randrange(len(made))])
    if kind == 1:
        made[-8:-4] = draw.choice([0, 1, size - 1, size + 1, len(made), 2**31, 2**32 - 1]).to_bytes(
            4, "little"
        )
        return bytes(made)
    first = len(made) - 8 - size if kind < 5 else 4
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(first, len(made) - 8)
        if kind == 2:
            made[at] ^= 1 << draw.randrange(8)
        elif kind == 3:
            made[at] = draw.choice([0, 0x7F, 0x80, 0xFF])
        else:
            made[at : at + draw.randint(1, 5)] = b"\xff" * draw.randint(0, 9)
    return bytes(made)


def fuzz(contents: list[bytes], count: int) -> dict[str, int]:
    """Read so many changed tables; return how that ended."""
    draw, ends = random.Random(18), {"rows": 0, "PitCorrupt": 0, "QuotaExceeded": 0}
    for _ in range(count):
        ends[outcome(changed(draw, draw.choice(contents))).split(" ")[-1]] += 1
    return ends


@pytest.mark.proves("ROW-F18")
@pytest.mark.parametrize("compression", ["zstd", "uncompressed", "snappy", "gzip"])
def test_a_table_that_was_changed_anywhere_is_read_or_refused(compression: Compression) -> None:
    contents = [table(ORDINARY, compression=compression), table(ORDINARY.head(3), compression=compression)]
    ended = bounded.afresh(fuzz, contents, FLIPS // 4, warm=warm)
    assert ended.status == 0, "the process did not survive"
    assert ended.result["PitCorrupt"] > FLIPS // 40, f"nothing was noticed: {ended.result}"
    assert ended.grown_bytes <= MEMORY_MAX, f"{ended.grown_bytes / 2**20:.0f} MiB"


@pytest.mark.proves("ROW-F18")
@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"PAR1PAR1", b"PAR1\0\0\0\0PAR1", b"PAR1" + b"\xff" * 40 + b"\x28\0\0\0PAR1", b"x" * 99],
)
def test_what_is_no_table_is_refused(content: bytes) -> None:
    assert outcome(content) == "PitCorrupt"


@pytest.mark.proves("ROW-F18")
def test_deep_structures_and_long_lists_in_a_footer_cost_nothing() -> None:
    deep = b"\x1c" * 60_000
    longest = b"\x29" + b"\xf8" + b"\xff" * 8 + b"\x7f"
    for footer in (deep, longest, b"\x19\x0c" * 30_000, b"\x18" + b"\xff" * 9 + b"\x01"):
        content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
        ended = bounded.afresh(outcome, content, warm=warm)
        assert (ended.status, ended.result) == (0, "PitCorrupt")
        assert ended.grown_bytes < 8 * 2**20


@pytest.mark.proves("ROW-F18")
def test_a_readable_form_that_is_a_bomb_is_refused_piece_by_piece() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(400)) + packer.flush()

    def act() -> str:
        try:
            unpack_text(bomb)
        except ValueError as error:
            return str(error)
        return "unpacked"

    ended = bounded.in_child(act)
    assert (ended.status, ended.result) == (0, "cut short, or too large")
    assert ended.grown_bytes <= MEMORY_MAX


@pytest.mark.proves("ROW-F18")
@pytest.mark.parametrize(
    "packed",
    [b"", b"\x1f\x8b", squeeze(b"{}")[:-1], squeeze(b"[" * 100_000), squeeze(b"{"), squeeze(b"\xff")],
)
def test_a_readable_form_that_is_none_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  its promise
        unpack(packed)


PUT: dict[str, Any] = {
    "op": "put",
    "id": ID,
    "ts": START,
    "mono": 1,
    "entity": ENTITY,
    "kind": "K",
    "size": 1,
    "rows": 1,
    "json": [1, ID],
    "meta": [1, ID],
}
NONSENSE: list[Any] = [None, -1, 2**80, 1.5, True, "", "x" * 70, "../../etc/passwd", [], {}, [[]], ["\0"]]


def planted_line(vault: Vault, values: dict[str, Any]) -> None:
    """Write a line as somebody would who may write here: whole, with the right hash, in its place."""
    chain = vault.manifest.chain
    line, _ = line_of(values, seq=chain.seq + 1, prev=chain.head)
    plant(vault, line)


def plant(vault: Vault, content: bytes) -> None:
    """Write a segment of the manifest."""
    path = vault_path(vault) / ".manifest" / f"{vault.manifest.seq_next:016d}.jsonl"
    path.write_bytes(content)
    path.chmod(FILE_MODE)


def vault_path(vault: Vault) -> Path:
    """Return where a store is."""
    return Path(f"/proc/self/fd/{vault.root.descriptor}").resolve()  # type: ignore[attr-defined]


def forged() -> list[dict[str, Any]]:
    """Return lines in which one member is nonsense, or missing."""
    lines = [{"op": op, "id": ID, "ts": START} for op in (*NONSENSE, "put", "label", "cut", "other")]
    for values in (PUT, {"op": "drop", "id": ID, "ts": 1}, {"op": "label", "id": ID, "ts": 1, "labels": []}):
        for name in values:
            lines += [{**values, name: value} for value in NONSENSE if value != values[name]]
            lines.append({key: value for key, value in values.items() if key != name})
    lines += [{**PUT, name: value} for name in ("labels", "refs", "lines") for value in NONSENSE]
    lines += [
        {**PUT, "entity": "/".join("abcdefgh")},
        {"op": "cut", "id": "", "ts": 1, "first": -1, "follows": 1},
    ]
    return lines


@pytest.mark.proves("ROW-F18")
def test_a_forged_record_is_named_and_brings_nobody_down(tmp_path: Path) -> None:
    path = tmp_path / "pit"
    vault = Vault.open(path, is_writable=True)
    (kept,) = keep(vault, draft(1))
    named = 0
    lines = forged()
    for values in lines:
        planted_line(vault, values)
        reader = Vault.open(path, is_writable=False)
        is_named = bool(reader.manifest.damages)
        named += is_named
        assert reader.get(kept.id).ref == kept
        for entity in reader.entities():
            reader.list(entity, 0, 2**62)
        list(reader.catalog.index.refs())
        assert is_named <= bool(verify(reader.root).damages)
        reader.close()
        (path / ".manifest" / f"{vault.manifest.seq_next:016d}.jsonl").unlink()
    assert named > 0.8 * len(lines), "what is left is harmless: a kind of nothing, an odd label"
    vault.close()
    Vault.open(path, is_writable=True).close()


@pytest.mark.proves("ROW-F18")
def test_a_store_with_a_forged_record_can_be_written_on(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path, is_writable=True)
    keep(vault, draft(1))
    planted_line(vault, {**PUT, "entity": 5})
    vault.close()
    vault = Vault.open(tmp_path, is_writable=True)
    (later,) = keep(vault, draft(2))
    assert vault.get(later.id).message == draft(2).message
    vault.close()


@pytest.mark.proves("ROW-F18")
@pytest.mark.parametrize("content", [b"\n", b"{}\n", b'{"a":' + b"[" * 60, b"\0"])
def test_a_segment_full_of_nothing_costs_little(tmp_path: Path, content: bytes) -> None:
    def act() -> int:
        reader = Vault.open(tmp_path, is_writable=False)
        count = len(reader.manifest.damages)
        verify(reader.root)
        reader.close()
        return count

    vault = Vault.open(tmp_path, is_writable=True)
    keep(vault, draft(1))
    plant(vault, content * (20 * 2**20 // len(content)))
    ended = bounded.in_child(act)
    assert ended.status == 0
    assert 0 < ended.result <= 100
    assert ended.grown_bytes <= MEMORY_MAX, f"{ended.grown_bytes / 2**20:.0f} MiB"
    vault.close()


@pytest.mark.proves("ROW-F18")
def test_files_that_are_far_too_large_are_never_read(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path, is_writable=True)
    kept = keep(vault, draft(1), draft(2))
    vault.close()
    proto = tmp_path / kept[0].path.replace(".json.gz", ".pb")
    victims = [proto, tmp_path / kept[1].path, tmp_path / ".audit" / "00000001.jsonl"]
    for victim in (*victims, tmp_path / ".manifest" / "0000000000000009.jsonl"):
        victim.unlink(missing_ok=True)
        with victim.open("wb") as file:
            file.truncate(2**28 - 1)

    def act() -> None:
        reader = Vault.open(tmp_path, is_writable=False)
        with pytest.raises(PitCorrupt):
            reader.get(kept[0].id)
        assert {ref.id for ref in kept} <= set(verify(reader.root).damaged)
        reader.close()
        Vault.open(tmp_path, is_writable=True).close()

    ended = bounded.in_child(act)
    assert ended.status == 0
    assert ended.grown_bytes <= MEMORY_MAX, f"{ended.grown_bytes / 2**20:.0f} MiB"


def metas(kept: PitRef, told: dict[str, Any]) -> list[Any]:
    """Return what a meta file must not be."""
    one = told["files"][0]
    outside = [{**one, "path": "../" * 9 + "etc/passwd"}, *told["files"][1:]]
    changes: list[dict[str, Any]] = [{name: value} for name in told for value in NONSENSE]
    changes += [{"files": outside}, {"files": [5]}, {"files": [{"path": kept.path}]}, {"ts_wall": 2**70}]
    changes += [{"entity": "a/b"}, {"entity": "/".join("abcdefgh")}, {"id": ZERO}, {"references": ["x"]}]
    return [*NONSENSE, *({**told, **change} for change in changes)]


@pytest.mark.proves("ROW-F18")
def test_a_planted_snapshot_is_taken_in_whole_or_put_aside(tmp_path: Path) -> None:
    """What lies there without a record may be what a crash left, or what somebody planted."""
    origin = Vault.open(tmp_path / "origin", is_writable=True)
    (kept,) = keep(origin, draft(1))
    told = json.loads(origin.meta(kept))
    files = [*(file["path"] for file in told["files"])]
    meta = f"{kept.path.partition('/')[0]}/metadata/{kept.id[:32]}.meta.json"
    for number, forged_meta in enumerate(metas(kept, told)):
        path = tmp_path / str(number)
        for name in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes((tmp_path / "origin" / name).read_bytes())
        (path / meta).parent.mkdir(parents=True, exist_ok=True)
        (path / meta).write_text(json.dumps(forged_meta))
        vault = Vault.open(path, is_writable=True)
        verdict = verify(vault.root)
        assert verdict.damages == [], forged_meta
        assert verdict.snapshots + verdict.quarantined // 3 == 1, forged_meta
        assert not any(isinstance(one, FacadeError) for one in commit(vault, [draft(2)]))
        vault.close()
    origin.close()


@pytest.mark.proves("ROW-F18")
def test_an_id_that_is_none_is_no_reference(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path, is_writable=True)
    with pytest.raises(InvalidRequest):
        commit(vault, [draft(1, references=("not hex",))])
    vault.close()
