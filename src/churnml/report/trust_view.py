"""How far to trust the scores, in words. Owns which sentence a model's metrics call for.

Judges by intervals, never by a value alone; computes no metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from churnml.monitor.matured import TargetRecord
from churnml.report.data import ReportData
from churnml.report.forecasts_view import ForecastsView, forecasts_view
from churnml.report.part import Part
from churnml.report.record_view import (
    BookLine,
    MissedView,
    Says,
    SegmentsTable,
    bins_of,
    book_lines,
    first_says,
    left_out_says,
    missed_view,
    segments_table,
)
from churnml.report.trust import CalibrationBin, Evaluation, Scorer
from churnml.report.vega import Figure, figure
from churnml.report.words import Words

FEW_OUTCOMES = 50
# Metrics that a board reads, in its order; the others stay in the model card.
_SHOWN = (
    "roc_auc",
    "lift_at_10_percent",
    "precision_at_capacity",
    "mrr_recall_at_capacity",
    "calibration_error",
    "log_loss",
)
_SHARES = ("precision_at_capacity", "mrr_recall_at_capacity", "calibration_error")


@dataclass(frozen=True)
class Cell:
    value: str
    interval: str


@dataclass(frozen=True)
class MetricRow:
    label: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Verdict:
    title: str
    badge: str
    badge_class: str
    window: str
    says: tuple[Says, ...]
    scorers: tuple[str, ...]
    metrics: tuple[MetricRow, ...]
    chart: Figure | None
    bins: tuple[CalibrationBin, ...]
    books: tuple[BookLine, ...] = ()


@dataclass(frozen=True)
class TrustView:
    """What trust.html.j2 asks for. of_books, of_test: both calibrations, either may be missing."""

    target: str
    first: tuple[Says, ...]
    left_out: str
    of_books: Figure | None
    of_test: Figure | None
    books: tuple[BookLine, ...]
    books_note: str
    missed: MissedView | None
    weak: SegmentsTable | None
    forecasts: ForecastsView
    verdicts: tuple[Verdict, ...]
    misuse: tuple[str, ...]


def trust_part(data: ReportData, words: Words) -> Part:
    """The fifth section."""
    trust = data.trust
    lead = data.quarter.lead or "churn"
    evaluation = next((item for item in trust.evaluations if item.target == lead), None)
    record = trust.record(lead)
    bins = bins_of(record) if record else ()
    tested = tuple(item for item in evaluation.calibration if item.rows) if evaluation else ()
    over = record is not None and bool(record.books)
    view = TrustView(
        target=words.target(lead),
        first=tuple(first_says(record, evaluation, words)),
        left_out=left_out_says(record, words),
        of_books=_calibration(bins, words, "record.chart") if bins else None,
        of_test=_calibration(tested, words, "record.chart_test") if tested else None,
        books=book_lines(record, words) if record else (),
        books_note=words.text("record.books_note") if over else "",
        missed=missed_view(trust.missed, words),
        weak=segments_table(record, evaluation, words),
        forecasts=forecasts_view(data.forecasts, words),
        verdicts=tuple(
            verdict_of(item, trust.record(item.target), item.target != lead, words)
            for item in trust.evaluations
        ),
        misuse=tuple(words.texts("misuse")[1:]),
    )
    return Part("trust", words.text("trust.title"), "trust.html.j2", view)


def verdict_of(item: Evaluation, record: TargetRecord | None, drawn: bool, words: Words) -> Verdict:
    """One target's section: what its champion, or the lack of one, is worth. drawn: with the plot of its test
    and its books, which stand above for the first target."""
    state = "promoted" if item.promoted else "no_model" if item.model is None else "not_promoted"
    bins = tuple(found for found in item.calibration if found.rows > 0)
    scorers = (item.model, *item.baselines) if item.model else ()
    return Verdict(
        title=words.target(item.target),
        badge=words.text(f"trust.{state}"),
        badge_class={"promoted": "b-good", "not_promoted": "b-warn"}.get(state, "b-none"),
        window=words.text(
            "trust.window",
            horizon=words.count(item.horizon_days),
            lead=words.count(item.lead_days),
        ),
        says=tuple(_says(item, words)),
        scorers=(
            words.text("trust.model"),
            *(words.text(f"baselines.{scorer.name}") for scorer in scorers[1:]),
        )
        if scorers
        else (),
        metrics=tuple(_metric_rows(scorers, words)),
        chart=_calibration(bins, words, "trust.chart") if bins and drawn else None,
        bins=bins,
        books=book_lines(record, words) if record and drawn else (),
    )


def _says(item: Evaluation, words: Words) -> list[Says]:
    says: list[Says] = []
    if item.test_from and item.test_until and item.rows:
        text = words.text(
            "trust.period",
            **{"from": words.day(item.test_from), "until": words.day(item.test_until)},
            rows=words.count(item.rows),
            accounts=words.count(item.accounts),
            outcomes=words.count(item.outcomes),
        )
        says.append(("", text))
    if item.model is not None:
        says += _says_ranking(item.model, words)
        says += _says_baselines(item.model, item.baselines, words)
        says += _says_calibration(item.calibration, words)
        if item.outcomes < FEW_OUTCOMES:
            says.append(("no", words.text("trust.few", outcomes=words.count(item.outcomes))))
    says += [("no", text) for text in _objections(item, words)]
    if item.model is None and not item.why:
        says.append(("no", words.text("trust.few_refused")))
    return says


def _objections(item: Evaluation, words: Words) -> list[str]:
    """What the gate objected to, in plain words; its own sentence only where there are none."""
    names = [*item.checks, *("" for _ in item.why)]
    return [
        words.text(f"gate.{name}") if name and words.has(f"gate.{name}") else sentence
        for name, sentence in zip(names, item.why, strict=False)
    ]


def _says_ranking(model: Scorer, words: Words) -> list[Says]:
    lift = model.metric("lift_at_10_percent")
    if lift is None or lift.value is None:
        return []
    if lift.value <= 1.0:
        return [("no", words.text("trust.ranking_none"))]
    sure = lift.low is None or lift.low > 1.0
    text = "trust.ranking" if sure else "trust.ranking_unsure"
    return [("yes" if sure else "no", words.text(text, lift=words.figure(lift.value, 1)))]


def _says_baselines(model: Scorer, baselines: Sequence[Scorer], words: Words) -> list[Says]:
    mine = model.metric("roc_auc")
    others = [
        (found.value, scorer.name)
        for scorer in baselines
        if (found := scorer.metric("roc_auc")) is not None and found.value is not None
    ]
    if mine is None or mine.value is None or not others:
        return []
    best, name = max(others)
    clear = (mine.low if mine.low is not None else mine.value) > best
    text = words.text(
        "trust.better" if clear else "trust.not_better",
        name=words.text(f"baselines.{name}"),
        metric=words.text("metrics.roc_auc"),
        value=words.figure(mine.value),
        low=words.figure(mine.low if mine.low is not None else mine.value),
        high=words.figure(mine.high if mine.high is not None else mine.value),
        other=words.figure(best),
    )
    return [("yes" if clear else "no", text)]


def _says_calibration(bins: Sequence[CalibrationBin], words: Words) -> list[Says]:
    """Judged where it matters: by the highest predictions that enough scores stand behind."""
    if not bins:
        return []
    enough = max(20, sum(item.rows for item in bins) // 50)
    shown = max(
        bins, key=lambda item: (item.rows >= enough, item.predicted if item.rows >= enough else 0)
    )
    low, high = shown.low, shown.high
    right = low is not None and high is not None and low <= shown.predicted <= high
    text = words.text(
        "trust.calibrated" if right else "trust.uncalibrated",
        rows=words.count(shown.rows),
        told=words.percent(shown.predicted),
        came=words.percent(shown.observed),
    )
    return [("yes" if right else "no", text)]


def _metric_rows(scorers: Sequence[Scorer], words: Words) -> list[MetricRow]:
    rows = []
    for name in _SHOWN:
        cells = [_cell(scorer, name, words) for scorer in scorers]
        if any(cell.value for cell in cells):
            note = words.text(f"metric_notes.{name}")
            rows.append(MetricRow(words.text(f"metrics.{name}"), note, tuple(cells)))
    return rows


def _cell(scorer: Scorer, name: str, words: Words) -> Cell:
    metric = scorer.metric(name)
    if metric is None or metric.value is None:
        return Cell("", "")
    low, high = metric.low, metric.high
    interval = ""
    if low is not None and high is not None:
        interval = f"{_figure(name, low, words)} – {_figure(name, high, words)}"
    return Cell(_figure(name, metric.value, words), interval)


def _figure(name: str, value: float, words: Words) -> str:
    if name in _SHARES:
        return words.percent(value).text
    return words.figure(value, 3 if name == "log_loss" else 2)


def _calibration(bins: Sequence[CalibrationBin], words: Words, titled: str) -> Figure:
    """Predicted against what came: on the line, predictions came true as often as they said."""
    # As far as the intervals of what counts: a few scores' own would leave the rest in a corner.
    enough = sum(item.rows for item in bins) / 50
    ends = [item.high for item in bins if item.high is not None and item.rows >= enough]
    most = min(1.0, 1.05 * max(*ends, *(max(b.predicted, b.observed) for b in bins), 0.0) or 1.0)
    rows = [
        {"told": item.predicted, "came": item.observed, "rows": item.rows,
         "low": item.low if item.low is not None else item.observed,
         "high": min(most, item.high if item.high is not None else item.observed)}
        for item in bins
    ]  # fmt: skip
    axis = {"format": "~%", "tickCount": 4}
    scale = {"domain": [0, most], "nice": False}
    x = {"field": "told", "type": "quantitative", "scale": scale, "axis": axis}
    y = {"type": "quantitative", "scale": scale, "axis": axis}
    named_x = {**x, "title": words.text("trust.chart_x")}
    named_y = {**y, "field": "came", "title": words.text("trust.chart_y")}
    line = {"values": [{"told": 0, "came": 0}, {"told": most, "came": most}]}
    spec = {
        "layer": [
            {"data": line, "mark": {"type": "line", "strokeDash": [4, 4], "strokeWidth": 1,
             "color": "var(--line-strong)"}, "encoding": {"x": named_x, "y": named_y}},
            {"data": {"values": rows}, "mark": {"type": "rule", "color": "var(--up-2)"},
             "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
            {"data": {"values": rows}, "mark": {"type": "point", "opacity": 1},
             "encoding": {"x": x, "y": {**y, "field": "came"},
             "size": {"field": "rows", "type": "quantitative", "legend": None,
             "scale": {"range": [24, 160]}}}},
        ]
    }  # fmt: skip
    told = ", ".join(
        f"{words.percent(item.predicted).text} → {words.percent(item.observed).text}"
        for item in bins
    )
    title = words.text(titled)
    return figure(spec, title, f"{title}: {told}", height=300, widths=(430, 340))
