"""What the CRM says of each account. Owns the table accounts and the invented company names."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churnml.simulate.arrow import days, numbers, texts
from churnml.simulate.history import History
from churnml.simulate.settings import Flags, Ints
from churnml.simulate.state import NEEDS, SEGMENTS

INDUSTRIES = ("manufacturing", "retail", "finance", "healthcare", "logistics", "education",
              "software")  # fmt: skip
REGIONS = ("americas", "europe", "asia_pacific")
LANGUAGES = ("en", "zh", "ja")
LANGUAGE_SHARES = ((0.98, 0.99), (0.97, 0.985), (0.4, 0.7))  # upper edges of en and zh by region
CSMS_PER_ACCOUNT = 1 / 45
TRIAL_DAYS = 14
SEATS_TO_EMPLOYEES = (5.0, 14.0, 50.0)
FIRST = ("Al", "Bor", "Cen", "Dra", "El", "Fjor", "Gal", "Hel", "Ir", "Jun", "Kor", "Lum", "Mar",
         "Nor", "Or", "Pel", "Quin", "Ros", "Sol", "Tar", "Ul", "Ver", "Win", "Yar",
         "Zen")  # fmt: skip
SECOND = ("ado", "amis", "anta", "avel", "edon", "enia", "eris", "icor", "idan", "ilux", "imar",
          "ineo", "ondo", "onix", "oria", "ovan", "umen", "ures", "yra")  # fmt: skip
KIND = ("Systems", "Foods", "Logistics", "Works", "Health", "Partners", "Labs", "Group", "Energy",
        "Retail", "Instruments")  # fmt: skip


def created_days(history: History, rng: np.random.Generator) -> tuple[Ints, Flags]:
    """(day number on which each account was created, whether it began with a trial)."""
    trial = rng.random(history.accounts) < 0.7
    ahead = np.where(trial, TRIAL_DAYS, rng.integers(0, 4, history.accounts))
    return history.traits.signup_day - ahead, trial


def accounts_table(
    history: History,
    account_ids: pa.Array,
    created: Ints,
    trial: Flags,
    rng: np.random.Generator,
) -> pa.Table:
    """One row per account, in the order in which they began to pay."""
    traits, n = history.traits, history.accounts
    region = rng.integers(0, len(REGIONS), n)
    edges = np.array(LANGUAGE_SHARES)[region]
    language = (rng.random(n)[:, None] >= edges).sum(axis=1)
    per_seat = np.array(SEATS_TO_EMPLOYEES)[traits.segment]
    seats = history.of("seats", first=True)[0]
    employees = np.ceil(seats * per_seat * np.exp(rng.normal(0, 0.5, n))).astype(np.int64)
    csms = max(1, round(n * CSMS_PER_ACCOUNT))
    csm = rng.integers(0, csms, n)
    return pa.table(
        {
            "account_id": account_ids,
            "created_at": days(created),
            "need": texts(traits.need, NEEDS),
            "segment": texts(traits.segment, SEGMENTS),
            "industry": texts(rng.integers(0, len(INDUSTRIES), n), INDUSTRIES),
            "region": texts(region, REGIONS),
            "employee_count": numbers(employees),
            "language": texts(language, LANGUAGES),
            "csm_id": texts(csm, [f"csm-{number:02d}" for number in range(1, csms + 1)]),
            "trial_started_at": days(created, trial),
            "converted_at": days(traits.signup_day, trial),
            "display_name": pa.array(company_names(n, rng), pa.string()),
            "crm_url": pa.array(
                [f"https://crm.example.com/accounts/{name}" for name in account_ids.to_pylist()],
                pa.string(),
            ),
        }
    )


def company_names(count: int, rng: np.random.Generator) -> list[str]:
    """Invented names, each once."""
    plain = [f"{a}{b} {c}" for a in FIRST for b in SECOND for c in KIND]
    order = rng.permutation(len(plain))
    rounds = range(-(-count // len(plain)))
    # Beyond the stock of names, numbers tell them apart.
    names = [plain[i] + (f" {nth + 1}" if nth else "") for nth in rounds for i in order]
    return names[:count]
