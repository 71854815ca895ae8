"""Where a command writes: results to stdout, everything about them to stderr."""

from __future__ import annotations

import json
import sys
from typing import Final

from rich import box
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

WIDEST: Final = 1_000  # columns


def out() -> Console:
    """Return the console of results."""
    return Console(highlight=False)


def err() -> Console:
    """Return the console of remarks and errors."""
    return Console(stderr=True, highlight=False)


def table_of(*columns: str) -> Table:
    """Return an empty table; the figures of a column named as ``>price`` stand to the right."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim")
    for name in columns:
        justify: JustifyMethod = "right" if name.startswith(">") else "left"
        table.add_column(name.removeprefix(">"), justify=justify, no_wrap=True)
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table with every figure whole: on a narrow screen its lines run on."""
    anywhere = console.options.update(max_width=WIDEST)
    needed = Measurement.get(console, anywhere, table).maximum
    if needed > console.width:
        table.width = needed
    console.print(table, crop=False)


def write_json(value: object) -> None:
    """Write one JSON object as one line of stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """Write a line about what happens."""
    err().print(Text(text, style="dim"), soft_wrap=True)


def warn(text: str) -> None:
    """Write a warning."""
    err().print(Text.assemble(("warning: ", "bold yellow"), text), soft_wrap=True)


def fail(text: str, *hints: str) -> None:
    """Write an error and what to do about it."""
    console = err()
    console.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)
    for hint in hints:
        console.print(Text(f"  {hint}"), soft_wrap=True)
