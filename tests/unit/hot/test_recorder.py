"""A capture holds what CAPTURE.md says, byte for byte, and is never overwritten."""

import io
import json
from pathlib import Path

import pytest
import zstandard

from datafacade.hot.recorder import CaptureFile, ConnectionRecorder
from tests.unit.fakes import ManualClock
from tests.unit.hot.fakes import answer

Record = tuple[int, int, str, bytes]


def read(path: Path) -> tuple[dict[str, object], list[Record]]:
    """Read a capture as CAPTURE.md describes it."""
    with zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True) as stream:
        text = io.BytesIO(stream.read())
    magic, header = text.readline().split(b" ", 1)
    assert magic == b"DFCAP1"
    records = []
    while line := text.readline():
        ts, connection, kind, length = line.split()
        records.append((int(ts), int(connection), kind.decode(), text.read(int(length))))
        assert text.read(1) == b"\n"
    return json.loads(header), records


def test_a_session_is_written_as_the_format_says(tmp_path: Path) -> None:
    clock = ManualClock(wall_ns=1_000)
    path = tmp_path / "x.dfcap.zst"
    capture = CaptureFile(path, clock=clock, note="zwölf")
    recorder = ConnectionRecorder(capture, clock=clock)
    recorder.keep_list("https://v/list", answer(b'{"symbols":\n[]}', ts_recv=900))
    recorder.opened(venue="binance-usdm", product="usdm", url="wss://v/ws")
    clock.advance(1)
    recorder.sent('{"op":"ü"}')
    recorder.received(b"\x00 frame\nwith newline", 1_500)
    recorder.asked(7, "https://v/depth", 1_600)
    recorder.answered(7, answer(b"book", ts_recv=1_700))
    recorder.closed(1006, "eof")
    recorder.answered(8, answer(b"too late"))
    recorder.opened(venue="binance-usdm", product="usdm", url="wss://v/ws")
    capture.close()

    header, records = read(path)
    assert header == {"created_ns": 1_000, "note": "zwölf"}
    assert [record[1:3] for record in records] == [
        (1, "o"), (1, "q"), (1, "r"), (1, "s"), (1, "f"), (1, "q"), (1, "r"), (1, "c"), (2, "o")
    ]  # fmt: skip
    opened = json.loads(records[0][3])
    assert opened == {"venue": "binance", "url": "wss://v/ws", "product": "usdm"}
    head, _, body = records[2][3].partition(b"\n")
    assert json.loads(head) == {"id": -1, "status": 200, "headers": {"x-used": "1"}}
    assert body == b'{"symbols":\n[]}'
    assert records[3][3] == '{"op":"ü"}'.encode()
    assert records[4] == (1_500, 1, "f", b"\x00 frame\nwith newline")
    assert json.loads(records[7][3]) == {"code": 1006, "reason": "eof"}


def test_what_was_written_survives_without_close(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "x.dfcap.zst"
    capture = CaptureFile(path, clock=clock)
    connection = capture.connection()
    capture.write(1, connection, "f", b"first")
    clock.advance(2)
    capture.write(2, connection, "f", b"second")
    capture.write(3, connection, "f", b"lost in a crash")
    assert [record[3] for record in read(path)[1]] == [b"first", b"second"]
    capture.close()
    assert len(read(path)[1]) == 3


def test_an_existing_capture_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.dfcap.zst"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        CaptureFile(path, clock=ManualClock())
    assert path.read_bytes() == b"precious"
