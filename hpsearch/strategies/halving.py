"""Successive halving: many trials begin, and only the best of them are trained to the end."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Interval

from hpsearch.fields import STRICT, OneOf, doc
from hpsearch.strategies.base import Problem, Proposer, Stage, Suggestion
from hpsearch.strategies.bayes import Bayes
from hpsearch.strategies.random import Random
from hpsearch.strategies.sobol import Sobol
from hpsearch.strategies.zoom import Zoom
from hpsearch.trial import Result, cost, of_one_rung

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.history import History
    from hpsearch.space import Point, Space

BLIND: dict[str, type[Random] | type[Sobol]] = {"sobol": Sobol, "random": Random}
LEARNERS: dict[str, type[Proposer]] = {"zoom": Zoom, "bayes": Bayes}
"""What may name the settings of new trials: those that look at no result, and the others."""

FIRST_RUNG = 9
"""The first rung is at a ninth of the full training: learning curves cross, and stopping much
earlier was measured to be worse than no stopping at all."""

FEWEST = 5
"""Trials that a rung must have, and one more than parameters, before a model learns from it."""

LAG = 8
"""Steps that may run at once. A step to the first rung is short, and a full training long."""


@dataclass(frozen=True)
class Halving:
    """Train every trial to the first rung, the best third of those on to the next, and so on.

    A step of the search either lets a trial go on that is among the best of its rung, the highest
    rung first, or begins a new one where there is none. So no rung waits until it is full, and a
    trial that was passed over goes on later when the ones it is compared with turn out worse. What
    a step sees are the steps up to `lag` before it, so the trials are the same for any number of
    jobs. With several brackets every so many trials begin at a higher rung (Hyperband), in case
    the first scores mislead.

    Source: Jamieson & Talwalkar 2016, AISTATS (successive halving); Li et al. 2018, JMLR 18:185
    (Hyperband); Li et al. 2020, MLSys (asynchronous promotion).
    """

    __pydantic_config__ = STRICT

    propose: Annotated[str, OneOf((*BLIND, *LEARNERS))] = doc(
        "the method that names the setting of a new trial", default="sobol"
    )
    min: Annotated[int, Ge(1)] | None = doc(
        "epochs of the first rung; by default a ninth of max", default=None
    )
    max: Annotated[int, Ge(2)] | None = doc(
        "epochs of the last rung; by default objective.epochs", default=None
    )
    factor: Annotated[int, Interval(ge=2, le=100)] = doc(
        "one of so many trials goes on from each rung, to about so many times the epochs", default=3
    )
    brackets: Annotated[int, Interval(ge=1, le=100)] = doc(
        "from how many of the rungs trials begin: 1 is successive halving, more is Hyperband",
        default=1,
    )
    lag: Annotated[int, Interval(ge=1, le=10_000)] = doc(
        "how many steps may run at once: a step sees those up to lag before it", default=LAG
    )

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return which trial goes on at step `number`, or a new one."""
        trial = history.begun(number)
        settings = history.once("settings", space.settings)
        is_last = trial >= (settings if history.trials is None else min(settings, history.trials))
        # Once no trial is new any more, a step sees all that was before it.
        seen = number if is_last else max(0, number - self.lag + 1)
        if not history.known(seen):
            return None
        ladder: _Ladder = history.once("ladder", lambda: _Ladder(self))
        if not ladder.is_before(seen, number):
            ladder = _Ladder(self)
        goes_on = ladder.next(history, seen, number, 1 if is_last else 0)
        if goes_on is not None or is_last:
            return goes_on
        if self.propose in BLIND:
            proposal = BLIND[self.propose]().suggest(space, history, trial, rng)
        else:
            known, pending = ladder.comparable(history, space, number)
            learner = LEARNERS[self.propose]()
            proposal = learner.propose(space, history, trial, rng, known, pending)
        rung = self.begins_at(trial)
        return proposal._replace(stage=Stage(self.rungs()[rung], rung))

    def rungs(self) -> tuple[int, ...]:
        """Return the epochs of each rung, the last of which is the whole training."""
        assert self.max is not None, "the config fills it in"
        first = self.min or -(-self.max // FIRST_RUNG)
        steps = max(1, round(math.log(self.max / first) / math.log(self.factor)))
        ratio = self.max / first
        return tuple(dict.fromkeys(round(first * ratio ** (i / steps)) for i in range(steps + 1)))

    def begins_at(self, trial: int) -> int:
        """Return the rung that a new trial is trained to, as Hyperband shares the trials out."""
        top = len(self.rungs()) - 1
        shares = [
            math.ceil((top + 1) / (top - rung + 1) * self.factor ** (top - rung))
            for rung in range(self.brackets)
        ]
        place = trial % sum(shares)
        rung = 0
        while place >= shares[rung]:
            place -= shares[rung]
            rung += 1
        return rung

    def size(self, space: Space) -> None:
        """Go on as long as there are new settings."""

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield rungs that are none."""
        if self.propose == "sobol":
            yield from Sobol().problems(space, trials)
        if self.max is None:
            return
        if self.min is not None and self.min > self.max:
            yield Problem(
                f"method.min is {self.min}, more than the {self.max} epochs of a whole training",
                f"Give at most {max(1, self.max // self.factor)}, or leave it out.",
                ("min",),
            )
        elif self.max < 2 or self.min == self.max:
            yield Problem(
                f"halving has nothing to shorten: the first rung is the whole training of "
                f"{self.max} epochs",
                "Raise objective.epochs, or lower method.min.",
                () if self.min is None else ("min",),
            )
        elif self.brackets > len(self.rungs()):
            rungs = ", ".join(map(str, self.rungs()))
            yield Problem(
                f"method.brackets is {self.brackets}, more than the {len(self.rungs())} rungs "
                f"({rungs} epochs)",
                f"Give at most {len(self.rungs())}.",
                ("brackets",),
            )

    def at_once(self) -> tuple[str, int]:
        """Return the lag."""
        return "lag", self.lag

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return its keys, and the trials after which what is good only goes on."""
        return asdict(self) | {"trials": trials}


class _Ladder:
    """What the steps of a search came to, rung by rung; made from a history, and growing with it.

    Trials that began at different rungs are compared with their own kind.
    """

    def __init__(self, halving: Halving) -> None:
        self._halving, self._epochs = halving, halving.rungs()
        self._read = self._named = 0
        shape = [[rung, start] for rung in range(len(self._epochs)) for start in range(rung + 1)]
        self._groups = {(rung, start): _Group() for rung, start in reversed(shape)}
        self._went_on: set[tuple[int, int]] = set()

    def is_before(self, seen: int, order: int) -> bool:
        """Tell whether nothing was read that a step may not see; as `next`."""
        return self._read <= seen and self._named <= order

    def next(self, history: History, seen: int, order: int, fewest: int) -> Suggestion | None:
        """Return the step that lets the best waiting trial go on, if there is one.

        seen: So many steps are known.
        order: The step that is asked for; all before it were dealt out.
        fewest: So many go on from each rung at least.
        """
        for place in range(self._read, seen):
            self._take(history.result(place), history)
        self._read = seen
        for place in range(self._named, order):
            step = history.named(place)
            if step.rung is not None:
                self._went_on.add((step.number, step.rung))
        self._named = order
        for (rung, _), group in self._groups.items():
            if rung + 1 == len(self._epochs):
                continue
            share = max(fewest, group.count // self._halving.factor)
            for _, number, result in islice(group.best, share):
                if (number, rung + 1) not in self._went_on:
                    stage = Stage(self._epochs[rung + 1], rung + 1, self._epochs[rung], number)
                    return Suggestion(result.unit, None, stage)
        return None

    def comparable(
        self, history: History, space: Space, order: int
    ) -> tuple[list[Result], list[Point]]:
        """Return what a model may learn from, `of_one_rung`, and the points that are still open."""
        results = history.results(self._read)
        known = of_one_rung(results, max(FEWEST, len(space.axes) + 1))
        begun = {result.trial for result in known}
        steps = (history.named(place) for place in range(self._read, order))
        pending = {step.number: step.unit for step in steps if step.number not in begun}
        return [*history.earlier, *known], list(pending.values())

    def _take(self, result: Result | None, history: History) -> None:
        assert result is not None
        assert result.rung is not None
        group = self._groups[result.rung, self._halving.begins_at(result.trial)]
        group.count += 1
        if result.score is not None and not result.ended_early:
            insort(group.best, (cost(result, history.goal), result.trial, result))


class _Group:
    """The trials of one rung that began at the same one."""

    def __init__(self) -> None:
        self.count = 0
        self.best: list[tuple[float, int, Result]] = []
        """Cost, number and result of those with a score, best first."""
