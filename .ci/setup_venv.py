"""Make a virtual environment that holds a lock and this package, in well under a minute.

Usage: python .ci/setup_venv.py VENV LOCK (`make setup` calls it; standard library only).
Owns how packages get installed: by uv, which the environment gets from pip and which needs a
fraction of pip's time, and by pip itself wherever uv cannot do it. Knows nothing of what is in a
lock. Doing it again over a finished or half-made environment is safe and quick."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# A runtime library that LightGBM's wheel takes from the system; slim images lack it.
GOMP_HINT = (
    "LightGBM cannot be loaded: the system lacks its OpenMP library. Expected libgomp (Linux) or "
    "libomp (macOS). Install it (`apt-get install libgomp1`, `brew install libomp`) and call make "
    "again."
)


def main(venv: Path, lock: Path) -> None:
    started = time.monotonic()
    python = ensure_venv(venv)
    pip, settings = ensure_pip(python)
    uv = ensure_uv(python, pip)
    say(f"Installing {lock.name} into {venv} …")
    install(["--require-hashes", "-r", str(lock)], python, pip, uv, settings)
    # The lock holds the build backend, so nothing is fetched here and nothing unpinned is used.
    install(["--no-deps", "--no-build-isolation", "-e", str(ROOT)], python, pip, uv, settings)
    check_openmp(python)
    say(f"{venv} is ready ({time.monotonic() - started:.0f} s).")


def ensure_venv(venv: Path) -> Path:
    """The environment's interpreter; the environment is made, or made anew if it doesn't run."""
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    probe = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    if python.exists() and run([str(python), "-c", probe], quiet=True):
        return python
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
        fail(f"{venv} is there and is no virtual environment. Move it away, or give VENV=….")
    say(f"Making {venv} with {sys.executable} ({sys.version.split()[0]}) …")
    # Without pip, which the lock brings: making the environment's own first costs as much as the
    # rest of this, and Debian can do it only with python3-venv.
    if not run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)]):
        fail(f"{sys.executable} cannot make {venv} (why stands above).")
    return python


def ensure_pip(python: Path) -> tuple[list[str], dict[str, str]]:
    """A pip that installs into the environment, and the site's settings for uv."""
    own = [str(python), "-m", "pip"]
    outer = [sys.executable, "-m", "pip", "--python", str(python)]
    for pip in (outer, own):
        listing = output([*pip, "config", "list"])
        if listing is not None:
            return pip, uv_environment(listing)
    if not run([str(python), "-m", "ensurepip"], quiet=True):
        fail(
            f"{sys.executable} has neither a pip of 22.3 or newer nor ensurepip. Install pip "
            "(Debian: python3-pip, or python3-venv) and call make again."
        )
    return own, uv_environment(output([*own, "config", "list"]) or "")


def uv_environment(listing: str) -> dict[str, str]:
    """What the site has told pip (`pip config list`), in the words of uv's environment.

    uv reads none of pip's settings, so a mirror, a certificate or a proxy would be lost on it.
    Extra indexes aren't handed on: where packages come from there alone, pip takes over."""
    found: dict[str, str] = {}
    rank = {"global": 0, "install": 1, ":env:": 2}
    lines = [line.partition("=") for line in listing.splitlines() if "=" in line]
    for name, _, value in sorted(lines, key=lambda line: rank.get(line[0].partition(".")[0], -1)):
        section, _, option = name.partition(".")
        if section in rank:
            found[option] = str(ast.literal_eval(value))
    env = {"UV_PYTHON_DOWNLOADS": "never"}
    for option, names in {
        "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
        "cert": ("SSL_CERT_FILE",),
        "proxy": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"),
        "timeout": ("UV_HTTP_TIMEOUT",),
        "default-timeout": ("UV_HTTP_TIMEOUT",),
        "trusted-host": ("UV_INSECURE_HOST",),
    }.items():
        if option in found and not any(name in os.environ for name in names):
            env[names[0]] = " ".join(found[option].split())
    if found.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        env["UV_NO_INDEX"] = "1"
        env["UV_FIND_LINKS"] = ",".join(found.get("find-links", "").split())
    return env


def ensure_uv(python: Path, pip: list[str]) -> Path | None:
    """uv in the environment, as requirements-uv.lock pins it; None where it cannot be had."""
    uv = python.with_name("uv.exe" if os.name == "nt" else "uv")
    lock = ROOT / "requirements-uv.lock"
    pin = next(line for line in lock.read_text().splitlines() if line.startswith("uv=="))
    version = pin.split()[0].removeprefix("uv==")
    if f"uv {version} " in f"{output([str(uv), '--version'])} ":
        return uv
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    if run([*pip, *arguments, "--require-hashes", "-r", str(lock)], quiet=True) and uv.exists():
        return uv
    say("uv cannot be had here: pip installs everything, which takes a few minutes.")
    return None


def install(
    arguments: list[str], python: Path, pip: list[str], uv: Path | None, settings: dict[str, str]
) -> None:
    if uv is not None:
        command = [str(uv), "pip", "install", "--quiet", "--python", str(python), *arguments]
        if run(command, env={**os.environ, **settings}):
            return
        say("uv could not do it (above): pip tries, which takes a few minutes.")
    if not run([*pip, "install", "--quiet", "--disable-pip-version-check", *arguments]):
        fail("The packages could not be installed: pip says why above.")


def check_openmp(python: Path) -> None:
    find = (
        "import ctypes, importlib.util, pathlib\n"
        "spec = importlib.util.find_spec('lightgbm')\n"
        "for path in pathlib.Path(spec.origin).parent.glob('lib/lib_lightgbm.*'):\n"
        "    ctypes.CDLL(str(path))\n"
    )
    if not run([str(python), "-c", find], quiet=True):
        fail(GOMP_HINT)


def run(command: list[str], quiet: bool = False, env: dict[str, str] | None = None) -> bool:
    stream = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(command, stdout=stream, stderr=stream, env=env).returncode == 0
    except OSError:
        return False


def output(command: list[str]) -> str | None:
    """What the command prints; None where it cannot run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str) -> NoReturn:
    sys.exit(f"setup: {text}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        fail("give a folder and a lock, as in setup_venv.py .venv requirements.lock")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
