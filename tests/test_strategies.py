"""What every strategy promises, and what each of them is for."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT, Command, without_seconds
from hpsearch.cli import cli
from hpsearch.config import config_schema, load_config
from hpsearch.config.reading import section_schema, words
from hpsearch.expressions import Expression
from hpsearch.history import History
from hpsearch.scales import Integer, Linear, Log, OneMinusLog, Real
from hpsearch.seeds import stream
from hpsearch.space import Among, Axis, Choice, Point, Space
from hpsearch.store import RunFolder
from hpsearch.strategies import STRATEGIES, Halving, Strategy, Suggestion
from hpsearch.strategies.grid import Grid
from hpsearch.strategies.lattice import ticks
from hpsearch.strategies.sobol import BITS, Sobol, _Sequence
from hpsearch.strategies.zoom import FIRST, Zoom
from hpsearch.trial import Result, Trial, joined
from hpsearch.yamlfile import parse_yaml

FORMS: dict[str, dict[str, Any]] = {
    "random": {"name": "random"},
    "grid": {"name": "grid", "points": 4},
    "sobol": {"name": "sobol"},
    "zoom": {"name": "zoom"},
    "zoom, one after another": {"name": "zoom", "lag": 1, "start": "random", "top": 3},
    "bayes": {"name": "bayes"},
    "bayes, one after another": {"name": "bayes", "lag": 1},
    "zoom in rounds": {"name": "zoom", "rounds": 4},
    "zoom to a grid": {"name": "zoom", "rounds": 3, "finish": "grid"},
    "halving": {"name": "halving", "max": 27},
    "halving with zoom": {"name": "halving", "max": 27, "propose": "zoom", "lag": 4},
    "halving with bayes": {"name": "halving", "max": 27, "propose": "bayes", "lag": 3},
    "hyperband": {"name": "halving", "max": 30, "brackets": 3, "propose": "random"},
}
"""Every strategy, and every way in which one works."""

AXES = {
    "rate": Real(Log(1e-4, 1.0), "log"),
    "beta": Real(OneMinusLog(0.9, 0.999), "one_minus_log"),
    "units": Integer(Linear(1, 5), "linear"),
    "batch": Integer(Log(16, 64), "log"),
    "kind": Choice(("a", "b", True), (1.0, 2.0, 1.0)),
}
SPACE = Space(AXES)
COUNTABLE = Space(
    {
        "units": Integer(Linear(1, 5), "linear"),
        "kind": Choice((True, 1, "never"), (1.0, 3.0, 0.0)),
        "size": Choice(((1,), (1, 1), None)),
    }
)
"""30 settings: one of its options cannot be drawn."""


FENCED = Space(
    AXES,
    {"beta": (Among("kind", ("a",)),)},
    constraints=(Expression.parse("units <= 3 or rate <= 0.01"),),
)
"""A space with a condition (beta is there with kind a alone) and a constraint."""

OF_MODELS = {f"{m}_{k}": Integer(Linear(1, 3), "linear") for m in "abcde" for k in range(3)}
MODEL = Choice(tuple("abcde"))
"""Five models, each with three parameters of its own: few settings in very many dimensions."""


def models(axes: dict[str, Axis]) -> Space:
    return Space(axes, {name: (Among("model", (name[0],)),) for name in OF_MODELS})


def strategy(form: str) -> Strategy:
    keys = dict(FORMS[form])
    return STRATEGIES[keys.pop("name")](**keys)


Score = Callable[[int, Point], float | None]


def bowl(number: int, point: Point) -> float:
    return sum((u - 0.3) ** 2 for u in point)


def stepped(
    chosen: Strategy,
    space: Space,
    trials: int,
    *,
    seed: int = 0,
    score: Score = bowl,
    order: random.Random | None = None,
    before: Sequence[Result] = (),
) -> list[Result]:
    """Run a search whose trials end in any order, on top of some that are there already.

    Of a strategy that trains trials in steps, the results are those of the steps.
    """
    size = chosen.size(space)
    trials = trials if size is None else min(size, trials)
    history = History("minimize", seed, trials)
    results = {result.order: result for result in before}
    for result in before:
        history.add(result)
    running: list[Result] = []
    place = 0
    while True:
        while isinstance(chosen, Halving) or place < trials:
            if place in results:
                place += 1
                continue
            suggestion = chosen.suggest(space, history, place, stream(seed, "suggest", place))
            if suggestion is None:
                break
            trial = named(space, history, place, suggestion)
            value = score(trial.number, trial.unit)
            status = "failed" if value is None else "complete"
            running.append(
                Result(
                    trial.number,
                    status,
                    trial.params,
                    trial.unit,
                    0,
                    trial.until,
                    value,
                    note=trial.note,
                    step=trial.step,
                    start=trial.start,
                    rung=trial.rung,
                )
            )
            place += 1
        if not running:
            break
        done = running.pop(order.randrange(len(running)) if order else 0)
        results[done.order] = done
        history.add(done)
    return [results[place] for place in range(len(results))]


def named(space: Space, history: History, place: int, suggestion: Suggestion) -> Trial:
    """Name in the history what a strategy suggests, as the search does."""
    number, stage = place, suggestion.stage
    trial = Trial(number, space.params(suggestion.point), suggestion.point, 0, suggestion.note)
    if stage is not None:
        number = history.begun(place) if stage.trial is None else stage.trial
        trial = replace(trial, number=number, step=place, start=stage.start)
        trial = replace(trial, until=stage.until, rung=stage.rung)
    history.name(trial)
    return trial


def searched(chosen: Strategy, space: Space, trials: int, **keys: Any) -> list[Result]:
    """Run a search, and return what became of each trial."""
    results = joined(stepped(chosen, space, trials, **keys))
    expected = chosen.size(space)
    assert [result.trial for result in results] == list(range(len(results)))
    assert len(results) == trials or isinstance(chosen, Halving) or len(results) == expected
    return results


def test_every_strategy_is_tested_here() -> None:
    assert {form["name"] for form in FORMS.values()} == set(STRATEGIES)


# What every strategy promises


@pytest.mark.parametrize("form", FORMS)
def test_points_lie_in_the_cube_and_notes_are_plain_data(form: str) -> None:
    results = searched(strategy(form), SPACE, 60)
    assert len(results) == 60
    for result in results:
        assert len(result.unit) == len(AXES)
        assert all(type(u) is float and 0 <= u <= 1 for u in result.unit)
        assert SPACE.params(result.unit) == result.params
        assert json.loads(json.dumps(result.note, allow_nan=False)) == result.note


@pytest.mark.parametrize("form", FORMS)
def test_both_ends_and_every_option_are_tried(form: str) -> None:
    results = searched(strategy(form), SPACE, 120)
    for name in ("units", "kind"):
        tried = {repr(result.params[name]) for result in results}
        axis = AXES[name]
        expected = axis.options if isinstance(axis, Choice) else (axis.scale.min, axis.scale.max)
        assert {repr(value) for value in expected} <= tried


@pytest.mark.parametrize("form", FORMS)
def test_a_seed_fixes_all_trials_and_another_gives_others(form: str) -> None:
    first, again = (searched(strategy(form), SPACE, 40, seed=3) for _ in range(2))
    assert first == again
    other = searched(strategy(form), SPACE, 40, seed=4)
    assert (other == first) == (form == "grid")


def some_fail(number: int, point: Point) -> float | None:
    return None if number % 7 == 2 else bowl(number, point)


@cache
def undisturbed(form: str, countable: bool) -> list[Result]:
    """The steps of a search that ran in order and was never interrupted."""
    return stepped(strategy(form), COUNTABLE if countable else SPACE, 40, score=some_fail)


@pytest.mark.parametrize("form", FORMS)
@given(order=st.randoms(use_true_random=False), kept=st.sets(st.integers(0, 39)))
@settings(max_examples=2, deadline=None)
def test_trials_depend_neither_on_the_order_of_results_nor_on_interruptions(
    form: str, order: random.Random, kept: set[int]
) -> None:
    for space in (SPACE, COUNTABLE):
        whole = undisturbed(form, space is COUNTABLE)
        before = [result for result in whole if result.order in kept]
        again = stepped(strategy(form), space, 40, score=some_fail, order=order, before=before)
        assert again == whole


@pytest.mark.parametrize("form", FORMS)
def test_a_search_in_which_every_trial_fails_goes_on(form: str) -> None:
    results = searched(strategy(form), SPACE, 60, score=lambda number, point: None)
    assert len({repr(result.params) for result in results}) == 60


@pytest.mark.parametrize("form", FORMS)
def test_equal_scores_everywhere_are_no_obstacle(form: str) -> None:
    assert len(searched(strategy(form), SPACE, 60, score=lambda number, point: 0.5)) == 60


@pytest.mark.parametrize("form", FORMS)
def test_no_setting_is_tried_twice_before_all_have_been(form: str) -> None:
    chosen = Grid() if form == "grid" else strategy(form)
    results = searched(chosen, COUNTABLE, 40)
    tried = [repr(result.params) for result in results]
    assert len(set(tried[:30])) == 30
    assert "never" not in {result.params["kind"] for result in results}
    assert len(results) == (30 if form == "grid" else 40)


@pytest.mark.parametrize("form", FORMS)
def test_constraints_and_conditions_hold_in_every_trial(form: str) -> None:
    results = searched(strategy(form), FENCED, 60)
    assert len(results) == 60
    for result in results:
        assert FENCED.allows(result.unit)
        assert ("beta" in result.params) == (result.params["kind"] == "a")


@pytest.mark.parametrize("form", FORMS)
def test_a_space_in_which_nothing_varies_is_searched(form: str) -> None:
    results = searched(strategy(form), Space({}), 20)
    assert all(result.unit == () for result in results)


# Through the real command

SEARCH = """
objective: {{python: "f.py:score"}}
metric: {{name: loss, goal: minimize}}
parameters:
  rate:  {{scale: log, min: 1e-4, max: 1}}
  units: {{type: int, min: 1, max: 5}}
  kind:  {{values: [a, b]}}
method: {method}
seed: 5
budget: {{trials: 24, failures: 24}}
"""
CODE = """
def score(rate, units, kind, budget=9):
    if units == 2:
        raise ValueError("no")
    return float("nan") if units == 3 and kind == "b" else (units - 4) ** 2 + rate + 1 / budget
"""


def run_in(command: Command, folder: Path, *arguments: object) -> str:
    done = command("run", "s.yaml", "-q", "--runs-dir", folder, *arguments)
    assert done.returncode == 0, done.stderr
    return without_seconds(folder / "s" / "trials.csv")


@pytest.mark.parametrize("form", FORMS)
def test_jobs_and_interruptions_leave_the_table_as_it_is(
    command: Command, tmp_path: Path, form: str
) -> None:
    (tmp_path / "f.py").write_text(CODE)
    method = json.dumps(FORMS[form])
    (tmp_path / "s.yaml").write_text(SEARCH.format(method=method))
    alone = run_in(command, tmp_path / "alone", "-j", 1)
    assert len(alone.splitlines()) == 1 + 24
    assert "failed" in alone
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "alone", cut)
    record = cut / "s" / "trials.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([lines[0], *lines[2:9], lines[15], lines[16][:50]]))
    assert run_in(command, cut, "-j", 3) == alone
    notes = [
        {r.order: r.note for r in RunFolder(tmp_path / each / "s").results()}
        for each in ("alone", "cut")
    ]
    assert notes[0] == notes[1]


# Grid


def values(axis: Real | Integer | Choice, points: int | None) -> list[Any]:
    return [axis.from_unit(np.asarray(u)).item() for u in ticks(axis, points)]


def test_a_grid_has_both_ends_and_equal_steps_on_the_scale() -> None:
    assert values(Real(Log(1e-4, 1), "log"), 5) == pytest.approx([1e-4, 1e-3, 0.01, 0.1, 1])
    rates = values(Real(Log(1e-4, 0.3), "log"), 4)
    assert (rates[0], rates[-1]) == (1e-4, 0.3)
    betas = values(Real(OneMinusLog(0.9, 0.999), "one_minus_log"), 3)
    assert betas == pytest.approx([0.9, 0.99, 0.999])
    assert values(Integer(Linear(1, 10), "linear"), 4) == [1, 4, 7, 10]
    assert values(Integer(Log(16, 256), "log"), 5) == [16, 32, 64, 128, 256]
    assert values(Integer(Linear(-2, 1), "linear"), None) == [-2, -1, 0, 1]
    assert values(Integer(Linear(1, 3), "linear"), 10) == [1, 2, 3]
    assert values(Choice(("a", True, 1)), 2) == ["a", True, 1]


@given(st.integers(-50, 50), st.integers(1, 300), st.integers(2, 40))
def test_whole_numbers_in_a_grid_are_distinct_and_keep_both_ends(
    low: int, width: int, points: int
) -> None:
    axes = [Integer(Linear(low, low + width), "linear")]
    if low > 0:
        axes.append(Integer(Log(low, low + width), "log"))
    for axis in axes:
        found = values(axis, points)
        assert found == sorted(set(found))
        assert (found[0], found[-1]) == (low, low + width)
        assert len(found) <= points or points > width
    assert len(values(axes[0], points)) == min(points, width + 1)


def test_a_grid_is_every_combination_once_the_last_parameter_fastest() -> None:
    results = searched(Grid(points={"rate": 2, "beta": 3, "batch": 2}), SPACE, 10**6)
    assert len(results) == Grid({"rate": 2, "beta": 3, "batch": 2}).size(SPACE) == 2 * 3 * 5 * 2 * 3
    assert len({repr(result.params) for result in results}) == len(results)
    assert [result.params["kind"] for result in results[:4]] == ["a", "b", True, "a"]
    assert {result.params["rate"] for result in results[:90]} == {1e-4}


def test_a_grid_leaves_out_what_is_excluded_and_what_is_the_same_setting() -> None:
    grid = Grid(points=3)
    allowed = 3 + 3 + 2  # rates with 1 unit, with 3, with 5
    assert grid.size(FENCED) == allowed * 3 * (3 + 1 + 1)  # beta varies with kind a only
    results = searched(grid, FENCED, 10**6)
    assert len({repr(result.params) for result in results}) == len(results) == grid.size(FENCED)


def test_a_grid_lists_no_combination_of_what_is_not_used_together() -> None:
    first, then = dict(list(OF_MODELS.items())[:8]), dict(list(OF_MODELS.items())[8:])
    orders: list[dict[str, Axis]] = [
        {"model": MODEL, **OF_MODELS},
        {**first, "model": MODEL, **then},
    ]
    for space in map(models, orders):
        grid = Grid()
        assert grid.size(space) == 5 * 3**3
    assert list(grid.problems(space, None)) == []
    results = searched(grid, space, 10**6)
    assert len({repr(result.params) for result in results}) == len(results) == 5 * 3**3


def test_a_grid_with_nothing_that_is_allowed_or_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impossible = replace(FENCED, constraints=(Expression.parse("rate > 2"),))
    (none,) = Grid(points=2).problems(impossible, None)
    assert none.text == "the constraints exclude every setting of the grid"
    monkeypatch.setattr("hpsearch.strategies.lattice.LISTED", 200)
    (many,) = Grid(points=20).problems(FENCED, None)
    assert many.text == "the grid has more than 20,000 combinations"


GRID = """
objective: {python: "f.py:score"}
metric: {name: loss, goal: minimize}
parameters:
  rate:  {scale: log, min: 1e-4, max: 1}
  units: {type: int, min: 1, max: 5}
  kind:  {values: [a, b]}
method: {name: grid, points: {rate: 2}}
"""


def test_a_grid_without_a_budget_runs_to_its_end_and_says_so(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "f.py").write_text(CODE.replace("== 2", "== 9"))
    for budget in ("", "budget: {trials: 500}\n", "budget: {time: 1h}\n"):
        (tmp_path / "s.yaml").write_text(GRID + budget)
        done = command("run", "s.yaml", "-n", f"s{len(budget)}")
        assert done.returncode == 0, done.stderr
        assert "20 trials, scored by loss (minimize), the grid is complete." in done.stderr


def test_a_budget_smaller_than_the_grid_is_a_trap(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(CODE)
    path = tmp_path / "s.yaml"
    path.write_text(GRID + "budget: {trials: 5}\n")
    shown = CliRunner().invoke(cli, ["preview", str(path)])
    assert "warning: the grid has 20 settings and the budget is 5 trials" in shown.output
    path.write_text(GRID + "budget: {trials: 20}\n")
    assert "warning" not in CliRunner().invoke(cli, ["preview", str(path)]).output


def test_refining_a_grid_keeps_the_points_of_what_still_varies(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "f.py").write_text("def score(rate, units, kind): return rate + abs(units - 3)")
    (tmp_path / "s.yaml").write_text(GRID.replace("{rate: 2}", "{rate: 8, units: 5}"))
    assert command("run", "s.yaml", "-q").returncode == 0
    done = command("refine", "s", "--top", 2, "--write", "r.yaml")
    assert done.returncode == 0, done.stderr
    refined = load_config(tmp_path / "r.yaml")
    assert refined.space.names[0] == "rate"
    assert "units" not in refined.space.names
    assert refined.strategy == Grid({"rate": 8})


# Sobol


def test_a_sobol_sequence_puts_one_point_into_every_slice() -> None:
    results = searched(Sobol(), Space(dict.fromkeys("abcdefg", AXES["rate"])), 64)
    for coordinates in zip(*(result.unit for result in results), strict=True):
        assert sorted(math.floor(u * 64) for u in coordinates) == list(range(64))


def test_sobol_spreads_whole_numbers_and_options_evenly() -> None:
    results = searched(Sobol(), SPACE, 256)
    counts = [sum(r.params["units"] == k for r in results) for k in range(1, 6)]
    assert max(counts) - min(counts) <= 2
    assert abs(sum(r.params["kind"] == "b" for r in results) - 128) <= 1


def test_a_sobol_sequence_reaches_both_ends() -> None:
    sequence = _Sequence(SPACE, np.random.default_rng(0))
    extreme = np.array([[0.0] * 5, [1 - 2.0**-BITS] * 5])
    sequence._engine = type("Engine", (), {"random": lambda self, count: extreme})()
    assert [sequence.point(0), sequence.point(1)] == [(0.0,) * 5, (1.0,) * 5]


def test_sobol_takes_the_next_points_of_its_sequence_for_those_that_are_excluded() -> None:
    free = [result.unit for result in searched(Sobol(), SPACE, 200)]
    fenced = [result.unit for result in searched(Sobol(), FENCED, 60)]
    assert fenced == [unit for unit in free if FENCED.allows(unit)][:60]


def test_sobol_points_never_change_between_versions() -> None:
    points = [result.unit for result in searched(Sobol(), Space({"a": AXES["rate"]}), 4)]
    assert [round(u, 6) for (u,) in points] == SOBOL_POINTS


SOBOL_POINTS = [0.925081, 0.087129, 0.46694, 0.551108]


# Zoom


def test_zoom_beats_random_search_by_far_on_a_bowl() -> None:
    space = Space({name: Real(Linear(0.0, 1.0), "linear") for name in "abcd"})
    mean = {
        form: np.mean(
            [
                min(bowl(0, result.unit) for result in searched(strategy(form), space, 150, seed=k))
                for k in range(5)
            ]
        )
        for form in ("random", "zoom", "zoom in rounds")
    }
    assert mean["zoom"] < mean["random"] / 5
    assert mean["zoom in rounds"] < mean["random"] / 5


def test_zoom_reaches_the_ends_of_a_range_exactly() -> None:
    space = Space({name: Real(Linear(0.0, 1.0), "linear") for name in "ab"})
    results = searched(Zoom(), space, 100, score=lambda number, point: point[0] - point[1])
    assert min(result.unit[0] for result in results) == 0
    assert max(result.unit[1] for result in results) == 1


def test_with_a_lag_a_trial_sees_no_result_later_than_lag_before_it() -> None:
    chosen, history = Zoom(lag=3), History("minimize")
    for number in range(FIRST):
        history.add(Result(number, "complete", {}, (0.5,) * 5, 0, None, 1.0))
    rng = np.random.default_rng(0)
    assert chosen.suggest(SPACE, history, FIRST + 2, rng) is not None
    assert chosen.suggest(SPACE, history, FIRST + 3, rng) is None


def test_a_round_says_the_box_it_draws_from_and_why() -> None:
    results = searched(Zoom(rounds=4), SPACE, 80)
    assert [result.trial for result in results if result.note] == [0, 20, 40, 60]
    widths = []
    for start in (20, 40, 60):
        note = results[start].note
        assert note is not None
        assert (note["round"], note["of"]) == (start // 20 + 1, 4)
        box = note["box"]
        assert list(box) == list(AXES)
        best = sorted(results[:start], key=lambda r: (r.score, r.trial))[0]
        low, high = box["rate"]["min"], box["rate"]["max"]
        assert 1e-4 <= low <= best.params["rate"] <= high <= 1
        assert f"trial {best.trial} is best" in "".join(box["rate"]["because"].values())
        assert set(box["kind"]["values"]) <= {"a", "b", True}
        inside = [
            low <= r.params["rate"] <= high and r.params["kind"] in box["kind"]["values"]
            for r in results[start : start + 20]
        ]
        assert sum(inside) >= 14  # the rest is drawn from the whole space
        widths.append(math.log10(high / low))
    assert widths[-1] < widths[0]


def test_the_last_round_is_a_grid_in_the_last_box() -> None:
    space = Space({"rate": AXES["rate"], "beta": AXES["beta"]})
    results = searched(Zoom(rounds=3, finish="grid", points=3), space, 60)
    note = results[40].note
    assert note is not None
    box = note["box"]
    grid = results[40:49]
    assert {r.params["rate"] for r in grid} >= {box["rate"]["min"], box["rate"]["max"]}
    rates = Counter(r.params["rate"] for r in grid)
    assert sum(count for _, count in rates.most_common(3)) >= 8  # its centre is the best trial
    assert len({repr(r.params) for r in results}) == 60


def test_the_trials_that_rounds_share_cannot_be_changed_later(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "f.py").write_text(CODE)
    for method, code in (("zoom", 0), ("{name: zoom, rounds: 3}", 2)):
        text = SEARCH.format(method=method)
        for trials in ("12", "18"):
            (tmp_path / "s.yaml").write_text(text.replace("trials: 24", f"trials: {trials}"))
            done = command("run", "s.yaml", "-q", "-n", f"s{code}")
        assert done.returncode == code, done.stderr
    assert "budget.trials: 12 -> 18, which this method goes by" in done.stderr


def test_more_jobs_than_the_lag_are_told_of_the_key_that_uses_them(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "f.py").write_text(CODE)
    (tmp_path / "s.yaml").write_text(SEARCH.format(method="{name: zoom, lag: 2}"))
    said = "note: method.lag is 2, so 2 of the 3 jobs are used; method: {name: zoom, lag: 3}"
    assert said in command("run", "s.yaml", "-j", 3).stderr
    assert "note" not in command("run", "s.yaml", "-j", 2).stderr


# Mistakes

HEAD = """\
objective: {trainer: mlp, epochs: 1}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  layers: {type: int, min: 1, max: 3}
  optimizer: {values: [adam, momentum]}
"""

BAD = [
    ("method: grid", "7:9", "grid over real numbers needs a number of points, and learning_rate"),
    ("method: grid", "7:9", "Add points: 5, as in method: {name: grid, points: 5}"),
    ("method: {name: grid, points: {layers: 2}}", "7:9", "points: {learning_rate: 5}"),
    ("method: {name: grid, points: {learning_rat: 2}}", "7:31", "Did you mean 'learning_rate'?"),
    ("method: {name: grid, points: {optimizer: 2}}", "7:31", "Ranges: learning_rate, layers."),
    ("method: {name: grid, points: 500000}", "7:30", "the grid has 3,000,000 settings, more than"),
    ("method: {name: grid, points: 1}", "7:30", "points must be a whole number from 2 to 1000000"),
    ("method: {name: grid, points: {layers: 2.0}}", "7:39", "method.points.layers must be a whole"),
    ("method: {name: grid, point: 3}", "7:22", "Did you mean 'points'?"),
    ("method: {name: sobol, scramble: true}", "7:23", "unknown key 'scramble' in method"),
    ("method: {name: zoom, rounds: 1}", "7:30", "must be auto or a whole number at least 2"),
    ("method: {name: zoom, rounds: aut}", "7:30", "Did you mean 'auto'?"),
    ("method: {name: zoom, rounds: 30}", "7:30", "rounds is 30, more than the 20 trials"),
    ("method: {name: zoom, rounds: 3}\nbudget: {time: 1h}", "7:30", "needs a number of trials"),
    ("method: {name: zoom, lag: 0}", "7:27", "lag must be a whole number from 1"),
    ("method: {name: zoom, start: grid}", "7:29", "must be one of sobol, random"),
    ("method: {name: zoom, top: 6}", "7:27", "top must be a whole number from 3 to 5"),
    ("method: {name: zoom, finish: grid}", "7:30", "is for rounds: N"),
    ("method: {name: zoom, rounds: 3, points: 3}", "7:41", "method.points is for finish: grid"),
    (
        "method: {name: zoom, rounds: 3, finish: grid, points: 900000}",
        "7:55",
        "the grid of the last round has up to 5,400,000 settings",
    ),
    ('method: {python: "s.py"}', "7:18", "must be a file and a class in it"),
    ("method: {python: 3}", "7:18", "found 3"),
    ('method: {python: "gone.py:A"}', "7:18", "there is no file"),
    ('method: {python: "s.py:A", name: zoom}', "7:28", "method has both 'python' and 'name'"),
]


@pytest.mark.parametrize(("method", "place", "says"), BAD, ids=[f"{m}: {s}" for m, _, s in BAD])
@pytest.mark.parametrize("name", ["run", "preview"])
def test_a_mistake_in_the_method_is_said_with_its_place_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, method: str, place: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(f"{HEAD}{method}\n")
    result = CliRunner().invoke(cli, [name, "bad.yaml"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"bad.yaml:{place}: ")
    assert says in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_a_sobol_sequence_beyond_its_dimensions_is_refused() -> None:
    wide = Space({f"p{k}": AXES["units"] for k in range(21_202)})
    (problem,) = Sobol().problems(wide, 20)
    assert "at most 21,201 dimensions, and 21,202 parameters vary" in problem.text
    assert list(Sobol().problems(SPACE, 20)) == []


# The user's own

OWN = """
from dataclasses import dataclass, replace

@dataclass
class Climb:
    step: float = 0.1
    lag: int = 2

    def suggest(self, space, history, number, rng):
        seen = max(0, number - self.lag + 1)
        if not history.known(seen):
            return None
        best = history.best(1, seen)
        if not best:
            return space.draw(rng)
        moved = [u + self.step * rng.normal() for u in best[0].unit]
        return [min(max(u, 0), 1) for u in moved]
"""


def own(tmp_path: Path, code: str, keys: str = "", name: str = "Climb") -> Path:
    (tmp_path / "f.py").write_text(CODE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.py").write_text(code)
    method = f'{{python: "mine/own.py:{name}"{keys}}}'
    (tmp_path / "s.yaml").write_text(SEARCH.format(method=method))
    return tmp_path / "s.yaml"


def test_a_strategy_of_the_users_own_keeps_the_promises(command: Command, tmp_path: Path) -> None:
    own(tmp_path, OWN, ", step: 0.2")
    alone = run_in(command, tmp_path / "alone", "-j", 1)
    assert len(alone.splitlines()) == 1 + 24
    assert run_in(command, tmp_path / "two", "-j", 2) == alone
    sources = json.loads((tmp_path / "two" / "s" / "provenance.json").read_text())["sources"]
    assert set(sources) == {"f.py", "mine/own.py"}
    (tmp_path / "mine" / "own.py").unlink()
    shown = command("report", "s", "--runs-dir", tmp_path / "two")
    assert shown.returncode == 0, shown.stderr


def test_refining_finds_the_users_own_strategy_again(command: Command, tmp_path: Path) -> None:
    own(tmp_path, OWN, ", step: 0.2")
    run_in(command, tmp_path / "runs", "-j", 1)
    (tmp_path / "finer").mkdir()
    done = command("refine", "s", "--write", "finer/r.yaml")
    assert done.returncode == 0, done.stderr
    assert load_config(tmp_path / "finer" / "r.yaml").strategy.identity(None) == {
        "python": "../mine/own.py:Climb",
        "step": 0.2,
    }


def test_a_strategy_that_has_nothing_left_ends_the_search(command: Command, tmp_path: Path) -> None:
    own(
        tmp_path,
        OWN.replace("seen = max", "if number == 5:\n            return None\n        seen = max"),
    )
    done = command("run", "s.yaml")
    assert done.returncode == 0, done.stderr
    assert (
        "5 trials, scored by loss (minimize), ended as there was nothing left to try" in done.stderr
    )


BAD_OWN = [
    (OWN, "", "Clim", "own.py has no class 'Clim'\nDid you mean 'Climb'? Its classes: Climb."),
    (OWN, ", speed: 1", "Climb", "unexpected keyword argument 'speed'\nIt takes: step, lag."),
    ("1 / 0", "", "Climb", "importing own.py failed: ZeroDivisionError: division by zero"),
    ("def f(:", "", "Climb", "importing own.py failed: SyntaxError"),
    ("raise SystemExit(0)", "", "Climb", "importing own.py failed: SystemExit"),
    ("class Climb: pass", "", "Climb", "the class Climb has no method 'suggest'"),
    (
        OWN + "    def __post_init__(self):\n        raise ValueError('no such step')\n",
        "",
        "Climb",
        "mine/own.py:Climb could not be made: ValueError: no such step",
    ),
    (OWN.replace("space.draw(rng)", "1 / 0"), "", "Climb", "suggest raised at trial 0: ZeroDiv"),
    (OWN.replace("space.draw(rng)", "'abc'"), "", "Climb", "suggest returned 'abc' for trial 0"),
    (OWN.replace("space.draw(rng)", "[0.5]"), "", "Climb", "3 numbers from 0 to 1, one for each"),
    (OWN.replace("space.draw(rng)", "[2, 0, 0]"), "", "Climb", "returned [2, 0, 0] for trial 0"),
    (OWN.replace("space.draw(rng)", "[True, 0, 0]"), "", "Climb", "returned [True, 0, 0] for"),
    (OWN.replace("space.draw(rng)", "{'rate': 1}"), "", "Climb", "space.point(params)"),
]


@pytest.mark.parametrize(
    ("code", "keys", "name", "says"), BAD_OWN, ids=[b[3][:50] for b in BAD_OWN]
)
def test_a_broken_strategy_of_the_users_own_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, keys: str, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    own(tmp_path, code, keys, name)
    for word in ("run", "preview"):
        result = CliRunner().invoke(cli, [word, "s.yaml"])
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        assert result.stderr.startswith("s.yaml:8:18: ")
        assert all(part in result.stderr for part in says.split("\n"))
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("1 / 0", "suggest raised at trial 6: ZeroDivisionError"),
        ("history.best(1, 24)", "suggest raised at trial 6: ValueError: best(..., 24) needs"),
        ("{1}", "suggest returned {1} for trial 6"),
    ],
)
def test_a_strategy_that_breaks_later_ends_the_run_with_a_sentence_and_keeps_its_trials(
    command: Command, tmp_path: Path, answer: str, says: str
) -> None:
    code = OWN.replace(
        "seen = max", f"if number == 6:\n            return {answer}\n        seen = max"
    )
    own(tmp_path, code)
    done = command("run", "s.yaml", "-j", 2)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(RunFolder(tmp_path / "runs" / "s").results()) == 6


def test_help_does_not_import_scipy(command: Command) -> None:
    done = command("--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "scipy" not in done.stderr


# What a strategy sees


def test_the_best_are_by_score_then_number_of_the_first_trials_only() -> None:
    history = History("maximize")
    scores = [0.1, None, 0.5, 0.3, 0.5, 0.9]
    for number in (5, 2, 0, 4, 1, 3):
        score = scores[number]
        status = "failed" if score is None else "complete"
        history.add(Result(number, status, {}, (), 0, None, score))
    assert [r.trial for r in history.best(2, 6)] == [5, 2]
    assert [r.trial for r in history.best(9, 5)] == [2, 4, 3, 0]
    assert [r.trial for r in history.best(1, 1)] == [0]
    assert history.best(3, 0) == []


def test_a_result_that_is_missing_is_known_to_be() -> None:
    history = History("minimize")
    for number in (0, 2):
        history.add(Result(number, "complete", {}, (), 0, None, 1.0))
    assert history.known(1)
    assert not history.known(2)
    with pytest.raises(ValueError, match="ask known first"):
        history.best(1, 3)


def test_a_setting_counts_as_tried_for_later_trials_only() -> None:
    history = History("minimize")
    history.name(Trial(4, {"a": 1}, (0.1,), 0))
    history.name(Trial(2, {"a": 1}, (0.1,), 0))
    history.name(Trial(3, {"a": True}, (0.1,), 0))
    assert [history.tried({"a": 1}, number) for number in (2, 3, 5)] == [False, True, True]
    assert [history.tried({"a": True}, number) for number in (3, 4)] == [False, True]


# The page

PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")


def test_every_key_is_in_the_page_with_its_range() -> None:
    expected = [
        f"| `{key}` | {words(schema)} | "
        for cls in STRATEGIES.values()
        for key, schema in section_schema(cls)["properties"].items()
    ]
    assert [row for row in expected if row not in PAGE] == []
    assert len(re.findall(r"^\| `\w+` \| .* \| .* \| .* \|$", PAGE, re.M)) == len(expected)
    for name in STRATEGIES:
        assert f"\n## {name}\n" in PAGE


def test_every_example_of_the_page_is_as_the_schema_says() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        value = parse_yaml(f"{HEAD}{block}".encode(), "strategies.md").value
        jsonschema.validate(value, config_schema())


def test_the_strategy_of_the_page_works(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    path = own(tmp_path, code, ", step: 0.2")
    results = searched(load_config(path).strategy, Space({"a": AXES["rate"]}), 40)
    assert min(bowl(0, result.unit) for result in results) < 1e-2


@pytest.mark.parametrize("method", [{"rounds": 3}, {"lag": 40}, {"rounds": 2, "start": "random"}])
def test_zoom_begins_before_anything_is_known(method: dict[str, Any]) -> None:
    zoom = Zoom(**method)
    history = History("minimize", 0, 60)
    for number in range(12):
        suggestion = zoom.suggest(SPACE, history, number, stream(0, "suggest", number))
        assert suggestion is not None
        history.name(Trial(number, SPACE.params(suggestion.point), suggestion.point, 0))


def test_zoom_tries_no_setting_twice_also_where_it_looks_over_the_whole_space() -> None:
    space = Space(
        {
            "a": Integer(Linear(1, 10), "linear"),
            "b": Integer(Linear(1, 10), "linear"),
            "o": Choice(("p", "q")),
        }
    )
    for seed in range(3):
        history, seen = History("minimize", seed), set()
        for number in range(200):
            suggestion = Zoom(lag=1).suggest(
                space, history, number, stream(seed, "suggest", number)
            )
            assert suggestion is not None
            params = space.params(suggestion.point)
            assert repr(params) not in seen
            seen.add(repr(params))
            history.name(Trial(number, params, suggestion.point, 0))
            score = (params["a"] - 7) ** 2 + (params["b"] - 3) ** 2 + (params["o"] == "p")
            history.add(Result(number, "complete", params, suggestion.point, 0, None, float(score)))
