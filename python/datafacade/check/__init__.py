"""Judge a run from outside: logs go in, one verdict per invariant of FAULTS 1.4 comes out.

The logs are the simulator's truth, the harness's control log and the probe's raw bytes. Nothing is shared
with the product but the contract's messages: a book of plain dicts, rules read from the contract and the
venues' documents. ``python -m datafacade.check`` judges logs by hand.
"""

from datafacade.check.judge import judge
from datafacade.check.verdict import Evidence, Verdict

__all__ = ["Evidence", "Verdict", "judge"]
