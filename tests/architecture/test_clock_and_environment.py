"""Only cli/, serve/ and stages/ read the clock, the environment or churnml.toml.

Other rooms get plain values as arguments: the same call then gives the same result tomorrow, on
another machine and in a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

MAY_READ = ("cli", "serve", "stages")
PACKAGE = Path(__file__).resolve().parents[2] / "src" / "churnml"

# Attributes that tell the present moment on any of datetime, date, time, pandas.Timestamp and
# SQLAlchemy's func. time.monotonic and perf_counter measure a duration and tell no date.
CLOCK = {"now", "utcnow", "today", "current_timestamp", "current_date", "localtimestamp"}
CLOCK_OF_TIME = {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "expandvars", "expanduser"}
PRESENT_IN_SQL = re.compile(
    r"\b(current_date|current_timestamp|current_localtimestamp|get_current_timestamp"
    r"|transaction_timestamp|now\(\)|today\(\))",
    re.IGNORECASE,
)
CONFIG_FILE = re.compile(r"[\w./-]*\bchurnml\.toml")


def readings(source: str) -> Iterator[tuple[int, str]]:
    """Line and words of each place in `source` that reads the clock, environment or config file."""
    tree = ast.parse(source)
    passed = {id(node) for node in _told_not_read(tree)}
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in CLOCK or (owner == "time" and node.attr in CLOCK_OF_TIME):
                yield node.lineno, f"reads the clock ({owner}.{node.attr})"
            if node.attr in ENVIRONMENT:
                yield node.lineno, f"reads the environment ({owner}.{node.attr})"
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "os.path", "time"}:
            for name in (alias.name for alias in node.names):
                if name in ENVIRONMENT | CLOCK_OF_TIME:
                    yield node.lineno, f"imports {node.module}.{name}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if PRESENT_IN_SQL.search(node.value):
                yield node.lineno, "asks the database for the present moment"
        elif isinstance(node, ast.BinOp | ast.Call):
            parts = node.args if isinstance(node, ast.Call) else [node.right]
            if any(_names_config_file(part) for part in parts):
                yield node.lineno, "makes the path of churnml.toml"


def _names_config_file(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(CONFIG_FILE.fullmatch(str(node.value)))


def _told_not_read(tree: ast.Module) -> Iterator[ast.AST]:
    """Docstrings, what stands inside a message, and a default that is set and not looked at.

    Some libraries are told things through the environment alone, before they are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.BinOp))
        elif isinstance(node, ast.Expr):
            match node.value:
                case ast.Constant():
                    yield node.value
                case ast.Call(func=ast.Attribute(attr="setdefault", value=owner)):
                    yield owner


def test_only_cli_serve_and_stages_read_clock_environment_and_config_file() -> None:
    faults = [
        f"src/churnml/{relative}:{line}: {words}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if (relative := path.relative_to(PACKAGE)).parts[0] not in MAY_READ
        for line, words in readings(path.read_text(encoding="utf-8"))
    ]
    assert not faults, (
        "\n".join(faults)
        + "\nOnly cli/, serve/ and stages/ may. Take the moment, the setting or the parsed "
        "configuration as an argument, and let a stage read it."
    )


@pytest.mark.parametrize(
    "line",
    [
        "moment = datetime.now(UTC)",
        "day = dt.date.today()",
        "moment = pd.Timestamp.utcnow()",
        "seconds = time.time()",
        "from time import time",
        "uri = os.environ['MLFLOW_TRACKING_URI']",
        "from os import environ",
        "uri = os.getenv('MLFLOW_TRACKING_URI')",
        "con.execute('select * from events where occurred_at <= current_date')",
        "column = Column(DateTime, server_default=func.now())",
        "text = Path(folder, 'churnml.toml').read_text()",
        "text = (folder / 'churnml.toml').read_text()",
        "open('churnml.toml')",
        "uri = os.environ.setdefault('MLFLOW_TRACKING_URI', 'sqlite://')",
    ],
)
def test_the_scan_sees(line: str) -> None:
    assert list(readings(line)), line


@pytest.mark.parametrize(
    "line",
    [
        '"""Never reads datetime.now() nor churnml.toml."""',
        "raise ConfigError('No table in churnml.toml. Expected one. Add it there.')",
        "raise ConfigError(f'{folder / \"churnml.toml\"}: names no table. Add one.')",
        "os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')",
        "started = time.perf_counter()",
        "as_of = datetime(2024, 3, 4)",
        "score.known_at = as_of",
    ],
)
def test_the_scan_lets_pass(line: str) -> None:
    assert not list(readings(line)), line
