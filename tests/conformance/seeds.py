"""Seeds of the damaged captures: fixed, unless ``DATAFACADE_SEED`` sets the first."""

import os
from typing import Final

SEED_VARIABLE: Final = "DATAFACADE_SEED"
SEED_FIRST: Final = int(os.environ.get(SEED_VARIABLE, "20240808"))
SEEDS: Final = tuple(range(SEED_FIRST, SEED_FIRST + 3))
