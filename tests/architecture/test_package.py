"""The wheel that `pip install` makes: whole, and with its command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import churnml


def test_the_wheel_holds_every_file_of_the_package_and_the_command(
    root: Path, tmp_path: Path
) -> None:
    # An ignore rule of git that is too wide would drop a template or a word list in silence.
    build = f"from hatchling.build import build_wheel; build_wheel({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"churnml-{churnml.__version__}-")
    expected = {
        path.relative_to(root / "src").as_posix()
        for path in (root / "src" / "churnml").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (entry_points,) = (name for name in held if name.endswith("entry_points.txt"))
        command = archive.read(entry_points).decode()
    assert not expected - held
    assert "churnml/py.typed" in held
    assert "churnml = churnml.cli.main:main" in command
