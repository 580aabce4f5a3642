"""Where pictures are drawn, and how they are kept. Owns the backend; draws nothing.

A notebook's own backend stays as it is; where nobody has chosen one, nothing may ask for a screen."""

from __future__ import annotations

from pathlib import Path

import matplotlib

if matplotlib.get_backend(auto_select=False) is None:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt

__all__ = ["plt", "save"]

DPI = 100


def save(figure: plt.Figure, path: Path) -> Path:
    """Write a figure as PNG, whatever the file is called while it is written, and let go of it."""
    figure.savefig(path, dpi=DPI, bbox_inches="tight", format="png")
    plt.close(figure)
    return path
