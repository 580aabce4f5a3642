"""[search] of a params.toml: what it may say, and what is told where it says something else."""

from __future__ import annotations

import tomllib

import pytest

from churnml.errors import ConfigError
from churnml.training.params import (
    DEFAULT_SEARCH,
    Choices,
    FitParams,
    Range,
    fit_params,
    search_space,
)
from churnml.training.tune_propose import inside_of


def read(lines: str):
    return search_space(tomllib.loads("[fit]\nnum_leaves = 7\n" + lines), "here/params.toml")


def test_without_a_section_the_defaults_are_searched_and_hold_the_default_parameters():
    assert search_space(None) is DEFAULT_SEARCH
    assert read("") is DEFAULT_SEARCH
    defaults = FitParams().model_dump()
    assert inside_of(DEFAULT_SEARCH, defaults)


def test_a_section_is_the_whole_of_what_is_searched():
    found = read(
        "[search]\nnum_leaves = { low = 2, high = 8, log = true }\nlambda_l2 = { low = 0, high = 1 }\n"
        "max_bin = { choices = [31, 63] }\n"
    )
    assert found == {
        "num_leaves": Range(2, 8, log=True),
        "lambda_l2": Range(0.0, 1.0),
        "max_bin": Choices((31, 63)),
    }
    assert isinstance(found["lambda_l2"].low, float)


def test_fit_takes_no_notice_of_search_and_no_third_section():
    assert fit_params({"fit": {"num_leaves": 7}, "search": {}}).num_leaves == 7
    with pytest.raises(
        ConfigError, match=r"found section or key serach\. Expected \[fit\] and \[sea"
    ):
        fit_params({"serach": {}})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("leaves = { low = 2, high = 8 }", "search.leaves: unknown key. Expected one of learning_rate"),
        ("fixed_rounds = { low = 2, high = 8 }", "the folds decide it"),
        ("num_leaves = 8", "found 8. Expected { low = …, high = … }"),
        ("num_leaves = { low = 2 }", "Expected { low = …, high = … }"),
        ("num_leaves = { low = 2, high = 8, step = 2 }", "Expected { low = …, high = … }"),
        ("num_leaves = { low = 2.5, high = 8 }", "found 2.5. Expected a whole number"),
        ("num_leaves = { low = 1, high = 8 }", "found 1. Input should be greater than or equal to 2"),
        ("num_leaves = { low = 8, high = 8 }", "Expected low below high"),
        ("lambda_l2 = { low = 0, high = 8, log = true }", "Expected low above 0"),
        ("lambda_l2 = { low = 1, high = 8, log = 1 }", "Expected true or false"),
        ("lambda_l2 = { low = '1', high = 8 }", "found '1'. Expected a number"),
        ("max_bin = { choices = [] }", "Expected a list of different numbers"),
        ("max_bin = { choices = [63, 63] }", "Expected a list of different numbers"),
        ("max_bin = { choices = [63, 999] }", "found 999. Input should be less than or equal to 255"),
        ("", "Expected a section with a line per parameter"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_words(line, told):
    with pytest.raises(ConfigError) as caught:
        read(f"[search]\n{line}\n")
    assert told in str(caught.value)
    assert str(caught.value).startswith("here/params.toml")


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        read("[search]\nleaves = 3\nnum_leaves = 4\n")
    assert "search.leaves" in str(caught.value)
    assert "search.num_leaves" in str(caught.value)
