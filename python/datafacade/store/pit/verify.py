"""Walk everything that is kept and compare it with its hashes; name exactly what is not what was written.

Nothing is changed, no lock is taken, a writer may run meanwhile: what is linked and not yet recorded is no
damage, and what was dropped meanwhile neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from datafacade.store.pit import audit, manifest
from datafacade.store.pit.audit import follow
from datafacade.store.pit.files import Folder, opened, problem_of
from datafacade.store.pit.index import Index
from datafacade.store.pit.manifest import Damage, Manifest
from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import DROP, PUT, Broken, record_from, values_of
from datafacade.store.pit.recovery import QUARANTINE, faults_of, strays

Tell = Callable[[int, int], None]  # snapshots done, of so many
TELL_EACH: Final = 256


@dataclass(slots=True)
class Verdict:
    """What a walk found."""

    snapshots: int = 0
    ok: int = 0
    damages: list[Damage] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)  # files that no record knows; no damage
    quarantined: int = 0  # files that were put aside

    @property
    def damaged(self) -> list[str]:
        """Ids of snapshots and names of files that are not what was written, sorted, each once."""
        return sorted({damage.what for damage in self.damages})


def verify(root: Folder, *, tell: Tell | None = None) -> Verdict:
    """Return what is wrong in a store.

    Args:
        root: Its directory.
        tell: Called now and then with how far it is.

    Raises:
        OSError: It is no store, or something in it cannot be looked at now.
    """
    verdict, index = Verdict(), Index()
    with opened(root, audit.FOLDER) as folder:
        trail = _Trail()
        for line in follow(folder, verdict.damages):
            trail.take(line)
    with opened(root, manifest.FOLDER) as folder:
        book = Manifest(folder)
        for lines in book.read():
            index.apply(lines)
        verdict.damages += book.damages
        verdict.damages += _against_trail(book, trail)
        verdict.damages += _superfluous(book)
        _judge(root, book, index, verdict, tell=tell)
    verdict.unlisted = sorted(_unlisted(root, index))
    with opened(root, QUARANTINE) as folder:
        verdict.quarantined = len(folder.names())
    return verdict


def _judge(root: Folder, book: Manifest, index: Index, verdict: Verdict, *, tell: Tell | None) -> None:
    verdict.snapshots, done, judged = len(index), 0, set()
    damages: dict[str, dict[str, str]] = {}
    for line in Manifest(book.folder).told():
        if line["op"] != PUT or line["id"] not in index or line["id"] in judged:
            continue
        if index.known(line["id"]).seq != line["seq"]:
            continue
        judged.add(line["id"])
        faults = faults_of(root, record_from(line))
        if faults:
            damages[line["id"]] = faults
        verdict.ok += not faults
        done += 1
        if tell is not None and (done % TELL_EACH == 0 or done == len(index)):
            tell(done, len(index))
    for snapshot_id in _dropped_since(book) & damages.keys() if damages else ():
        del damages[snapshot_id]  # retention took it while we walked
        verdict.snapshots -= 1
    verdict.damages += [
        Damage(snapshot_id, file, problem)
        for snapshot_id, faults in damages.items()
        for file, problem in faults.items()
    ]


@dataclass(slots=True)
class _Trail:
    """What the audit log knows of the manifest."""

    heads: dict[int, str] = field(default_factory=dict)  # hashes of the last records of commits
    last: int = 0
    is_empty: bool = True

    def take(self, line: dict[str, Any]) -> None:
        """Look at one line; one that was forged may hold anything."""
        self.is_empty = False
        last, head = line.get("last"), line.get("head")
        if isinstance(last, int):
            self.last = max(self.last, last)
            if isinstance(head, str):
                self.heads[last] = head


def _against_trail(book: Manifest, trail: _Trail) -> Iterator[Damage]:
    """Yield what the audit log knows better: records that are missing, or not those that were committed."""
    if trail.is_empty:
        if book.chain.seq:
            path = f"{audit.FOLDER}/00000001.jsonl"
            yield Damage(path, path, "missing")
        return
    if trail.last > book.chain.seq and not book.damages:
        path = f"{manifest.FOLDER}/{book.chain.seq + 1:016d}.jsonl"
        yield Damage(path, path, f"missing up to record {trail.last}")
    for line in Manifest(book.folder).told():
        if trail.heads.get(line["seq"], line["hash"]) != line["hash"]:
            path = f"{manifest.FOLDER}/{line['seq']:016d}.jsonl"
            yield Damage(path, path, f"record {line['seq']} is not the one that was committed")


def _dropped_since(book: Manifest) -> set[str]:
    """Return the ids that were dropped after a manifest was read."""
    lines = Manifest(book.folder).told()
    return {line["id"] for line in lines if line["op"] == DROP and line["seq"] > book.chain.seq}


def _superfluous(book: Manifest) -> Iterator[Damage]:
    """Yield damages of segments that were folded and not yet removed."""
    kept = {segment.name for segment in book.segments}
    for name in book.folder.names():
        if name in kept or name.startswith(TEMP):
            continue
        path = f"{manifest.FOLDER}/{name}"
        try:
            for text in book.folder.read(name).split(b"\n")[:-1]:
                values_of(text)
        except Broken as broken:
            yield Damage(path, path, str(broken))
        except OSError as error:
            yield Damage(path, path, problem_of(error))


def _unlisted(root: Folder, index: Index) -> Iterator[str]:
    ours = {manifest.FOLDER, audit.FOLDER, QUARANTINE, ".lock"}
    for name in root.names():
        facts = root.facts(name)
        if name not in ours and (facts is None or not facts.is_folder):
            yield name
    for entity, day, names in strays(root, index):
        for name in names:
            yield f"{entity}/{day}/{name}"
