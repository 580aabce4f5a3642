"""What was done, in words. Owns which sentence its numbers call for, and that none says an action helped
where no account was held out; computes no sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from churnml.explain.text import Shown
from churnml.monitor.effect import FEWEST
from churnml.report.base import CLASS_OF
from churnml.report.compared import Compared, StillNeeded
from churnml.report.data import ReportData
from churnml.report.done import Done, DoneCounts, PlayDone
from churnml.report.part import Part
from churnml.report.plain_table import PlainTable, plain_table
from churnml.report.words import Words

_FIRST_PLAYS = 8
_FAR_MONTHS = 60  # a wait that long is none
_KINDS = ("opened", "taken", "done", "dismissed", "escalated", "recovered")


@dataclass(frozen=True)
class DoneView:
    """What done.html.j2 asks for. says: (tone, sentence) of whether it helped."""

    lead: str
    empty: str
    process: str
    outcome: str
    counts: PlainTable | None
    plays: PlainTable | None
    other_plays: PlainTable | None
    logged: PlainTable | None
    says: tuple[tuple[str, str], ...]
    compared: PlainTable | None


def done_part(data: ReportData, words: Words) -> Part | None:
    """The sixth section; None in a report without it."""
    told = data.done
    if told is None:
        return None
    some = told.any_action
    plays = [play for play in told.plays if play.opened or play.held_out]
    view = DoneView(
        lead=words.text("done.lead"),
        empty="" if some else words.text("done.empty"),
        process=words.text(f"metric_class.{CLASS_OF['actions']}"),
        outcome=words.text(f"metric_class.{CLASS_OF['effect']}"),
        counts=_counts(told, words) if some else None,
        plays=_plays(plays[:_FIRST_PLAYS], words) if plays else None,
        other_plays=_plays(plays[_FIRST_PLAYS:], words) if plays[_FIRST_PLAYS:] else None,
        logged=_logged(told, words) if told.logged else None,
        says=tuple(_says(told, words)) if some else (),
        compared=_compared(told.compared, words) if told.compared else None,
    )
    return Part("done", words.text("done.title"), "done.html.j2", view)


def _counts(told: Done, words: Words) -> PlainTable:
    period = told.period
    # Where no action of the store is on record, zeros of them say nothing.
    kinds = [
        *(_KINDS if told.any_stored else ()),
        *(("interventions",) if told.quarter.interventions is not None else ()),
    ]
    heads = [words.text("done.happened"), _quarter(period.year, period.quarter, words)]
    told_of: list[DoneCounts] = [told.quarter]
    if told.before is not None:
        before = period.before_start
        heads.append(
            words.text("done.before", quarter=_quarter(before.year, (before.month + 2) // 3, words))
        )
        told_of.append(told.before)
    rows = [
        [words.text(f"done.{kind}"), *(words.count(getattr(one, kind)).text for one in told_of)]
        for kind in kinds
    ]
    return plain_table(words.text("done.counts_caption"), heads, rows)


def _quarter(year: int, quarter: int, words: Words) -> str:
    return words.text("done.quarter", year=str(year), quarter=str(quarter))


def _plays(plays: Sequence[PlayDone], words: Words) -> PlainTable:
    names = (
        "play", "opened", "taken", "median_days", "dismissed", "recovered", "open", "overdue", "held_out"
    )  # fmt: skip
    rows = [
        [
            play.title,
            words.count(play.opened).text,
            words.count(play.taken).text,
            "–" if play.median_days is None else words.figure(play.median_days, 1),
            *(
                "–" if number is None else words.count(number).text
                for number in (
                    play.dismissed, play.recovered, play.open, play.overdue, play.held_out
                )
            ),
        ]
        for play in plays
    ]  # fmt: skip
    heads = [words.text(f"done.col_{name}") for name in names]
    return plain_table(words.text("done.plays_caption"), heads, rows)


def _logged(told: Done, words: Words) -> PlainTable:
    rows = [
        [play.title, *(words.count(n).text for n in (play.done, play.accounts, play.held_out))]
        for play in told.logged
    ]
    heads = [words.text(f"done.col_{name}") for name in ("play", "times", "accounts", "held_out")]
    return plain_table(words.text("done.logged_caption"), heads, rows)


# ------------------------------------------------------------------------ did it help?


def _says(told: Done, words: Words) -> list[tuple[str, str]]:
    says: list[tuple[str, str]] = []
    if not told.held_out:
        says.append(("no", words.text("effect.nobody")))
    whole = {one.outcome: one for one in told.compared if not one.play}
    for outcome in ("left", "recovered"):
        if outcome in whole:
            says.append(_said(told, whole[outcome], words))
    if told.held_out and "left" not in whole:
        says.append(("no", words.text("effect.not_over", waiting=words.count(told.waiting))))
    if told.still is not None and not ("left" in whole and whole["left"].found.clear):
        says += [("", text) for text in _still(told, told.still, words)]
    return says


def _said(told: Done, one: Compared, words: Words) -> tuple[str, str]:
    found = one.found
    numbers: dict[str, Shown | str] = {
        "days": words.count(told.horizon_days),
        "treated": words.count(found.treated.accounts),
        "held_out": words.count(found.held_out.accounts),
        "few": words.count(FEWEST),
        "with_share": words.percent(found.treated.share),
        "without_share": words.percent(found.held_out.share),
        "by": words.count(abs(100 * found.difference)),
        "low": _points(found.low, words),
        "high": _points(found.high, words),
    }
    if one.outcome == "recovered":  # told as more that recovered, not as fewer
        numbers["low"], numbers["high"] = _points(-found.high, words), _points(-found.low, words)
    kind = "few" if not found.enough else "unclear"
    if found.clear:
        kind = "fewer" if found.difference > 0 else "more"
    good = found.clear and (found.difference > 0) == (one.outcome == "left")
    return "yes" if good else "no", words.text(f"effect.{one.outcome}_{kind}", **numbers)


def _points(share: float, words: Words) -> str:
    points = round(100 * share)
    return ("−" if points < 0 else "") + words.count(abs(points)).text


def _still(told: Done, still: StillNeeded, words: Words) -> list[str]:
    lines = [
        words.text(
            "effect.needed_guessed" if still.assumed_base else "effect.needed",
            effect=words.percent(still.effect_share),
            base=words.percent(still.base_share),
            held_out=words.count(still.held_out),
            treated=words.count(still.treated),
            held_out_have=words.count(still.held_out_have),
            treated_have=words.count(still.treated_have),
        )
    ]
    if still.months is not None:
        far = still.months > _FAR_MONTHS
        lines.append(
            words.text(
                "effect.far" if far else "effect.months",
                months=words.count(still.months),
                years=words.count(still.months / 12),
            )
        )
    if still.visible_share is not None and still.visible_share > still.effect_share:
        lines.append(words.text("effect.visible", share=words.percent(still.visible_share)))
    if any(one.found.weighted for one in told.compared):
        lines.append(words.text("effect.weighted"))
    return lines


def _compared(compared: Sequence[Compared], words: Words) -> PlainTable:
    rows = []
    for one in compared:
        found, sign = one.found, 1 if one.outcome == "left" else -1
        low, high = sorted((sign * found.low, sign * found.high))
        rows.append(
            [
                one.title or words.text("effect.all"),
                words.text(f"effect.{one.outcome}"),
                _arm(found.treated.share, found.treated.accounts, words),
                _arm(found.held_out.share, found.held_out.accounts, words),
                words.text(
                    "effect.per_100",
                    by=_points(sign * found.difference, words),
                    low=_points(low, words),
                    high=_points(high, words),
                )
                if found.enough
                else words.text("effect.too_few"),
            ]
        )
    names = ("what", "outcome", "with_action", "without", "difference")
    return plain_table(
        words.text("effect.caption"),
        [words.text(f"effect.col_{name}") for name in names],
        rows,
        (1,),
    )


def _arm(share: float, accounts: int, words: Words) -> str:
    return words.text("effect.arm", share=words.percent(share), accounts=words.count(accounts))
