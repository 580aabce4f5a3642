"""The book: written whole or not at all, newest shown, history kept."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from churnml.actions.voice import VoiceNote
from churnml.errors import ChurnmlError, ConfigError, NotFound
from churnml.store.rows import AccountRow, KeyRow, ScoreRow, ScoringRun
from churnml.store.store import Store, open_store, sqlite_url

MONDAY = datetime(2024, 3, 4)
NEXT_MONDAY = datetime(2024, 3, 11)


def a_run(run_id: str, as_of: datetime = MONDAY, alias: str = "champion") -> ScoringRun:
    return ScoringRun(
        run_id, as_of, as_of, datetime(2024, 3, 12, 9), alias, {"churn": "v1"}, {"status": "stable"}
    )


def a_score(account_id: str, probability: float | None = 0.3, as_of: datetime = MONDAY) -> ScoreRow:
    return ScoreRow(
        account_id=account_id,
        as_of=as_of,
        target="churn",
        horizon_days=90,
        lead_days=14,
        probability=probability,
        tier="high" if probability is not None else "unknown",
        status="ok" if probability is not None else "too_little_data",
        reasons=[{"driver": "usage_trend", "feature": "events_7d", "value": float("nan")}],
        play="check_in",
        mrr=100.10,
        currency="EUR",
        model_version="v1",
        data_through=as_of,
    )


def an_account(account_id: str, as_of: datetime = MONDAY) -> AccountRow:
    features = {"events_7d": 3.0, "need": "reporting", "seats": None}
    return AccountRow(account_id, as_of, "smb", "reporting", None, 100.10, "EUR", features)


def write(store: Store, run: ScoringRun, **probabilities: float | None) -> None:
    store.write_book(
        run,
        [a_score(name, value, run.as_of) for name, value in probabilities.items()],
        [an_account(name, run.as_of) for name in probabilities],
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(sqlite_url(tmp_path / "state" / "store.db"))
    yield opened
    opened.close()


def test_an_empty_store_has_no_book(store: Store) -> None:
    assert store.latest_book() is None
    assert store.latest_run() is None
    with pytest.raises(NotFound, match="nothing was scored yet"):
        store.account("a")


def test_a_book_reads_back_as_it_was_written(store: Store) -> None:
    write(store, a_run("one"), a=0.3, b=0.7)
    book = store.latest_book()
    assert book is not None
    assert book.run == a_run("one")
    nothing = [{"driver": "usage_trend", "feature": "events_7d", "value": None}]
    assert book.scores == (
        replace(a_score("a", 0.3), reasons=nothing),
        replace(a_score("b", 0.7), reasons=nothing),
    )
    assert store.account_rows() == (an_account("a"), an_account("b"))


def test_money_is_kept_to_the_cent(store: Store) -> None:
    write(store, a_run("one"), a=0.3)
    assert store.account("a").account.mrr == 100.10
    assert store.account("a").scores[0].mrr == 100.10


def test_a_probability_that_does_not_exist_stays_missing(store: Store) -> None:
    write(store, a_run("one"), a=None, b=float("nan"))
    book = store.latest_book()
    assert book is not None
    assert [score.probability for score in book.scores] == [None, None]


def test_scoring_the_same_day_again_replaces_what_is_shown_and_keeps_both(store: Store) -> None:
    write(store, a_run("one"), a=0.3)
    write(store, a_run("two"), a=0.4)
    assert [score.probability for score in store.account("a").scores] == [0.4]
    assert [score.probability for score in store.history("a")] == [0.4]
    assert [run.run_id for run in store.runs()] == ["one", "two"]


def test_scoring_an_older_day_does_not_turn_the_book_back(store: Store) -> None:
    write(store, a_run("new", NEXT_MONDAY), a=0.4)
    write(store, a_run("old", MONDAY), a=0.1)
    run = store.latest_run()
    assert run is not None
    assert run.run_id == "new"
    assert [score.probability for score in store.history("a")] == [0.1, 0.4]


def test_a_challenger_never_becomes_the_book(store: Store) -> None:
    write(store, a_run("champion", MONDAY), a=0.3)
    write(store, a_run("challenger", NEXT_MONDAY, "challenger"), a=0.9)
    assert [score.probability for score in store.account("a").scores] == [0.3]
    book = store.latest_book(alias="challenger")
    assert book is not None
    assert book.scores[0].probability == 0.9


def test_an_account_that_left_the_book_is_not_found_but_has_a_history(store: Store) -> None:
    write(store, a_run("one", MONDAY), a=0.3, b=0.2)
    write(store, a_run("two", NEXT_MONDAY), a=0.3)
    with pytest.raises(NotFound, match="'b': not in the book of 2024-03-11"):
        store.account("b")
    assert len(store.history("b")) == 1


def test_a_book_can_be_asked_for_one_target(store: Store) -> None:
    scores = [a_score("a"), replace(a_score("a"), target="expansion")]
    store.write_book(a_run("one"), scores, [an_account("a")])
    book = store.latest_book("expansion")
    assert book is not None
    assert [score.target for score in book.scores] == ["expansion"]


def test_many_accounts_are_found_at_once_and_unknown_ones_left_out(store: Store) -> None:
    names = [f"a{number:04d}" for number in range(1_200)]
    write(store, a_run("one"), **dict.fromkeys(names, 0.2))
    found = store.accounts([*names, "nobody"])
    assert sorted(found) == names
    assert len(found["a1199"].scores) == 1


@pytest.mark.parametrize(
    ("scores", "accounts"),
    [
        ([a_score("a"), a_score("a")], [an_account("a")]),
        ([a_score("a"), a_score("stranger")], [an_account("a")]),
        ([a_score("a", as_of=NEXT_MONDAY)], [an_account("a")]),
        ([replace(a_score("a"), mrr=float("nan"))], [an_account("a")]),
    ],
    ids=["twice", "no account row", "another day", "no amount"],
)
def test_a_book_with_one_bad_row_is_not_written_at_all(
    store: Store, scores: list[ScoreRow], accounts: list[AccountRow]
) -> None:
    write(store, a_run("good"), a=0.3)
    with pytest.raises(ChurnmlError):
        store.write_book(a_run("bad", MONDAY), scores, accounts)
    assert [run.run_id for run in store.runs()] == ["good"]
    assert [score.probability for score in store.account("a").scores] == [0.3]


def test_the_same_run_cannot_be_written_twice(store: Store) -> None:
    write(store, a_run("one"), a=0.3)
    with pytest.raises(ChurnmlError, match="run one: the store refused it"):
        write(store, a_run("one"), a=0.9)
    assert store.account("a").scores[0].probability == 0.3


def test_a_writer_that_is_killed_midway_leaves_the_old_book(store: Store, tmp_path: Path) -> None:
    write(store, a_run("old"), a=0.3)
    script = """
        import os, signal, sys
        from datetime import datetime
        from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
        from churnml.store.store import open_store
        day = datetime(2024, 3, 11)
        run = ScoringRun("killed", day, day, day, "champion", {}, {})
        def scores():
            for number in range(10_000):
                yield ScoreRow(f"k{number}", day, "churn", 90, 14, 0.5, "high", "ok", [], "p", 1.0,
                               "EUR", "v1", day)
            os.kill(os.getpid(), signal.SIGKILL)
        accounts = (AccountRow(f"k{number}", day, None, None, None, 1.0, "EUR", {})
                    for number in range(10_000))
        open_store(sys.argv[1]).write_book(run, scores(), accounts)
    """
    url = sqlite_url(tmp_path / "state" / "store.db")
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert ended.returncode == -9
    assert [run.run_id for run in store.runs()] == ["old"]
    write(store, a_run("next", NEXT_MONDAY), a=0.6)
    assert store.account("a").scores[0].probability == 0.6


def test_a_reader_sees_the_old_book_while_the_new_one_is_being_written(store: Store) -> None:
    write(store, a_run("old"), a=0.3)
    seen: list[float | None] = []

    def scores() -> Iterator[ScoreRow]:
        yield a_score("a", 0.9, NEXT_MONDAY)
        seen.append(store.account("a").scores[0].probability)

    store.write_book(a_run("new", NEXT_MONDAY), scores(), [an_account("a", NEXT_MONDAY)])
    assert seen == [0.3]
    assert store.account("a").scores[0].probability == 0.9


def test_a_file_that_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database, it is a letter" * 40)
    with pytest.raises(ChurnmlError, match="cannot be opened"):
        open_store(sqlite_url(path))


@pytest.mark.parametrize("url", ["nonsense", "nosuchdb://x/y"])
def test_a_url_that_means_nothing_is_refused_in_words(url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        open_store(url)


def test_the_password_of_a_url_is_not_printed() -> None:
    with pytest.raises(ChurnmlError) as caught:
        open_store("sqlite://user:hunter2@host/some.db")
    assert "hunter2" not in str(caught.value)


def test_the_book_of_a_date_is_the_newest_one_up_to_it(store: Store) -> None:
    write(store, a_run("one", MONDAY), a=0.3)
    write(store, a_run("again", MONDAY), a=0.35)
    write(store, a_run("two", NEXT_MONDAY), a=0.4, b=0.2)
    for at, probability in ((MONDAY, 0.35), (datetime(2024, 3, 10), 0.35), (NEXT_MONDAY, 0.4)):
        assert store.account("a", at=at).scores[0].probability == probability
    assert list(store.accounts(["a", "b"], at=MONDAY)) == ["a"]
    assert store.dates() == (MONDAY, NEXT_MONDAY)
    with pytest.raises(NotFound, match="'b': not in the book of 2024-03-04"):
        store.account("b", at=MONDAY)
    with pytest.raises(NotFound, match="of 2024-03-03 or before: found books of 2024-03-04, 2024"):
        store.account("a", at=datetime(2024, 3, 3))
    with pytest.raises(NotFound, match="found books of no date"):
        store.account("a", "challenger", at=MONDAY)


def test_dates_that_are_many_are_listed_in_short(store: Store) -> None:
    for day in range(1, 12):
        write(store, a_run(f"run-{day}", datetime(2024, 3, day)), a=0.3)
    with pytest.raises(NotFound, match="2024-03-08 and 3 later ones"):
        store.account("a", at=datetime(2024, 2, 1))


def test_what_a_probability_is_made_of_reads_back_apart_from_the_outlook(store: Store) -> None:
    calibration = {"raw": -1.25, "slope": 0.9, "intercept": 0.1}
    row = replace(a_score("a"), outlook={"low": 0.1}, calibration=calibration)
    store.write_book(a_run("one"), [row], [an_account("a")])
    (read,) = store.account("a").scores
    assert (read.outlook, read.calibration) == ({"low": 0.1}, calibration)


def test_an_outlook_and_evidence_read_back(store: Store) -> None:
    told = replace(a_score("a", 0.4), outlook={"low": 0.1, "within_days": {"30": 0.2}})
    seen = {"roles": {"champion": {"holders": 0, "left_days": 23, "left_90d": 1}}}
    account = replace(an_account("a"), evidence=seen)
    store.write_book(a_run("new"), [told], [account])
    assert store.account("a").scores[0].outlook == told.outlook
    assert store.account("a").account.evidence == seen
    assert store.account_rows()[0].evidence == seen


def test_renewals_and_changes_read_back(store: Store) -> None:
    account = replace(an_account("a"), renews_at=datetime(2024, 9, 1))
    scores = [replace(a_score("a"), change=-0.05)]
    scores += [replace(a_score("a"), target="expansion", change=float("nan"))]
    store.write_book(a_run("one"), scores, [account])
    assert store.account("a").account.renews_at == datetime(2024, 9, 1)
    assert [score.change for score in store.account("a").scores] == [-0.05, None]


def test_usage_is_of_the_book_that_is_shown(store: Store) -> None:
    def used(visits: int) -> list[tuple[str, dict[str, int]]]:
        return [("a", {"visits": visits})]

    assert store.usage("a") is None
    store.write_book(a_run("one"), [], [an_account("a")], used(1))
    later = an_account("a", NEXT_MONDAY)
    store.write_book(a_run("two", NEXT_MONDAY), [], [later], used(2))
    store.write_book(a_run("three", NEXT_MONDAY, "challenger"), [], [later], used(3))
    assert store.usage("a") == {"visits": 2}
    assert store.usage("a", at=MONDAY) == {"visits": 1}
    assert store.usage("a", at=datetime(2024, 3, 1)) is None
    assert store.usage("b") is None


def test_usage_of_an_account_outside_the_run_is_refused_with_the_whole_run(store: Store) -> None:
    with pytest.raises(ChurnmlError, match="Nothing was written"):
        store.write_book(a_run("one"), [], [an_account("a")], [("b", {})], {"a": ("Acme", None)})
    assert store.runs() == ()
    assert store.names(["a"]) == {}


def test_names_are_replaced_as_a_whole_or_left(store: Store) -> None:
    link = "https://crm.example/a"
    store.write_book(a_run("one"), [], [], (), {"a": ("Acme", link), "b": (None, None)})
    assert store.names(["a", "b", "c"]) == {"a": ("Acme", link), "b": (None, None)}
    store.write_book(a_run("two"), [], [])
    assert set(store.names(["a", "b"])) == {"a", "b"}
    store.write_book(a_run("three"), [], [], (), {"b": ("Bolt", None)})
    assert store.names(["a", "b"]) == {"b": ("Bolt", None)}
    store.write_book(a_run("four"), [], [], (), {})
    assert store.names(["a", "b"]) == {}


def test_every_committed_write_raises_the_revision_and_nothing_else_does(store: Store) -> None:
    seen = [store.revision()]

    def has_risen() -> bool:
        seen.append(store.revision())
        return seen[-1] > seen[-2]

    write(store, a_run("one"), a=0.3)
    assert has_risen()
    note = store.voice.add(VoiceNote(0, "a", "t", "wish", "product", "x", MONDAY, None))
    assert has_risen()
    store.voice.end(note.note_id, "shipped", NEXT_MONDAY)
    assert has_risen()
    with store.actions.changing() as pen:
        pen.write([])
    assert has_risen()
    store.keys.add(KeyRow("k", "crm", "read", b"", b"", MONDAY))
    assert has_risen()
    store.erase("a")
    assert has_risen()
    store.latest_book()
    store.voice.notes()
    with pytest.raises(ChurnmlError):
        write(store, a_run("one"), a=0.3)
    with pytest.raises(RuntimeError), store.actions.changing():
        raise RuntimeError
    assert not has_risen()


def test_another_process_sees_the_revision_only_with_what_it_stands_for(store: Store) -> None:
    before = store.revision()
    seen: list[int] = []

    def scores() -> Iterator[ScoreRow]:
        yield a_score("a")
        seen.append(store.revision())

    store.write_book(a_run("one"), scores(), [an_account("a")])
    assert (seen, store.revision()) == ([before], before + 1)
