"""All verdicts over one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datafacade.check.candour import health_tells
from datafacade.check.control import Entry
from datafacade.check.isolation import others_untouched
from datafacade.check.loss import silent_loss
from datafacade.check.process import bounded_memory, gives_back, same_process
from datafacade.check.sequence import duplicates, order
from datafacade.check.story import Story
from datafacade.check.truth import Truth
from datafacade.check.verdict import Verdict
from datafacade.check.worth import equals_truth, never_wrong


def judge(truth: Truth, control: Sequence[Entry], story: Story) -> list[Verdict]:
    """Return one verdict for each of I1 to I10 over what one client was told."""
    return [
        silent_loss(truth, story),
        duplicates(story),
        order(story),
        equals_truth(truth, story),
        never_wrong(truth, story),
        others_untouched(truth, control, story),
        bounded_memory(control),
        gives_back(control),
        health_tells(truth, control, story),
        same_process(control),
    ]


def judge_all(truth: Truth, control: Sequence[Entry], stories: Mapping[str, Story]) -> list[Verdict]:
    """Return one verdict for each of I1 to I10 over all clients, whose names stand in the evidence.

    The first one reads as fast as it can: delays and Health are judged by it alone.
    """
    first, *others = stories.items()
    verdicts = judge(truth, control, first[1])
    for item in (item for verdict in verdicts[:6] for item in verdict.evidence):
        item.client = first[0]
    for name, story in others:
        told = (
            silent_loss(truth, story),
            duplicates(story),
            order(story),
            equals_truth(truth, story),
            never_wrong(truth, story),
            others_untouched(truth, control, story, judges_delays=False),
        )
        for verdict, more in zip(verdicts, told, strict=False):
            verdict.join(more, name)
    return verdicts
