"""A page as a PDF, by a Chromium of this machine: what a browser prints. Owns how it is found and called.

CHURNML_CHROMIUM names another than the one that is found."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from churnml.errors import ChurnmlError, ConfigError
from churnml.stages.project import write_whole

VARIABLE = "CHURNML_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
_WITHIN_S = 120


def find_chromium(environment: Mapping[str, str]) -> str:
    """The browser's path. Raises: ConfigError if there is none."""
    told = environment.get(VARIABLE)
    found = shutil.which(told) if told else next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    what = f"{VARIABLE}: found no program {told!r}" if told else "--pdf: found no Chromium here"
    raise ConfigError(
        f"{what}. Expected Chromium, Chrome or Edge, which prints the page. Install one (Debian: apt-get "
        f"install chromium), name it in {VARIABLE}, or open the HTML in a browser and print it there."
    )


def print_pdf(page: Path, out: Path, chromium: str) -> None:
    """Print an HTML file. Raises: ChurnmlError if the browser does not manage to."""

    def write(path: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="churnml-") as profile:
            done = _run(chromium, page, path, profile)
        if done.returncode != 0 or not path.is_file() or path.stat().st_size == 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise ChurnmlError(
                f"{out}: {chromium} could not print the page (code {done.returncode}"
                f"{': ' + said[-1] if said else ''}). Expected a browser that runs headless. Try it by "
                f"hand, or name another in {VARIABLE}. The HTML was written."
            )

    write_whole(out, write)


def _run(chromium: str, page: Path, out: Path, profile: str) -> subprocess.CompletedProcess[bytes]:
    command = [
        chromium, "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions",
        "--disable-background-networking", "--no-pdf-header-footer", f"--user-data-dir={profile}",
        # The page runs no script and asks for nothing; as root Chromium has no sandbox to offer.
        "--no-sandbox", f"--print-to-pdf={out.resolve()}", page.resolve().as_uri(),
    ]  # fmt: skip
    try:
        return subprocess.run(command, capture_output=True, timeout=_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        raise ChurnmlError(
            f"{chromium}: did not print the page within {_WITHIN_S} s. Expected seconds. Try it by hand, or "
            f"name another in {VARIABLE}. The HTML was written."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{chromium}: cannot be started ({error.strerror}). Expected a Chromium that may run. Name "
            f"another in {VARIABLE}."
        ) from None
