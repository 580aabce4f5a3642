"""The renewals in words and a plot. Owns which sentence their numbers call for; computes no sum."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from churnml.actions.plays import GET_DATA, LEAVE_ALONE
from churnml.report.data import ReportData
from churnml.report.part import Part
from churnml.report.renewals import AtRisk, NamedAccount, RenewalMonth, Renewals
from churnml.report.vega import Figure, figure
from churnml.report.words import Words

_FIRST = 10  # named at once; the others unfold
_CLEARLY = 0.4  # of the renewing MRR at risk: then one month is the message


@dataclass(frozen=True)
class Line:
    """A row of the months' table. sub: what is said below its name. strong: a sum."""

    name: str
    sub: str
    accounts: str
    mrr: str
    expected: str
    range: str
    strong: bool = False


@dataclass(frozen=True)
class NamedLine:
    """A row of the accounts to save."""

    account: str
    sub: str
    csm: str
    mrr: str
    probability: str
    range: str
    tier: str
    at_risk: str
    reason: str
    todo: str
    todo_note: str
    next: str
    next_note: str


@dataclass(frozen=True)
class RenewalsView:
    """What renewals.html.j2 asks for. data: None without a score of churn. empty: what is missing for the
    months, if anything."""

    data: Renewals | None
    lead: str
    empty: str
    chart: Figure | None
    lines: tuple[Line, ...]
    range_title: str
    notes: tuple[str, ...]
    named_lead: str
    named: tuple[NamedLine, ...]
    more: tuple[NamedLine, ...] = ()
    more_title: str = ""


def renewals_part(data: ReportData, words: Words) -> Part:
    """The fourth section."""
    title = words.text("renewals.title")
    told = data.renewals
    if told is None:
        view = RenewalsView(None, "", words.text("renewals.no_scores"), None, (), "", (), "", ())
        return Part("renewals", title, "renewals.html.j2", view)
    any_renew = told.renewing.accounts > 0
    lines = tuple(_named(line, words) for line in told.named)
    # Where nobody is called for, a list of names would only ask why they stand there.
    shown = _FIRST if any(_calls(line) for line in told.named) else 0
    named_lead = "named_lead" if shown else "named_none"
    level = words.percent(told.level)
    view = RenewalsView(
        data=told,
        lead=_lead(told, words) if any_renew else "",
        empty=_empty(told, words),
        chart=_chart(told, words) if any_renew else None,
        lines=tuple(_lines(told, words)) if any_renew else (),
        range_title=words.text("renewals.range", level=level),
        notes=tuple(_notes(told, words)) if any_renew else (),
        named_lead=words.text(
            f"renewals.{named_lead}",
            count=words.count(len(told.named)),
            share=words.percent(told.named_share),
            least=words.money(told.named_from),
        ),
        named=lines[:shown],
        more=lines[shown:],
        more_title=words.text(
            "renewals.more" if shown else "renewals.all", count=words.count(len(lines[shown:]))
        ),
    )
    return Part("renewals", title, "renewals.html.j2", view)


def _empty(told: Renewals, words: Words) -> str:
    if not told.has_column:
        return words.text("renewals.no_column")
    if not told.renewing.accounts and not told.later.accounts:
        return words.text("renewals.no_dates")
    if not told.renewing.accounts:
        return words.text("renewals.none_renew", until=words.day(told.window_until))
    return ""


def _lead(told: Renewals, words: Words) -> str:
    risk = told.renewing
    return words.text(
        "renewals.lead",
        **{"from": words.day(told.as_of), "until": words.day(told.window_until)},
        accounts=words.count(risk.accounts),
        mrr=words.money(risk.mrr),
        expected=words.money(risk.expected),
        low=words.money(risk.low),
        high=words.money(risk.high),
        level=words.percent(told.level),
    )


def _chart(told: Renewals, words: Words) -> Figure:
    most = max(told.months, key=lambda month: month.risk.expected)
    clear = most.risk.expected > _CLEARLY * told.renewing.expected and len(told.months) > 2
    title = words.text(
        "renewals.chart_most" if clear else "renewals.chart",
        month=words.month(most.month),
        level=words.percent(told.level),
    )
    rows = [
        {
            "month": words.month(month.month),
            "expected": month.risk.expected / 100,
            "low": month.risk.low / 100,
            "high": month.risk.high / 100,
        }
        for month in told.months
    ]
    x = {"field": "month", "type": "ordinal", "sort": None, "title": None}
    spec = {
        "data": {"values": rows},
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "bar", "color": "var(--down-2)", "width": {"band": 0.5}},
                "encoding": {"y": {"field": "expected", "type": "quantitative", "title": None}},
            },
            {
                "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 1.5},
                "encoding": {
                    "y": {"field": "low", "type": "quantitative"},
                    "y2": {"field": "high"},
                },
            },
        ],
    }
    said = (
        f"{words.month(month.month)} {words.money(month.risk.expected).text} "
        f"({_range(month.risk, words)})"
        for month in told.months
    )
    return figure(spec, title, f"{title}: {words.listed(said)}", height=220)


def _lines(told: Renewals, words: Words) -> list[Line]:
    lines = [_line(_month(month, words), month.risk, words) for month in told.months]
    if told.later.accounts:
        text = words.text("renewals.later", until=words.short_day(told.window_until))
        lines.append(_line((text, ""), told.later, words))
    if told.unknown.accounts:
        lines.append(_line((words.text("renewals.unknown"), ""), told.unknown, words))
    total = _line((words.text("renewals.total"), ""), told.total, words, strong=True)
    return [*lines, total]


def _month(month: RenewalMonth, words: Words) -> tuple[str, str]:
    name = words.month(month.month)
    if month.from_day == month.month and (month.until_day + timedelta(days=1)).day == 1:
        return name, ""  # all of it
    days = {"from": words.short_day(month.from_day), "until": words.short_day(month.until_day)}
    return name, words.text("renewals.days", **days)


def _line(name: tuple[str, str], risk: AtRisk, words: Words, strong: bool = False) -> Line:
    return Line(
        name=name[0],
        sub=name[1],
        accounts=words.count(risk.accounts).text,
        mrr=words.money(risk.mrr).text,
        expected=words.money(risk.expected).text,
        range=_range(risk, words),
        strong=strong,
    )


def _range(risk: AtRisk, words: Words) -> str:
    return words.text("headline.range", low=words.money(risk.low), high=words.money(risk.high))


def _notes(told: Renewals, words: Words) -> list[str]:
    notes = [words.text("renewals.note", opens=words.day(told.window_from))]
    rho = words.figure(told.shared.rho, 3)
    if told.shared.months:
        notes.append(words.text("renewals.shared", rho=rho, months=words.count(told.shared.months)))
    else:
        notes.append(words.text("renewals.shared_prior", rho=rho))
    return notes


def _named(line: NamedAccount, words: Words) -> NamedLine:
    todo = words.text("renewals.held_out") if line.todo.held_out else line.todo.title
    if line.todo.due:
        due, note = words.short_day(line.todo.due), words.text("renewals.due")
    elif line.renews_on:
        due, note = words.short_day(line.renews_on), words.text("renewals.renews")
    else:
        due, note = "–", ""
    renews = ""
    if line.todo.due and line.renews_on:
        renews = words.text("renewals.renews_on", day=words.short_day(line.renews_on))
    known = line.low is not None and line.high is not None
    return NamedLine(
        account=line.name or line.account_id,
        sub=" · ".join(filter(None, [line.account_id if line.name else "", line.segment])),
        csm=words.text("first.csm", name=line.csm_id) if line.csm_id else "",
        mrr=words.money(line.mrr).text,
        probability=words.percent(line.probability).text,
        range=words.text(
            "headline.range",
            low=words.percent(line.low or 0.0),
            high=words.percent(line.high or 0.0),
        )
        if known
        else "",
        tier=line.tier,
        at_risk=words.money(line.mrr_at_risk).text,
        reason=line.reason or words.text("first.no_reason"),
        todo=todo,
        todo_note=_todo_note(line, words),
        next=due,
        next_note=" · ".join(filter(None, [note, renews])),
    )


def _calls(line: NamedAccount) -> bool:
    """Whether anything is called for: a tier above low, an action, or one held back by lot."""
    todo = line.todo
    return line.tier != "low" or line.play != LEAVE_ALONE or bool(todo.opened or todo.held_out)


def _todo_note(line: NamedAccount, words: Words) -> str:
    if line.todo.held_out or (line.play in (LEAVE_ALONE, GET_DATA) and not line.todo.opened):
        return ""  # nothing that anybody opens
    return words.text("renewals.opened" if line.todo.opened else "renewals.advised")
