"""Bayesian search: where a model of the results so far expects the largest improvement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Interval

from hpsearch.fields import STRICT, doc
from hpsearch.history import Array
from hpsearch.strategies.base import Problem, Suggestion
from hpsearch.strategies.lattice import combinations, fresh, ticks
from hpsearch.strategies.sobol import Sobol, sobol_point

if TYPE_CHECKING:
    from hpsearch.gaussian import Hyper
    from hpsearch.history import History
    from hpsearch.space import Point, Space
    from hpsearch.surrogate import Surrogate
    from hpsearch.trial import Result

FIRST, FIRST_PER_AXIS = 10, 1
"""The whole space is looked over for so many trials, the larger of both."""
FEWEST = 2
"""Complete trials below which there is nothing to model."""
LAG = 4
OFTEN = 25
"""Up to so many trials the hyperparameters are fitted anew for each, from then on the more rarely
the more there are."""
EVERYWHERE, NEAR, CENTRES = 256, 256, 5
"""Candidates from the whole space, and around so many of the best."""
NARROWEST, WIDEST = 0.01, 0.3
ROUNDS, KEPT, CLOSER = 5, 6, 24
"""The best few candidates are improved so often, each by so many steps."""
LISTED = 1000
"""Of a space with not more settings all are candidates."""


@dataclass(frozen=True)
class Bayes:
    """Model the scores so far with a Gaussian process, and try where improvement is expected."""

    __pydantic_config__ = STRICT

    lag: Annotated[int, Interval(ge=1, le=10_000)] = doc(
        "how many trials may run at once: a trial sees those up to lag before it", default=LAG
    )

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return what trial `number` tries, or None while it depends on a running trial."""
        seen = max(0, number - self.lag + 1)
        if number < _first_trials(space):
            return Suggestion(_first(space, history, number, rng))
        if not history.known(seen):
            return None
        known, pending = history.results(seen), history.points(seen, number)
        return self.propose(space, history, number, rng, known, pending)

    def propose(
        self,
        space: Space,
        history: History,
        number: int,
        rng: np.random.Generator,
        known: Sequence[Result],
        pending: Sequence[Point],
    ) -> Suggestion:
        """Return what trial `number` tries, given some results."""
        from hpsearch.surrogate import Surrogate  # SciPy is slow to import

        complete = sum(result.score is not None for result in known)
        earlier = sum(result.trial < 0 for result in known)
        looked = number + earlier >= _first_trials(space)
        if not looked or complete < FEWEST or not space.axes:
            return Suggestion(_first(space, history, number, rng))
        stored = stored_fit(known)
        refit = stored is None or number % max(1, number // OFTEN) == 0
        model = Surrogate(space, history.goal, known, stored, refit)
        point = _best(space, history, number, rng, model, pending)
        return Suggestion(point, fit_note(model.hyper) if refit else None)

    def size(self, space: Space) -> None:
        """Go on for ever."""

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield too many parameters for a Sobol start."""
        yield from Sobol().problems(space, trials)

    def at_once(self) -> tuple[str, int]:
        """Return the lag."""
        return ("lag", self.lag)

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return its keys."""
        return asdict(self)


def fit_note(hyper: Hyper) -> dict[str, Any]:
    """Return hyperparameters as plain data."""
    fitted = {"lengths": list(hyper.lengths), "signal": hyper.signal, "noise": hyper.noise}
    return {"fit": fitted}


def stored_fit(known: Sequence[Result]) -> Hyper | None:
    """Return the hyperparameters of the latest trial that carries some."""
    from hpsearch.gaussian import Hyper

    for result in reversed(known):
        if result.note is not None and "fit" in result.note:
            fitted = result.note["fit"]
            return Hyper(tuple(fitted["lengths"]), fitted["signal"], fitted["noise"])
    return None


def _first_trials(space: Space) -> int:
    return max(FIRST, FIRST_PER_AXIS * len(space.axes))


def _first(space: Space, history: History, number: int, rng: np.random.Generator) -> Point:
    point = sobol_point(space, history, number, rng)
    if history.tried(space.params(point), number):
        return fresh(space, history, number, rng)
    return point


def _best(
    space: Space,
    history: History,
    number: int,
    rng: np.random.Generator,
    model: Surrogate,
    pending: Sequence[Point],
) -> Point:
    """Return the point of the largest expected improvement that is allowed and new."""
    from hpsearch.gaussian import log_expected_improvement
    from hpsearch.surrogate import places

    posterior = model.with_pending(pending)
    measured = model.posterior.mean(model.places[model.centres])
    best = float(measured.min())

    def gain(points: Array) -> Array:
        mean, deviation = posterior.at(places(space, points))
        return log_expected_improvement(mean, deviation, best)

    settings = history.once("settings", space.settings)
    if settings <= LISTED:
        points = history.once("listed", lambda: _listed(space))
        gains = gain(points)
    else:
        unit = history.once("everywhere", lambda: _everywhere(space))
        order = model.centres[np.argsort(measured, kind="stable")[:CENTRES]]
        near = _steps(model, model.units[order], NEAR // CENTRES, rng, NARROWEST, WIDEST)
        points = np.concatenate([(unit + rng.random(len(space.axes))) % 1.0, near])
        gains = gain(points)
        narrowest, widest = NARROWEST / 3, 0.1
        for _ in range(ROUNDS):
            top = points[np.argsort(-gains, kind="stable")[:KEPT]]
            closer = _steps(model, top, CLOSER, rng, narrowest, widest)
            narrowest, widest = narrowest / 2, widest / 2
            points = np.concatenate([points, closer])
            gains = np.concatenate([gains, gain(closer)])
    order = np.argsort(-gains, kind="stable")
    for place in order:
        point = tuple(points[place].tolist())
        new = number >= settings or not history.tried(space.params(point), number)
        if new and space.allows(point):
            return point
    return fresh(space, history, number, rng)


def _listed(space: Space) -> Array:
    every = combinations(space, [ticks(axis) for axis in space.axes.values()]) or []
    return np.array([point for point, _ in every])


def _everywhere(space: Space) -> Array:
    from scipy.stats import qmc

    return np.asarray(qmc.Sobol(len(space.axes), scramble=False).random(EVERYWHERE))


def _steps(
    model: Surrogate,
    centres: Array,
    count: int,
    rng: np.random.Generator,
    narrowest: float,
    widest: float,
) -> Array:
    """Return so many steps from each centre: (centres * count, axes)."""
    start = np.repeat(centres, count, axis=0)
    shape = start.shape
    width = narrowest * (widest / narrowest) ** rng.random((len(start), 1))
    moved = start + width * rng.standard_normal(shape)
    moved = np.where(
        model.categories, np.where(rng.random(shape) < 0.3, rng.random(shape), start), moved
    )
    mask = rng.random(shape) < np.maximum(rng.random((len(start), 1)), 1.0 / shape[1])
    moved = np.where(mask, moved, start)
    return np.clip(moved, 0.0, 1.0)
