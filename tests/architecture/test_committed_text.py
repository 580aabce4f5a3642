"""What is committed works on any machine: no registry's address, nobody's folders."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

# Written in parts, so that this file does not name what it looks for.
FORBIDDEN = {
    "a registry's address": ["pypi" + r"\.org", "python" + "hosted", r"registry\." + "npmjs",
                             r"(deb|security)\.debian" + r"\.org"],
    "a folder of one machine": [r"(?<![\w.:])/" + "work/", r"(?<![\w.:])/" + "root/",
                                r"(?<![\w.:])/" + "home/[a-z]", r"(?<![\w.:])/" + "Users/[a-z]",
                                r"\b[A-Z]:\\" + r"\\?Users\b"],
    "a folder beside the checkout": [r"\.\./" + "shared"],
}  # fmt: skip
# The one place that may know where the real data lies.
MAY_POINT_BESIDE = ".ci/run"


def committed_texts(root: Path) -> list[tuple[str, str]]:
    """Path and text of each file that git tracks, or would: binaries left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    texts = []
    for name in filter(None, listing.split("\0")):
        path = root / name
        if not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            texts.append((name, content.decode("utf-8", errors="replace")))
    return texts


def test_no_committed_text_names_a_registry_or_a_folder_of_one_machine(root: Path) -> None:
    texts = committed_texts(root)
    assert "pyproject.toml" in [name for name, _ in texts]
    faults = [
        f"{name}:{number}: {what}: {line.strip()[:100]}"
        for name, text in texts
        for what, patterns in FORBIDDEN.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search("|".join(patterns), line)
        if not (what == "a folder beside the checkout" and name == MAY_POINT_BESIDE)
    ]
    assert not faults, "\n".join(faults) + "\nUse a relative path, or a variable such as ${HOME}."
