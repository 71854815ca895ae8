"""I8 and I10: what a fault took is given back, and nobody was replaced in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from datafacade.check.control import Entry
from datafacade.check.verdict import Verdict

PATIENCE_NS: Final = 5_000_000_000
CONTROL: Final = "control"
NEW_PID: Final = frozenset({"kill", "restart"})


def gives_back(entries: Sequence[Entry]) -> Verdict:
    """I8: threads and descriptors are back to the control count within 5 s of each fault's end."""
    verdict = Verdict("I8", "threads and descriptors are back to the control count within 5 s")
    samples: dict[str, list[Entry]] = defaultdict(list)
    control: Entry | None = None
    for entry in entries:
        if entry["action"] in NEW_PID:
            control = None
        if entry["action"] != "resources":
            continue
        if entry["phase"] == CONTROL:
            control = entry
        elif control is not None:
            samples[entry["phase"]].append({**entry, "allowed": control})
    for phase, taken in samples.items():
        verdict.compared += 1
        begin = taken[0]["t_mono_ns"]
        in_time = [entry for entry in taken if entry["t_mono_ns"] - begin <= PATIENCE_NS]
        if not any(_is_back(entry) for entry in in_time):
            least = min(in_time, key=lambda entry: (entry["threads"], entry["fds"]))
            allowed = least["allowed"]
            what = (
                f"{least['threads']} threads and {least['fds']} descriptors, "
                f"{allowed['threads']} and {allowed['fds']} before"
            )
            verdict.add(phase, begin, what)
    return verdict


def _is_back(entry: Entry) -> bool:
    allowed = entry["allowed"]
    return bool(entry["threads"] <= allowed["threads"] and entry["fds"] <= allowed["fds"])


def same_process(entries: Sequence[Entry]) -> Verdict:
    """I10: the same pid from the first look to the last, unless the harness itself ended it."""
    verdict = Verdict("I10", "the same process serves all the time")
    pid: int | None = None
    for entry in entries:
        if entry["action"] in NEW_PID:
            pid = None
        if entry["action"] != "resources":
            continue
        verdict.compared += 1
        if pid is not None and entry["pid"] != pid:
            verdict.add(entry["phase"], entry["t_mono_ns"], f"pid {entry['pid']} where {pid} was")
        pid = entry["pid"]
    return verdict
