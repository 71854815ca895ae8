"""``python -m datafacade.sim``."""

import sys

from datafacade.sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
