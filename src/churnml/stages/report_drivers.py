"""What drivers are told with beside the book: segments, what is typical, and older books.

Owns which older books are read; the sums are `report.drivers`'s."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time

from churnml.explain.tell import Teller
from churnml.report.drivers import DriversThen, TellVoice, Told, drivers_then, periods_of
from churnml.report.quarter import lead_of
from churnml.scoring.bundle import data_through_of
from churnml.stages.report_sources import Sources
from churnml.store.rows import ScoreRow

PERIODS = 6  # the newest book among them


def voice_of(sources: Sources) -> TellVoice:
    """A feature that speaks for a risk, told of a value as it would be of an account."""
    lead = lead_of(sources.book) or "churn"
    bundle = sources.bundles.get(lead)
    teller = Teller(
        lead, sources.lang, sources.workspace.currency, bundle.reference if bundle else {}
    )

    def tell(feature: str, value: float | str | None) -> str:
        row = {feature: value}
        return teller.sentence(feature, +1, row, None, None) or teller.neutral(feature, row, None)

    return tell


def told_of(sources: Sources) -> Told | None:
    """None without a book that judged somebody."""
    book, lead = sources.book, lead_of(sources.book)
    if book is None or lead is None:
        return None
    bundle = sources.bundles.get(lead)

    def tell_driver(row: ScoreRow, driver: str) -> str:
        texts = (reason.text for reason in sources.told(row).reasons if reason.driver == driver)
        return next(texts, "")

    return Told(
        tell_driver=tell_driver,
        tell_voice=voice_of(sources),
        segments={row.account_id: row.segment for row in sources.accounts},
        typical={
            name: known.get("median") for name, known in (bundle.reference if bundle else {}).items()
        },
        then=tuple(_then(sources, lead, book.run.as_of)),
    )  # fmt: skip


def _then(sources: Sources, lead: str, now: datetime) -> Iterator[DriversThen]:
    days = [moment.date() for moment in sources.store.dates(sources.alias) if moment <= now]
    for day in periods_of(days, PERIODS):
        at = datetime.combine(day, time.max)
        if day == now.date():
            continue
        older = sources.store.latest_book(target=lead, alias=sources.alias, at=at)
        if older is None:
            continue
        seen = data_through_of(older.run.model_versions.get(lead, ""))
        then = drivers_then(older, lead, afterwards=seen is not None and seen > older.run.as_of)
        if then is not None:
            yield then
