"""Errors written for the person who reads them. Owns their shape; knows nothing of what went wrong.

Every message says where, what was found, what is expected and what to do (one sentence each), so
the command line can print it as it is and exit with `exit_code`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ChurnmlError(Exception):
    """Anything that a user can mend. The message is complete: no traceback is shown beside it."""

    exit_code = 1


class ConfigError(ChurnmlError):
    """`churnml.toml` is missing, broken, or says something that cannot be."""

    exit_code = 2


class SourceError(ChurnmlError):
    """A file or table cannot be read: missing, torn, or its SQL fails."""


class Refused(ChurnmlError):
    """The work could be done but should not be: too few outcomes, a gate that does not open."""


class NotFound(ChurnmlError):
    """Something asked for by name does not exist: an account, a model, a target."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a table.

    `row` is the 1-based position of the first bad row in the table as it was read (None where the
    fault is of the whole table); `rows` counts all of them. A warning does not stop the work.
    """

    table: str
    column: str | None
    rows: int
    row: int | None
    found: str
    expected: str
    todo: str
    warning: bool = False

    def sentence(self) -> str:
        """The fault as one line: where, found, expected, what to do."""
        where = self.table + (f".{self.column}" if self.column else "")
        first = f" (first: row {self.row})" if self.row is not None else ""
        return f"{where}: {self.found}{first}. Expected {self.expected}. {self.todo}"


class ContractError(ChurnmlError):
    """The tables break the data contract. `faults` holds all of them, not the first alone."""

    def __init__(self, faults: Sequence[Fault]):
        self.faults = tuple(faults)
        lines = "\n".join(f"  - {fault.sentence()}" for fault in self.faults)
        noun = "fault" if len(self.faults) == 1 else "faults"
        super().__init__(f"The tables have {len(self.faults)} {noun}:\n{lines}")
