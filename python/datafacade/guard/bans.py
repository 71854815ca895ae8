"""Keep bans, dial attempts and spending in a file, so that a restart begins where the last process ended.

A process that crashes ten times in a row must not dial or ask ten times what a venue allows. Dials and bans
are in the file before anything else happens, spending soon after. Times in the file are wall time: a clock
that was set back between two processes makes waits longer, never shorter than they were.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from datafacade.clock import NS_PER_MS, NS_PER_S, Clock
from datafacade.guard.kept import Keepable

log = logging.getLogger(__name__)

VERSION: Final = 1
SAVE_MS: Final = 1_000  # spending reaches the file so late at most
SAVE_SOON_MS: Final = 50  # likewise, if it is a large share of a window
LARGE_SHARE: Final = 0.02
BAN_S_MAX: Final = 7 * 86_400.0
ENTRIES_MAX: Final = 64  # of a window in the file
FILE_BYTES_MAX: Final = 8 * 2**20
FILE_MODE: Final = 0o640
_NEVER_FOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_INT_MAX: Final = 2**63 - 1


@dataclass(slots=True)
class Past:
    """What the file says of one thing; times are wall nanoseconds."""

    banned_until: int = 0  # 0: it is not
    windows: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # span ns: [(time, weight), ...]

    def is_over(self, now: int) -> bool:
        """Whether none of it matters any more."""
        return self.banned_until <= now and all(
            not entries or entries[-1][0] <= now - span for span, entries in self.windows.items()
        )


class GuardFile:
    """The file. Owned by the event loop, and by one process: the data directory is locked. ``close`` it."""

    def __init__(self, path: Path, past: dict[str, Past], *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._past = past  # of what nobody has attached yet
        self._kept: dict[str, Keepable] = {}
        self._saved_at = 0  # monotonic ns
        self._timer: asyncio.TimerHandle | None = None
        self._is_dirty = False

    @classmethod
    def open(cls, path: Path, *, clock: Clock) -> Self:
        """Read the file; one that is missing, damaged or not to be read is an empty one, with a warning."""
        past: dict[str, Past] = {}
        try:
            past = _parse(_read(path))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, RecursionError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            log.warning("guard.unreadable", extra={"path": str(path), "problem": str(problem)[:200]})
        return cls(path, past, clock=clock)

    def attach(self, name: str, kept: Keepable, *, is_urgent: bool = False) -> None:
        """Give something what was kept under its name, and keep it from now on."""
        past = self._past.pop(name, None)
        if past is not None:
            self._restore(kept, past)
        self._kept[name] = kept
        kept.changed = partial(self._changed, is_urgent=is_urgent)

    def close(self) -> None:
        """Write what is not written yet."""
        if self._is_dirty:
            self._save()

    def _restore(self, kept: Keepable, past: Past) -> None:
        wall, now = self._clock.wall_ns(), self._clock.monotonic_ns()
        for span_ns, entries in past.windows.items():
            kept.restore(span_ns, [(now - max(0, wall - at), weight) for at, weight in entries])
        left_s = (past.banned_until - wall) / NS_PER_S
        if left_s > 0:
            kept.block(min(left_s, BAN_S_MAX))

    # Writing

    def _changed(self, share: float, *, is_urgent: bool) -> None:
        self._is_dirty = True
        if is_urgent or share >= 1:
            self._save()
            return
        wait_ns = (SAVE_SOON_MS if share >= LARGE_SHARE else SAVE_MS) * NS_PER_MS
        left_ns = self._saved_at + wait_ns - self._clock.monotonic_ns()
        if left_ns <= 0:
            self._save()
        else:
            self._save_in(left_ns / NS_PER_S)

    def _save_in(self, seconds: float) -> None:
        """Set the timer, unless it is set to an earlier time; without a loop the next change saves."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._save)

    def _save(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._saved_at = self._clock.monotonic_ns()
        self._is_dirty = False
        try:
            _write(self._path, self._text())
        except OSError as error:
            log.warning("guard.unsaved", extra={"path": str(self._path), "problem": error.strerror})

    def _text(self) -> bytes:
        wall, now = self._clock.wall_ns(), self._clock.monotonic_ns()
        self._past = {name: past for name, past in self._past.items() if not past.is_over(wall)}
        rows = dict(self._past)
        for name, kept in self._kept.items():
            blocked_ns = kept.blocked_ns()
            windows = {
                span_ns: [(wall - now + at, weight) for at, weight in coarse(entries)]
                for span_ns, entries in kept.spent()
                if entries
            }
            if blocked_ns or windows:
                rows[name] = Past(wall + blocked_ns if blocked_ns else 0, windows)
        kept_rows = {
            name: {"banned_until": row.banned_until, "windows": list(row.windows.items())}
            for name, row in rows.items()
        }
        return json.dumps({"version": VERSION, "kept": kept_rows}).encode()


def coarse(entries: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return entries, oldest first, as at most so many: those put together count from the latest of them."""
    step = -(-len(entries) // ENTRIES_MAX) or 1
    parts = [entries[start : start + step] for start in range(0, len(entries), step)]
    return [(part[-1][0], sum(weight for _, weight in part)) for part in parts]


def _read(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | _NEVER_FOLLOW)
    with os.fdopen(file, "rb") as opened:
        text = opened.read(FILE_BYTES_MAX + 1)
    if len(text) > FILE_BYTES_MAX:
        raise ValueError(f"larger than {FILE_BYTES_MAX} bytes")
    return text


def _write(path: Path, text: bytes) -> None:
    """Replace the file as a whole: a crash leaves the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_FOLLOW, FILE_MODE)
    with os.fdopen(file, "wb") as opened:
        opened.write(text)
    fresh.rename(path)


def _parse(text: bytes) -> dict[str, Past]:
    """Read the text of a file.

    Raises:
        ValueError: It is none of ours.
    """
    tree = json.loads(text)
    if not isinstance(tree, dict) or tree.get("version") != VERSION or not isinstance(tree.get("kept"), dict):
        raise ValueError(f"expected version {VERSION}")
    return {name: _past(row) for name, row in tree["kept"].items()}


def _past(row: Any) -> Past:  # noqa: ANN401  whatever JSON holds
    if not isinstance(row, dict) or not isinstance(row.get("windows"), list):
        raise ValueError("expected a ban and windows")
    windows: dict[int, list[tuple[int, int]]] = {}
    for span, entries in _pairs(row["windows"]):
        spent = [(_number(at), _number(weight)) for at, weight in _pairs(entries)]
        windows[_number(span)] = sorted(spent)
    return Past(_number(row.get("banned_until")), windows)


def _pairs(value: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401  likewise
    if not isinstance(value, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in value):
        raise ValueError("expected pairs")
    return [(first, second) for first, second in value]


def _number(value: Any) -> int:  # noqa: ANN401  likewise
    if type(value) is not int or not 0 <= value <= _INT_MAX:
        raise ValueError("expected a whole number")
    return value
