"""History: what a strategy may see of the trials before the one it suggests."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hpsearch.seeds import stream
from hpsearch.trial import Params, Result, Trial, cost, trial_of

T = TypeVar("T")
Array = npt.NDArray[np.float64]


class History:
    """The trials of one search so far; every answer is fixed by what is asked, never by timing.

    Results come in from one thread while another asks: `add` only puts a result into a dict, and
    all that is computed from it is computed by the thread that asks.
    """

    def __init__(
        self,
        goal: str,
        seed: int = 0,
        trials: int | None = None,
        earlier: Sequence[Result] = (),
        *,
        keeps: bool = True,
        asks_tried: bool = True,
    ) -> None:
        """Begin an empty history.

        goal: `minimize` or `maximize`.
        seed: The search's seed.
        trials: The number of trials at which the search ends, None where that is open. A strategy
            that reads it has to name it in its `identity`.
        earlier: Trials of another run, with negative numbers and points of this space.
        keeps: Whether anything is ever asked of a finished trial but that it has finished.
        asks_tried: Whether `tried` is ever asked.
        """
        self._keeps, self._asks_tried = keeps, asks_tried
        self.earlier = list(earlier)
        self.goal, self.seed, self.trials = goal, seed, trials
        self._results: dict[int, Result] = {}  # by their order
        self._finished: set[int] = set()  # where results are not kept; those after _known
        self._named: dict[int, Trial] = {}
        self._begun = [0]  # how many trials the steps before each step began
        self._first: dict[str, int] = {}  # a setting -> the lowest trial that has it
        self._known = 0
        self._order: list[tuple[float, int]] = []  # the complete ones of the first _sorted trials
        self._sorted = 0
        self._table: Array = np.empty((0, 0))
        self._rows = 0
        self._memo: dict[Any, Any] = {}

    def add(self, result: Result) -> None:
        """Take the result of a trial, or of a step of one."""
        if result.order not in self._named:  # of an earlier command
            self.name(trial_of(result))
        if self._keeps:
            self._results[result.order] = result
        else:
            self._finished.add(result.order)
            del self._named[result.order]

    def name(self, trial: Trial) -> None:
        """Take a trial that is going to run, or to go on."""
        self._named[trial.order] = trial
        if self._asks_tried:
            key = repr(trial.params)
            self._first[key] = min(trial.number, self._first.get(key, trial.number))

    def named(self, order: int) -> Trial:
        """Return what was dealt out at a place of the order, finished or not."""
        return self._named[order]

    def result(self, order: int) -> Result | None:
        """Return what came of it; None while it runs."""
        return self._results.get(order)

    def begun(self, count: int) -> int:
        """Return how many trials the steps 0 .. count - 1 began, which were all named."""
        while len(self._begun) <= count:
            trial = self._named[len(self._begun) - 1]
            self._begun.append(max(self._begun[-1], trial.number + 1))
        return self._begun[count]

    def known(self, count: int) -> bool:
        """Tell whether the trials 0 .. count - 1 have all finished.

        Where trials go on in steps, all counts here are of steps.
        """
        while self._known < count and (
            self._known in self._results or self._known in self._finished
        ):
            self._finished.discard(self._known)
            self._known += 1
        return self._known >= count

    def best(self, k: int, count: int) -> list[Result]:
        """Return the best k complete trials among 0 .. count - 1, best first.

        Equal scores stand by trial number; fewer than k where fewer were complete.

        Raises:
            ValueError: one of these trials has not finished; `known` tells.
        """
        if not self.known(count):
            raise ValueError(f"best(..., {count}) needs the first {count} trials: ask known first")
        for number in range(self._sorted, count):
            result = self._results[number]
            if result.score is not None:
                insort(self._order, (cost(result, self.goal), number))
        self._sorted = max(self._sorted, count)
        found: list[Result] = []
        for _, number in self._order:
            if len(found) >= k:
                break
            if number < count:
                found.append(self._results[number])
        return found

    def results(self, count: int) -> list[Result]:
        """Return the trials 0 .. count - 1 by number, those without a score too.

        Raises:
            ValueError: one of these trials has not finished; `known` tells.
        """
        if not self.known(count):
            raise ValueError(f"results({count}) needs the first {count} trials: ask known first")
        return [self._results[number] for number in range(count)]

    def points(self, start: int, stop: int) -> list[tuple[float, ...]]:
        """Return the points of the trials start .. stop - 1, finished or not.

        Raises:
            KeyError: one of them was not named yet.
        """
        return [self._named[number].unit for number in range(start, stop)]

    def table(self, count: int, place: Callable[[Result], Sequence[float]]) -> Array:
        """Return a row for each of the trials 0 .. count - 1: its cost, then where `place` puts it.

        Rows are made once, as trials finish; the array is not to be written to.

        Raises:
            ValueError: one of these trials has not finished; `known` tells.
        """
        if not self.known(count):
            raise ValueError(f"table({count}) needs the first {count} trials: ask known first")
        while self._rows < count:
            result = self._results[self._rows]
            row = (cost(result, self.goal), *place(result))
            if self._rows == len(self._table):
                larger = np.empty((max(64, 2 * self._rows), len(row)))
                if self._rows:
                    larger[: self._rows] = self._table
                self._table = larger
            self._table[self._rows] = row
            self._rows += 1
        return self._table[:count]

    def tried(self, params: Params, number: int) -> bool:
        """Tell whether a trial before `number`, finished or not, has the same setting."""
        return self._first.get(repr(params), number) < number

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Return make(), computed the first time only.

        For what costs time and depends on nothing but the space, the seed and `key`.
        """
        if key not in self._memo:
            self._memo[key] = make()
        found: T = self._memo[key]
        return found

    def stream(self, kind: str) -> np.random.Generator:
        """Return the search's own random stream of a kind, the same whenever it is asked for."""
        return stream(self.seed, kind)
