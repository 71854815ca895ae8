"""``datafacade pit``: what was answered, byte for byte, and proven; from a directory or from a service."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from datafacade.cli.ask import Json, ask
from datafacade.cli.failure import FAILED, UsageError
from datafacade.cli.output import out, remark, write_json
from datafacade.cli.pit_view import (
    Found,
    Ref,
    Verdict,
    as_values,
    progress,
    show_answer,
    show_entities,
    show_snapshots,
    show_verdict,
    table_of,
    time_text,
    verdict_values,
)
from datafacade.cli.text import clean
from datafacade.client import Client, PitSnapshot
from datafacade.errors import PitCorrupt
from datafacade.store.pit import audit as trail
from datafacade.store.pit import retention
from datafacade.store.pit.files import opened
from datafacade.store.pit.names import JSON
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.snapshot import read_part, unpack
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify as walk

BASE_PATH: Final = Path("artifacts/pit")
TS_END: Final = 2**63 - 1
_NS: Final = 1_000_000_000
_INTEGER: Final = re.compile(r"[0-9]{1,19}")
_TIME: Final = re.compile(r"(.*?)(?:\.([0-9]{1,9}))?(Z|[+-][0-9:]{5,6})?")

Dir = Annotated[
    Path, typer.Option("--dir", "-d", envvar="DATAFACADE_PIT_DIR", help="Where the snapshots are.")
]

Service = Annotated[
    str, typer.Option("--target", "-t", help="Ask this running service, host:port, not a directory.")
]


@contextmanager
def store(path: Path, *, is_writable: bool = False) -> Iterator[Vault]:
    """Open a store, and close it."""
    vault = Vault.open(path, is_writable=is_writable)
    try:
        yield vault
    finally:
        vault.close()


def ls(
    entity: Annotated[str, typer.Argument(help="As warm.klines/binance/BTC-USDT/1h; without: all.")] = "",
    since: Annotated[str, typer.Option("--from", help="First instant: 2026-11-21T16:00:00Z, or ns.")] = "0",
    until: Annotated[str, typer.Option("--to", help="First instant behind: a time, ns, or now.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows for people; JSON has all.")] = 40,
    directory: Dir = BASE_PATH,
    target: Service = "",
    as_json: Json = False,
) -> None:
    """List entities, or the snapshots of one.

    Examples:
      datafacade pit ls --dir DIR
      datafacade pit ls warm.klines/binance/BTC-USDT/1h --from 2026-11-21T16:00:00Z --json

    Exit codes: 0 listed, 1 no store there.
    """
    ts_from, ts_to = instant(since), instant(until) if until else 0
    refs: Sequence[Ref]
    if target:
        refs = ask(target, lambda client: _listed(client, entity, ts_from, ts_to))
    else:
        with store(directory) as vault:
            names = [entity] if entity else vault.entities()
            refs = [ref for name in names for ref in vault.list(name, ts_from, ts_to or TS_END)]
    if as_json:
        write_json([as_values(ref) for ref in refs])
    elif entity:
        show_snapshots(refs, limit)
    else:
        show_entities(refs, limit)


def get(
    snapshot_id: Annotated[str, typer.Argument(metavar="ID", help="64 hex digits, or the first 16 or more.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the stored bytes themselves.")] = False,
    directory: Dir = BASE_PATH,
    target: Service = "",
    as_json: Json = False,
) -> None:
    """Print a stored answer, after its files were compared with their hashes.

    Examples:
      datafacade pit get 9f86d081884c7d65 --dir DIR
      datafacade pit get 9f86d081884c7d65 --dir DIR --raw > answer.pb
      datafacade pit get 9f86d081884c7d65 --target 127.0.0.1:50051

    Exit codes: 0 printed, 1 no such snapshot, or it is damaged.
    """
    if target:
        with progress("fetched", is_shown=not as_json, is_bytes=True) as tell:
            found = ask(
                target, lambda client: _given(client, client.pit_get(snapshot_id, tell=tell), raw=raw)
            )
    else:
        with store(directory) as vault:
            found = _read(vault, vault.find(snapshot_id))
    show_answer(found, raw=raw, as_json=as_json)


def at(
    entity: Annotated[str, typer.Argument(help="As warm.klines/binance/BTC-USDT/1h.")],
    time: Annotated[str, typer.Argument(help="2026-11-21T16:41:29Z, ns since 1970, or now.")] = "now",
    raw: Annotated[bool, typer.Option("--raw", help="Write the stored bytes themselves.")] = False,
    directory: Dir = BASE_PATH,
    target: Service = "",
    as_json: Json = False,
) -> None:
    """Print what was known of an entity at a time.

    Example:
      datafacade pit at warm.klines/binance/BTC-USDT/1h 2026-11-21T16:41:29Z --dir DIR

    Exit codes: 0 printed, 1 nothing was known, or it is damaged.
    """
    if target:
        ts = 0 if time == "now" else instant(time)  # its clock says when that is
        with progress("fetched", is_shown=not as_json, is_bytes=True) as tell:
            found = ask(
                target, lambda client: _given(client, client.pit_find(entity, ts, tell=tell), raw=raw)
            )
    else:
        with store(directory) as vault:
            found = _read(vault, vault.at(entity, instant(time)))
    show_answer(found, raw=raw, as_json=as_json)


def verify(directory: Dir = BASE_PATH, target: Service = "", as_json: Json = False) -> None:
    """Read every file and compare it with its hash; name each that is not what was written.

    A service takes 10 s at most and names 1,000 damages at most; a directory is read to its end.

    Example:
      datafacade pit verify --dir DIR --json   # {"snapshots": 9, "ok": 9, "damaged": []}

    Exit codes: 0 everything is whole, 1 something is damaged, or no store is there.
    """
    verdict: Verdict
    if target:
        verdict = ask(target, lambda client: client.pit_verify())
    else:
        with store(directory) as vault, progress("verified", is_shown=not as_json) as tell:
            verdict = walk(vault.root, tell=tell)
    if as_json:
        write_json(verdict_values(verdict))
    else:
        show_verdict(verdict)
    if verdict.damages:
        raise typer.Exit(FAILED)


def audit(
    limit: Annotated[int, typer.Option(min=1, help="Lines for people; JSON has all.")] = 40,
    directory: Dir = BASE_PATH,
    as_json: Json = False,
) -> None:
    """Print what was done to the store, oldest first. Works on a directory only.

    Exit codes: 0 printed, 1 the log is damaged, or no store is there.
    """
    with store(directory) as vault, opened(vault.root, trail.FOLDER) as folder:
        lines, damages = trail.read_trail(folder)
    if as_json:
        write_json({"lines": lines, "damaged": sorted({damage.what for damage in damages})})
    else:
        table = table_of("when (UTC)", "what", "who", "")
        hidden = {"seq", "op", "ts", "by", "prev", "hash", "head"}
        for line in lines[-limit:]:
            told = ", ".join(
                f"{name} {value}" for name, value in line.items() if name not in hidden and value
            )
            table.add_row(
                time_text(line["ts"]), line["op"], clean(line["by"], 32), Text(clean(told, 200), style="dim")
            )
        out().print(table)
        for damage in damages:
            out().print(Text(f"{damage.file}: {damage.problem}", style="bold red"))
    if damages:
        raise typer.Exit(FAILED)


def gc(
    hours: Annotated[int, typer.Option(min=1, help="How long answers are kept.")] = retention.HOURS,
    confirm: Annotated[bool, typer.Option("--confirm", help="Let more than a tenth go at once.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    directory: Dir = BASE_PATH,
    as_json: Json = False,
) -> None:
    """Delete snapshots that are older than the retention, a tenth of all at most.

    What bears the label keep, and what a live snapshot was made from, stays. Works on a directory only;
    its service may run.

    Exit codes: 0 done, 1 no store is there.
    """
    with store(directory, is_writable=not dry_run) as vault:
        if dry_run:
            now = vault.clock.wall_ns()
            plan = retention.plan(vault.catalog.index, now=now, hours=hours, is_confirmed=confirm)
        else:
            with progress("deleted", is_shown=not as_json) as tell:
                plan = retention.sweep(vault, hours=hours, is_confirmed=confirm, tell=tell)
    told = {
        "snapshots": plan.snapshots,
        "dropped": len(plan.going),
        "waiting": plan.waiting,
        "held": plan.held,
    }
    if as_json:
        write_json(told | {"ids": [ref.id for ref in plan.going]})
        return
    verb = "would delete" if dry_run else "deleted"
    remark(f"{verb} {len(plan.going)} of {plan.snapshots}; {plan.held} are held by labels or references")
    if plan.waiting:
        remark(f"{plan.waiting} more have expired: run it again, or let all go at once with --confirm")


def keep(
    snapshot_id: Annotated[str, typer.Argument(metavar="ID", help="64 hex digits, or the first 16 or more.")],
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help='Instead of keep; none: "".')
    ] = None,
    directory: Dir = BASE_PATH,
    as_json: Json = False,
) -> None:
    """Label a snapshot; keep, or keep:WHY, exempts it from retention. Works on a directory only.

    Exit codes: 0 labelled, 1 no such snapshot.
    """
    with store(directory, is_writable=True) as vault:
        ref = vault.label(snapshot_id, [name for name in (label or ["keep"]) if name])
    if as_json:
        write_json(as_values(ref))
    else:
        remark(f"{ref.id[:16]}: {', '.join(ref.labels) or 'no labels'}")


def instant(text: str) -> int:
    """Return a time as ns UTC: an ISO time, ns since 1970, or ``now``.

    Raises:
        UsageError: It is none.

    Example:
        >>> instant("1970-01-01T00:00:01.000000005Z")
        1000000005
    """
    if text == "now":
        return int(datetime.now(UTC).timestamp() * _NS)
    if _INTEGER.fullmatch(text):
        return int(text)
    match = _TIME.fullmatch(text)
    try:
        whole = datetime.fromisoformat((match[1] if match else text) + ((match and match[3]) or ""))
    except ValueError:
        problem = f"expected a time as 2026-11-21T16:41:29Z, ns since 1970, or now, received {text[:40]!r}"
        raise UsageError(problem) from None
    moment = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
    return int(moment.timestamp()) * _NS + int(((match and match[2]) or "").ljust(9, "0"))


async def _listed(client: Client, entity: str, ts_from: int, ts_to: int) -> Sequence[Ref]:
    names = [entity] if entity else await client.pit_entities()
    return [ref for name in names for ref in await client.pit_refs(name, ts_from, ts_to)]


async def _given(client: Client, asked: Awaitable[PitSnapshot], *, raw: bool) -> Found:
    """Return what a service gives; the readable form only where it is wanted."""
    found = await asked
    readable = None if raw or not found.path.endswith(JSON) else json.loads(await client.pit_text(found.id))
    return Found(found, found.message, readable)


def _read(vault: Vault, ref: PitRef) -> Found:
    """Return what a directory holds, after its files were compared with their hashes."""
    message = vault.get(ref.id).message
    if vault.bad_files(ref.id):
        raise PitCorrupt(ref.id)
    readable = unpack(read_part(vault.root, ref.path)) if ref.path.endswith(JSON) else None
    return Found(ref, message, readable)


VERBS: Final[tuple[Callable[..., None], ...]] = (ls, get, at, verify, audit, gc, keep)
