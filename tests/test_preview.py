from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Invocation

from conftest import ROOT, Command
from hpsearch.cli import cli
from hpsearch.config import Config, load_config
from hpsearch.history import History
from hpsearch.loop import history_of, suggest
from hpsearch.preview import ASCII, BINS, BLOCKS, DRAWS, draws_table, first_trials, summary
from hpsearch.space import Space
from hpsearch.store import RunFolder
from hpsearch.strategies import Suggestion


def preview(*arguments: object) -> Invocation:
    return CliRunner().invoke(cli, ["preview", *map(str, arguments)], catch_exceptions=False)


def write(tmp_path: Path, parameters: str, more: str = "") -> Path:
    path = tmp_path / "c.yaml"
    objective = "" if "objective:" in more else "objective: {trainer: mlp, epochs: 1}\n"
    path.write_text(f"{objective}data: {{source: digits}}\nparameters:\n{parameters}\n{more}\n")
    return path


def cells(table: str) -> dict[str, list[str]]:
    """Return the rows of a table by their first cell; columns are two or more spaces apart."""
    rows = [re.split(r" {2,}", line.strip()) for line in table.splitlines()]
    return {row[0]: row[1:] for row in rows}


@dataclass(frozen=True)
class Fixed:
    """Suggests the same place, and after `count` trials waits for results."""

    place: float
    count: int = 10**6

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        point = (self.place,) * len(space.axes)
        return Suggestion(point) if number < self.count else None

    def size(self, space: Space) -> None:
        return None


@pytest.fixture
def scales() -> Config:
    return load_config(ROOT / "configs" / "scales.yaml")


# The trials


def test_run_runs_exactly_the_trials_that_preview_shows(command: Command, tmp_path: Path) -> None:
    shown = command("preview", "tiny.yaml", "-n", 6)
    assert shown.returncode == 0, shown.stderr
    assert command("run", "tiny.yaml", "-q", "-j", 2).returncode == 0
    config = load_config(tmp_path / "tiny.yaml")
    axes = config.space.axes
    expected = [
        [str(r.trial), *(axes[name].text(value) for name, value in r.params.items()), str(r.seed)]
        for r in RunFolder(tmp_path / "runs" / "tiny").results()
    ]
    assert len(expected) == 6
    assert [line.split() for line in shown.stdout.splitlines()[-6:]] == expected


def test_no_more_trials_are_shown_than_the_budget_allows(scales: Config) -> None:
    assert scales.budget.limit == 12
    assert len(first_trials(scales, 100, 100).splitlines()) == 2 + 12
    assert len(first_trials(scales, 3, 100).splitlines()) == 2 + 3


def test_trials_that_depend_on_results_are_not_shown(scales: Config) -> None:
    waiting = replace(scales, strategy=Fixed(0.5, count=4))
    lines = first_trials(waiting, 10, 100).splitlines()
    assert lines[2 + 4 :] == ["What later trials try depends on the results of these."]


def test_preview_writes_nothing(command: Command, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = command("preview", "tiny.yaml")
    assert done.returncode == 0
    assert done.stderr == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_the_summary_says_what_would_run_on_what(scales: Config) -> None:
    text = summary(scales)
    assert "12 trials by random search, to minimize dev_error, seed 0" in text
    assert "1797 examples (train 1078, dev 360, test 359), 64 features, 10 classes" in text


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_config_can_be_previewed_without_a_warning(path: Path) -> None:
    outcome = preview(path)
    assert outcome.exit_code == 0, outcome.output
    assert "warning" not in outcome.output
    for name in load_config(path).space.names:
        assert name in outcome.stdout


def test_a_config_in_which_nothing_varies_shows_its_trials_without_a_histogram(
    tmp_path: Path,
) -> None:
    outcome = preview(write(tmp_path, "  l2: 0.5"))
    assert outcome.exit_code == 0
    assert "draws" not in outcome.stdout
    assert "nothing varies: the trials differ in their seed only" in outcome.stdout


# The histogram


def test_a_range_is_shown_with_the_values_that_quarter_its_scale(scales: Config) -> None:
    rows = cells(draws_table(scales, unicode=True))
    assert rows["learning_rate"][0] == "log"
    assert rows["learning_rate"][-1] == "0.0001 | 0.001 | 0.01 | 0.1 | 1"
    assert rows["momentum"][-1] == "0.9 | 0.9684 | 0.99 | 0.99684 | 0.999"
    assert rows["init_scale"][-1] == "0.5 | 0.875 | 1.25 | 1.625 | 2"
    assert rows["layers"][0] == "linear int"
    assert rows["layers"][-1] == "1 | 1 | 2 | 3 | 3"
    assert rows["parameter"][1] == "1,000 draws"


def test_a_histogram_counts_the_strategys_own_suggestions_along_the_scale(scales: Config) -> None:
    table = draws_table(scales, unicode=True)
    units = np.array([suggest(scales, history_of(scales), n).unit for n in range(DRAWS)])  # type: ignore[union-attr]
    for place, name in enumerate(scales.space.names):
        counts, _ = np.histogram(units[:, place], BINS, (0, 1))
        bars = cells(table)[name][1]
        assert len(bars) == BINS
        for i in range(BINS):
            for j in range(BINS):
                assert counts[i] < counts[j] or bars[i] >= bars[j]  # blocks sort by their height
        assert bars[int(np.argmax(counts))] == "█"


@pytest.mark.parametrize(("unicode", "marks"), [(True, BLOCKS), (False, ASCII)])
@pytest.mark.parametrize("place", [0.0, 0.55, 1.0])
def test_suggestions_at_one_place_stand_in_one_bin_on_every_scale(
    scales: Config, place: float, unicode: bool, marks: str
) -> None:
    table = draws_table(replace(scales, strategy=Fixed(place)), unicode=unicode)
    none, all_of_them = marks[0], marks[-1]
    at = min(int(place * BINS), BINS - 1)
    for name in scales.space.names:
        (line,) = [line for line in table.splitlines() if line.startswith(name)]
        start = table.splitlines()[0].index("1,000 draws")
        assert line[start : start + BINS] == none * at + all_of_them + none * (BINS - at - 1)


def test_a_strategy_that_waits_for_results_is_drawn_as_far_as_it_goes(scales: Config) -> None:
    assert "7 draws" in draws_table(replace(scales, strategy=Fixed(0.5, count=7)), unicode=True)


def test_a_choice_is_shown_with_each_options_share_of_the_draws(tmp_path: Path) -> None:
    path = write(tmp_path, "  optimizer: {values: [adam, momentum, rmsprop], weights: [2, 1, 0]}")
    config = load_config(path)
    drawn = [suggest(config, history_of(config), n).params["optimizer"] for n in range(DRAWS)]  # type: ignore[union-attr]
    share = drawn.count("adam") / DRAWS
    assert 0.6 < share < 0.73
    row = cells(draws_table(config, unicode=True))["optimizer"]
    assert row[0] == "choice"
    assert row[-1] == f"adam {share:.0%} | momentum {1 - share:.0%} | rmsprop 0%"
    assert row[1][0] == "█"


def test_options_that_are_equal_in_python_are_counted_apart(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "  hidden_units: {values: [64, [64], [64, 64]]}"))
    row = cells(draws_table(config, unicode=True))["hidden_units"]
    shares = [int(part.split()[-1].rstrip("%")) for part in row[-1].split(" | ")]
    assert len(shares) == 3
    assert all(25 < share < 42 for share in shares)


def test_an_output_that_has_no_blocks_gets_plain_characters(command: Command) -> None:
    done = command("preview", "tiny.yaml", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "@" in done.stdout
    blocks = command("preview", "tiny.yaml", PYTHONIOENCODING="utf-8").stdout
    assert "█" in blocks
    assert len(BLOCKS) == len(ASCII)


# Traps


@pytest.mark.parametrize(
    ("parameters", "more", "words"),
    [
        (
            "  learning_rate: {min: 0.001, max: 1}",
            "",
            "warning: learning_rate: a linear scale from 0.001 to 1 spends 90% of the trials above "
            "0.1; scale: log gives every decade its share",
        ),
        (
            "  momentum: {min: 0.9, max: 0.999}",
            "",
            "warning: momentum: a linear scale up to 0.999 hardly tries values near 1, where "
            "1 - value matters; scale: one_minus_log does",
        ),
        (
            "  momentum: {min: 0.5, max: 0.9}",
            "objective: {trainer: mlp, optimizer: rmsprop}",
            "warning: momentum: no trial uses it: optimizer is rmsprop",
        ),
        (
            "  layers: {type: int, min: 1, max: 3}",
            "budget: {trials: 4}",
            "warning: there are only 3 distinct settings for 4 trials",
        ),
    ],
)
def test_what_is_probably_not_meant_is_said(
    tmp_path: Path, parameters: str, more: str, words: str
) -> None:
    outcome = preview(write(tmp_path, parameters, more))
    assert outcome.exit_code == 0
    assert words in outcome.stdout


@pytest.mark.parametrize(
    ("parameters", "more"),
    [
        ("  learning_rate: {min: 0.0011, max: 1}", ""),
        ("  learning_rate: {scale: log, min: 0.001, max: 1}", ""),
        ("  momentum: {scale: one_minus_log, min: 0.9, max: 0.999}", ""),
        ("  momentum: {min: 0.5, max: 0.9}", ""),
        ("  layers: {type: int, min: 1, max: 3}", "budget: {trials: 3}"),
    ],
)
def test_what_is_probably_meant_gets_no_warning(tmp_path: Path, parameters: str, more: str) -> None:
    assert "warning" not in preview(write(tmp_path, parameters, more)).output


def test_a_mistake_in_the_config_is_answered_with_its_place_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "  learning_rate: {sclae: log, min: 0.1, max: 1}")
    outcome = preview(path)
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith(f"{path}:4:")
    assert "scale" in outcome.stderr


def test_a_file_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "  l2: 0")
    outcome = preview(tmp_path / "cc.yaml")
    assert outcome.exit_code == 2
    assert f"Did you mean '{tmp_path / 'c.yaml'}'?" in outcome.stderr
