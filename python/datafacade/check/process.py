"""I7, I8 and I10: memory is bounded, what a fault took is given back, and nobody was replaced in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from datafacade.check.control import Entry
from datafacade.check.held import REST_MAX
from datafacade.check.verdict import Verdict

PATIENCE_NS: Final = 5_000_000_000
CONTROL: Final = "control"
DURING: Final = "during"  # faults are on: only its memory is bounded
NEW_PID: Final = frozenset({"kill", "restart"})
MIB: Final = 1 << 20
GROWTH_BYTES: Final = 128 * MIB  # M: the rings' own bound of 64 MiB, and as much again
CAP_BYTES: Final = 512 * MIB


def bounded_memory(entries: Sequence[Entry]) -> Verdict:
    """I7: resident memory stays below the control sample and M, and below the cap."""
    verdict = Verdict("I7", "resident memory stays within the control count and its bound, and below 512 MiB")
    control: Entry | None = None
    for entry in entries:
        if entry["action"] in NEW_PID:
            control = None
        if entry["action"] != "resources" or "bytes" not in entry:
            continue
        if entry["phase"] == CONTROL:
            control = entry
        allowed = CAP_BYTES
        if control is not None:
            allowed = min(CAP_BYTES, control["bytes"] + control.get("growth_bytes", GROWTH_BYTES))
        verdict.compared += 1
        if entry["bytes"] > allowed:
            what = f"{entry['bytes'] // MIB} MiB resident, {allowed // MIB} MiB allowed"
            verdict.add(entry["phase"], entry["t_mono_ns"], what)
    return verdict


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
        elif control is not None and entry["phase"] != DURING:
            samples[entry["phase"]].append({**entry, "allowed": control})
    for phase, taken in samples.items():
        verdict.compared += 1
        begin = taken[0]["t_mono_ns"]
        in_time = [entry for entry in taken if entry["t_mono_ns"] - begin <= PATIENCE_NS]
        if not any(_is_back(entry) for entry in in_time):
            least = min(in_time, key=lambda entry: (entry["threads"], entry["fds"], entry["rest"]))
            allowed = least["allowed"]
            what = (
                f"{least['threads']} threads and {least['fds']} descriptors, "
                f"{allowed['threads']} and {allowed['fds']} before; "
                f"{least['rest']} connections to one REST port"
            )
            verdict.add(phase, begin, what)
    return verdict


def _is_back(entry: Entry) -> bool:
    is_kept = any(entry[name] > entry["allowed"][name] for name in ("threads", "fds"))
    return not is_kept and bool(entry["rest"] <= REST_MAX)


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
