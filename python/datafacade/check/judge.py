"""All verdicts over one run."""

from __future__ import annotations

from collections.abc import Sequence

from datafacade.check.control import Entry
from datafacade.check.loss import duplicates, order, silent_loss
from datafacade.check.process import gives_back, same_process
from datafacade.check.story import Story
from datafacade.check.truth import Truth
from datafacade.check.verdict import Verdict
from datafacade.check.worth import equals_truth, never_wrong


def judge(truth: Truth, control: Sequence[Entry], story: Story) -> list[Verdict]:
    """Return one verdict for each of I1 to I5, I8 and I10."""
    return [
        silent_loss(truth, story),
        duplicates(story),
        order(story),
        equals_truth(truth, story),
        never_wrong(truth, story),
        gives_back(control),
        same_process(control),
    ]
