"""All verdicts over one run."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.checker.control import Entry
from tests.chaos.checker.loss import duplicates, order, silent_loss
from tests.chaos.checker.process import gives_back, same_process
from tests.chaos.checker.story import Story
from tests.chaos.checker.truth import Truth
from tests.chaos.checker.verdict import Verdict
from tests.chaos.checker.worth import equals_truth, never_wrong


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
