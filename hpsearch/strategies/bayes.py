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
"""The whole space is looked over first, for so many trials, the larger of both."""
FEWEST = 2
"""Complete trials below which there is nothing to model."""
LAG = 4
"""How many trials may run at once."""
OFTEN = 25
"""At trial n the hyperparameters are fitted anew for every (n / OFTEN)-th trial."""
EVERYWHERE, NEAR, CENTRES = 256, 256, 5
"""Candidates from the whole space, and steps from so many of the best trials."""
NARROWEST, WIDEST = 0.01, 0.3
"""The width of these steps, in units of the range: each has its own, equally likely by ratio."""
ROUNDS, KEPT, CLOSER = 5, 6, 24
"""So often the best few candidates are improved, each by so many steps ..."""
CLOSE = (0.003, 0.1)
"""... whose widths are in this range first, and in half of the last one in each further round."""
ANY_OPTION = 0.3
"""The share of steps on the axis of a choice that draw it afresh."""
LISTED = 1000
"""Of a space with not more settings all are candidates."""


@dataclass(frozen=True)
class Bayes:
    """Model the scores so far with a Gaussian process, and try where improvement is expected.

    The cost of a suggestion would grow with the cube of the trials. It stays flat, as the
    hyperparameters are fitted more and more rarely (for every trial up to the 50th, every 4th at
    trial 100, every 40th at 1,000), from few trials, starting where an earlier fit ended, which is
    in the note of its trial; and as the model knows a few hundred trials at most. All of that is
    fixed by the number and the results, so nothing has to be kept between two suggestions.

    Source: Snoek, Larochelle & Adams 2012, arXiv:1206.2944; Garrido-Merchan & Hernandez-Lobato
    2020, arXiv:1805.03463 (whole numbers and options).
    """

    __pydantic_config__ = STRICT

    lag: Annotated[int, Interval(ge=1, le=10_000)] = doc(
        "how many trials may run at once: a trial sees those up to lag before it", default=LAG
    )

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return what trial `number` tries, or None while it depends on a running trial."""
        seen = max(0, number - self.lag + 1)
        if number + len(history.earlier) < _first_trials(space):
            return Suggestion(_first(space, history, number, rng))
        if not history.known(seen):
            return None
        known = [*history.earlier, *history.results(seen)]
        pending = history.points(seen, number)
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
    """Return how many trials look over the whole space first."""
    return max(FIRST, FIRST_PER_AXIS * len(space.axes))


def _first(space: Space, history: History, number: int, rng: np.random.Generator) -> Point:
    """Return a point that fills a gap, of a new setting."""
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
        gains = log_expected_improvement(mean, deviation, best)
        if space.constraints:
            gains[[not space.satisfies(params) for params in space.settings_at(points)]] = -np.inf
        return gains

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
        for again in range(ROUNDS):
            top = points[np.argsort(-gains, kind="stable")[:KEPT]]
            narrowest, widest = (width / 2**again for width in CLOSE)
            closer = _steps(model, top, CLOSER, rng, narrowest, widest)
            points = np.concatenate([points, closer])
            gains = np.concatenate([gains, gain(closer)])
    order = np.argsort(-gains, kind="stable")
    for place in order:
        point = tuple(points[place].tolist())
        if gains[place] == -np.inf:
            break
        if number >= settings or not history.tried(space.params(point), number):
            return point
    return fresh(space, history, number, rng)


def _listed(space: Space) -> Array:
    """Return every setting."""
    every = combinations(space, [ticks(axis) for axis in space.axes.values()]) or []
    return np.array([point for point, _ in every])


def _everywhere(space: Space) -> Array:
    """Return points that fill the cube evenly; shifted around its ends they still do."""
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
    """Return so many steps from each centre, each on some of the axes: (centres * count, axes)."""
    start = np.repeat(centres, count, axis=0)
    rows, shape = (len(start), 1), start.shape
    width = narrowest * (widest / narrowest) ** rng.random(rows)
    moved = start + width * rng.standard_normal(shape)
    drawn = np.where(rng.random(shape) < ANY_OPTION, rng.random(shape), start)
    share = np.maximum(rng.random(rows), 1 / shape[1])
    moves = rng.random(shape) < share
    return np.clip(np.where(moves, np.where(model.categories, drawn, moved), start), 0.0, 1.0)
