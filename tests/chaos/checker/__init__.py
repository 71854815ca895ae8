"""Judge a run from outside: logs go in, one verdict per invariant of FAULTS 1.4 comes out.

The logs are the simulator's truth, the harness's control log and the probe's raw bytes. Nothing is shared
with the product but the contract's messages: a book of plain dicts, rules read from the contract and the
venues' documents. ``python -m tests.chaos.checker`` judges logs by hand.
"""

from tests.chaos.checker.judge import judge
from tests.chaos.checker.verdict import Evidence, Verdict

__all__ = ["Evidence", "Verdict", "judge"]
