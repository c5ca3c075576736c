"""Bayesian search: what its model is made of, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_strategies import AXES, COUNTABLE, FENCED, SPACE, searched

from hpsearch.expressions import Expression
from hpsearch.gaussian import Hyper
from hpsearch.history import History
from hpsearch.scales import Integer, Linear, Log, OneMinusLog, Real
from hpsearch.seeds import stream
from hpsearch.space import Among, Choice, Point, Space
from hpsearch.strategies.base import Proposer
from hpsearch.strategies.bayes import Bayes, stored_fit
from hpsearch.strategies.random import Random
from hpsearch.strategies.sobol import Sobol
from hpsearch.strategies.zoom import Zoom
from hpsearch.surrogate import FITTED, MODELLED, Surrogate, Warp, places
from hpsearch.trial import Result, trial_of

PLANE = Space({"x": Real(Linear(0, 1), "linear"), "y": Real(Linear(0, 1), "linear")})


def complete(trial: int, space: Space, point: Point, score: float | None, **more: Any) -> Result:
    status = "failed" if score is None else "complete"
    return Result(trial, status, space.params(point), point, 0, None, score, **more)


def measured(
    space: Space, count: int, score: Any, *, first: int = 0, seed: int = 0
) -> list[Result]:
    rng = np.random.default_rng(seed)
    points = [space.draw(rng) for _ in range(count)]
    return [complete(first + k, space, point, score(k, point)) for k, point in enumerate(points)]


def bowl(number: int, point: Point) -> float:
    return sum((u - 0.3) ** 2 for u in point)


def proposed(
    strategy: Proposer,
    space: Space,
    known: Sequence[Result],
    pending: Sequence[Point] = (),
    *,
    number: int | None = None,
    goal: str = "minimize",
) -> Point:
    number = len(known) + len(pending) if number is None else number
    rng = stream(0, "suggest", number)
    return strategy.propose(space, History(goal), number, rng, known, pending).point


def best_of(results: Sequence[Result]) -> float:
    return min(bowl(0, result.unit) for result in results)


def test_it_beats_random_search_on_a_noisy_problem() -> None:
    def noisy(number: int, point: Point) -> float:
        return bowl(number, point) + 0.02 * np.random.default_rng(number).standard_normal()

    def regret(strategy: Any, trials: int, seed: int) -> float:
        results = searched(strategy, SPACE, trials, seed=seed, score=noisy)
        return bowl(0, min(results, key=lambda result: result.score or 0.0).unit)

    bayes = np.mean([regret(Bayes(), 40, seed) for seed in range(5)])
    random = np.mean([regret(Random(), 80, seed) for seed in range(5)])
    assert bayes < 0.7 * random


def test_it_finds_the_bottom_of_a_bowl_in_few_trials() -> None:
    space = Space(dict.fromkeys("abcd", Real(Log(1e-3, 1), "log")))
    assert best_of(searched(Bayes(lag=1), space, 40)) < 1e-3
    assert best_of(searched(Bayes(lag=4), space, 40)) < 1e-2


@pytest.mark.parametrize("lag", [1, 4])
def test_a_trial_waits_for_the_results_up_to_lag_before_it_and_for_no_others(lag: int) -> None:
    results = searched(Bayes(lag=lag), PLANE, 20)
    history, bayes = History("minimize"), Bayes(lag=lag)
    for result in results[: 17 - lag]:
        history.add(result)
    for result in results[17 - lag : 17]:
        history.name(trial_of(result))
    rng = stream(0, "suggest", 17)
    assert bayes.suggest(PLANE, history, 17, rng) is None
    history.add(results[17 - lag])
    for result in results[18 - lag : 17]:  # what they score is not looked at
        history.add(replace(result, score=-1e6))
    suggestion = bayes.suggest(PLANE, history, 17, rng)
    assert suggestion is not None
    assert suggestion.point == results[17].unit


def test_a_pending_setting_is_not_proposed_again() -> None:
    known = measured(PLANE, 15, bowl)
    first = proposed(Bayes(), PLANE, known, number=20)
    second = proposed(Bayes(), PLANE, known, [first], number=20)
    assert np.linalg.norm(np.subtract(first, second)) > 0.01
    assert proposed(Bayes(), PLANE, known, number=20) == first


def test_no_setting_is_tried_twice_where_the_best_is_a_corner() -> None:
    space = Space({"a": Real(Linear(0, 1), "linear"), "b": Integer(Linear(1, 3), "linear")})
    results = searched(Bayes(lag=1), space, 50, score=lambda number, point: sum(point))
    assert len({repr(result.params) for result in results}) == 50
    assert best_of(results) > 0


def test_the_best_is_found_where_a_constraint_ends_the_space() -> None:
    space = replace(PLANE, constraints=(Expression.parse("x + y <= 0.5"),))
    results = searched(Bayes(lag=1), space, 35)
    assert all(result.params["x"] + result.params["y"] <= 0.5 for result in results)
    assert best_of(results) == pytest.approx(2 * 0.05**2, abs=2e-3)


def test_a_space_with_one_setting_is_tried_again_and_again() -> None:
    space = Space({"only": Choice(("a",))})
    results = searched(Bayes(), space, 20)
    assert {result.params["only"] for result in results} == {"a"}


def test_where_all_trials_fail_it_goes_on_as_sobol_does() -> None:
    failing = searched(Bayes(), SPACE, 40, score=lambda number, point: None)
    assert [r.unit for r in failing] == [r.unit for r in searched(Sobol(), SPACE, 40)]


def test_a_constant_metric_spreads_the_trials() -> None:
    results = searched(Bayes(lag=1), PLANE, 40, score=lambda number, point: 0.5)
    later = np.array([result.unit for result in results[10:]])
    cells = {tuple(cell) for cell in np.minimum(3 * later, 2).astype(int).tolist()}
    assert len(cells) == 9
    assert all(result.note is None or "fit" in result.note for result in results)


def test_where_trials_fail_fewer_go() -> None:
    def fails(number: int, point: Point) -> float | None:
        return None if point[0] > 0.5 else bowl(number, point)

    results = searched(Bayes(lag=1), PLANE, 50, score=fails)
    assert sum(result.score is None for result in results[:10]) >= 4
    assert sum(result.score is None for result in results[20:]) <= 9  # of 30
    assert best_of(results) < 1e-2


@pytest.mark.parametrize("huge", [1e3, 1e12, 1e300])
def test_a_training_that_diverged_with_a_huge_loss_does_not_spoil_the_model(huge: float) -> None:
    def diverges(number: int, point: Point) -> float:
        return huge if point[0] > 0.7 else bowl(number, point)

    assert best_of(searched(Bayes(lag=1), PLANE, 30, score=diverges)) < 2e-3


def test_a_higher_score_is_better_where_the_goal_is_to_maximize() -> None:
    known = measured(FENCED, 20, bowl)
    turned = [replace(result, score=-(result.score or 0.0)) for result in known]
    down = proposed(Bayes(), FENCED, known)
    assert proposed(Bayes(), FENCED, turned, goal="maximize") == down


def test_shifted_and_scaled_scores_give_the_same_trials() -> None:
    known = measured(PLANE, 20, bowl)
    moved = [replace(result, score=1e3 + 4 * (result.score or 0.0)) for result in known]
    assert proposed(Bayes(), PLANE, moved) == pytest.approx(
        proposed(Bayes(), PLANE, known), abs=1e-4
    )


# The model


def test_a_fit_is_in_the_note_and_a_later_one_starts_from_it() -> None:
    results = searched(Bayes(lag=1), PLANE, 80, seed=2)
    fits = [result.trial for result in results if result.note]
    assert fits[:5] == [10, 11, 12, 13, 14]
    assert len(fits) < 60  # the more trials there are, the more rarely
    found = stored_fit(results)
    assert found is not None
    note = results[fits[-1]].note
    assert note is not None
    assert list(found.lengths) == note["fit"]["lengths"]
    model = Surrogate(PLANE, "minimize", results, found, refit=False)
    assert model.hyper == found
    assert stored_fit(results[:10]) is None


def test_the_model_of_a_thousand_trials_is_no_larger_than_of_a_few_hundred() -> None:
    results = measured(PLANE, 1_000, bowl)
    model = Surrogate(PLANE, "minimize", results, Hyper((0.5, 0.5), 1.0, 0.01), refit=True)
    assert FITTED < len(model.posterior.points) <= MODELLED
    kept = {tuple(point) for point in model.posterior.points.tolist()}
    best = sorted(results, key=lambda result: result.score or 0.0)
    assert {result.unit for result in best[:50]} <= kept
    assert {result.unit for result in results[-50:]} <= kept
    assert len(model.centres) == 1_000


def test_repeats_tell_how_noisy_a_score_is() -> None:
    rng = np.random.default_rng(0)

    def repeated(count: int, noise: float) -> list[Result]:
        found = []
        for result in measured(PLANE, 30, bowl):
            scores = ((result.score or 0.0) + noise * rng.standard_normal(count)).tolist()
            found.append(replace(result, score=float(np.mean(scores)), scores=scores))
        return found

    for noise in (0.01, 0.1):
        results = repeated(3, noise)
        model = Surrogate(PLANE, "minimize", results, None, refit=False)
        spread = np.std([result.score or 0.0 for result in results])
        expected = noise**2 / 3 / spread**2
        assert model.hyper.noise == pytest.approx(expected, rel=0.4)
    one = Surrogate(PLANE, "minimize", measured(PLANE, 30, bowl), None, refit=False)
    two = Surrogate(PLANE, "minimize", repeated(1, 0.0), None, refit=False)
    assert one.hyper == two.hyper


def test_a_setting_with_fewer_repeats_counts_for_less() -> None:
    results = [replace(result, scores=[1.0] * 4) for result in measured(PLANE, 20, bowl)]
    place = np.array([results[7].unit])
    low = replace(results[7], score=-1.0)
    hyper = Hyper((0.4, 0.4), 1.0, 0.1)

    def pulled(scores: list[float]) -> float:
        changed = [*results[:7], replace(low, scores=scores), *results[8:]]
        return float(Surrogate(PLANE, "minimize", changed, hyper, False).posterior.mean(place)[0])

    assert pulled([-1.0]) > pulled([-1.0] * 4) + 0.2


def test_an_earlier_run_helps_whatever_constant_its_scores_differ_by() -> None:
    earlier = measured(PLANE, 30, bowl, first=-30)
    own = measured(PLANE, 4, bowl, seed=1)
    both = proposed(Bayes(), PLANE, [*earlier, *own], number=4)
    moved = [replace(result, score=(result.score or 0.0) + 7) for result in earlier]
    assert proposed(Bayes(), PLANE, [*moved, *own], number=4) == pytest.approx(both, abs=1e-3)
    at_once = proposed(Bayes(), PLANE, earlier, number=0)
    assert np.linalg.norm(np.subtract(at_once, 0.3)) < 0.15
    first = Sobol().suggest(PLANE, History("minimize"), 0, stream(0, "suggest", 0))
    assert proposed(Bayes(), PLANE, [], number=0) == first.point


def test_costs_are_warped_where_the_bad_half_reaches_far_and_come_back() -> None:
    rng = np.random.default_rng(0)
    for costs, warped in ((rng.random(50), False), (np.exp(4 * rng.random(50)), True)):
        warp = Warp.of(costs)
        assert (warp.bend is not None) == warped
        values = warp(costs)
        assert (float(values.mean()), float(values.std())) == pytest.approx((0, 1), abs=1e-9)
        assert (np.argsort(values) == np.argsort(costs)).all()
        assert warp.back(values).tolist() == pytest.approx(costs.tolist())
    assert Warp.of(np.full(3, 0.1))(np.full(3, 0.1)).tolist() == [0, 0, 0]


# Where the kernel sees a setting


@pytest.mark.parametrize("space", [SPACE, COUNTABLE, FENCED], ids=["all", "countable", "fenced"])
def test_points_of_one_setting_are_at_one_place_and_of_two_at_two(space: Space) -> None:
    rng = np.random.default_rng(0)
    points = np.array([space.draw(rng) for _ in range(200)])
    for (name, axis), column in zip(space.axes.items(), points.T, strict=True):
        values = axis.from_unit(column).tolist()
        snapped = [axis.to_unit(value) for value in values]
        assert axis.snap(column).tolist() == pytest.approx(snapped, abs=1e-12), name
    keys = [repr(params) for params in space.settings_at(points)]
    rows = [tuple(row) for row in places(space, points).tolist()]
    assert len(set(keys)) == len(set(rows)) == len(set(zip(keys, rows, strict=True)))


def test_which_parameters_are_there_is_told_of_many_points_as_of_one() -> None:
    chain = Space(
        {
            **AXES,
            "deep": Real(OneMinusLog(0.9, 0.99), "one_minus_log"),
            "deeper": Choice(("p", "q")),
        },
        {
            "beta": (Among("kind", ("a", "b")),),
            "deep": (Among("beta", (0.9,)), Among("fixed", (1,))),
            "deeper": (Among("units", (1, 2)), Among("kind", ("b", True))),
        },
        constants={"fixed": 1},
        constraints=(Expression.parse("units <= 5"),),
    )
    rng = np.random.default_rng(0)
    points = np.array([chain.draw(rng) for _ in range(100)])
    points[:30, 1] = 0.0
    found = chain.there(points)
    for row, point in zip(found.tolist(), points.tolist(), strict=True):
        params = chain.params(point)
        assert row == [name in params for name in chain.axes]
    assert found.any(axis=0).all()


# Proposing and suggesting


@pytest.mark.parametrize(
    "strategy",
    [Bayes(), Bayes(lag=1), Zoom(), Zoom(lag=1, top=3, start="random")],
    ids=repr,
)
@pytest.mark.parametrize("space", [SPACE, FENCED], ids=["all", "fenced"])
def test_a_suggestion_is_what_is_proposed_from_what_it_may_see(strategy: Any, space: Space) -> None:
    def some_fail(number: int, point: Point) -> float | None:
        return None if number % 7 == 2 else bowl(number, point)

    results = searched(strategy, space, 60, score=some_fail)
    lag = getattr(strategy, "lag", 1)
    history = History("minimize")
    for result in results:
        history.add(result)
    for number in (0, 5, 12, 30, 59):
        seen = max(0, number - lag + 1)
        pending = history.points(seen, number)
        rng = stream(0, "suggest", number)
        suggestion = strategy.propose(space, history, number, rng, history.results(seen), pending)
        assert suggestion.point == results[number].unit
        assert suggestion.note == results[number].note
