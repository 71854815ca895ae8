"""Show snapshots to people and programs, from a directory and from a service alike."""

from __future__ import annotations

import base64
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeAlias

from rich import box
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from datafacade.cli.output import err, out, remark, write_json
from datafacade.cli.text import clean
from datafacade.client import PitSnapshot
from datafacade.store.pit import verify
from datafacade.store.pit.names import utc_text
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.retention import Tell
from datafacade.v1 import pit_pb2

SHOWN_MAX: Final = 20


# As the store, the contract and the client say it; all have the same fields.
Ref: TypeAlias = PitRef | PitSnapshot | pit_pb2.PitRef
Verdict: TypeAlias = verify.Verdict | pit_pb2.VerifyPitResponse


class Found(NamedTuple):
    """A stored answer: its bytes, and its readable form; None: a table has none."""

    ref: Ref
    message: bytes
    readable: Any


def show_answer(found: Found, *, raw: bool, as_json: bool) -> None:
    """Print a stored answer: its bytes, or what it says."""
    if raw:
        sys.stdout.buffer.write(found.message)
    elif as_json:
        encoded = base64.b64encode(found.message).decode("ascii")
        write_json(as_values(found.ref) | {"readable": found.readable, "message_base64": encoded})
    elif found.readable is None:
        remark(f"a Parquet table of {found.ref.rows} rows: write it to a file with --raw")
    else:
        out().print_json(data=found.readable)


def as_values(ref: Ref) -> dict[str, Any]:
    """Return a snapshot for programs."""
    return {
        "id": ref.id,
        "seq": ref.seq,
        "entity": ref.entity,
        "kind": ref.kind,
        "ts_wall": ref.ts_wall,
        "time": utc_text(ref.ts_wall),
        "path": ref.path,
        "size_bytes": ref.size_bytes,
        "rows": ref.rows,
        "labels": list(ref.labels),
    }


def verdict_values(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for programs."""
    return {
        "snapshots": verdict.snapshots,
        "ok": verdict.ok,
        "damaged": sorted({damage.what for damage in verdict.damages}),
        "problems": [
            {"what": damage.what, "file": damage.file, "problem": damage.problem}
            for damage in verdict.damages
        ],
        "unlisted": list(verdict.unlisted),
        "quarantined": verdict.quarantined,
    }


def show_snapshots(refs: Sequence[Ref], limit: int) -> None:
    """Print the newest snapshots of an entity."""
    table = table_of("known at (UTC)", "id", "bytes", "rows", "labels")
    for ref in refs[-limit:]:
        labels = Text(clean(", ".join(ref.labels), 40), style="green")
        table.add_row(time_text(ref.ts_wall), ref.id[:16], f"{ref.size_bytes:,}", str(ref.rows), labels)
    out().print(table)
    if len(refs) > limit:
        remark(f"the newest {limit} of {len(refs)}; see more with --limit {len(refs)}")
    elif not refs:
        remark("no snapshots")


def show_entities(refs: Sequence[Ref], limit: int) -> None:
    """Print what there is a snapshot of."""
    counts = Counter(ref.entity for ref in refs)
    newest = {ref.entity: ref.ts_wall for ref in refs}
    table = table_of("newest (UTC)", "snapshots", "entity")
    for name in sorted(counts)[:limit]:
        table.add_row(time_text(newest[name]), f"{counts[name]:,}", Text(clean(name, 80), style="bold"))
    out().print(table)
    remark(f"{len(refs)} snapshots of {len(counts)} entities")


def show_verdict(verdict: Verdict) -> None:
    """Print what is damaged."""
    console = out()
    style = "bold red" if verdict.damages else "bold green"
    console.print(Text(f"{verdict.ok} of {verdict.snapshots} snapshots are what was written", style=style))
    for damage in verdict.damages[:SHOWN_MAX]:
        console.print(Text(f"  {clean(damage.what, 80)}: {clean(damage.file)}: {clean(damage.problem)}"))
    if len(verdict.damages) > SHOWN_MAX:
        remark(f"and {len(verdict.damages) - SHOWN_MAX} more; --json has all")
    if verdict.unlisted:
        remark(f"{len(verdict.unlisted)} files are in no record, as {clean(verdict.unlisted[0])}")


@contextmanager
def progress(verb: str, *, is_shown: bool, is_bytes: bool = False) -> Iterator[Tell]:
    """Show on stderr how far something is, that tells it; gone when it is over."""
    amount: ProgressColumn = DownloadColumn(binary_units=True) if is_bytes else MofNCompleteColumn()
    columns = (TextColumn(verb), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True, disable=not is_shown) as shown:
        task = shown.add_task(verb, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def table_of(*columns: str) -> Table:
    """Return an empty table."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim")
    for name in columns:
        table.add_column(
            name, no_wrap=True, justify="right" if name in {"bytes", "rows", "snapshots"} else "left"
        )
    return table


def time_text(ts_ns: int) -> str:
    """Return a time for people, to the millisecond."""
    return utc_text(ts_ns)[:23].replace("T", " ")
