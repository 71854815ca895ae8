"""A capture may end anywhere; what is no capture, or lacks its instrument list, is refused."""

import gzip
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import zstandard

from tests.conformance.capture_file import Record, encode, whole_records, write
from tests.conformance.command import replay
from tests.conformance.seeds import SEEDS
from tests.conformance.sessions import SESSIONS, capture_of, excerpt_of

pytestmark = pytest.mark.recordings

ATTEMPTS_MAX = 100  # places tried until a record is left whole


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SESSIONS)
def test_cut_file_replays_to_its_last_whole_record(name: str, seed: int, tmp_path: Path) -> None:
    session, capture = SESSIONS[name], excerpt_of(name)
    packed = encode(capture)
    random = Random(f"{name} cut {seed}")
    cuts = (packed[: random.randrange(len(packed))] for _ in range(ATTEMPTS_MAX))
    cut = next(cut for cut in cuts if whole_records(cut))
    outcome = replay(written(cut, tmp_path))
    assert outcome.code == 0, outcome.stderr
    assert "cut" in outcome.stderr
    whole = capture.records[: whole_records(cut)]
    assert outcome.report["frames"] == sum(record.kind == "f" for record in whole)
    witness = session.witness()
    for record in whole:
        witness.take(record)
    for symbol, replica in witness.books.items():
        book = outcome.report["books"].get(f"{session.venue}:{symbol}", {"state": "EMPTY", "updates": 0})
        assert book["updates"] == replica.updates
        assert not replica.is_live or (book["state"], book["sha256"]) == ("LIVE", replica.sha256())


def written(content: bytes, folder: Path) -> Path:
    path = folder / "cut.dfcap.zst"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kept", [1, 8, 20])
def test_file_cut_at_the_beginning_of_a_later_zstd_frame_is_told(kept: int, tmp_path: Path) -> None:
    capture = excerpt_of("kraken_v2")
    half = len(capture.records) // 2
    first, second = encode(capture.until(half)), zstandard.compress(b"1 1 f 3\nnew\n" * 100)
    assert kept < len(second)
    outcome = replay(written(first + second[:kept], tmp_path))
    assert (outcome.code, "cut" in outcome.stderr) == (0, True), outcome.stderr
    assert outcome.report["frames"] == sum(record.kind == "f" for record in capture.records[:half])


def test_whole_file_is_replayed_without_a_warning(tmp_path: Path) -> None:
    assert replay(write(capture_of("kraken_v2"), tmp_path)).stderr == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"DFCAP1",
        b'{"created_ns": 1}\n',
        gzip.compress(b'DFCAP1 {"created_ns": 1}\n', mtime=0),
        zstandard.compress(b"nothing of ours\n"),
        zstandard.compress(b"DFCAP1 {}\n"),
        zstandard.compress(b"DFCAP2 " + b'{"created_ns": 1}\n'),
        b"\x28\xb5\x2f\xfd" + b"\xff" * 64,
    ],
)
def test_file_that_is_no_capture_ends_with_code_2(content: bytes, tmp_path: Path) -> None:
    outcome = replay(written(content, tmp_path))
    assert (outcome.code, "Traceback" in outcome.stderr) == (2, False), outcome.stderr


@pytest.mark.parametrize("name", SESSIONS)
def test_capture_without_its_instrument_list_names_what_is_missing(name: str, tmp_path: Path) -> None:
    def is_listing(record: Record) -> bool:
        return (
            record.kind in "qr"
            and b"/depth" not in record.payload
            and b'"lastUpdateId"' not in record.payload
        )

    capture = excerpt_of(name)
    kept = [record for record in capture.records if not is_listing(record)]
    outcome = replay(write(capture.with_records(kept), tmp_path))
    assert (outcome.code, "Traceback" in outcome.stderr) == (2, False), outcome.stderr
    assert "instrument" in outcome.stderr


def test_one_topic_on_two_open_sockets_is_refused(tmp_path: Path) -> None:
    capture = capture_of("kraken_v2")
    doubled = [replace(record, conn=conn) for record in capture.records for conn in (1, 2)]
    outcome = replay(write(capture.with_records(doubled), tmp_path))
    assert (outcome.code, "Traceback" in outcome.stderr) == (2, False), outcome.stderr
    assert "two open sockets" in outcome.stderr


@pytest.mark.parametrize("kept", [5, 40, 200])
def test_file_cut_before_its_header_unpacks_replays_to_nothing(kept: int, tmp_path: Path) -> None:
    capture = excerpt_of("kraken_v2")
    outcome = replay(written(encode(capture)[:kept], tmp_path))
    assert (outcome.code, "cut" in outcome.stderr) == (0, True), outcome.stderr
    assert outcome.report["frames"] == 0
