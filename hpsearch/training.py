"""A generator function of the user's that is trained by hand, in a process of its own.

Whatever it does to that process (crash, hang, exit, print) costs the epoch that it is in, and no
more: it can be begun anew, or interrupted, while the person goes on.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hpsearch.objectives import Names
from hpsearch.objectives.base import Metrics
from hpsearch.objectives.by_hand import (
    FailedError,
    NetworkTraining,
    Planned,
    StoppedError,
    Training,
)
from hpsearch.objectives.mlp import MLP
from hpsearch.objectives.python import PythonFunction
from hpsearch.supervisor import Child, ChildEndedError, Halt, HaltedError, TimedOutError
from hpsearch.trial import Params

FAREWELL = 10.0
"""Seconds that a generator's `finally` may take."""


class FunctionTraining:
    """One model of a function's, in a child that is started for its first epoch.

    It keeps no state: to go back, it is run again from its first epoch, in a new child.
    """

    def __init__(
        self,
        objective: PythonFunction,
        params: Params,
        seed: int,
        *,
        metric: str,
        folder: Path,
        memory: int | None,
        printed: Callable[[bytes], None],
    ) -> None:
        self._start = {
            "kind": "python",
            "objective": objective.spec(),
            "names": asdict(Names(tuple(n for n in params if n not in objective.constants))),
            "metric": metric,
            "in_steps": False,
            "by_hand": {"params": params, "seed": seed, "folder": str(folder.absolute())},
        }
        self._memory, self._printed = memory, printed
        self._planned: Planned = ()
        self._halt = Halt()
        self._child: Child | None = None
        self._busy = threading.Lock()
        self.epochs = 0

    def begin(self) -> None:
        """Start the child.

        Raises:
            UserError: the function cannot be imported, or takes no changes.
            ChildEndedError, TimedOutError, HaltedError: there is no child.
        """
        self._child = Child(self._start, self._halt, self._memory, what="the training")

    def change(self, planned: Planned) -> None:
        """As `Training.change`."""
        self._planned = planned

    def step(self) -> Metrics | None:
        """As `Training.step`."""
        with self._busy:
            try:
                if self._child is None:
                    self.begin()
                assert self._child is not None
                changes = [dict(each) for each in self._planned]
                self._child.give({"changes": changes, "last": False})
                answer = self._child.answer(None)
                self._printed(self._child.log().content())
            except BaseException as error:
                self._end()
                if isinstance(error, ChildEndedError):
                    raise FailedError(str(error)) from None
                if isinstance(error, TimedOutError):
                    raise FailedError("its process was not ready in time") from None
                if isinstance(error, HaltedError):
                    raise StoppedError from None
                raise
        if "failed" in answer:
            raise FailedError(answer["failed"])
        metrics: Metrics | None = answer["metrics"]
        self.epochs += metrics is not None
        return metrics

    def keep(self, path: Path) -> bool:
        """As `Training.keep`."""
        return False

    def restore(self, path: Path, epochs: int) -> None:
        """As `Training.restore`."""

    def interrupt(self) -> bool:
        """As `Training.interrupt`."""
        self._halt.set()
        return True

    def close(self) -> None:
        """Let the generator's `finally` run, unless it is in the middle of an epoch."""
        if self._busy.locked():
            self._halt.set()
        with self._busy:
            if self._child is not None:
                with contextlib.suppress(ChildEndedError, TimedOutError, HaltedError):
                    self._child.give({"last": True})
                    self._child.answer(FAREWELL)
                self._end()
            self._halt.close()

    def _end(self) -> None:
        if self._child is not None:
            with contextlib.suppress(OSError):  # a full disk costs what was printed, no more
                self._printed(self._child.log().content())
            self._child.end()
            self._child = None


def training_of(
    objective: MLP | PythonFunction,
    params: Params,
    seed: int,
    *,
    metric: str,
    folder: Path,
    memory: int | None,
    printed: Callable[[bytes], None],
) -> Training:
    """Return a model before its first epoch.

    Args:
        objective: The network with its whole setting, or a function.
        params: What a function is given beside its constants.
        metric: What a bare number of a function is called.
        folder: A function's own folder.
        memory: Bytes that a function may use; None for as many as there are.
        printed: Called with what a function printed.
    """
    if isinstance(objective, MLP):
        return NetworkTraining(objective, seed)
    return FunctionTraining(
        objective, params, seed, metric=metric, folder=folder, memory=memory, printed=printed
    )
