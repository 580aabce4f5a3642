"""Plan the team's hours over the newest scored book: weigh each account's actions, choose, put into words.

Owns which accounts are weighed and why the others are left alone; the formulas and the choice are of
`actions`. What is not known is refused, never filled in."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from churnml.actions.choose import play_named
from churnml.actions.plan import Candidate, More, Plan, best_plan, hour_more
from churnml.actions.plays import GET_DATA, LEAVE_ALONE, Play, all_plays
from churnml.actions.worth import (
    ChurnCost,
    Worth,
    assumed_effect,
    churn_costs,
    lifetime_value,
    monthly_churn_rate,
    worth_of,
)
from churnml.config import ValueConfig
from churnml.errors import ConfigError, NotFound, Refused
from churnml.explain.language import language
from churnml.scoring.champions import champions
from churnml.stages.explain import tell_score
from churnml.stages.project import Project, write_whole
from churnml.store.rows import AccountBook, Book, ScoreRow
from churnml.store.store import Store, open_store

SUFFIXES = (".csv", ".json")
Why = Literal[
    "held", "too_little_data", "nothing_to_do", "no_effect", "no_mrr", "below_zero", "no_hours"
]
_SHOWN_CSMS = 8  # in a message that lists them


@dataclass(frozen=True)
class Weighed:
    """One play for one account, and what it is expected to bring by target.

    score: of the target that brings the most. worth: by target; the hours are counted once, with the
    first.
    """

    play: Play
    score: ScoreRow
    worth: Mapping[str, Worth]
    lifetime_value: float | None

    @property
    def net(self) -> float:
        """What it brings less what its hours cost."""
        return sum(each.net for each in self.worth.values())


@dataclass(frozen=True)
class Planned:
    """One chosen action, in words. why: the account's first reason."""

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
class Left:
    """An account that is left alone, and why. worth, hours: of its best action, where it was weighed."""

    account_id: str
    why: Why
    play: str | None = None
    hours: float | None = None
    worth: float | None = None


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
        csms = _csms(store, book) if csm is not None or csm_hours else {}
        _known_csms([*([csm] if csm is not None else []), *(csm_hours or {})], csms)
        by_account = _by_account(book, csm, csms)
        _known_accounts(hold, by_account)
        currency = _currency(book)
        weighed, left = _weigh(by_account, plays, project.config.value, set(hold))
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
    left += _without_hours(weighed, chosen)
    rate, costs = _churn(by_account)
    limit = timedelta(days=project.config.serve.stale_after_days)
    found = PlanOfHours(
        as_of=book.run.as_of,
        currency=currency,
        stale=project.now - book.run.data_through > limit,
        hours=hours,
        csm_hours=dict(csm_hours or {}),
        csm_id=csm,
        chosen=_in_words(project, best, chosen, accounts, plays, told_in),
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


def _csms(store: Store, book: Book) -> dict[str, str]:
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


def _weigh(
    by_account: Mapping[str, Sequence[ScoreRow]],
    plays: Sequence[Play],
    value: ValueConfig,
    hold: Collection[str],
) -> tuple[dict[str, list[Weighed]], list[Left]]:
    """The actions worth doing by account, and the accounts that have none."""
    named = {play.name: play for play in plays}
    weighed: dict[str, list[Weighed]] = {}
    left: list[Left] = []
    for account, rows in by_account.items():
        scored = [row for row in rows if row.probability is not None]
        asked = [row for row in scored if row.play not in (LEAVE_ALONE, GET_DATA)]
        items = [] if account in hold else weigh_account(asked, scored, named, value)
        worth_it = [item for item in items if item.net > 0]
        if worth_it:
            weighed[account] = worth_it
            continue
        if account in hold:
            why: Why = "held"
        elif not scored:
            why = "too_little_data"
        elif not asked:
            why = "nothing_to_do"
        elif not items:
            why = "no_effect"
        elif not any(row.mrr > 0 for row in asked):
            why = "no_mrr"
        else:
            why = "below_zero"
        best = max(items, key=lambda item: item.net, default=None)
        left.append(Left(account, why) if best is None else _left(account, why, best))
    return weighed, left


def weigh_account(
    asked: Sequence[ScoreRow],
    scored: Sequence[ScoreRow],
    plays: Mapping[str, Play],
    value: ValueConfig,
) -> list[Weighed]:
    """One account's plays with what they bring: one that answers to two targets is done once for both.

    asked: its scores with a play to do. scored: all that have a probability.
    """
    churn = next((row.probability for row in scored if row.target == "churn"), None)
    found: list[Weighed] = []
    for name in sorted({row.play for row in asked}):
        play = plays.get(name) or play_named(name, tuple(plays.values()))
        effect = assumed_effect(play)
        if effect is None:
            continue
        worth: dict[str, Worth] = {}
        rows = [row for row in asked if row.play == name]
        for row in rows:
            stays = 1.0 - churn if churn is not None and row.target != "churn" else 1.0
            hours = 0.0 if worth else play.effort_hours  # the work is done once
            worth[row.target] = worth_of(
                row.target, row.mrr, row.probability or 0.0, effect, hours, value, stays
            )
        leading = max(rows, key=lambda row: worth[row.target].gain)
        found.append(Weighed(play, leading, worth, _lifetime(scored, value)))
    return found


def _lifetime(scored: Sequence[ScoreRow], value: ValueConfig) -> float | None:
    """The account's lifetime value; None where churn is not scored, or the contract rules it out for now
    (such a probability says nothing of the time after)."""
    for row in scored:
        if row.target == "churn" and not row.outlook.get("contract_binds", False):
            return lifetime_value(row.mrr, row.probability or 0.0, row.horizon_days, value)
    return None


def _left(account: str, why: Why, best: Weighed) -> Left:
    return Left(account, why, best.play.name, best.play.effort_hours, best.net)


def _chosen(best: Plan, weighed: Mapping[str, Sequence[Weighed]]) -> dict[str, Weighed]:
    return {
        item.account_id: next(w for w in weighed[item.account_id] if w.play.name == item.play)
        for item in best.chosen
    }


def _without_hours(weighed: Mapping[str, Sequence[Weighed]], chosen: Collection[str]) -> list[Left]:
    return [
        _left(account, "no_hours", max(items, key=lambda item: item.net))
        for account, items in weighed.items()
        if account not in chosen
    ]


def _churn(
    by_account: Mapping[str, Sequence[ScoreRow]],
) -> tuple[float | None, tuple[ChurnCost, ...]]:
    """The monthly rate at which MRR is expected to leave, of the accounts with a churn score."""
    rows = [
        row
        for rows in by_account.values()
        for row in rows
        if row.target == "churn" and row.probability is not None
    ]
    mrr = sum(row.mrr for row in rows)
    if not mrr > 0:
        return None, ()
    lost = sum(row.mrr * (row.probability or 0.0) for row in rows) / mrr
    rate = monthly_churn_rate(lost, rows[0].horizon_days)
    return rate, churn_costs(mrr, rate)


def _in_words(
    project: Project,
    best: Plan,
    chosen: Mapping[str, Weighed],
    accounts: Mapping[str, AccountBook],
    plays: tuple[Play, ...],
    lang: str,
) -> tuple[Planned, ...]:
    bundles = champions(project.bundles, with_model=False)
    who = language(lang).who
    planned = []
    for item in best.chosen:
        mine, account = chosen[item.account_id], accounts[item.account_id].account
        row = mine.score
        bundle = bundles.get(row.target)
        reference = bundle.reference if bundle and bundle.model_version == row.model_version else {}
        told = tell_score(replace(row, play=item.play), account, lang, plays, reference)
        raising = [reason.text for reason in told.reasons if not reason.protective]
        planned.append(
            Planned(
                account_id=item.account_id,
                csm_id=account.csm_id,
                play=item.play,
                title=told.action.title,
                who=who[told.action.who],
                due=project.now + timedelta(days=told.action.due_days),
                hours=item.hours,
                worth=item.worth,
                why=raising[0] if raising else "",
                mrr=row.mrr,
                lifetime_value=mine.lifetime_value,
                by_target={target: asdict(worth) for target, worth in mine.worth.items()},
            )
        )
    return tuple(planned)


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
