"""The page: self-contained, in three languages, and nobody's text becomes its markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from churnml.config import LANGUAGES
from churnml.report.data import ReportData
from churnml.report.movements import LedgerMonth
from churnml.report.render import css_text, render
from churnml.report.trust import Evaluation, Metric, Scorer
from churnml.report.words import Words, texts_of
from churnml.store.rows import ScoreRow

ReportOf = Callable[..., ReportData]
ScoreOf = Callable[..., ScoreRow]
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Collects elements, and refuses a page whose tags don't close."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_needs_no_network(report_of: ReportOf, language: str) -> None:
    html = render(report_of(language=language))
    page = Page(html)
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in page.elements}
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)", html)
    assert not re.search(r"url\((?!#)", html)
    assert "http" not in html.replace("http-equiv", "")
    assert page.all("html")[0]["lang"].startswith(language)  # type: ignore[union-attr]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_table_has_a_caption_every_chart_a_name_and_every_anchor_a_place(
    report_of: ReportOf, language: str
) -> None:
    page = Page(render(report_of(language=language)))
    assert len(page.all("table")) == len(page.all("caption"))
    pictures = [attrs for attrs in page.all("div") if attrs.get("role") == "img"]
    assert 2 * len(pictures) == len(page.all("svg"))
    assert len(pictures) == 3
    assert all(attrs["aria-label"] for attrs in pictures)
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(attrs["href"])[1:] for attrs in page.all("a")} <= set(ids)
    named = {attrs["aria-labelledby"] for _, attrs in page.elements if "aria-labelledby" in attrs}
    assert named <= set(ids)
    assert len(page.all("h1")) == 1


def test_the_headline_says_the_sum_its_range_and_its_assumption(report_of: ReportOf) -> None:
    text = text_of(render(report_of()))
    assert "$613" in text
    assert "90% range. Accounts may leave for causes that they share" in text
    assert "From 18 March 2024 to 16 June 2024" in text
    assert "1 account has too little data" in text


def test_the_ledger_is_shown_to_the_cent_and_its_total_ties(report_of: ReportOf) -> None:
    text = text_of(render(report_of()))
    assert "Jan 2024 1,000.00 200.00" in text
    assert "not over" in text
    assert re.search(r"3 months 1,000\.00 240\.00 .* 1,150\.50", text)


def test_whole_amounts_are_shown_without_cents(report_of: ReportOf) -> None:
    month = LedgerMonth(date(2024, 1, 1), 100_000, 120_000, new=20_000)
    assert "Jan 2024 1,000 200 1,200" in text_of(render(report_of(ledger=[month])))


def test_text_that_tries_to_be_html_stays_text(report_of: ReportOf, score_of: ScoreOf) -> None:
    evil = '"><script>alert(1)</script>'
    html = render(
        report_of(
            [score_of(evil)], company=evil, versions={evil: evil}, tell_action=lambda row: evil
        )
    )
    Page(html)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 4


def test_scores_of_a_model_that_is_not_promoted_carry_a_banner(report_of: ReportOf) -> None:
    assert "has not passed its gate" not in render(report_of())
    assert "has not passed its gate" in render(report_of(alias="challenger"))


def test_before_the_first_scoring_the_page_says_what_to_do(report_of: ReportOf) -> None:
    html = render(report_of(book=None, accounts=()))
    Page(html)
    assert "churnml score" in html
    assert "How MRR moved" in html


@pytest.mark.parametrize("scores", [0, 1, 3])
def test_books_of_a_few_accounts_are_drawn(
    report_of: ReportOf, score_of: ScoreOf, scores: int
) -> None:
    html = render(report_of([score_of(f"a{number}") for number in range(scores)]))
    assert len(Page(html).all("section")) == (7 if scores else 5)


def test_a_book_in_which_nobody_could_be_judged_says_so(
    report_of: ReportOf, score_of: ScoreOf
) -> None:
    html = render(report_of([score_of("a", None), score_of("b", None)]))
    assert "None of the 2 accounts has enough data to be judged" in html
    assert "Nothing was scored yet" not in html


def test_an_empty_ledger_says_so(report_of: ReportOf) -> None:
    assert "No MRR was recorded" in render(report_of(ledger=[]))


def test_a_target_without_a_model_says_why(
    report_of: ReportOf, refused_evaluation: Evaluation, evaluation: Evaluation
) -> None:
    text = text_of(render(report_of(evaluations=[evaluation, refused_evaluation])))
    assert "Expansion no model" in text
    assert "9 outcomes. Expected at least 20." in text
    assert "Likely to pay more – No model" in text


def test_the_verdict_is_what_the_numbers_say(report_of: ReportOf, evaluation: Evaluation) -> None:
    text = text_of(render(report_of(evaluations=[evaluation])))
    assert "3.4 times as many had the outcome" in text
    assert "It beats the best simple rule (logistic regression) clearly" in text
    assert (
        "In its test, probabilities could be taken at their word: 500 scores of about 30%" in text
    )


def test_a_weak_model_is_called_weak(report_of: ReportOf, evaluation: Evaluation) -> None:
    weak = replace(
        evaluation,
        outcomes=12,
        promoted=False,
        model=Scorer(
            "model",
            (Metric("roc_auc", 0.6, 0.45, 0.7), Metric("lift_at_10_percent", 1.2, 0.6, 1.9)),
        ),
        calibration=tuple(replace(item, observed=0.9) for item in evaluation.calibration),
    )
    text = text_of(render(report_of(evaluations=[weak])))
    assert "It does not clearly beat the best simple rule (logistic regression)" in text
    assert "Ranking says nothing" in text
    assert "probabilities were off" in text
    assert "With only 12 outcomes" in text


def test_ten_thousand_accounts_stay_small(report_of: ReportOf, score_of: ScoreOf) -> None:
    rows = [
        score_of(f"account-{number:05d}", 0.0001 * number, 99.99) for number in range(1, 10_001)
    ]
    html = render(report_of(rows))
    assert len(html.encode()) < 200_000
    assert "10,000 accounts" in html


def _keys(value: object, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_keys(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return set().union(*(_keys(item, f"{path}[{n}]") for n, item in enumerate(value)))
    return {path}


def test_no_language_lacks_a_word_or_a_number() -> None:
    texts = {code: dict(texts_of(code)) for code in LANGUAGES}
    places = re.compile(r"\{(\w+)")
    for code in LANGUAGES:
        assert _keys(texts[code]) == _keys(texts["en"]), code
        for section, words in texts["en"].items():
            for name in words if isinstance(words, dict) else ():
                wanted, found = (set(places.findall(texts[c][section][name])) for c in ("en", code))
                assert found == wanted, (code, section, name)


def test_a_text_in_the_style_can_neither_end_its_string_nor_the_style() -> None:
    told = css_text('a"b</style><script>\\ é\n株')
    assert (
        told
        == '"a\\000022b\\00003c\\00002fstyle\\00003e\\00003cscript\\00003e\\00005c \\0000e9\\00000a\\00682a"'
    )


def test_a_book_in_one_tier_says_that_tiers_tell_nobody_where_to_begin(
    report_of: ReportOf, score_of: ScoreOf
) -> None:
    rows = [replace(score_of(f"a{n:02d}", 0.3, 100.0), tier="high") for n in range(25)]
    said = "All that were judged stand in one tier, high,"
    assert said in text_of(render(report_of(rows)))
    assert said not in text_of(render(report_of([*rows[:-1], replace(rows[-1], tier="low")])))
    assert said not in text_of(render(report_of(rows[:3])))  # of three, that is no wonder


@pytest.mark.parametrize(
    ("share", "said"),
    [(1.0, "100%"), (0.9996, "99.9%"), (0.996, "99.6%"), (0.99, "99%"), (-0.998, "-99.8%"),
     (0.03, "3.0%"), (0.0, "0%"), (1.2, "120%")],
)  # fmt: skip
def test_nearly_all_is_not_all(share: float, said: str) -> None:
    assert Words("en", "USD").percent(share).text.replace("−", "-") == said
