"""Export what the screen shows as an SVG, without fonts from other hosts."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

COLUMNS: Final = 162
# Background, foreground, then black, red, green, yellow, blue, magenta, cyan, white: plain and bright.
NIGHT: Final = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [
        (72, 79, 88), (248, 81, 73), (63, 185, 80), (210, 153, 34),
        (56, 110, 190), (188, 140, 255), (57, 197, 207), (177, 186, 196),
    ],
    [
        (110, 118, 129), (255, 123, 114), (86, 211, 100), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (86, 212, 221), (240, 246, 252),
    ],
)  # fmt: skip
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
    path.write_text(console.export_svg(title=title, theme=NIGHT, code_format=form), encoding="utf-8")
