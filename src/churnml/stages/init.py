"""Write a commented `churnml.toml` for a folder of tables. Owns the template; reads no table."""

from __future__ import annotations

import os
import re
from pathlib import Path

from churnml.config import parse_config
from churnml.contract.tables import TABLES
from churnml.errors import ConfigError
from churnml.sources.duckdb_file import tables_of
from churnml.sources.folder import SUFFIXES
from churnml.stages.project import CONFIG_NAME, write_whole

TEMPLATE = """\
# What {name} decides. Every key below that is commented out shows its default.
version = 1
name = "{name}"
# currency = "USD"       # for amounts, where subscriptions carry no currency of their own
# language = "en"        # of reasons and the report: en, zh or ja

[source]
kind = "{kind}"
path = "{path}"          # relative to this file; ${{VARIABLE}} is replaced by the environment's value
# Or a DuckDB file, or a PostgreSQL database (pip install 'churnml[postgres]'); the tables, and the SQL
# below, are then the database's:
# kind = "duckdb"
# path = "warehouse.duckdb"
# kind = "postgres"
# url = "postgresql://reader:${{PGPASSWORD}}@db.example.com:5432/warehouse"
# schema = "public"        # of either; default: main in DuckDB, public in PostgreSQL
# data_through = 2025-12-31  # the date up to which the data are complete; default: the latest event

# Each table is <path>/<table>.parquet or .csv, or a folder <path>/<table>/ of such files (accounts,
# events and subscriptions are enough; users, tickets, surveys, milestones and interventions add their
# features). A table that is named or shaped differently is mapped with SQL over the raw exports, or
# another file:
# [tables.events]
# sql = '''
#   select student_id as account_id, date_watched as occurred_at, 'watch' as event
#   from read_csv('learning.csv')
# '''
# [tables.accounts]
# file = "exports/accounts-*.csv"

# What your event names mean (unmapped names are plain features of their module):
# [events.meaning]
# login = ["login", "sign_in"]

# How subscription rows become MRR:
# [ledger]
# grace_days = 30                                 # a shorter gap between two periods is no churn
# basis = "list"                                  # contraction and expansion on list or net prices
# neutral_end_reasons = ["merged", "completed"]   # such an end is neither churn nor survival

# [cohort]
# min_age_days = 28      # younger accounts are not scored

# [calendar]
# every = "week"         # or "month", or dates = [2025-01-01, 2025-02-01]
# weekday = "monday"

# What to predict: the outcome inside (as_of + lead_days, as_of + lead_days + horizon_days].
[targets.churn]
lead_days = 14
horizon_days = 90

[targets.contraction]
lead_days = 14
horizon_days = 90
min_change_share = 0.05  # a smaller change of MRR is none
mode = "window_end"      # or "any_time": the first move inside the window

[targets.expansion]
lead_days = 14
horizon_days = 90
min_change_share = 0.05
mode = "window_end"

# The out-of-time test. Default: chosen from the calendar, with a gap of lead + horizon + grace.
# [split]
# test_from = 2025-07-01

[capacity]
share = 0.1              # of the book that the CSMs can handle per period; or: accounts = 25

# What accounts are worth and what work costs. Models are compared by the profit that a campaign with them
# would bring, and `churnml plan` weighs plays by it; these are stand-ins until you put in your own:
# [value]
# margin_share = 0.75        # of MRR that is earned
# lifetime_months = 12       # that a kept account pays on
# contact_cost = 50          # per contacted account, in the currency of your amounts
# accept_share = 0.3         # of the contacted accounts that would have left, those won over
# incentive_share = 0.05     # of an account's value, what they and those who stay anyway are given
# contraction_share = 0.25   # of its MRR, what an account that contracts would drop
# expansion_share = 0.25     # of its MRR, what an account that expands would add
# hourly_cost = 50           # of an hour that the team works on a play
# max_lifetime_months = 60   # what a lifetime value counts at most, however unlikely churn is

# Calibrated probabilities from which a tier begins:
[tiers]
medium = 0.1
high = 0.25
critical = 0.5

# How `churnml tick` opens and ends actions:
# [actions]
# recover_margin_share = 0.2  # how far below its tier's threshold a probability counts as recovered
# hold_out_share = 0          # of the accounts, how many get no action, to measure what actions do
# seed = 7                    # who they are follows from their ids and this

# What a challenger must show before `churnml promote` lets it become champion:
[gates]
min_outcomes = 50
max_calibration_error = 0.1

# When the leak audit (`churnml audit`, and part of it in training) calls a feature too good to be true:
# [audit]
# max_auc = 0.95           # of one feature alone
# max_date_share = 0.8     # of the accounts with the outcome, how many it may tell the day
# max_fill_gap = 0.9       # between the filled shares of those with the outcome and those without
# A finding stands in the way of registering and promoting until it is waived by name:
# [[audit.waive]]
# feature = "days_to_renewal"
# check = "knows_the_date"
# reason = "every contract ends at its renewal, which both sides know"

# What customers' obstacles and wishes are about (churnml voice), and who gets them (else: product):
# [voice]
# topics = ["onboarding", "reporting", "integration", "pricing", "other"]
# routes = {{ onboarding = "support", pricing = "sales" }}

# [store]
# url = "postgresql+psycopg://…"  # default: SQLite, store.db beside this file

# [serve]
# port = 3000
# stale_after_days = 14
"""


def init_project(folder: Path, data: str | None) -> tuple[Path, list[str], list[str]]:
    """Write `churnml.toml` into a folder.

    data: the folder or DuckDB file with the tables as the user gave it (relative to where they
    stand); None: the folder `data` inside the project. Returns: (path written, tables found, required
    ones missing). Raises: ConfigError if the file is there already, or `data` is no folder; SourceError
    if it is a file and no DuckDB database.
    """
    target = folder / CONFIG_NAME
    if target.exists():
        raise ConfigError(
            f"{target}: there is one already. Expected a new project folder. Choose another, or edit "
            "that file."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file. Expected a folder, or a new name. Choose another.")
    path, kind = "data", "folder"
    tables = folder / path
    if data is not None:
        tables = Path(data)
        if tables.is_file():
            kind = "duckdb"
        elif not tables.is_dir():
            raise ConfigError(
                f"{data}: no such folder. Expected the folder with your tables. Correct the path, or "
                f"make example data with: churnml simulate --out {data}"
            )
        path = os.path.relpath(tables.resolve(), folder.resolve())
    held = (
        tables_of(tables) if kind == "duckdb" else [name for name in TABLES if _has(tables, name)]
    )
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-_") or "company"
    text = TEMPLATE.format(name=plain[:63], kind=kind, path=path.replace("\\", "/"))
    parse_config(text, str(target))  # what we write must work as it is
    write_whole(target, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    found = [name for name in TABLES if name in held]
    missing = [name for name, table in TABLES.items() if table.required and name not in found]
    return target, found, missing


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or any((folder / f"{name}{s}").is_file() for s in SUFFIXES)
