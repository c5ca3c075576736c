"""When a search ends: a decision from the trials in their order, never from their timing."""

from __future__ import annotations

from dataclasses import dataclass, field

from hpsearch.trial import Result, standing


def is_failure(result: Result) -> bool:
    """Tell whether a trial speaks for a broken objective; a training that diverges does not."""
    return result.status not in ("complete", "diverged")


@dataclass
class Ending:
    """Takes results in any order and finds the first trial at which a limit is reached.

    It judges trial k only when all of 0 .. k are known. So the search ends at the same trial for
    any number of jobs; trials that had already run beyond it do not count. Where trials go on in
    steps, it is steps that are counted.
    """

    goal: str
    trials: int | None
    patience: int | None
    failures: int | None

    counted: int = 0
    """Trials 0 .. counted - 1 are known and judged."""
    reason: str | None = None
    """Which limit ended the search; None while it goes on."""
    best: Result | None = None
    """The best of the judged trials."""
    failed_in_a_row: list[Result] = field(default_factory=list)
    _leading: tuple[tuple[float, float], int] | None = None
    """Standing and place of the best of all trials, judged or not."""
    _waiting: dict[int, Result] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Take one more result."""
        self._waiting[result.order] = result
        place = standing(result, self.goal), result.order
        if result.score is not None and (self._leading is None or place < self._leading):
            self._leading = place
        while self.reason is None and self.counted in self._waiting:
            self._judge(self._waiting.pop(self.counted))

    @property
    def horizon(self) -> int | None:
        """The last trial that is needed as far as is known; a better score moves it. None: no end.

        While one trial takes long, others would else go on far beyond where patience ends the
        search.
        """
        if self.patience is None:
            return None
        return self.patience + (-1 if self._leading is None else self._leading[1])

    def _judge(self, result: Result) -> None:
        self.counted += 1
        if is_failure(result):
            self.failed_in_a_row.append(result)
        else:
            self.failed_in_a_row = []
        if result.score is not None and (
            self.best is None or standing(result, self.goal) < standing(self.best, self.goal)
        ):
            self.best = result
        since = result.order - (self.best.order if self.best else -1)
        if self.trials is not None and self.counted >= self.trials:
            self.reason = "trials"
        elif self.failures is not None and len(self.failed_in_a_row) >= self.failures:
            self.reason = "failures"
        elif self.patience is not None and since >= self.patience:
            self.reason = "patience"
