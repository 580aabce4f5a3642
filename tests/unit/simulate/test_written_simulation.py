"""A simulation is written whole or not at all, and never over anything else."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from churnml.errors import ChurnmlError
from churnml.simulate.company import Simulation, simulate
from churnml.simulate.settings import SimulationSettings
from churnml.simulate.write import write


@pytest.fixture(scope="module")
def company() -> Simulation:
    return simulate(SimulationSettings(accounts=8, weeks=6, seed=1, rollouts=2))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_tables_and_truth_lie_where_they_are_promised(company: Simulation, tmp_path: Path) -> None:
    paths = write(company, tmp_path / "data")
    assert all(path.is_file() for path in paths)
    names = set(bytes_of(tmp_path / "data"))
    assert {"accounts.parquet", "events.parquet", "subscriptions.parquet"} <= names
    assert {"truth/causes.parquet", "truth/probabilities.parquet"} <= names
    causes = pq.read_schema(tmp_path / "data" / "truth" / "causes.parquet").names
    assert causes == ["account_id", "cause", "planted_at", "churned_at"]
    chances = pq.read_schema(tmp_path / "data" / "truth" / "probabilities.parquet").names
    assert chances == ["account_id", "as_of", "target", "true_probability"]


def test_the_same_company_is_the_same_bytes(company: Simulation, tmp_path: Path) -> None:
    write(company, tmp_path / "one")
    write(simulate(company.settings), tmp_path / "two")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_an_empty_folder_is_filled(company: Simulation, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(company, tmp_path / "data")
    assert (tmp_path / "data" / "accounts.parquet").is_file()


def test_a_folder_with_anything_in_it_is_left_alone(company: Simulation, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ChurnmlError, match=r"notes\.txt"):
        write(company, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_earlier_simulation_is_replaced_when_told(company: Simulation, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write(company, folder)
    with pytest.raises(ChurnmlError, match="may be replaced"):
        write(company, folder)
    other = simulate(SimulationSettings(accounts=9, weeks=6, seed=1, rollouts=0))
    write(other, folder, replace=True)
    assert pq.read_metadata(folder / "accounts.parquet").num_rows == 9
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_replacing_never_takes_what_no_simulation_wrote(
    company: Simulation, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    write(company, folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ChurnmlError, match=r"notes\.txt"):
        write(company, folder, replace=True)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(
    company: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ChurnmlError, match="No space left"):
        write(company, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_is_left_alone(company: Simulation, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ChurnmlError, match="found a file"):
        write(company, tmp_path / "data", replace=True)
