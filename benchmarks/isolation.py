"""What isolation and the record cost: python benchmarks/isolation.py

Runs the same short trials (one epoch of a tiny network on the digits) three ways, in turn, and
prints medians as ratios to the first:

- hpsearch: every trial in a supervised child process, on disk before it is announced;
- the same with loky workers as supervisors instead of threads;
- plain joblib (loky, batch_size=1): no isolation, no record. One crash ends it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from hpsearch.child import run_trial
from hpsearch.config import Config, build_config
from hpsearch.loop import history_of, suggest
from hpsearch.objectives import Context, from_spec
from hpsearch.runner import run_trials
from hpsearch.store import RunFolder
from hpsearch.supervisor import Halt, Supervisor
from hpsearch.threads import ONE_THREAD
from hpsearch.trial import Result, Trial
from hpsearch.yamlfile import parse_yaml

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
ROUNDS = 3
JOBS = 2

CONFIG = b"""
objective: {trainer: mlp, epochs: 1, batch_size: 512}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  hidden_units: {type: int, min: 2, max: 4}
"""


def kept(name: str, make: Callable[[], Any]) -> Any:
    """Keep one object per process; an imported module outlives the tasks that loky unpickles."""
    store = vars(sys.modules["hpsearch.supervisor"])
    if (name, os.getpid()) not in store:
        store[name, os.getpid()] = make()
    return store[name, os.getpid()]


def supervisor(config: Config) -> Supervisor:
    return Supervisor(
        config.kind,
        config.objective.spec(),
        names=config.names,
        given=config.space.given,
        metric=config.metric_name,
        timeout=None,
        memory=None,
        places=RunFolder(Path("unused")),
        halt=Halt(),
    )


def record(folder: RunFolder, results: Any) -> None:
    with folder.claim():
        for result in results:
            folder.append(result)


def ours(config: Config, trials: list[Trial], folder: RunFolder) -> None:
    keeper = supervisor(config)
    record(folder, run_trials(iter([(trial, 1, 1) for trial in trials]), keeper, JOBS))
    keeper.close()


def supervise(config: Config, trial: Trial) -> Result | None:
    keeper: Supervisor = kept("supervisor", lambda: supervisor(config))
    return keeper.run(trial, 1)


def loky_supervisors(config: Config, trials: list[Trial], folder: RunFolder) -> None:
    parallel = Parallel(n_jobs=JOBS, return_as="generator_unordered", batch_size=1)
    record(folder, parallel(delayed(supervise)(config, trial) for trial in trials))


def bare(kind: str, spec: dict[str, Any], params: dict[str, Any], seed: int) -> Any:
    objective = kept("objective", lambda: from_spec(kind, spec))
    return run_trial(objective, params, Context(0, seed, "dev_error", 1, Path("unused")))


def plain_joblib(config: Config, trials: list[Trial], folder: RunFolder) -> None:
    del folder
    spec = config.objective.spec()
    parallel = Parallel(n_jobs=JOBS, return_as="generator_unordered", batch_size=1)
    for _ in parallel(delayed(bare)(config.kind, spec, t.params, t.seed) for t in trials):
        pass


def main() -> None:
    os.environ.update(ONE_THREAD)
    config = build_config(parse_yaml(CONFIG, "benchmark"), None, "benchmark", Path())
    history = history_of(config)
    trials = [trial for k in range(TRIALS) if (trial := suggest(config, history, k))]
    ways: dict[str, Callable[[Config, list[Trial], RunFolder], None]] = {
        "hpsearch": ours,
        "loky supervisors": loky_supervisors,
        "plain joblib": plain_joblib,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(ROUNDS + 1):  # the first turn is a warm-up
            for name, way in ways.items():
                began = time.perf_counter()
                way(config, trials, RunFolder(Path(scratch) / f"{name.split()[0]}-{turn}"))
                if turn:
                    seconds[name].append(time.perf_counter() - began)
    first = statistics.median(seconds["hpsearch"])
    print(f"{TRIALS} trials, {JOBS} jobs, median of {ROUNDS} interleaved turns")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:18} {median / TRIALS * 1e3:7.2f} ms a trial   {median / first:5.2f}")


if __name__ == "__main__":
    main()
