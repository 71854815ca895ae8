"""What the checker says. Data."""

from __future__ import annotations

from dataclasses import dataclass, field

EVIDENCE_MAX = 20


@dataclass(slots=True)
class Evidence:
    """One observation that breaks an invariant."""

    topic: str  # venue:symbol:channel, or what else it is about
    t_mono_ns: int  # CLOCK_MONOTONIC of the probe, 0: none
    what: str
    client: str = ""  # that was told it, where there are several

    def __str__(self) -> str:
        """Return one line."""
        who = f"{self.client} client, " if self.client else ""
        return f"{who}{self.topic} at {self.t_mono_ns}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """One invariant: whether it held, over how many comparisons, and what breaks it."""

    invariant: str
    claim: str
    compared: int = 0
    broken: int = 0
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing broke it."""
        return not self.broken

    @property
    def is_vacuous(self) -> bool:
        """Whether there was nothing to compare."""
        return self.compared == 0

    def add(self, topic: str, t_mono_ns: int, what: str) -> None:
        """Note what breaks it; only the first ones are kept."""
        self.broken += 1
        if len(self.evidence) < EVIDENCE_MAX:
            self.evidence.append(Evidence(topic, t_mono_ns, what))

    def join(self, other: Verdict, client: str) -> None:
        """Add what the same invariant was for another client."""
        self.compared += other.compared
        self.broken += other.broken
        for item in other.evidence:
            item.client = client
        self.evidence += other.evidence

    def __str__(self) -> str:
        """Return one line, and one more for each piece of evidence."""
        word = "holds" if self.holds else f"BROKEN {self.broken} times"
        lines = [f"{self.invariant} {word} over {self.compared} comparisons: {self.claim}"]
        lines += [f"  {item}" for item in self.evidence]
        return "\n".join(lines)
