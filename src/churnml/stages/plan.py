"""Plan the team's hours over the newest scored book: weigh each account's actions, choose, put into words.

Owns the order of these and what is refused: a book that cannot be weighed gives no plan. Weighs nothing
itself (weigh.py); the formulas and the choice are of `actions`."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from churnml.actions.action import answered_by
from churnml.actions.plan import Candidate, More, Plan, best_plan, hour_more
from churnml.actions.plays import Play, all_plays
from churnml.actions.worth import ChurnCost
from churnml.errors import ConfigError, NotFound, Refused
from churnml.explain.language import language
from churnml.explain.reasons import reason_from_dict, retell
from churnml.explain.tell import Teller
from churnml.features.evidence import Evidence
from churnml.scoring.champions import champions
from churnml.stages.project import Project, write_whole
from churnml.stages.weigh import (
    Left,
    Weighed,
    barred_plays,
    churn_of_book,
    weigh_book,
    without_hours,
)
from churnml.store.rows import AccountBook, AccountRow, Book, ScoreRow
from churnml.store.store import Store, open_store

SUFFIXES = (".csv", ".json")
_SHOWN_CSMS = 8  # in a message that lists them


@dataclass(frozen=True)
class Planned:
    """One chosen action, in words. why: the first reason that it answers to."""

    account_id: str
    csm_id: str | None
    play: str
    title: str
    who: str
    due: datetime
    hours: float
    worth: float
    why: str
    mrr: float
    lifetime_value: float | None
    by_target: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class PlanOfHours:
    """The plan, what it leaves, and what an hour more would bring; money in `currency`.

    churn_rate: the share of the scored MRR that is expected to leave each month; churn_costs: what that
    costs; None and empty where churn is not scored. stale: the book's data are older than allowed.
    """

    as_of: datetime
    currency: str
    stale: bool
    hours: float
    csm_hours: Mapping[str, float]
    csm_id: str | None
    chosen: tuple[Planned, ...]
    planned_hours: float
    worth: float
    left: tuple[Left, ...]
    hour_more: tuple[More, ...]
    hourly_cost: float
    churn_rate: float | None
    churn_costs: tuple[ChurnCost, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for --json and --out."""
        return {
            **asdict(self),
            "as_of": self.as_of.isoformat() + "Z",
            "chosen": [{**asdict(item), "due": f"{item.due:%Y-%m-%d}"} for item in self.chosen],
        }


def plan(
    project: Project,
    hours: float,
    csm: str | None = None,
    csm_hours: Mapping[str, float] | None = None,
    hold: Collection[str] = (),
    lang: str | None = None,
    out: Path | None = None,
) -> PlanOfHours:
    """The best set of actions within the hours, from the newest scored book.

    csm: plan the accounts of this CSM alone. csm_hours: CSM -> hours for their accounts. hold: accounts
    that are to be left alone. out: also written there, .csv or .json.
    Raises: NotFound without a book, for an unknown CSM or account; Refused where nothing can be weighed;
    ConfigError for hours or a suffix that cannot be.
    """
    if out is not None and out.suffix not in SUFFIXES:
        raise ConfigError(
            f"--out {out}: found the suffix {out.suffix!r}. Expected .csv or .json. Rename it."
        )
    if not hours > 0:
        raise ConfigError(
            f"--hours: found {hours:g}. Expected more than 0. Give the hours that the team has."
        )
    told_in = language(lang or project.config.language).code
    plays = all_plays(project.play_texts())
    store = open_store(project.store_url)
    try:
        book = _book(project, store)
        csms = _csms(store) if csm is not None or csm_hours else {}
        _known_csms([*([csm] if csm is not None else []), *(csm_hours or {})], csms)
        by_account = _by_account(book, csm, csms)
        _known_accounts(hold, by_account)
        currency = _currency(book)
        barred = barred_plays(by_account, plays, store.actions.rows(), project.config.actions)
        weighed, left = weigh_book(by_account, plays, project.config.value, set(hold), barred)
        _refuse_if_blind(project, by_account)
        candidates = [
            Candidate(account, item.play.name, item.play.effort_hours, item.net, csms.get(account))
            for account, items in weighed.items()
            for item in items
        ]
        best = best_plan(candidates, hours, csm_hours)
        chosen = _chosen(best, weighed)
        accounts = store.accounts(chosen)
    finally:
        store.close()
    left += without_hours(weighed, chosen)
    rate, costs = churn_of_book(by_account)
    limit = timedelta(days=project.config.serve.stale_after_days)
    found = PlanOfHours(
        as_of=book.run.as_of,
        currency=currency,
        stale=project.now - book.run.data_through > limit,
        hours=hours,
        csm_hours=dict(csm_hours or {}),
        csm_id=csm,
        chosen=_in_words(project, best, chosen, accounts, told_in),
        planned_hours=best.hours,
        worth=best.worth,
        left=tuple(sorted(left, key=lambda item: item.account_id)),
        hour_more=tuple(hour_more(candidates, hours, csm_hours, best)),
        hourly_cost=project.config.value.hourly_cost,
        churn_rate=rate,
        churn_costs=costs,
    )
    if out is not None:
        _write(found, out)
    return found


def _book(project: Project, store: Store) -> Book:
    book = store.latest_book()
    if book is not None and book.scores:
        return book
    if not champions(project.bundles, with_model=False):
        raise NotFound(
            f"{project.folder}: no champion model, so nothing could be scored. Expected a scored "
            "book. Run: churnml train, churnml promote, churnml score"
        )
    raise NotFound(
        f"{project.folder}: nothing has been scored yet. Expected a scored book. Run: churnml score"
    )


def _csms(store: Store) -> dict[str, str]:
    """Account -> its CSM, for those who have one."""
    rows = store.account_rows()
    return {row.account_id: row.csm_id for row in rows if row.csm_id is not None}


def _known_csms(asked: Sequence[str], csms: Mapping[str, str]) -> None:
    there = sorted(set(csms.values()))
    for csm in asked:
        if csm not in there:
            more = f" and {len(there) - _SHOWN_CSMS} more" if len(there) > _SHOWN_CSMS else ""
            told = ", ".join(there[:_SHOWN_CSMS]) + more if there else "a csm_id in accounts"
            raise NotFound(
                f"CSM {csm!r}: no account of the newest book is theirs. Expected {told}. Correct the "
                "id, or score again."
            )


def _known_accounts(asked: Collection[str], by_account: Mapping[str, object]) -> None:
    for account in sorted(asked):
        if account not in by_account:
            raise NotFound(
                f"--hold {account}: not among the {len(by_account):,} accounts that are planned. "
                "Expected an account of the newest book. Correct the id."
            )


def _by_account(book: Book, csm: str | None, csms: Mapping[str, str]) -> dict[str, list[ScoreRow]]:
    found: dict[str, list[ScoreRow]] = {}
    for row in book.scores:
        if csm is None or csms.get(row.account_id) == csm:
            found.setdefault(row.account_id, []).append(row)
    return found


def _currency(book: Book) -> str:
    found = sorted({row.currency for row in book.scores})
    if len(found) > 1:
        raise Refused(
            f"plan: the book's amounts are in {', '.join(found)}. Expected one currency, because worths "
            "are compared. Map the subscriptions to one."
        )
    return found[0]


def _refuse_if_blind(project: Project, by_account: Mapping[str, Sequence[ScoreRow]]) -> None:
    """Raises: Refused where not one account has a probability, or not one has MRR."""
    rows = [row for rows in by_account.values() for row in rows]
    if not any(row.probability is not None for row in rows):
        raise Refused(
            f"plan: all {len(by_account):,} accounts have too little data to be scored. Expected some "
            "with a probability, because nothing else tells what an action is worth. Connect the "
            "missing data (churnml check says which), and score again."
        )
    if not any(row.mrr > 0 for row in rows):
        raise Refused(
            f"{project.folder}: no account has MRR. Expected amounts, because worth is money. Give "
            "subscriptions their mrr, and score again."
        )


def _chosen(best: Plan, weighed: Mapping[str, Sequence[Weighed]]) -> dict[str, Weighed]:
    return {
        item.account_id: next(w for w in weighed[item.account_id] if w.play.name == item.play)
        for item in best.chosen
    }


def _in_words(
    project: Project,
    best: Plan,
    chosen: Mapping[str, Weighed],
    accounts: Mapping[str, AccountBook],
    lang: str,
) -> tuple[Planned, ...]:
    bundles = champions(project.bundles, with_model=False)
    who = language(lang).who
    tellers: dict[str, Teller] = {}
    planned = []
    for item in best.chosen:
        mine, account = chosen[item.account_id], accounts[item.account_id].account
        row = mine.score
        if row.target not in tellers:
            bundle = bundles.get(row.target)
            same = bundle is not None and bundle.model_version == row.model_version
            reference = bundle.reference if bundle is not None and same else {}
            tellers[row.target] = Teller(row.target, lang, row.currency, reference)
        planned.append(
            Planned(
                account_id=item.account_id,
                csm_id=account.csm_id,
                play=item.play,
                title=mine.play.words[lang].title,
                who=who[mine.play.who],
                due=project.now + timedelta(days=mine.play.due_days),
                hours=item.hours,
                worth=item.worth,
                why=_why(mine.play, row, account, tellers[row.target]),
                mrr=row.mrr,
                lifetime_value=mine.lifetime_value,
                by_target={target: asdict(worth) for target, worth in mine.worth.items()},
            )
        )
    return tuple(planned)


def _why(play: Play, row: ScoreRow, account: AccountRow, teller: Teller) -> str:
    """The first reason that the play answers to, told anew; empty where nothing raises the probability."""
    evidence: Evidence = account.evidence  # type: ignore[assignment]
    answered = answered_by(play, [reason_from_dict(stored) for stored in row.reasons])
    if not answered:
        return ""
    return retell(answered[0], account.features, teller, row.as_of, evidence)


COLUMNS = ("account_id", "csm_id", "decision", "play", "title", "who", "due", "hours", "worth",
           "effect_share", "effect_source", "why")  # fmt: skip


def _write(found: PlanOfHours, out: Path) -> None:
    if out.suffix == ".json":
        text = json.dumps(found.as_dict(), indent=2, ensure_ascii=False) + "\n"
        write_whole(out, lambda path: path.write_text(text, encoding="utf-8"))
        return

    def rows(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            for item in found.chosen:
                effect = next(iter(item.by_target.values()))["effect"]
                writer.writerow(
                    {
                        **{name: getattr(item, name, None) for name in COLUMNS},
                        "decision": "do",
                        "due": f"{item.due:%Y-%m-%d}",
                        "worth": f"{item.worth:.2f}",
                        "effect_share": effect["share"],
                        "effect_source": effect["source"],
                    }
                )
            for left in found.left:
                writer.writerow(
                    {
                        "account_id": left.account_id,
                        "decision": left.why,
                        "play": left.play,
                        "hours": left.hours,
                        "worth": None if left.worth is None else f"{left.worth:.2f}",
                    }
                )

    write_whole(out, rows)
