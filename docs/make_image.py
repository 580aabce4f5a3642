"""Write docs/images/explain.svg: `python docs/make_image.py PROJECT ACCOUNT`, what `explain` prints of it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from churnml.cli.main import app

IMAGE = Path(__file__).parent / "images" / "explain.svg"
WIDTH = 104
STYLES = {"+": "red", "−": "green", "→": "bold"}


def drawn(project: str, account: str) -> str:
    """The picture of what the command prints about an account."""
    told = CliRunner().invoke(app, ["explain", account, "--project", project])
    if told.exit_code != 0:
        sys.exit(told.output)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor")
    for line in told.output.splitlines():
        body = line.lstrip()
        indent = len(line) - len(body)
        style = STYLES.get(body[:1], "" if indent or not body else "bold")
        # What is too long goes on under its own beginning.
        for part in Text(body, style=style).wrap(console, WIDTH - indent - 2):
            console.print(Text(" " * indent) + part)
            indent = max(indent, len(line) - len(body) + (2 if body[:1] in STYLES else 0))
    return console.export_svg(title=f"churnml explain {account}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    IMAGE.write_text(drawn(sys.argv[1], sys.argv[2]), encoding="utf-8")
    print(f"Wrote {IMAGE}")
