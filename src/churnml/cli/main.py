"""The entry point: run a command, and tell people's errors without a traceback."""

from __future__ import annotations

import sys

from churnml.cli import (  # noqa: F401  (they register their commands)
    actions,
    audit,
    audit_score,
    backtest,
    compare,
    data,
    forget,
    models,
    plan,
    report,
    show,
    tick,
    tune,
    usage,
    voice,
)
from churnml.cli.app import app
from churnml.errors import ChurnmlError


def main() -> None:
    """Run the command line. Exits 0 if it worked, 1 or 2 with one clear message if it did not."""
    try:
        app()
    except ChurnmlError as error:
        sys.stderr.write(f"churnml: {error}\n")
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        sys.stderr.close()
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
