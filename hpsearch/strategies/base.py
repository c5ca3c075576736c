"""What every strategy is, and what it says of a trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hpsearch.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.history import History
    from hpsearch.space import Point, Space
    from hpsearch.trial import Result


class StrategyError(UserError):
    """The strategy cannot go on: its text says why, and a second line what to do."""


class Stage(NamedTuple):
    """How far a trial is trained in one step of the search, where it need not be to the end."""

    until: int
    """Epochs after which the step ends."""
    rung: int
    """Which rung that is, counted from 0; trials of different rungs are never compared."""
    start: int = 0
    """Epochs that earlier steps have trained it for."""
    trial: int | None = None
    """The earlier trial that goes on; None for a new one."""


class Suggestion(NamedTuple):
    """The next setting to try."""

    point: Point
    """A point of the unit cube, one coordinate per varied parameter."""
    note: dict[str, Any] | None = None
    """How the strategy came to it, as plain data; the record keeps it with the trial."""
    stage: Stage | None = None
    """How far to train, and which trial goes on; None for a new one that is trained to the end."""


class Problem(NamedTuple):
    """Something in the config that a strategy cannot work with."""

    text: str
    hint: str = ""
    keys: tuple[str, ...] = ()
    """The way from the section `method` to what is wrong; empty for the section itself."""
    at_key: bool = False
    """Whether the key is wrong rather than its value."""


class Strategy(Protocol):
    """A pure function of what it may see; it opens no file and keeps nothing between calls.

    Its fields are the keys that `method: {name: ..., ...}` takes.
    """

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return what trial `number` tries; every earlier trial was named before it.

        history: What is read of it must be fixed by `number` alone (the best of the first
            `number - lag` trials, say), so that the suggestion does not depend on which worker was
            faster.
        rng: The trial's own stream, the same whenever this is called.
        Returns None while a result that the suggestion needs is still missing, or for good when
        there is nothing left to try.
        """

    def size(self, space: Space) -> int | None:
        """Return the number of trials after which there is nothing left; None for no end."""

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield what of the config this cannot work with.

        trials: The budget's number of trials; None where that is open.
        """

    def at_once(self) -> tuple[str, int] | None:
        """Return the key that limits how many trials run at once, and the limit."""

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return, as plain data, all that decides the suggestions beside the space and the seed."""


class Proposer(Protocol):
    """A strategy that can choose a setting from whichever results it is given.

    `suggest` of such a strategy waits for what trial `number` may see and then proposes; another
    strategy may do the waiting, and say which results are measured alike.
    """

    def propose(
        self,
        space: Space,
        history: History,
        number: int,
        rng: np.random.Generator,
        known: Sequence[Result],
        pending: Sequence[Point],
    ) -> Suggestion:
        """Return what trial `number` tries, given some results and no others.

        history: Read only for what no result decides: `once`, `stream`, `tried`, `goal`, `seed`.
        rng: The trial's own stream.
        known: Finished trials by number, all measured the same way; failed ones have no score.
            Negative numbers are trials of an earlier run, with points of this space, whose scores
            may differ from this run's by a constant.
        pending: The points of trials whose results may not be seen yet.
        """
