"""The configuration says what is wrong with it, key by key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from churnml.config import TierConfig, ValueConfig, parse_config, target_of
from churnml.errors import ConfigError
from churnml.stages.init import TEMPLATE, init_project
from churnml.stages.project import open_project, write_whole


def test_the_shortest_configuration_is_all_defaults() -> None:
    config = parse_config("")
    assert config.targets["churn"].horizon_days == 90
    assert config.capacity.of(300) == 30


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = ", "not valid TOML"),
        ("[targets.churm]\nhorizon_days = 90", "targets.churm"),
        ("[targets.churn]\nhorizon_days = 0", "targets.churn.horizon_days"),
        ("[targets.churn]\nhorizon = 30", "targets.churn.horizon: unknown key"),
        ("[tiers]\nmedium = 0.6", "tiers must rise"),
        ('[tables.events]\nfile = "a"\nsql = "b"', "either `file` or `sql`"),
        ('name = "a b"', "letters, digits"),
        ("[calendar]\ndates = ['soon']", "calendar.dates.0"),
        ("[audit]\nmax_auc = 1.5", "audit.max_auc"),
        ('[[audit.waive]]\nfeature = "mrr"\ncheck = "luck"\nreason = "x"', "'knows_the_date'"),
        (
            '[[audit.waive]]\nfeature = "mrr"\ncheck = "knows_the_date"\nreason = " "',
            "audit.waive.0.reason: must not be empty",
        ),
        ('[[audit.waive]]\nfeature = "mrr"\ncheck = "knows_the_date"', "audit.waive.0.reason"),
        (
            2 * '[[audit.waive]]\nfeature = "mrr"\ncheck = "late_arrival"\nreason = "x"\n',
            "late_arrival of mrr is waived twice",
        ),
    ],
)
def test_a_wrong_key_is_named_with_what_was_found(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(text, "here.toml")
    assert "here.toml" in str(error.value)
    assert words in str(error.value)


def test_an_undeclared_target_is_told_with_those_that_are() -> None:
    config = parse_config("[targets.churn]\nlead_days = 0")
    with pytest.raises(ConfigError, match=r"expansion.*Expected one of churn"):
        target_of(config, "expansion")


def test_tiers_begin_at_their_own_threshold() -> None:
    tiers = TierConfig()
    assert [tiers.of(p) for p in (0.0999, 0.1, 0.25, 0.5)] == ["low", "medium", "high", "critical"]


def test_init_writes_a_configuration_that_opens(tmp_path: Path) -> None:
    data = tmp_path / "exports"
    data.mkdir()
    (data / "accounts.csv").write_text("account_id\n")
    path, found, missing = init_project(tmp_path / "my company", str(data))
    project = open_project(path.parent)
    assert (path.parent / project.config.source.path).resolve() == data
    assert found == ["accounts"]
    assert missing == ["events", "subscriptions"]
    with pytest.raises(ConfigError, match="there is one already"):
        init_project(path.parent, str(data))


def test_the_template_shows_the_default_of_each_term_of_value() -> None:
    shown = TEMPLATE[TEMPLATE.index("# [value]") : TEMPLATE.index("# Calibrated")]
    text = "\n".join(line.removeprefix("# ") for line in shown.splitlines())
    assert parse_config(text).value == ValueConfig()
    assert set(tomllib.loads(text)["value"]) == set(ValueConfig.model_fields)


def test_a_write_that_dies_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def die(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(path, die)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
