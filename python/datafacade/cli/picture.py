"""Export what the screen shows as an SVG, without fonts from other hosts."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI

COLUMNS: Final = 148
FONTS: Final = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def export_svg(picture: RenderableType, path: Path, *, title: str) -> None:
    """Write a renderable as an SVG file.

    Raises:
        OSError: The file cannot be written.
    """
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(picture)
    form = FONTS.sub("", CONSOLE_SVG_FORMAT).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
    )
    path.write_text(console.export_svg(title=title, theme=MONOKAI, code_format=form), encoding="utf-8")
