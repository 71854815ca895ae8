"""Hold docs/coverage.md against the tests: every row that it lists has its test, every marked test is listed.

A line of the list is ``| ROW-B01 | what it demands | tests/chaos/test_x.py::test_y | open clauses |``;
several tests are separated by ``<br>``. Rust tests carry the row in their name: ``row_b03_...``.
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
COVERAGE: Final = ROOT / "docs" / "coverage.md"
ROW: Final = re.compile(r"^(REQ|ROW|CTL)-[A-Z0-9]+$")
RUST_TEST: Final = re.compile(r"fn (row_([a-h]\d{2})_\w+)")


def listed() -> dict[str, set[str]]:
    """Return the tests of each row, as the list names them."""
    rows: dict[str, set[str]] = {}
    for line in COVERAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 3 and ROW.match(cells[0]):
            rows[cells[0]] = {test.strip(" `") for test in cells[2].split("<br>") if test.strip(" `")}
    return rows


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
            rows[f"ROW-{row.upper()}"].add(f"{name}::{test}")
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
    wanted, found = listed(), marked()
    faults = []
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
    counts = {kind: sum(row.startswith(kind) for row in wanted) for kind in ("REQ", "ROW", "CTL")}
    summary = f"{counts['REQ']} requirement rows, {counts['ROW']} fault rows, {counts['CTL']} controls proven"
    sys.stdout.write(summary + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
