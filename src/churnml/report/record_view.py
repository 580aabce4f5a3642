"""The track record in words: what was told in past books against what came, and the churns that were missed.

Owns which sentence its numbers call for; computes no sum."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.monitor.matured import BookRecord, SegmentRecord, Share, TargetRecord
from churnml.report.trust import CalibrationBin, Evaluation, JudgedSegment, Metric, Missed
from churnml.report.words import Words

Says = tuple[str, str]  # (tone: yes, no or "", sentence)
_SHOWN_BOOKS = 12
_MUCH = 0.5  # of the MRR that left, flagged before: more than that was warned of than not


@dataclass(frozen=True)
class BookLine:
    day: str
    note: str
    accounts: str
    expected: str
    came: str
    expected_mrr: str
    came_mrr: str
    precision: str
    hits: str
    flagged: str
    lead: str


@dataclass(frozen=True)
class CauseLine:
    name: str
    note: str
    churns: str
    lost: str
    width: float


@dataclass(frozen=True)
class MissLine:
    account_id: str
    day: str
    lost: str
    cause: str
    told: str
    reason: str


@dataclass(frozen=True)
class MissedView:
    says: str
    causes: tuple[CauseLine, ...]
    first: tuple[MissLine, ...]


@dataclass(frozen=True)
class SegmentLine:
    name: str
    told: str
    came: str
    interval: str
    accounts: str
    verdict: str
    tone: str


@dataclass(frozen=True)
class SegmentsTable:
    """heads: of the two columns of numbers and their interval."""

    says: str
    heads: tuple[str, str]
    rows: tuple[SegmentLine, ...]


def first_says(record: TargetRecord | None, item: Evaluation | None, words: Words) -> list[Says]:
    """Can it be trusted: three sentences with numbers, from the books that are over, else from the test."""
    if record is not None and record.books:
        return _of_books(record, words)
    says = [_not_yet(record, words)]
    return says + (_of_test(item, words) if item is not None and item.model is not None else [])


def _of_books(record: TargetRecord, words: Words) -> list[Says]:
    books = record.books
    expected = sum(book.expected_accounts for book in books)
    came = sum(book.came_accounts for book in books)
    rows = sum(book.accounts for book in books) or 1
    right = _within(record, expected / rows)
    says = [
        (
            "yes" if right else "no",
            words.text(
                "record.calibration" if right else "record.calibration_off",
                books=words.count(len(books)),
                first=words.day(books[0].as_of),
                last=words.day(books[-1].as_of),
                expected=words.about(expected),
                came=words.count(came),
            ),
        )
    ]
    precision, base = record.precision, record.base_share
    if precision is not None and precision.value is not None and base is not None:
        low, high = _interval(precision)
        better = low > base
        says.append(
            (
                "yes" if better else "no",
                words.text(
                    "record.precision" if better else "record.precision_unsure",
                    share=words.percent(precision.value),
                    low=words.percent(low),
                    high=words.percent(high),
                    base=words.percent(base),
                ),
            )
        )
    flagged = record.flagged_mrr
    if flagged is None or flagged.value is None:
        return [*says, ("", words.text("record.nothing_came"))]
    if record.lead_days is None:
        return [*says, ("no", words.text("record.flagged_none"))]
    much = flagged.value >= _MUCH
    days = words.count(record.lead_days)
    key = "record.flagged" if much else "record.flagged_little"
    # Without the sum: books overlap, so it is more than what left, which the causes below tell.
    share = words.percent(flagged.value)
    return [*says, ("yes" if much else "no", words.text(key, days=days, share=share))]


def off_says(record: TargetRecord | None, words: Words) -> str:
    """What must be known before a sum of probabilities is read: that in past books they were off."""
    if record is None or not record.books:
        return ""
    expected = sum(book.expected_accounts for book in record.books)
    rows = sum(book.accounts for book in record.books) or 1
    if _within(record, expected / rows):
        return ""
    came = sum(book.came_accounts for book in record.books)
    return words.text("record.off", expected=words.about(expected), came=words.count(came))


def _within(record: TargetRecord, told: float) -> bool:
    """Whether what came holds what was told: of all accounts together, and of those that were told most."""
    whole = record.overall
    if whole is None or whole.value is None:
        return False
    low, high = _interval(whole)
    most = max(record.bins, key=lambda item: item.predicted, default=None)
    top = most is None or most.low <= most.predicted <= most.high
    return low <= told <= high and top


def _interval(share: Share) -> tuple[float, float]:
    value = share.value or 0.0
    low = value if share.low is None else share.low
    return low, value if share.high is None else share.high


def _not_yet(record: TargetRecord | None, words: Words) -> Says:
    if record is not None and record.first_over is not None:
        return "", words.text("record.not_yet", day=words.day(record.first_over))
    if record is not None and record.left_out:
        return "no", words.text("record.all_left_out", books=words.count(len(record.left_out)))
    return "", words.text("record.no_books")


def _of_test(item: Evaluation, words: Words) -> list[Says]:
    """What the model's own test said in its place."""
    says: list[Says] = []
    model = item.model
    precision = model.metric("precision_at_capacity") if model else None
    prevalence = item.outcome_share
    if _known(precision) and prevalence is not None:
        low = precision.low if precision.low is not None else precision.value  # type: ignore[union-attr]
        better = low is not None and low > prevalence
        says.append(
            (
                "yes" if better else "no",
                words.text(
                    "record.test_precision",
                    share=words.percent(precision.value or 0.0),  # type: ignore[union-attr]
                    base=words.percent(prevalence),
                ),
            )
        )
    reached = model.metric("mrr_recall_at_capacity") if model else None
    lead = model.metric("lead_days_median") if model else None
    if _known(reached) and _known(lead):
        says.append(
            (
                "",
                words.text(
                    "record.test_reached",
                    share=words.percent(reached.value or 0.0),  # type: ignore[union-attr]
                    days=words.count(lead.value or 0.0),  # type: ignore[union-attr]
                ),
            )
        )
    return says


def _known(metric: Metric | None) -> bool:
    return metric is not None and metric.value is not None


def left_out_says(record: TargetRecord | None, words: Words) -> str:
    """Which books prove nothing, and why; empty without any."""
    if record is None or not record.left_out:
        return ""
    told = []
    for why in ("saw_later", "unknown_model"):
        days = [words.short_day(item.as_of) for item in record.left_out if item.why == why]
        if days:
            shown = words.listed(days[-4:])
            told.append(
                words.text(f"record.left_out_{why}", books=words.count(len(days)), days=shown)
            )
    return words.sentences(told)


def book_lines(record: TargetRecord, words: Words) -> tuple[BookLine, ...]:
    """The newest books, the newest first."""
    return tuple(_book(book, words) for book in reversed(record.books[-_SHOWN_BOOKS:]))


def _book(book: BookRecord, words: Words) -> BookLine:
    hits = words.text("record.of", hits=words.count(book.hits), of=words.count(book.handled))
    return BookLine(
        day=words.short_day(book.as_of),
        note=words.text("record.afterwards") if book.afterwards else "",
        accounts=words.count(book.accounts).text,
        expected=words.about(book.expected_accounts).text,
        came=words.count(book.came_accounts).text,
        expected_mrr=words.money(book.expected_mrr).text,
        came_mrr=words.money(book.came_mrr).text,
        precision=words.percent(book.hits / book.handled).text if book.handled else "–",
        hits=hits,
        flagged=words.percent(book.flagged_mrr / book.came_mrr).text if book.came_mrr else "–",
        lead=words.count(book.lead_days).text if book.lead_days is not None else "–",
    )


def bins_of(record: TargetRecord) -> tuple[CalibrationBin, ...]:
    """The books' bins as the test's are drawn."""
    return tuple(
        CalibrationBin(item.rows, item.predicted, item.observed, item.low, item.high)
        for item in record.bins
    )


def missed_view(missed: Missed | None, words: Words) -> MissedView | None:
    """The churns by cause; None where no book is over."""
    if missed is None:
        return None
    most = max((item.lost for item in missed.causes), default=0) or 1
    # Nobody is held out in most companies: a line of zeros would only ask what it is.
    causes = [item for item in missed.causes if item.churns or item.cause != "held_out"]
    return MissedView(
        says=words.text(
            "missed.says" if missed.churns else "missed.none",
            churns=words.count(missed.churns),
            mrr=words.money(missed.lost),
        ),
        causes=tuple(
            CauseLine(
                words.text(f"causes.{item.cause}"),
                words.text(f"cause_notes.{item.cause}"),
                words.count(item.churns).text,
                words.money(item.lost).text,
                round(100 * item.lost / most, 2),
            )
            for item in causes
        )
        if missed.churns
        else (),
        first=tuple(
            MissLine(
                account_id=item.miss.account_id,
                day=words.short_day(item.miss.churned_at.date()),
                lost=words.money(item.miss.lost).text,
                cause=words.text(f"causes.{item.miss.cause}"),
                told=words.text(
                    "missed.told" if item.miss.probability is not None else "missed.not_told",
                    chance=words.percent(item.miss.probability or 0.0),
                    tier=words.tier(item.miss.tier),
                    day=words.short_day(item.miss.as_of.date()),
                ),
                reason=item.reason,
            )
            for item in missed.first
        ),
    )


def segments_table(
    record: TargetRecord | None, item: Evaluation | None, words: Words
) -> SegmentsTable | None:
    """Where the model is weak: from the books that are over, else from its test; None without segments."""
    if record is not None and record.segments:
        rows = tuple(_segment(found, words) for found in record.segments)
        heads = (words.text("record.told"), words.text("record.came"))
        return SegmentsTable(_weak_says(rows, words), heads, rows)
    tested = [found for found in item.segments if found.rows] if item is not None else []
    if not tested:
        return None
    rows = tuple(_tested(found, words) for found in tested)
    heads = (words.text("metrics.calibration_error"), words.text("metrics.roc_auc"))
    says = f"{words.text('record.weak_test')} {_weak_says(rows, words)}"
    return SegmentsTable(says, heads, rows)


def _weak_says(rows: tuple[SegmentLine, ...], words: Words) -> str:
    weak = [row.name for row in rows if row.tone == "no"]
    if weak:
        return words.text("record.weak", segments=words.listed(weak))
    judged = any(row.tone == "yes" for row in rows)
    return words.text("record.weak_none" if judged else "record.weak_unknown")


def _segment(found: SegmentRecord, words: Words) -> SegmentLine:
    if found.weak is None:
        verdict, tone = "few", ""
    elif not found.weak:
        verdict, tone = "holds", "yes"
    else:
        verdict, tone = ("too_low" if found.told < found.low else "too_high"), "no"
    return SegmentLine(
        name=found.segment or words.text("drivers.no_segment"),
        told=words.percent(found.told).text,
        came=words.percent(found.came).text,
        interval=f"{words.percent(found.low).text} – {words.percent(found.high).text}",
        accounts=words.count(found.accounts).text,
        verdict=words.text(f"record.{verdict}", outcomes=words.count(found.outcome_accounts)),
        tone=tone,
    )


def _tested(found: JudgedSegment, words: Words) -> SegmentLine:
    auc, slope = found.metric("roc_auc"), found.metric("calibration_slope")
    error = found.metric("calibration_error")
    verdict, tone = "few", ""
    if auc is not None and auc.low is not None:
        verdict, tone = "holds", "yes"
        if slope is not None and slope.low is not None and slope.high is not None:
            if not slope.low <= 1 <= slope.high:
                verdict, tone = ("too_close" if slope.low > 1 else "too_far"), "no"
        if auc.low <= 0.5:
            verdict, tone = "no_order", "no"
    known = auc is not None and auc.value is not None
    return SegmentLine(
        name=f"{words.feature_name(found.feature)}: {found.value or words.text('drivers.no_segment')}",
        told=words.percent(error.value).text if error and error.value is not None else "–",
        came=words.figure(auc.value or 0.0) if auc is not None and known else "–",
        interval=f"{words.figure(auc.low)} – {words.figure(auc.high)}"
        if auc is not None and auc.low is not None and auc.high is not None
        else "",
        accounts=words.count(found.accounts).text,
        verdict=words.text(f"record.{verdict}", outcomes=words.count(found.outcomes)),
        tone=tone,
    )
