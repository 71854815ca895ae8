"""Write logs as JSON lines: a constant ``noun.event`` with fields, foreign text escaped and cut.

``log.warning("book.gap", extra={"venue": "okx"})`` writes
``{"ts":"2026-08-09T21:05:48.600000Z","level":"warning","event":"book.gap","venue":"okx"}``. A warning that
repeats is written once in ``repeat_sec`` per venue, with the number of those that were left out. No log call
ever waits for the reader of the stream.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import traceback
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final, TextIO

from datafacade.config import Log

QUEUE_MAX: Final = 1_000
KEYS_MAX: Final = 1_024
STOP_SEC: Final = 1.0
_ROOT: Final = "datafacade"
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def clean(text: str, bytes_max: int) -> str:
    """Cut untrusted text to so many UTF-8 bytes; what was cut is marked."""
    data = text.encode("utf-8", "replace")
    if len(data) <= bytes_max:
        return data.decode("utf-8")
    return data[: bytes_max - 3].decode("utf-8", "ignore") + "..."


class JsonLines(logging.Formatter):
    """One record as one line of ASCII: control and direction characters can only appear escaped."""

    def __init__(self, *, text_bytes_max: int) -> None:
        super().__init__()
        self._text_bytes_max = text_bytes_max

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: dict[str, object] = {
            "ts": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
        }
        if record.name.partition(".")[0] == _ROOT:
            line["event"] = record.getMessage()
        else:
            line |= {"event": f"library.{record.name}", "text": record.getMessage()}
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line |= self._failure(record.exc_info[1])
        return json.dumps({key: self._plain(value) for key, value in line.items()}, separators=(",", ":"))

    def _failure(self, error: BaseException) -> dict[str, object]:
        frames = traceback.extract_tb(error.__traceback__)[-5:]
        where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
        return {"error": type(error).__name__, "text": str(error), "where": where}

    def _plain(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(item) for item in list(value)[:32]]
        return clean(str(value), self._text_bytes_max)


class OncePerMinute(logging.Filter):
    """Let an event through once in a while per venue and count the rest."""

    def __init__(self, *, repeat_sec: float) -> None:
        super().__init__()
        self._repeat_sec = repeat_sec
        self._seen: OrderedDict[tuple[str, int, object], list[float]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one record; the one that passes says how many did not."""
        if record.levelno < logging.WARNING:
            return True
        key = (str(record.msg), record.levelno, getattr(record, "venue", None))
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = [record.created, 0]
            if len(self._seen) > KEYS_MAX:
                self._seen.popitem(last=False)
            return True
        if 0 <= record.created - seen[0] < self._repeat_sec:
            seen[1] += 1
            return False
        if seen[1]:
            record.repeated = int(seen[1])
        seen[:] = [record.created, 0]
        return True


class Writer(logging.Handler):
    """Hand lines to a thread, so that a stuck pipe stalls nobody; beyond the bound they drop, counted."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE_MAX)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record."""
        if self._dropped:
            record.dropped = self._dropped
        try:
            self._lines.put_nowait(self.format(record))
            self._dropped = 0
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is queued, waiting a second at most."""
        try:
            self._lines.put(None, timeout=STOP_SEC)
            self._thread.join(STOP_SEC)
        except queue.Full:
            pass  # the pipe is stuck: the daemon thread dies with the process
        super().close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                continue  # the reader is gone; there is nobody to tell


def configure(settings: Log, stream: TextIO | None = None) -> Writer:
    """Send all logs of the process to one stream, stderr by default; close the returned writer at the end."""
    writer = Writer(stream or sys.stderr)
    writer.setFormatter(JsonLines(text_bytes_max=settings.text_bytes_max))
    writer.addFilter(OncePerMinute(repeat_sec=settings.repeat_sec))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(writer)
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(settings.level)
    return writer
