"""Judge by hand: ``python -m datafacade.check --truth FILE --control FILE --probe FILE``.

Prints the verdicts; exits 1 if one is broken.
"""

import argparse
import sys
from pathlib import Path

from datafacade.check import judge
from datafacade.check.control import read_control
from datafacade.check.probe import ProbeReader
from datafacade.check.story import Story
from datafacade.check.truth import read_truth


def main() -> int:
    """Judge three logs."""
    parser = argparse.ArgumentParser(description="judge a run by its logs")
    for name in ("truth", "control", "probe"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    arguments = parser.parse_args()
    with arguments.truth.open() as lines:
        truth = read_truth(lines)
    with arguments.control.open() as lines:
        control = read_control(lines)
    story = Story()
    story.add(ProbeReader(arguments.probe).news())
    verdicts = judge(truth, control, story)
    for verdict in verdicts:
        sys.stdout.write(f"{verdict}\n")
    return 0 if all(verdict.holds for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
