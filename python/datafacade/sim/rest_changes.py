"""Changes of REST answers that leave them whole: old times, odd fields, pages that do not join. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from datafacade.sim.faults import Fault
from datafacade.sim.venue import Answer, RowPage

EPOCH_TEXT: Final = re.compile(r"(?<![\d.])1[5-9]\d{8}(?:\d{3}){0,3}(?!\d)")
ISO_TEXT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
SCALES: Final = {10: 0, 13: 3, 16: 6, 19: 9}  # digits of a time: its power of ten of a second
NEAR_S: Final = 40 * 86_400  # numbers further from now are no times
SCALAR: Final = r'(?:"(?:[^"\\]|\\.)*"|-?[\d.eE+-]+|null|true|false)'


@dataclass(slots=True)
class Changer:
    """Applies the verbs that change an answer; remembers pages, so that the next one can overlap."""

    newest: dict[str, tuple[str, ...]] = field(default_factory=dict)  # rows by request without its times

    def change(self, answer: Answer, fault: Fault, key: str, now_s: float) -> Answer:
        """Return ``answer`` as ``fault`` wants it; ``key`` names what was asked for, whatever the page."""
        match fault.verb.name:
            case "old_answer":
                return replace(answer, body=aged(answer.body, fault.integer("ms"), now_s))
            case "odd_field":
                return replace(answer, body=with_field(answer.body, fault))
            case _:
                if answer.page is None:
                    return answer
                page = self._page(answer.page, fault, key)
                return replace(answer, body=page.body(), page=page)

    def remember(self, answer: Answer, key: str) -> None:
        """Keep the rows of a page."""
        if answer.page is not None:
            self.newest[key] = answer.page.rows

    def _page(self, page: RowPage, fault: Fault, key: str) -> RowPage:
        rows, count = page.rows, max(1, fault.integer("n"))
        middle = len(rows) // 2
        made: dict[str, Callable[[], tuple[str, ...]]] = {
            "overlap": lambda: (*self.newest.get(key, rows)[-count:], *rows),
            "hole": lambda: rows[: max(1, middle - count // 2)] + rows[middle + (count + 1) // 2 :],
            "unsorted": lambda: rows[middle:] + rows[:middle],
            "duplicate": lambda: rows[: middle + count] + rows[middle:],
            "short": lambda: tuple(short(row) for row in rows),
        }
        return replace(page, rows=made[fault.text("kind")]())


def short(row: str) -> str:
    """Return a row without the second half of its items."""
    items = json.loads(row, parse_float=str)
    kept = len(items) // 2
    if isinstance(items, dict):
        return json.dumps(dict(list(items.items())[:kept]), separators=(",", ":"))
    return json.dumps(items[:kept], separators=(",", ":"))


def aged(text: str, age_ms: int, now_s: float) -> str:
    """Return ``text`` with each time moved ``age_ms`` back."""

    def number(found: re.Match[str]) -> str:
        digits = found[0]
        power = SCALES.get(len(digits), 0)
        value = int(digits)
        if abs(value / 10**power - now_s) > NEAR_S:
            return digits
        return str(value - age_ms * 10**power // 1_000)

    def moment(found: re.Match[str]) -> str:
        moved = datetime.fromisoformat(f"{found[0]}+00:00") - timedelta(milliseconds=age_ms)
        return f"{moved:%Y-%m-%dT%H:%M:%S}"

    return ISO_TEXT.sub(moment, EPOCH_TEXT.sub(number, text))


def with_field(text: str, fault: Fault) -> str:
    """Return ``text`` with another value in each field of a name, or without it."""
    name = re.escape(fault.text("field"))
    if fault.flag("is_removed"):
        text = re.sub(rf'"{name}":{SCALAR},', "", text)
        return re.sub(rf',?"{name}":{SCALAR}', "", text)
    raw = fault.options["raw"]
    value = json.dumps(fault.options["value"]) if raw is None else str(raw)
    return re.sub(rf'"{name}":{SCALAR}', lambda _: f'"{fault.text("field")}":{value}', text)
