"""Logs are JSON lines that cannot be forged, flooded or blocked (CTL-S25)."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from datafacade.config import Log
from datafacade.observe.log import QUEUE_MAX, Writer, clean, configure


class Sink:
    """Lines as they were written, while the logging of the process is ours."""

    def __init__(self, settings: Log) -> None:
        self.stream = io.StringIO()
        self.writer = configure(settings, self.stream)
        self.log = logging.getLogger("datafacade.test")

    def lines(self) -> list[dict[str, object]]:
        self.writer.close()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def sink() -> Iterator[Sink]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    made = Sink(Log())
    yield made
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_an_event_with_fields(sink: Sink) -> None:
    sink.log.info("book.live", extra={"venue": "okx", "symbols": ("BTC-USD",), "levels": 3})
    (line,) = sink.lines()
    assert str(line.pop("ts")).endswith("Z")
    expected = {
        "level": "info",
        "event": "book.live",
        "venue": "okx",
        "symbols": ["BTC-USD"],
        "levels": 3,
    }
    assert line == expected


@pytest.mark.proves("CTL-S25")
@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\r\nforged", "\u202egnp.exe", "\x00", "\ud800"])
def test_hostile_text_appears_only_escaped(sink: Sink, hostile: str) -> None:
    sink.log.warning("socket.closed", extra={"reason": hostile})
    sink.writer.close()
    text = sink.stream.getvalue()
    assert text.count("\n") == 1
    assert text.isascii()
    assert text.rstrip("\n").isprintable()


@pytest.mark.proves("CTL-S25")
def test_foreign_text_is_cut_to_256_bytes(sink: Sink) -> None:
    sink.log.warning("socket.closed", extra={"reason": "ä" * 1_000})
    (line,) = sink.lines()
    assert len(str(line["reason"]).encode()) <= 256
    assert str(line["reason"]).endswith("...")


def test_cutting_never_splits_a_character() -> None:
    assert clean("ääää", 8) == "ääää"
    assert clean("äääää", 8) == "ää..."


@pytest.mark.proves("CTL-S25")
def test_a_repeated_event_is_written_once_with_its_count(sink: Sink) -> None:
    for _ in range(5):
        sink.log.warning("feed.refused", extra={"venue": "okx"})
    sink.log.warning("feed.refused", extra={"venue": "kraken"})
    record = logging.makeLogRecord(
        {
            "name": "datafacade.test",
            "msg": "feed.refused",
            "levelno": 30,
            "levelname": "WARNING",
            "venue": "okx",
        }
    )
    record.created += 61
    sink.writer.handle(record)
    lines = sink.lines()
    assert [(line["venue"], line.get("repeated")) for line in lines] == [
        ("okx", None),
        ("kraken", None),
        ("okx", 4),
    ]


def test_exceptions_are_told_without_source_lines_or_folders(sink: Sink) -> None:
    try:
        raise ValueError("no number")
    except ValueError:
        sink.log.exception("task.failed")
    (line,) = sink.lines()
    assert (line["error"], line["text"]) == ("ValueError", "no number")
    assert "/" not in json.dumps(line["where"])


def test_libraries_are_named(sink: Sink) -> None:
    logging.getLogger("aiohttp.client").warning("something %s", "odd")
    logging.getLogger("aiohttp.client").info("quiet")
    (line,) = sink.lines()
    assert (line["event"], line["text"]) == ("library.aiohttp.client", "something odd")


class Stuck(io.StringIO):
    """A pipe that nobody reads until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = threading.Event()

    def write(self, text: str) -> int:
        self.is_read.wait(100)
        return super().write(text)


@pytest.mark.proves("ROW-H09")
def test_a_stuck_pipe_drops_lines_with_a_count_and_blocks_nobody() -> None:
    pipe = Stuck()
    writer = Writer(pipe)
    for number in range(QUEUE_MAX + 11):
        writer.emit(logging.makeLogRecord({"msg": f"{number}"}))
    pipe.is_read.set()
    writer.close()
    written = pipe.getvalue().splitlines()
    assert QUEUE_MAX <= len(written) <= QUEUE_MAX + 1
    assert written[:3] == ["0", "1", "2"]


def test_a_pipe_that_is_gone_ends_nothing() -> None:
    pipe = io.StringIO()
    writer = Writer(pipe)
    pipe.close()
    writer.emit(logging.makeLogRecord({"msg": "x"}))
    writer.close()
