"""Judge logs: ``python -m datafacade.check --truth FILE --control FILE --probe FILE [--probe FILE ...]``.

The first probe is the one that reads as fast as it can. Prints the verdicts; exits 1 if one is broken.
"""

import argparse
import sys
from pathlib import Path

from datafacade.check.control import read_control
from datafacade.check.judge import judge_all
from datafacade.check.probe import ProbeReader
from datafacade.check.story import Story
from datafacade.check.truth import read_truth


def main() -> int:
    """Judge the logs of a run."""
    parser = argparse.ArgumentParser(prog="python -m datafacade.check", description="judge a run by its logs")
    parser.add_argument("--truth", required=True, type=Path, help="the simulator's truth log")
    parser.add_argument("--control", required=True, type=Path, help="what the harness did and saw")
    parser.add_argument("--probe", required=True, type=Path, action="append", help="what a client was told")
    arguments = parser.parse_args()
    with arguments.truth.open(encoding="utf-8") as lines:
        truth = read_truth(lines)
    with arguments.control.open(encoding="utf-8") as lines:
        control = read_control(lines)
    stories = {path.stem: _story(path) for path in arguments.probe}
    verdicts = judge_all(truth, control, stories)
    for verdict in verdicts:
        sys.stdout.write(f"{verdict}\n")
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _story(path: Path) -> Story:
    story = Story()
    story.add(ProbeReader(path).news())
    return story


if __name__ == "__main__":
    sys.exit(main())
