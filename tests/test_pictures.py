"""The pictures of a report, as plain data; and as files for a paper."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.cli.report import PICTURE_NAMES
from hpsearch.errors import UserError
from hpsearch.report.paper import COLOURS, drawing
from hpsearch.report.permutation import importance
from hpsearch.report.picture import (
    ROLES,
    Bars,
    Boxes,
    Lines,
    Picture,
    Points,
    Report,
    evenly,
    usual_range,
)
from hpsearch.report.pictures import BY_HAND, PICTURES
from hpsearch.report.pictures.curves import MOST_CURVES, MOST_EPOCHS
from hpsearch.report.pictures.progress import best_so_far, busy_seconds
from hpsearch.report.table import Run
from hpsearch.report.terminal import curve_text
from hpsearch.scales import SCALES, Integer, Real
from hpsearch.space import Among, Choice, Space
from hpsearch.trial import Result, joined

SPACE = Space(
    {
        "learning_rate": Real(SCALES["log"](1e-4, 1), "log"),
        "momentum": Real(SCALES["one_minus_log"](0.9, 0.999), "one_minus_log"),
        "units": Integer(SCALES["linear"](4, 64), "linear"),
        "optimizer": Choice(("adam", "momentum")),
    }
)


def trial(
    number: int, score: float | None, *, status: str = "complete", epochs: int = 5, **more: Any
) -> Result:
    """A trial at a place that its number fixes, whose curves come down to its score."""
    unit = SPACE.draw(np.random.default_rng(number))
    end = 0.5 if score is None else score
    dev: list[float | None] = [end + 0.1 * (epochs - 1 - i) for i in range(epochs)]
    if status == "diverged":
        dev[-1] = None
    given = {
        "started": f"2026-01-01T00:00:{number % 60:02}+00:00",
        "seconds": 1.5,
        "metrics": {} if score is None else {"dev_error": score, "train_error": score / 2},
        "curve": {"dev_error": dev, "train_error": [0.5] * epochs},
        "message": None if score is not None else "no luck",
        **more,
    }
    return Result(number, status, SPACE.params(unit), unit, 7, epochs, score, **given)


def report(
    results: Sequence[Result],
    space: Space = SPACE,
    goal: str = "minimize",
    metric: str = "dev_error",
) -> Report:
    run = Run("a", metric, goal, 0.0, space, joined(results))
    return Report(run, results, "not finished", "name: a\n")


def ordinary(count: int = 30) -> Report:
    scored = [trial(i, 0.01 * ((7 * i) % count + 1)) for i in range(count)]
    return report(
        [*scored, trial(count, None, status="diverged"), trial(count + 1, None, status="failed")]
    )


def bare(number: int, score: float | None) -> Result:
    """A trial of an objective that reports one number, and of which little is known."""
    status = "failed" if score is None else "complete"
    return Result(number, status, {}, (), 7, None, score)


NOTHING = Space({})

REPORTS = {
    "ordinary": ordinary(),
    "maximized": report([trial(i, i / 20) for i in range(12)], goal="maximize"),
    "only failures": report([trial(i, None, status="failed") for i in range(3)]),
    "one trial": report([trial(0, 0.1)]),
    "all the same": report([trial(i, 0.25) for i in range(15)]),
    "nothing varies": report([bare(0, 0.1), bare(1, 0.2), bare(2, None)], NOTHING, metric="loss"),
    "close together": report([trial(i, 0.987654321 + i * 1e-9) for i in range(12)]),
    "huge": report([trial(i, 10.0 ** (20 * i)) for i in range(12)], metric="loss"),
    "as far apart as can be": report(
        [bare(i, each) for i, each in enumerate((-1.7e308, -1, 5e-324, 0, 1.7e308))],
        NOTHING,
        metric="loss",
    ),
}


def checked(picture: Picture) -> None:
    """Hold a picture to what those who draw it rely on."""
    assert bool(picture.panels) != bool(picture.missing)
    assert picture.title
    json.dumps(picture, default=vars, allow_nan=False)
    for panel in picture.panels:
        for side in (panel.x, panel.y, *panel.uprights):
            assert side.low < side.high
        for mark in panel.marks:
            assert mark.role in ROLES
            if isinstance(mark, Lines):
                assert all(len(line.x) == len(line.y) > 0 for line in mark.lines)
            elif isinstance(mark, Points):
                assert len(mark.x) == len(mark.y)
                assert len(mark.trials) in (0, len(mark.x))
            elif isinstance(mark, Bars):
                assert len(mark.y) == len(mark.lengths) == len(mark.errors)
            else:
                assert len(mark.low) == len(mark.high) == len(mark.texts)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("kind", REPORTS)
def test_every_picture_of_any_run_is_drawn_or_says_why_not(name: str, kind: str) -> None:
    picture = PICTURES[name](REPORTS[kind])
    assert picture.name == name
    checked(picture)


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_of_an_ordinary_run_is_drawn(name: str) -> None:
    assert PICTURES[name](REPORTS["ordinary"]).panels


def test_the_command_knows_the_pictures_and_the_paper_their_colours() -> None:
    assert (*PICTURES, *BY_HAND) == PICTURE_NAMES
    assert COLOURS.keys() == ROLES.keys()


# Curves


def lines_of(picture: Picture, panel: int = 0) -> dict[int, Any]:
    """The lines of each trial, by its number."""
    marks = [mark for mark in picture.panels[panel].marks if isinstance(mark, Lines)]
    return {line.trial: line for mark in marks for line in mark.lines if line.trial is not None}


def points_of(picture: Picture, role: str, panel: int = 0) -> Points:
    (found,) = [
        mark
        for mark in picture.panels[panel].marks
        if isinstance(mark, Points) and mark.role == role
    ]
    return found


def test_of_many_trials_the_best_curves_are_drawn_and_the_picture_says_so() -> None:
    results = [trial(i, 0.001 * (i + 1)) for i in range(1000)]
    picture = PICTURES["curves"](report(results))
    drawn = lines_of(picture)
    assert len(drawn) == MOST_CURVES
    assert set(range(MOST_CURVES // 2)) <= drawn.keys()
    assert 999 in drawn
    assert f"{MOST_CURVES} of 1,000 trials are drawn" in picture.notes[0]


def test_a_long_curve_is_thinned_to_its_ends_and_the_picture_says_so() -> None:
    picture = PICTURES["curves"](report([trial(0, 0.1, epochs=5000), trial(1, 0.2, epochs=5000)]))
    line = lines_of(picture)[0]
    assert len(line.x) == MOST_EPOCHS
    assert (line.x[0], line.x[-1]) == (1, 5000)
    assert any("5,000 epochs" in note for note in picture.notes)


def test_a_trial_of_halving_ends_where_it_was_stopped() -> None:
    first = [trial(i, 0.1 + 0.1 * i, epochs=3, step=i, rung=0) for i in range(3)]
    rest = [0.3, 0.2, 0.05]
    on = trial(0, 0.05, epochs=6, step=3, rung=1, start=3, curve={"dev_error": rest})
    picture = PICTURES["curves"](report([*first, on]))
    drawn = lines_of(picture)
    assert {number: line.x[-1] for number, line in drawn.items()} == {0: 6, 1: 3, 2: 3}
    assert list(drawn[0].y[3:]) == rest
    stopped = points_of(picture, "plain")
    assert set(stopped.trials) == {1, 2}
    assert stopped.label == "stopped at a rung"
    assert set(stopped.x) == {3}


def test_a_curve_of_one_epoch_is_a_point() -> None:
    results = [trial(i, 0.1 + 0.1 * i, epochs=1) for i in range(3)]
    picture = PICTURES["curves"](report([*results, trial(3, 0.5, epochs=2)]))
    points = [mark for mark in picture.panels[0].marks if isinstance(mark, Points)]
    assert sorted(number for mark in points for number in mark.trials) == [0, 1, 2]
    assert {x for mark in points for x in mark.x} == {1.0}
    assert picture.panels[0].x.ticks == ((1.0, "1"), (2.0, "2"))
    plain = PICTURES["curves"](ordinary())
    assert not [mark for mark in plain.panels[0].marks if getattr(mark, "shape", "") == "dot"]


def test_where_each_trial_was_measured_once_there_is_no_curve() -> None:
    picture = PICTURES["curves"](report([trial(i, 0.1 * i, epochs=1) for i in range(1, 4)]))
    assert (picture.panels, picture.missing) == (
        (),
        "no trial has a curve: each was measured once, at its end",
    )


@pytest.mark.parametrize("name", ["scatter", "progress", "errors", "curves"])
def test_a_good_trial_is_shown_however_far_it_is_from_the_others(name: str) -> None:
    # Most settings guess, as in a range that is too wide, and a few learn.
    guess = [trial(i, 0.9 + 0.001 * (i % 3), epochs=2) for i in range(30)]
    learn = [trial(30 + i, 0.02 + 0.01 * i, epochs=2) for i in range(3)]
    for panel in PICTURES[name](report([*guess, *learn])).panels:
        if panel.y.label == "dev_error":
            assert panel.y.low < 0.02
            assert "beyond" not in panel.note
    assert curve_text([0.9, 0.9, 0.899, 0.02], str, 20, 4, unicode=False)[-1].startswith("0.02")


def test_how_many_values_lie_beyond_is_said_in_grammar() -> None:
    scores = [0.1 + 0.01 * i for i in range(12)]
    for bad, words in (([9.0], "1 value lies beyond"), ([9.0, 8.0], "2 values lie beyond")):
        results = [trial(i, each) for i, each in enumerate([*scores, *bad])]
        assert PICTURES["progress"](report(results)).panels[0].note.startswith(words)


def test_a_single_trial_is_counted_as_one_and_has_whole_ticks() -> None:
    one = report([trial(0, 0.1)])
    assert "The 1 trial tried 1 value of" in PICTURES["projection"](one).panels[0].note
    assert PICTURES["progress"](one).panels[0].x.ticks == ((1.0, "1"),)


def test_each_of_twenty_options_is_named() -> None:
    options = tuple(f"option {i}" for i in range(20))
    space = Space({"kind": Choice(options)})
    results = [
        Result(i, "complete", {"kind": each}, (0.5,), 7, 1, 0.1 + i)
        for i, each in enumerate(options)
    ]
    picture = PICTURES["scatter"](report(results, space))
    ticks = picture.panels[0].x.ticks
    assert ticks is not None
    assert [text for _, text in ticks] == list(options)


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "projection"])
def test_where_no_trial_is_complete_a_picture_says_that(name: str) -> None:
    results = [trial(i, None, status="failed", curve={}) for i in range(3)]
    assert PICTURES[name](report(results)).missing == "no trial is complete"


def test_a_diverged_curve_is_marked_where_it_was_last_finite() -> None:
    picture = PICTURES["curves"](report([trial(0, 0.1), trial(1, None, status="diverged")]))
    lost = points_of(picture, "lost")
    assert (lost.x, lost.y, lost.trials, lost.shape) == ((4.0,), (0.6,), (1,), "cross")


def test_the_metric_that_is_searched_for_comes_first() -> None:
    picture = PICTURES["curves"](ordinary())
    assert [panel.title for panel in picture.panels] == ["dev_error", "train_error"]


def test_the_best_trial_is_drawn_last_so_above_the_others() -> None:
    for name in ("curves", "scatter", "parallel", "projection"):
        assert PICTURES[name](ordinary()).panels[0].marks[-1].role == "best"


# Parameters


def test_an_axis_of_momentum_is_marked_at_equal_distances() -> None:
    picture = PICTURES["scatter"](ordinary())
    (panel,) = [panel for panel in picture.panels if panel.title == "momentum"]
    assert panel.x.ticks == ((0.0, "0.9"), (0.5, "0.99"), (1.0, "0.999"))


def test_a_point_stands_at_its_value_on_the_scale_and_at_its_score() -> None:
    made = ordinary()
    for name, axis in SPACE.axes.items():
        (panel,) = [p for p in PICTURES["scatter"](made).panels if p.title == name]
        points = [mark for mark in panel.marks if isinstance(mark, Points) and mark.role != "lost"]
        found = {
            number: (x, y)
            for mark in points
            for number, x, y in zip(mark.trials, mark.x, mark.y, strict=True)
        }
        for each in made.ranked:
            x, y = found[each.trial]
            assert x == pytest.approx(axis.to_unit(each.params[name]), abs=1e-3)
            assert y == pytest.approx(each.score, rel=1e-3)


def test_the_boxes_of_zoom_are_drawn_where_they_are() -> None:
    side = {"min": 0.001, "max": 0.1, "because": {"min": "so", "max": "so"}}
    note = {"round": 2, "of": 3, "box": {"learning_rate": side}}
    results = [trial(0, 0.1), trial(1, 0.2, note=note)]
    picture = PICTURES["scatter"](report(results))
    (panel,) = [panel for panel in picture.panels if panel.title == "learning_rate"]
    (box,) = [mark for mark in panel.marks if isinstance(mark, Boxes)]
    assert (box.low, box.high, box.texts) == ((0.25,), (0.75,), ("round 2 of 3",))


def test_options_that_begin_alike_are_told_apart_and_stay_on_a_line() -> None:
    names = ("a_very_long_name_of_1", "a_very_long_name_of_2", "two\nlines")
    space = Space({"name": Choice(names)})
    results = [replace(trial(i, 0.1 * i), params={"name": each}) for i, each in enumerate(names)]
    ticks = PICTURES["scatter"](report(results, space)).panels[0].x.ticks
    assert ticks is not None
    assert [text for _, text in ticks] == [
        "a_very_\u2026e_of_1",
        "a_very_\u2026e_of_2",
        r"two\nlines",
    ]


def test_a_trial_without_a_parameter_stands_below_its_axis() -> None:
    axes = {"optimizer": SPACE.axes["optimizer"], "beta2": SPACE.axes["momentum"]}
    space = Space(axes, {"beta2": (Among("optimizer", ("adam",)),)})
    results = [
        replace(trial(0, 0.1), params={"optimizer": "adam", "beta2": 0.99}),
        replace(trial(1, 0.2), params={"optimizer": "momentum"}),
    ]
    for name in ("scatter", "parallel", "projection"):
        checked(PICTURES[name](report(results, space)))
    panel = PICTURES["scatter"](report(results, space)).panels[1]
    assert panel.x.ticks is not None
    assert panel.x.ticks[0] == (-0.1, "not there")
    assert points_of(PICTURES["scatter"](report(results, space)), "top", 1).x == (-0.1,)


def test_the_projection_tells_how_few_values_a_grid_tries() -> None:
    picture = PICTURES["projection"](report([trial(i, 0.1 + i / 100) for i in range(25)]))
    note = picture.panels[0].note
    assert note.startswith("The 25 trials tried ")
    assert re.search(r"\b25 (values )?of learning_rate", note)
    assert "a grid of as many over the 4 parameters tries at most 2 of each" in note
    assert len(picture.panels) == 6


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.integers(1, 20))
def test_an_even_choice_keeps_the_order_and_both_ends(items: list[float], most: int) -> None:
    chosen = evenly(range(len(items)), most)
    assert len(chosen) == min(most, len(items))
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert most == 1 or chosen[-1] == len(items) - 1


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_the_usual_range_leaves_out_fewer_than_half(values: list[float]) -> None:
    low, high, beyond = usual_range(values)
    assert low <= high
    assert beyond == sum(not low <= each <= high for each in values)
    assert beyond <= len(values) / 2


# Progress


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.sampled_from(["minimize", "maximize"]))
def test_the_best_score_so_far_never_gets_worse(scores: list[float], goal: str) -> None:
    best = best_so_far([replace(bare(i, each)) for i, each in enumerate(scores)], goal)
    first = min if goal == "minimize" else max
    assert best == [first(scores[: i + 1]) for i in range(len(scores))]


def test_the_staircase_of_the_picture_never_goes_up() -> None:
    for panel in PICTURES["progress"](ordinary()).panels:
        (line,) = [line for mark in panel.marks if isinstance(mark, Lines) for line in mark.lines]
        assert list(line.x) == sorted(line.x)
        heights = [each for each in line.y if each is not None]
        assert heights == sorted(heights, reverse=True)
        assert heights[-1] == 0.01


def test_a_night_between_two_sessions_takes_no_time() -> None:
    steps = [
        replace(bare(0, 0.1), started="2026-01-01T20:00:00+00:00", seconds=10),
        replace(bare(1, 0.1), started="2026-01-01T20:00:05+00:00", seconds=10),
        replace(bare(2, 0.1), started="2026-01-02T08:00:00+00:00", seconds=10),
    ]
    ended = busy_seconds(steps)
    assert [ended[i] - ended[0] for i in range(3)] == [0, 5, 15]


def test_without_times_there_is_no_panel_against_time() -> None:
    picture = PICTURES["progress"](report([bare(0, 0.2), bare(1, 0.1)], NOTHING))
    assert [panel.title for panel in picture.panels] == ["against trials"]


def test_under_halving_the_line_goes_by_the_highest_rung() -> None:
    lucky = trial(0, 0.01, epochs=3, step=0, rung=0)
    begun = trial(1, 0.3, epochs=3, step=1, rung=0)
    full = trial(1, 0.2, epochs=9, step=2, rung=1, start=3)
    picture = PICTURES["progress"](report([lucky, begun, full]))
    (line,) = [
        line for mark in picture.panels[0].marks if isinstance(mark, Lines) for line in mark.lines
    ]
    assert set(line.y) == {0.2}
    assert "highest rung" in picture.notes[-1]


# Importance


def decided_by_learning_rate(count: int) -> Report:
    results = [trial(i, None) for i in range(count)]
    scored = [
        replace(each, score=abs(math.log10(each.params["learning_rate"]) + 2)) for each in results
    ]
    return report(scored)


def test_importance_finds_the_parameter_that_decides() -> None:
    known = decided_by_learning_rate(80).importance
    assert not isinstance(known, str)
    assert known.names[0] == "learning_rate"
    assert known.values[0] > 0.5
    assert known.explained > 0.5
    for value, error in zip(known.values[1:], known.errors[1:], strict=True):
        assert abs(value) < 0.1 + 3 * error


def test_importance_is_the_same_at_every_call() -> None:
    assert decided_by_learning_rate(40).importance == decided_by_learning_rate(40).importance


def test_where_nothing_can_be_learned_the_picture_says_so() -> None:
    rng = np.random.default_rng(0)
    picture = PICTURES["importance"](report([trial(i, float(rng.random())) for i in range(30)]))
    assert "too little to tell which parameters matter" in picture.notes[0]
    assert "explains nothing of how" in picture.notes[0]
    assert picture.tells.startswith("Permutation importance: ")
    assert "report --importance measures something else" in picture.tells
    assert "%" not in picture.notes[0]


def test_importance_says_why_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert importance({}, [bare(i, 0.1) for i in range(20)], "minimize") == "no parameter varies"
    few = report([trial(i, 0.1 * i) for i in range(9)]).importance
    assert few == "at least 10 trials with a score are needed, and there are 9"
    assert REPORTS["all the same"].importance == "all trials have the same score"
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    missing = report([trial(i, 0.1 * i) for i in range(12)]).importance
    assert missing == "importance needs scikit-learn: pip install 'hpsearch[report]'"


# Files for a paper


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn_for_a_paper(name: str) -> None:
    picture = PICTURES[name](REPORTS["ordinary"])
    assert drawing(picture, "png").startswith(b"\x89PNG\r\n")
    assert ElementTree.fromstring(drawing(picture, "svg")).tag.endswith("svg")


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_is_the_same_file_at_every_call(ending: str) -> None:
    picture = PICTURES["importance"](REPORTS["ordinary"])
    assert drawing(picture, ending) == drawing(picture, ending)


def test_names_are_drawn_as_they_are() -> None:
    names = ("<script>alert(1)</script>", "$x^2$", "$", r"\frac{", "ünïcödé", "%d {0}")
    space = Space({"name": Choice(names)})
    results = [replace(trial(i, 0.1 * i), params={"name": each}) for i, each in enumerate(names)]
    for picture in PICTURES.values():
        made = picture(report(results, space))
        if made.panels:
            drawing(made, "svg")


def test_without_matplotlib_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"pip install 'hpsearch\[report\]'"):
        drawing(PICTURES["curves"](REPORTS["ordinary"]), "png")


# Letters


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(12, 200), st.booleans())
def test_a_curve_in_letters_fits_its_place(values: list[float], width: int, unicode: bool) -> None:
    lines = curve_text(values, lambda value: f"{value:.3g}", width, 5, unicode=unicode)
    assert len(lines) == 5
    assert max(map(len, lines)) <= width
    assert all(map(str.isprintable, lines))
    assert unicode or all(map(str.isascii, lines))


def test_a_curve_in_letters_goes_down_where_the_values_do() -> None:
    lines = curve_text([3, 2, 1], str, 8, 3, unicode=False)
    assert lines == ["3 ##", "  ####", "1 ######"]
