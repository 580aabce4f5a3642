"""`churnml forget`: afterwards no byte of the account is left in what churnml keeps, and all else is."""

from __future__ import annotations

import json
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnml.actions.voice import VoiceNote
from churnml.config import parse_config
from churnml.errors import ChurnmlError, ConfigError
from churnml.stages.kept_files import clear, mentions, rows_of
from churnml.stages.key import KEY_FILE, known_key, project_key
from churnml.stages.project import Project
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

GONE, STAYS = "ACC-GONE-7", "ACC-GONE-77"  # the one's id begins the other's
DAY = datetime(2024, 3, 4)


def a_store(path: Path, runs: int = 3, others: int = 40) -> None:
    store = open_store(sqlite_url(path))
    for number in range(runs):
        day = DAY + timedelta(days=number)
        ids = [GONE, STAYS, *(f"other-{place:03d}" for place in range(others))]
        scores = [
            ScoreRow(
                account, day, "churn", 90, 14, 0.3, "high", "ok", [{"text": "x" * 300}], "call", 10.0,
                "USD", "v1", day,
            )
            for account in ids
        ]  # fmt: skip
        rows = [
            AccountRow(account, day, None, None, None, 10.0, "USD", {"a": 1.0}) for account in ids
        ]
        for account in (GONE, STAYS):
            store.voice.add(
                VoiceNote(0, account, "reporting", "wish", "product", f"{account} asks", day, None)
            )
        store.write_book(ScoringRun(f"r{number}", day, day, day, "champion", {}), scores, rows)
    store.close()


def a_table(path: Path) -> pd.DataFrame:
    frame = pd.DataFrame({"account_id": [STAYS, GONE, GONE, "x"], "as_of": DAY, "p": range(4)})
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return frame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    a_store(tmp_path / "store.db")
    a_table(tmp_path / "artifacts" / "churn" / "predictions.parquet")
    a_table(tmp_path / "artifacts" / "churn" / "rows.csv")
    a_table(tmp_path / "artifacts" / "carry.parquet")
    a_table(tmp_path / "mlartifacts" / "run" / "artifacts" / "predictions.parquet")
    a_table(tmp_path / "data" / "accounts.parquet")
    (tmp_path / "report.html").write_text(f"<td>{GONE}</td>", encoding="utf-8")
    return tmp_path


def holding(folder: Path, word: str) -> list[str]:
    """Files with the id's bytes, Parquet by its values, whatever churnml thinks of them."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        held = word.encode() in path.read_bytes()
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
            held = any((frame[name].astype(str) == word).any() for name in frame)
        if held:
            found.append(str(path.relative_to(folder)))
    return found


def test_no_byte_is_left_and_the_others_are_whole(churnml: Any, folder: Path) -> None:
    assert len(holding(folder, GONE)) >= 7
    told = json.loads(churnml("forget", GONE, "--yes", "--json", cwd=folder))
    assert holding(folder, GONE + '"') == []
    left = [
        name
        for name in holding(folder, GONE)
        if name not in ("store.db", "artifacts/churn/rows.csv")
    ]
    assert left == ["data/accounts.parquet"]  # the source is not ours to change
    store = open_store(sqlite_url(folder / "store.db"))
    assert set(store.rows_of(GONE).values()) == {0}
    kept_rows = store.rows_of(STAYS)
    assert (kept_rows["score_rows"], kept_rows["account_rows"]) == (3, 3)
    assert len(store.history(STAYS)) == 3
    store.close()
    raw = b"".join(path.read_bytes() for path in folder.glob("store.db*"))
    assert raw.count(GONE.encode()) == raw.count(STAYS.encode()) > 0
    text = (folder / "artifacts/churn/rows.csv").read_text()
    assert text.count(GONE) == text.count(STAYS) == 1
    kept = pd.read_parquet(folder / "artifacts/churn/predictions.parquet")
    assert kept["account_id"].tolist() == [STAYS, "x"]
    assert kept["p"].tolist() == [0, 3]
    assert not (folder / "artifacts/carry.parquet").exists()
    assert not (folder / "report.html").exists()
    assert {part["where"]: part["rows"] for part in told["kept"]} == {
        "store.db: score_rows": 3,
        "store.db: account_rows": 3,
        "store.db: voice_notes": 3,
        "artifacts/carry.parquet": None,
        "artifacts/churn/predictions.parquet": 2,
        "artifacts/churn/rows.csv": 2,
        "mlartifacts/run/artifacts/predictions.parquet": 2,
        "report.html": None,
    }
    again = json.loads(churnml("forget", GONE, "--yes", "--json", cwd=folder))
    assert again["kept"] == []
    assert again["outside"][0].startswith("The source tables (data)")


@pytest.mark.parametrize(("option", "code"), [("--dry-run", 0), (None, 2)])
def test_without_yes_nothing_is_touched(
    churnml: Any, folder: Path, option: str | None, code: int
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said = churnml.try_("forget", GONE, *([option] if option else []), cwd=folder)
    assert said.code == code
    assert "nothing was erased" in said.out + said.err
    assert "store.db: score_rows" in said.out
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path for path in before if before[path] != after.get(path)} == set()
    assert set(after) - set(before) <= {folder / "store.db-wal", folder / "store.db-shm"}


def test_files_that_somebody_had_written_here_are_named_and_left(
    churnml: Any, folder: Path
) -> None:
    a_table(folder / "mine" / "scores.parquet")
    (folder / "notes.md").write_text(f"call {GONE}, not {STAYS}", encoding="utf-8")
    (folder / "others.md").write_text(f"call {STAYS}", encoding="utf-8")
    told = json.loads(churnml("forget", GONE, "--yes", "--json", cwd=folder))
    assert [Path(path).name for path in told["still"]] == ["scores.parquet", "notes.md"]
    assert rows_of(folder / "mine" / "scores.parquet", GONE) == 2


def test_many_runs_are_one_line_for_people(churnml: Any, folder: Path) -> None:
    for number in range(3):
        a_table(folder / f"mlartifacts/{number:032x}/artifacts/predictions.parquet")
    said = churnml("forget", GONE, "--dry-run", cwd=folder)
    assert " ".join(said.split()).count("3 MLflow runs: predictions.parquet 6 rows erased") == 1


def test_an_unknown_account_is_told_and_is_no_fault(churnml: Any, folder: Path) -> None:
    said = churnml("forget", "nobody", "--yes", cwd=folder)
    assert "Nothing of nobody is kept here. If you expected something, check the id." in said
    assert rows_of(folder / "artifacts/churn/predictions.parquet", GONE) == 2


def test_of_one_user_the_carry_goes_and_the_account_stays(churnml: Any, folder: Path) -> None:
    told = json.loads(churnml("forget", GONE, "--user", "u1", "--yes", "--json", cwd=folder))
    assert [part["where"] for part in told["kept"]] == ["artifacts/carry.parquet"]
    assert not (folder / "artifacts/carry.parquet").exists()
    assert rows_of(folder / "artifacts/churn/predictions.parquet", GONE) == 2


def test_a_project_without_anything_is_not_given_a_store(churnml: Any, tmp_path: Path) -> None:
    (tmp_path / "churnml.toml").write_text("version = 1\n", encoding="utf-8")
    churnml("forget", "a", "--yes", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["churnml.toml"]


@pytest.mark.parametrize("arguments", [("",), ("a", "--user", " "), ("a", "--yes", "--dry-run")])
def test_mistakes_are_told(churnml: Any, folder: Path, arguments: tuple[str, ...]) -> None:
    said = churnml.try_("forget", *arguments, cwd=folder)
    assert said.code == 2
    assert "found" in said.err


def test_a_torn_file_is_told_since_nobody_could_say_that_it_is_clean(
    churnml: Any, folder: Path
) -> None:
    (folder / "artifacts/churn/predictions.parquet").write_bytes(b"PAR1")
    said = churnml.try_("forget", GONE, "--yes", cwd=folder)
    assert said.code == 1
    assert "predictions.parquet: cannot be read" in said.err


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_table_is_cleared_of_the_account_alone_and_keeps_its_types(
    tmp_path: Path, name: str
) -> None:
    frame = a_table(tmp_path / name)
    assert rows_of(tmp_path / name, GONE) == 2
    clear(tmp_path / name, GONE)
    assert rows_of(tmp_path / name, GONE) == 0
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    left = read(tmp_path / name)
    assert left["p"].tolist() == [0, 3]
    if name == "a.parquet":
        assert left.dtypes.equals(frame.dtypes)


def test_a_word_is_found_whole_and_across_the_chunks_of_a_large_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("churnml.stages.kept_files._CHUNK", 8)
    path = tmp_path / "a.json"
    path.write_text('{"some_padding": 1, "account_id": "ACC-GONE-77"}', encoding="utf-8")
    assert mentions(path, "ACC-GONE-77")
    path.write_text('{"other": "XACC-GONE-7"}', encoding="utf-8")
    assert not mentions(path, "ACC-GONE-7")


# ---------------------------------------------------------------------------------------- the key


def project_of(folder: Path, **environment: str) -> Project:
    return Project(folder, parse_config("version = 1"), environment, DAY)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    assert known_key(project_of(tmp_path)) is None
    key = project_key(project_of(tmp_path))
    assert key == project_key(project_of(tmp_path)) == known_key(project_of(tmp_path))
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_the_environment_s_key_wins_and_leaves_no_file(tmp_path: Path) -> None:
    told = project_of(tmp_path, CHURNML_SALT="a-long-random-text")
    assert project_key(told) == b"a-long-random-text"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"CHURNML_SALT: found 3 letters. Expected 16"):
        project_key(project_of(tmp_path, CHURNML_SALT="abc"))


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(ChurnmlError, match="cannot be read"):
        project_key(project_of(tmp_path))


def test_reports_that_name_the_account_go_with_their_pdf_and_the_others_stay(
    churnml: Any, folder: Path
) -> None:
    (folder / "report.pdf").write_bytes(b"%PDF")
    kept = folder / "reports"
    kept.mkdir()
    for name, text in (("2024-03-04-en", GONE), ("2024-02-26-en", STAYS)):
        (kept / f"{name}.html").write_text("<p>", encoding="utf-8")
        (kept / f"{name}.json").write_text(json.dumps({"account_id": text}), encoding="utf-8")
        (kept / f"{name}.pdf").write_bytes(b"%PDF")
    looked = json.loads(churnml("forget", GONE, "--dry-run", "--json", cwd=folder))
    assert {"report.pdf", "report.html", "reports/2024-03-04-en.pdf"} <= {
        part["where"] for part in looked["kept"]
    }
    assert (kept / "2024-03-04-en.pdf").is_file()
    churnml("forget", GONE, "--yes", cwd=folder)
    assert not (folder / "report.pdf").exists()
    assert sorted(path.name for path in kept.iterdir()) == [
        "2024-02-26-en.html", "2024-02-26-en.json", "2024-02-26-en.pdf",
    ]  # fmt: skip
