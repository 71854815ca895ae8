"""Libraries that a process loads before all others, built by the C compiler that builds the core too."""

from __future__ import annotations

import subprocess
from pathlib import Path


def compiled(source: Path, folder: Path) -> Path:
    """Compile a C file beside this one into a library in ``folder``; return where it is."""
    library = folder / source.with_suffix(".so").name
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)  # noqa: S603  our own source
    return library
