"""Where a command writes: results to stdout, everything about them to stderr."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.text import Text


def out() -> Console:
    """Return the console of results."""
    return Console(highlight=False)


def err() -> Console:
    """Return the console of remarks and errors."""
    return Console(stderr=True, highlight=False)


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
