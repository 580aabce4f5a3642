"""Simulate a company into a folder of tables."""

from __future__ import annotations

from pathlib import Path

from churnml.simulate.company import simulate
from churnml.simulate.settings import SimulationSettings
from churnml.simulate.write import write


def simulate_company(
    folder: Path,
    accounts: int,
    weeks: int,
    seed: int,
    rollouts: int = 64,
    treatments: bool = False,
) -> dict[str, int]:
    """Write the contract's tables and `truth/` into a new folder; return rows per table.

    treatments: with a CS team that acts, and the table `interventions`.
    Raises: ConfigError for settings that cannot be, ChurnmlError if the folder is not empty.
    """
    company = simulate(
        SimulationSettings(accounts, weeks, seed, rollouts=rollouts, treatments=treatments)
    )
    write(company, folder)
    return {name: len(table) for name, table in company.tables.items()}
