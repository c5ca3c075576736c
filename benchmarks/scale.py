"""How busy many workers are, and what the parent costs: python benchmarks/scale.py [--workers N]

The loop, the strategies and the record are the real ones; the workers are simulated on a clock that
costs no time. A trial takes a log-normal time with a mean of a minute, so that a fifth of them take
more than 90 s and one in a hundred more than 3 minutes. Printed are, for each strategy and lag:

- how much of the workers' time is spent on trials, until the last trial begins;
- processor time of the parent per trial, and in how short a time trials would have to end for it to
  be the limit: the time per trial times the workers.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import math
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hpsearch.loop as loop
from hpsearch.config import build_config
from hpsearch.runner import Work
from hpsearch.store import RunFolder
from hpsearch.supervisor import Halt
from hpsearch.trial import Result, Trial
from hpsearch.yamlfile import parse_yaml

MEAN = 60.0
"""Seconds that a trial takes in the mean; a step of halving takes its share of them."""
SPREAD = 0.6
"""Standard deviation of the logarithm of a trial's seconds."""
FULL = 27
"""Epochs of a trial that is trained to its end."""

CONFIG = """
objective: {{python: "user.py:score", epochs: {epochs}}}
metric: {{name: loss, goal: minimize}}
parameters:
{parameters}
method: {method}
budget: {{trials: {trials}}}
seed: 1
"""
PARAMETERS = "\n".join(f"  x{i}: {{min: -1, max: 1}}" for i in range(6))


class Workers:
    """Workers of another time; what a search asks of an engine."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.now = 0.0
        self.spans: list[tuple[float, float, bool]] = []
        """When each step began and ended, and whether it began a trial."""

    def planned(self, trial: Trial, epochs: int) -> int:
        """Return the epochs of a trial or a step."""
        return epochs - trial.start

    def workers(self) -> None:
        """Return nothing: nobody asks."""

    def run(self, work: Iterator[Work | None], jobs: int) -> Iterator[Result]:
        """Run trials as an engine does, in no time."""
        running: list[tuple[float, int, Result]] = []
        while True:
            while len(running) < jobs and (each := next(work, None)) is not None:
                trial, epochs, _ = each
                seconds = self._seconds(trial, epochs)
                self.spans.append((self.now, self.now + seconds, trial.start == 0))
                result = self._result(trial, epochs, seconds)
                heapq.heappush(running, (self.now + seconds, trial.order, result))
            if not running:
                return
            self.now, _, result = heapq.heappop(running)
            yield result

    def _seconds(self, trial: Trial, epochs: int | None) -> float:
        draw = random.Random(trial.order).lognormvariate(-(SPREAD**2) / 2, SPREAD)
        share = 1.0 if epochs is None else (epochs - trial.start) / FULL
        return MEAN * draw * share

    def _result(self, trial: Trial, epochs: int | None, seconds: float) -> Result:
        noise = random.Random(-1 - trial.order).gauss(0, 0.02)
        loss = sum(value * value for value in trial.params.values()) + noise
        return Result(
            trial=trial.number,
            status="complete",
            params=trial.params,
            unit=trial.unit,
            seed=trial.seed,
            budget=epochs,
            score=loss,
            metrics={"loss": loss},
            curve={"loss": [loss]},
            started="2026-01-01T00:00:00.000+00:00",
            seconds=seconds,
            note=trial.note,
            epochs=epochs,
            step=trial.step,
            start=trial.start,
            rung=trial.rung,
        )

    def busy(self, workers: int) -> float:
        """Return the share of the workers' time that trials took until the last one began."""
        end = max(begin for begin, _, is_new in self.spans if is_new)
        spent = sum(max(0.0, min(last, end) - begin) for begin, last, _ in self.spans)
        return spent / (workers * end) if end else math.nan


def simulate(method: str, workers: int, trials: int) -> tuple[float, float]:
    """Search with simulated workers; return their utilisation and the parent's seconds a trial."""
    text = CONFIG.format(method=method, trials=trials, parameters=PARAMETERS, epochs=FULL)
    config = build_config(parse_yaml(text.encode(), "scale"), None, "scale", Path())
    simulated = Workers()
    silent = contextlib.nullcontext(lambda result: None)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Halt()) as halt:
        began = time.process_time()
        loop._search(
            config,
            RunFolder(Path(folder) / "run"),
            lambda: simulated,
            halt,
            jobs=workers,
            begin=lambda *_: silent,
            warn=print,
        )
        spent = time.process_time() - began
    return simulated.busy(workers), spent / len(simulated.spans)


def cases(workers: int) -> Iterator[tuple[str, int]]:
    """Yield methods, and how many trials a search by each has."""
    yield "random", 20 * workers
    yield "sobol", 20 * workers
    lags = (workers // 10, workers, 2 * workers, 4 * workers)
    yield from ((f"{{name: zoom, lag: {lag}}}", 10 * workers) for lag in lags)
    yield from ((f"{{name: halving, lag: {lag}}}", 5 * workers) for lag in lags)
    yield from ((f"{{name: bayes, lag: {lag}}}", 600) for lag in (8, 64))


def main() -> None:
    """Print a line for each strategy and lag."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--first", type=int, help="only so many of the cases")
    given = parser.parse_args()
    print(f"{given.workers} workers (bayes: as many as its lag)\n")
    print("| method | trials | utilisation | parent, ms a trial | its limit, s |")
    print("| --- | --: | --: | --: | --: |")
    for method, trials in itertools.islice(cases(given.workers), given.first):
        workers = given.workers
        if "bayes" in method:
            workers = int(method.split("lag: ")[1].rstrip("}"))
        busy, cost = simulate(method, workers, trials)
        shown = f"`{method}` | {trials:,} | {busy:.2f} | {cost * 1e3:.2f} | {cost * workers:.2f}"
        print(f"| {shown} |", flush=True)


if __name__ == "__main__":
    main()
