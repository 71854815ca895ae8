"""Hold docs/coverage.md against the tests: every row that it lists has its test, every marked test is listed.

A line of the list is ``| ROW-B01 | what it demands | tests/chaos/test_x.py::test_y | open clauses |``;
several tests are separated by ``<br>``. Rust tests carry it in their name: ``row_b03_..``, ``ctl_s9_..``.
A row of which only a part is proven is written ``| begun: ROW-E11 | ...`` and is not counted.
"""

import ast
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
COVERAGE: Final = ROOT / "docs" / "coverage.md"
ROW: Final = re.compile(r"^(begun: )?((?:REQ|ROW|CTL)-[A-Z0-9]+)$")
RUST_TEST: Final = re.compile(r"fn ((row_[a-h]\d{2}|ctl_s\d+)_\w+)")


class Listed(NamedTuple):
    """One line of the list."""

    row: str
    tests: set[str]
    is_begun: bool  # only a part is proven


def listed() -> list[Listed]:
    """Return the lines of the list."""
    lines = []
    for line in COVERAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 3 and (head := ROW.match(cells[0])):
            tests = {test.strip(" `") for test in cells[2].split("<br>") if test.strip(" `")}
            lines.append(Listed(head[2], tests, is_begun=head[1] is not None))
    return lines


def marked() -> dict[str, set[str]]:
    """Return the tests of each row, as the tests claim it."""
    rows: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for row in proves(node):
                    rows[row].add(f"{name}::{node.name}")
    for path in sorted((ROOT / "rust").rglob("*.rs")):
        name = path.relative_to(ROOT).as_posix()
        for test, row in RUST_TEST.findall(path.read_text()):
            rows[row.upper().replace("_", "-")].add(f"{name}::{test}")
    return rows


def proves(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[str]:
    """Return the rows that a test's ``proves`` markers name."""
    rows = []
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mark.proves"):
            rows += [str(ast.literal_eval(argument)) for argument in decorator.args]
    return rows


def main() -> int:
    """Print what disagrees, then the count of proven rows."""
    lines, found = listed(), marked()
    wanted = {line.row: line.tests for line in lines}
    times = Counter(line.row for line in lines)
    faults = [f"{row}: stands {count} times" for row, count in sorted(times.items()) if count > 1]
    for row in sorted(wanted.keys() | found.keys()):
        faults += [
            f"{row}: {test} is listed, but does not exist or does not claim it"
            for test in sorted(wanted.get(row, set()) - found.get(row, set()))
        ]
        faults += [
            f"{row}: {test} claims it, but docs/coverage.md does not list it"
            for test in sorted(found.get(row, set()) - wanted.get(row, set()))
        ]
    faults += [f"{row}: listed without a test" for row, tests in sorted(wanted.items()) if not tests]
    for fault in faults:
        sys.stdout.write(fault + "\n")
    proven = [line.row for line in lines if not line.is_begun]
    counts = {kind: sum(row.startswith(kind) for row in proven) for kind in ("REQ", "ROW", "CTL")}
    summary = f"{counts['REQ']} requirement rows, {counts['ROW']} fault rows, {counts['CTL']} controls proven"
    sys.stdout.write(summary + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
