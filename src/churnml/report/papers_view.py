"""Definitions, coverage and versions, in words. Owns which sentence they call for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from churnml.explain.text import Shown
from churnml.features.catalog import BY_NAME
from churnml.report.data import ReportData
from churnml.report.papers import Papers
from churnml.report.part import Part
from churnml.report.words import Words


@dataclass(frozen=True)
class PapersView:
    """What papers.html.j2 asks for."""

    data: Papers
    drift: tuple[tuple[str, str], ...]
    definitions: tuple[tuple[str, str], ...]


def papers_part(data: ReportData, words: Words) -> Part:
    """The last section."""
    papers = data.papers
    view = PapersView(
        papers, tuple(_drift(papers.drift, words)), tuple(_definitions(papers, words))
    )
    return Part("data", words.text("data.title"), "papers.html.j2", view)


def _drift(drift: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    """One sentence a target; the names of what moved in the words of their drivers."""
    says = []
    for target, summary in drift.items():
        status = summary["status"]
        if not summary.get("features") and status != "too_few_rows":
            continue  # the model's papers are gone: nothing was compared
        text = words.text(
            f"data.drift_{status}",
            features=words.count(summary.get("features", 0)),
            moving=words.count(summary.get("moving", 0)),
            shifted=words.count(summary.get("shifted", 0)),
            missing_jumps=words.count(summary.get("missing_jumps", 0)),
        )
        moved = [str(item["feature"]) for item in summary.get("moved", ())]
        known = (words.driver(BY_NAME[name].driver) if name in BY_NAME else name for name in moved)
        names = list(dict.fromkeys(known))[:5]
        if names:
            text = words.sentences(
                [text, words.text("data.drift_moved", names=words.listed(names))]
            )
        says.append((words.target(target), text))
    return says


def _definitions(data: Papers, words: Words) -> list[tuple[str, str]]:
    numbers = {
        "grace": words.count(data.grace_days),
        "basis": Shown(words.text(f"basis.{data.basis}")),
    }
    return [(term, words.fill(text, numbers)) for term, text in words.items("definitions")]
