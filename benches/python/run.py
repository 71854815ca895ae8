"""``python -m benches.python.run --suite core [--json]``: one suite, one table or one JSON line."""

import argparse
import importlib
import json
import platform
from pathlib import Path
from typing import Any

SUITES = ("cache", "core", "edge", "klines", "pit", "service", "warm")


def machine() -> str:
    """Name the machine in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    cores = Path("/proc/cpuinfo").read_text().count("model name")
    return f"{model}, {cores} cores, Python {platform.python_version()}"


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows for people."""
    for row in rows:
        print(
            f"{row['work']:28} {row['ours']:>12,} {row['unit']:12} {row['ratio']:>7}x {row['peer']}"
            f" ({row['best_peer']:,}) digest {'ok' if row['digest_ok'] else 'WRONG'}"
        )


def main() -> int:
    """Run one suite."""
    parser = argparse.ArgumentParser(description="Measure one suite against its peers, in one run.")
    parser.add_argument("--suite", choices=SUITES, default="core")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    options = parser.parse_args()
    rows = importlib.import_module(f"benches.python.{options.suite}").run()
    if options.json:
        print(json.dumps({"suite": options.suite, "machine": machine(), "rows": rows}))
    else:
        show(rows)
    return 0 if all(row["digest_ok"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
