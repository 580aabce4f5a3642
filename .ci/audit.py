"""Look up whether anything in a lock has a known vulnerability, and judge what is found.

Usage: python .ci/audit.py LOCK [pip-audit's options] (`make audit` calls it; pip-audit beside it).
A finding fails unless .ci/audit.toml explains it. Where the service that knows of vulnerabilities cannot be
reached (a mirror of packages alone, no network), that is said, loudly, and fails nothing: no finding."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPLAINED = Path(__file__).with_name("audit.toml")
WITHIN_S = 300
# What pip-audit says where it got no answer at all, rather than that it could not read the lock.
UNREACHABLE = ("ConnectionError", "ConnectionFailed", "Timeout", "Max retries exceeded", "503")


@dataclass(frozen=True)
class Verdict:
    """What came out: the exit code, and sentences for people."""

    code: int
    lines: tuple[str, ...]


def main(lock: str, options: list[str]) -> int:
    words = [
        sys.executable, "-m", "pip_audit", "-r", lock, "--disable-pip", "--require-hashes",
        "--format", "json", "--progress-spinner", "off", *options,
    ]  # fmt: skip
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        verdict = judged(done.stdout, done.stderr, done.returncode, explained(EXPLAINED))
    except subprocess.TimeoutExpired:
        verdict = not_audited(f"no answer within {WITHIN_S} s")
    for sentence in verdict.lines:
        print(f"audit: {sentence}")
    return verdict.code


def explained(path: Path) -> dict[str, str]:
    """Findings that somebody looked at: id -> why it stands. Raises: SystemExit for one without a reason."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("explained", [])
    reasons = {}
    for entry in entries:
        if set(entry) != {"id", "package", "reason"} or not str(entry["reason"]).strip():
            raise SystemExit(
                f"{path.name}: found {entry}. Expected id, package and a reason for each. Write them down."
            )
        reasons[entry["id"]] = str(entry["reason"]).strip()
    return reasons


def judged(out: str, err: str, code: int, reasons: dict[str, str]) -> Verdict:
    """What pip-audit's answer means. reasons: of the findings that are explained."""
    try:
        packages: list[dict[str, Any]] = json.loads(out)["dependencies"]
    except (ValueError, KeyError):
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "no word")
        if any(word in last for word in UNREACHABLE):
            return not_audited(last[:200])
        return Verdict(1, (f"pip-audit ended with code {code}: {last[:300]}",))
    looked_up = [package for package in packages if "vulns" in package]
    if not looked_up:
        why = str(packages[0].get("skip_reason", "")) if packages else "the lock is empty"
        return not_audited(
            f"nothing is known of any of {len(packages)} packages; the first: {why[:150]}"
        )
    found = {
        vulnerability["id"]: (package, vulnerability)
        for package in looked_up
        for vulnerability in package["vulns"]
    }
    names = {name: {name, *told.get("aliases", ())} for name, (_, told) in found.items()}
    lines = []
    failed = False
    for name, (package, told) in sorted(found.items()):
        reason = next((reasons[alias] for alias in sorted(names[name]) if alias in reasons), None)
        what = f"{package['name']} {package['version']}: {name}"
        fix = ", ".join(told.get("fix_versions", ())) or "no release yet"
        if reason is None:
            failed = True
            lines.append(
                f"{what} (mended in: {fix}). Take that release, or explain it in {EXPLAINED.name}."
            )
        else:
            lines.append(f"{what} stands, because: {reason}")
    known = set().union(*names.values()) if names else set()
    lines += [
        f"{EXPLAINED.name} explains {name}, which is not found any more. Take it out."
        for name in reasons
        if name not in known
    ]
    skipped = len(packages) - len(looked_up)
    also = f", {skipped} could not be looked up" if skipped else ""
    lines.append(f"{len(looked_up)} packages looked up{also}, {len(found)} findings.")
    return Verdict(1 if failed else 0, tuple(lines))


def not_audited(why: str) -> Verdict:
    """Nobody could be asked: said, and no finding."""
    return Verdict(
        0, (f"NOT AUDITED: the service that knows of vulnerabilities did not answer ({why}).",)
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
